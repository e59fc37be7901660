"""The image net: pictures to a grid of positions, after Xception's entry flow."""

from typing import Literal

import keras
from keras import ops

from t2t_multimodel.layers import ConvStep2D
from t2t_multimodel.modalities.conv_res import ConvRes


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class ImageModality(keras.layers.Layer):
    """Reads pictures (paper 2.5: 3x3 stride 2, 3x3, then three ConvRes blocks).

    Pictures are standardised one by one first; the first convolution has no ReLU
    before it and is an ordinary one; all as in T2T v1.0.3. The paper's ReLU there
    would do nothing to pixels, or cut off half of standardised ones, and layer norm
    after a separable convolution of grey pictures would keep nothing but signs.

    Args:
        depth: Depth of the output (C).
        stem_filters: Of the two convolutions at the start.
        filters: Of the ConvRes blocks before the last, which has `depth` filters.
        norm: What a layer norm is over: the depth of a `"position"` (paper, T2T), or
            the whole `"picture"` (ours). The former makes a flat background as strong
            as the edges of things, and what it amplifies there has to be unlearned.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        images: `(B, H, W, channels)`, 0..255.

    Returns:
        `(B, H / 2^n, W / 2^n, C)` with n = 2 + number of `filters`, rounded up.
    """

    def __init__(
        self,
        depth: int,
        *,
        stem_filters=(32, 64),
        filters=(128, 256),
        norm: Literal["position", "picture"] = "position",
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # standardised before it is rounded
        self.depth = depth
        self.stem_filters = tuple(stem_filters)
        self.filters = tuple(filters)
        self.norm = norm
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.stem_1 = ConvStep2D(
            self.stem_filters[0],
            (3, 3),
            strides=(2, 2),
            activation=False,
            separable=False,
            **self._common("stem_1"),
        )
        self.stem_2 = ConvStep2D(self.stem_filters[1], (3, 3), **self._common("stem_2"))
        self.blocks = tuple(
            ConvRes(f, **self._common(f"conv_res_{i}"))
            for i, f in enumerate((*self.filters, depth))
        )

    def _common(self, name):
        return {
            "norm_axes": (-1,) if self.norm == "position" else (-3, -2, -1),
            "kernel_initializer": self.kernel_initializer.clone(),
            "name": name,
            "dtype": self.dtype_policy,
        }

    @property
    def _stack(self) -> tuple[keras.layers.Layer, ...]:
        return (self.stem_1, self.stem_2, *self.blocks)

    def build(self, input_shape):
        shape = input_shape
        for layer in self._stack:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, images):
        x = ops.cast(standardize(images), self.compute_dtype)
        for layer in self._stack:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for layer in self._stack:
            shape = layer.compute_output_shape(shape)
        return shape

    def get_config(self):
        return super().get_config() | {
            "depth": self.depth,
            "stem_filters": self.stem_filters,
            "filters": self.filters,
            "norm": self.norm,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def standardize(images):
    """Returns `(B, H, W, channels)` float32 pictures of mean 0 and deviation 1.

    The deviation is at least one over the root of the number of values, so that a
    picture of one colour becomes zeros (T2T v1.0.3, after `tf.image`).
    """
    x = ops.cast(images, "float32")
    mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    centred = x - mean
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    num_values = ops.cast(ops.prod(ops.shape(x)[1:]), "float32")
    return centred / ops.maximum(deviation, 1.0 / ops.sqrt(num_values))
