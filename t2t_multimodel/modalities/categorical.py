"""The categorical net: the body's output to class scores, after Xception's exit."""

import keras
from keras import ops

from t2t_multimodel.layers import ConvStep2D
from t2t_multimodel.modalities.conv_res import masked, max_pool, pad_rows


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class CategoricalModality(keras.layers.Layer):
    """Classifies what the encoder saw (paper 2.5).

    skip = ConvStep 3x3 stride 2; two ConvSteps 3x3 and a max pool beside it; their
    sum through two wider ConvSteps; ReLU; mean over all real positions. The class
    scores themselves are a matrix of the problem. Inputs that were never
    2-D (text) run with columns of width 1, where a 3x3 window is 3 positions.

    Args:
        filters: Of the strided part and of the two ConvSteps after it; the paper has
            1536 and 2048 for the last two, T2T v1.0.3 1.25, 2 and 2.5 times depth.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        x: `(B, H, W, C)`.
        padding_mask: `(B, H, W)` bool, False at padding; `None` means none.

    Returns:
        `(B, filters[2])`.
    """

    def __init__(
        self, filters=(1280, 1536, 2048), *, kernel_initializer="orthogonal", **kwargs
    ):
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        strided, wide, wider = self.filters
        self.skip = self._step("skip", strided, (2, 2))
        self.step_1 = self._step("step_1", strided)
        self.step_2 = self._step("step_2", strided)
        self.step_3 = self._step("step_3", wide)
        self.step_4 = self._step("step_4", wider)

    def _step(self, name, filters, strides=(1, 1)):
        return ConvStep2D(
            filters,
            (3, 3),
            strides,
            kernel_initializer=self.kernel_initializer.clone(),
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        strided, wide, _ = self.filters
        space = tuple(input_shape[:-1])
        self.skip.build(input_shape)
        self.step_1.build(input_shape)
        self.step_2.build((*space, strided))
        self.step_3.build((*space, strided))
        self.step_4.build((*space, wide))

    def call(self, x, padding_mask=None):
        mask = padding_mask
        if mask is not None:  # an even number of rows, see AudioModality
            x, mask = pad_rows(x, 2), pad_rows(mask, 2)
        x = masked(x, mask)
        h = masked(self.step_1(x), mask)
        h = max_pool(self.step_2(h), (2, 2), mask) + self.skip(x)
        if mask is not None:
            mask = mask[:, ::2, ::2]
        h = masked(self.step_3(masked(h, mask)), mask)
        h = ops.relu(self.step_4(h))
        if mask is None:
            return ops.mean(h, axis=(1, 2))
        # In float32: bfloat16 has no 257.
        count = ops.sum(ops.cast(mask, "float32"), axis=(1, 2))[:, None]
        total = ops.sum(ops.cast(masked(h, mask), "float32"), axis=(1, 2))
        return ops.cast(total / ops.maximum(count, 1), h.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.filters[-1])

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
