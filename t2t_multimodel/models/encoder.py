"""The encoder: ConvBlocks with a mixture of experts among them."""

import keras
from keras import ops

from t2t_multimodel.layers import ConvBlock, timing_signal


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class Encoder(keras.layers.Layer):
    """Timing, then `num_blocks` ConvBlocks with the experts after some (paper 2.4).

    The paper is silent on timing here; T2T v1.0.3 adds it once, as done here.

    Args:
        depth: Depth of every position (C).
        num_blocks: ConvBlocks.
        conv_block: Further arguments of every `ConvBlock`.
        moe: A `MixtureOfExpertsBlock`, or `None` for none.
        moe_after: ConvBlocks before the experts.
        timing: Form of the timing signal.

    Call arguments:
        x: `(B, S, C)`.
        padding_mask: `(B, S)` bool, False at padding.

    Returns:
        `(B, S, C)`, zeros at padding, and a list of (importance, load), one per MoE.
    """

    def __init__(
        self, depth, num_blocks, *, conv_block, moe, moe_after, timing, **kwargs
    ):
        super().__init__(**kwargs)
        self.depth = depth
        self.moe_after = moe_after
        self.timing = timing
        self.moe = moe
        self.blocks = tuple(
            ConvBlock(
                depth,
                **conv_block,
                causal=False,
                name=f"block_{i}",
                dtype=self.dtype_policy,
            )
            for i in range(num_blocks)
        )

    def build(self, input_shape=None):
        shape = (None, None, self.depth)
        for block in self.blocks:
            block.build(shape)
        if self.moe is not None:
            self.moe.build(shape)

    def call(self, x, padding_mask, training=False):
        real = ops.cast(padding_mask, x.dtype)[..., None]
        timing = timing_signal(ops.shape(x)[1], self.depth, self.timing)
        x = x + ops.cast(timing, x.dtype)
        balance = []
        for index in range(len(self.blocks) + 1):
            if self.moe is not None and index == self.moe_after:
                x, *statistics = self.moe(
                    x, padding_mask=padding_mask, training=training
                )
                balance.append(tuple(statistics))
            if index < len(self.blocks):
                x = self.blocks[index](x, padding_mask=padding_mask, training=training)
        return x * real, balance
