"""ConvRes: the down-sampling residual block of the image and audio nets."""

import keras
from keras import ops

from t2t_multimodel.layers import ConvStep2D


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class ConvRes(keras.layers.Layer):
    """Two 3x3 ConvSteps, max-pooled, plus a strided 1x1 ConvStep (paper 2.5).

    Args:
        filters: Depth of the output (F).
        strides: Of the pool and the shortcut, `(rows, columns)`.
        norm_axes: Of the steps' layer norms.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        x: `(B, H, W, C)`.
        padding_mask: `(B, H, W)` bool, False at padding; `None` means none.

    Returns:
        `(B, ceil(H / rows), ceil(W / columns), F)`.
    """

    def __init__(
        self,
        filters: int,
        strides: tuple[int, int] = (2, 2),
        *,
        norm_axes: tuple[int, ...] = (-1,),
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = tuple(strides)
        self.norm_axes = tuple(norm_axes)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.step_1 = self._step("step_1", (3, 3))
        self.step_2 = self._step("step_2", (3, 3))
        self.shortcut = self._step("shortcut", (1, 1), self.strides)

    def _step(self, name, kernel_size, strides=(1, 1)):
        return ConvStep2D(
            self.filters,
            kernel_size,
            strides,
            norm_axes=self.norm_axes,
            kernel_initializer=self.kernel_initializer.clone(),
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        self.step_1.build(input_shape)
        self.step_2.build((*input_shape[:-1], self.filters))
        self.shortcut.build(input_shape)

    def call(self, x, padding_mask=None):
        x = masked(x, padding_mask)
        h = masked(self.step_1(x), padding_mask)
        return max_pool(self.step_2(h), self.strides, padding_mask) + self.shortcut(x)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        size = (
            None if length is None else -(-length // stride)
            for length, stride in zip((height, width), self.strides, strict=True)
        )
        return (batch, *size, self.filters)

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "strides": self.strides,
            "norm_axes": self.norm_axes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def masked(x, mask, fill=0.0):
    """Returns `(B, H, W, C)` with `fill` where `mask` `(B, H, W)` is False."""
    if mask is None:
        return x
    return ops.where(mask[..., None], x, ops.cast(fill, x.dtype))


def max_pool(x, strides, mask):
    """Returns the largest of each 3x3 window of `(B, H, W, C)`, padding left out."""
    x = masked(x, mask, fill=-1e9)
    return ops.max_pool(x, (3, 3), strides=strides, padding="same")


def pad_rows(x, multiple):
    """Returns `(B, H, ...)` with rows of zeros added up to a multiple of `multiple`."""
    extra = -ops.shape(x)[1] % multiple
    return ops.pad(x, [(0, 0), (0, extra)] + [(0, 0)] * (len(x.shape) - 2))
