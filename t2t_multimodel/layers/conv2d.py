"""The convolution step of images, used by the modality nets (paper 2.5)."""

import functools

import keras
from keras import ops

from t2t_multimodel.layers.conv import depthwise_initial, zero_padding
from t2t_multimodel.layers.depthwise import in_float32
from t2t_multimodel.layers.norm import LayerNorm


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class ConvStep2D(keras.layers.Layer):
    """ReLU, convolution over rows and columns with SAME padding, layer norm.

    Args:
        filters: Depth of the output F.
        kernel_size: Taps `(rows, columns)`.
        strides: Distance between outputs `(rows, columns)`.
        activation: Whether the ReLU comes first; the paper's step has it, the first
            step on raw pixels has not.
        separable: Whether the convolution is depthwise and pointwise; T2T v1.0.3 takes
            ordinary ones for the stem and the shortcuts.
        norm_axes: Of the layer norm; `(-3, -2, -1)` takes the picture as a whole, for
            pictures without padding.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        x: `(B, H, W, C)` activations.
        padding_mask: `(B, H)` or `(B, H, W)` bool, False at padding, or `None`.

    Returns:
        `(B, ceil(H / strides[0]), ceil(W / strides[1]), F)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, int] = (3, 3),
        strides: tuple[int, int] = (1, 1),
        *,
        activation: bool = True,
        separable: bool = True,
        norm_axes: tuple[int, ...] = (-1,),
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be positive, got filters={filters}")
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.activation = activation
        self.separable = separable
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.norm = LayerNorm(axes=norm_axes, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        depth = input_shape[-1]
        if self.separable:
            self.depthwise = self.add_weight(
                name="depthwise",
                shape=(*self.kernel_size, depth, 1),
                initializer=lambda shape, dtype=None: depthwise_initial(
                    self.kernel_initializer, shape[:-1], dtype
                ),
            )
            self.pointwise = self.add_weight(
                name="pointwise",
                shape=(depth, self.filters),
                initializer=self.kernel_initializer.clone(),
            )
        else:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(*self.kernel_size, depth, self.filters),
                initializer=self.kernel_initializer,
            )
        self.norm.build((*input_shape[:-1], self.filters))
        self.built = True

    def call(self, x, padding_mask=None):
        if self.activation:
            x = ops.relu(x)
        if padding_mask is not None:
            x = zero_padding(x, padding_mask)
        if self.separable:
            x = ops.matmul(self._depthwise_conv(x), self.pointwise)
        else:
            x = self._in_float32(ops.conv, x, self.kernel)
        return self.norm(x)

    def _depthwise_conv(self, x):
        if self.kernel_size == (1, 1):
            # TensorFlow 2.21's gradient of this case writes outside its memory.
            rows, columns = self.strides
            return x[:, ::rows, ::columns] * self.depthwise[0, 0, :, 0]
        return self._in_float32(ops.depthwise_conv, x, self.depthwise)

    def _in_float32(self, convolution, x, kernel):
        convolution = functools.partial(
            convolution, strides=self.strides, padding="same"
        )
        return in_float32(convolution, x, kernel)

    def compute_output_shape(self, x_shape, padding_mask_shape=None):
        rows, columns = (
            None if size is None else -(-size // stride)
            for size, stride in zip(x_shape[1:3], self.strides, strict=True)
        )
        return (x_shape[0], rows, columns, self.filters)

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": self.activation,
            "separable": self.separable,
            "norm_axes": self.norm.axes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
