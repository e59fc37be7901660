"""The audio net: waveforms or spectrograms to positions."""

from typing import Literal

import keras
from keras import ops

from t2t_multimodel.errors import UserError
from t2t_multimodel.modalities.conv_res import ConvRes, masked, pad_rows


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class AudioModality(keras.layers.Layer):
    """Reads speech: a stack of ConvRes blocks of 2, 4, 8... filters (paper 2.5).

    The paper leaves open how 256 filters become the body's depth; T2T v1.0.3 adds a
    ninth block of that depth, and so does this net. Each block halves the time.

    The first block reads three channels: the sound, its negative and ones (ours). Of
    the sound alone, the ReLU of a ConvStep would lose what is below zero, and its
    layer norm, after a separable convolution of one channel, all but the sign.

    Args:
        depth: Depth of the output (C).
        form: `"spectrogram"` or `"waveform"`.
        compression: Blocks before the last; block i of them, from 1, has 2^i filters.
        bin_stride: Stride along a spectrogram's bins: 1 in the paper; 2 is what T2T
            v1.0.3 did to WSJ tokens, read through its waveform net.
        filter_multiplier: What 2^i is multiplied with; 1 in the paper. Ours, for
            nets of few blocks.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        x: `(B, frames, bins)` or `(B, samples)`.
        lengths: `(B,)` real frames or samples of each row.

    Returns:
        `(B, t, f, C)` activations and `(B, t)` bool, False at padding. A position is
        real if the stack's strides put it at or before the last real frame.
    """

    def __init__(
        self,
        depth: int,
        form: Literal["spectrogram", "waveform"] = "spectrogram",
        *,
        compression: int = 8,
        bin_stride: int = 1,
        filter_multiplier: int = 1,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if form not in ("spectrogram", "waveform"):
            raise UserError(f"form={form!r} must be 'spectrogram' or 'waveform'")
        self.depth = depth
        self.form = form
        self.compression = compression
        self.bin_stride = bin_stride
        self.filter_multiplier = filter_multiplier
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        strides = (2, bin_stride if form == "spectrogram" else 1)
        widths = [filter_multiplier * 2 ** (i + 1) for i in range(compression)]
        self.blocks = tuple(
            ConvRes(
                f,
                strides,
                kernel_initializer=self.kernel_initializer,
                name=f"conv_res_{i}",
                dtype=self.dtype_policy,
            )
            for i, f in enumerate((*widths, depth))
        )

    def _grid_shape(self, input_shape):
        if self.form == "waveform":
            return (*input_shape[:2], 1, 3)
        return (*input_shape, 3)

    def build(self, input_shape):
        shape = self._grid_shape(input_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, x, lengths):
        x = ops.cast(x, self.compute_dtype)
        x = x[..., None] if self.form == "waveform" else x
        x = ops.stack([x, -x, ops.ones_like(x)], axis=-1)  # (B, t, f, 3)
        # At an even length a strided window starts at its first row, at an odd one
        # before it: a row must not depend on how far its batch is padded.
        x = pad_rows(x, 2 ** len(self.blocks))
        for block in self.blocks:
            x = block(x, padding_mask=_grid_mask(x, lengths))
            lengths = (lengths + 1) // 2
        real = ops.arange(ops.shape(x)[1])[None, :] < lengths[:, None]
        return masked(x, real[:, :, None]), real

    def compute_output_shape(self, input_shape, lengths_shape=None):
        shape = self._grid_shape(input_shape)
        for block in self.blocks:
            shape = block.compute_output_shape(shape)
        return shape, shape[:2]

    def get_config(self):
        return super().get_config() | {
            "depth": self.depth,
            "form": self.form,
            "compression": self.compression,
            "bin_stride": self.bin_stride,
            "filter_multiplier": self.filter_multiplier,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _grid_mask(x, lengths):
    """Returns `(B, t, 1)`, True for the first `lengths` rows of `(B, t, f, C)`."""
    return (ops.arange(ops.shape(x)[1])[None, :] < lengths[:, None])[:, :, None]
