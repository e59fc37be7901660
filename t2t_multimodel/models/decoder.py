"""The autoregressive half: the input/output mixer and the decoder."""

import keras

from t2t_multimodel.layers import ConvBlock


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class Mixer(keras.layers.Layer):
    """Attention over the source, then causal ConvBlocks (paper 2.4).

    Args:
        depth: Depth of every position (C).
        num_blocks: Causal ConvBlocks.
        conv_block: Further arguments of every `ConvBlock`.
        attention: An `AttentionBlock`, or what stands in for it.

    Call arguments:
        x: `(B, T, C)` command token and targets so far, embedded.
        source: `(B, S, C)`.
        source_padding_mask: `(B, S)` bool, False at padding.

    Returns:
        `(B, T, C)`.
    """

    def __init__(self, depth, num_blocks, *, conv_block, attention, **kwargs):
        super().__init__(**kwargs)
        self.depth = depth
        self.attention = attention
        self.blocks = tuple(
            ConvBlock(
                depth,
                **conv_block,
                causal=True,
                name=f"block_{i}",
                dtype=self.dtype_policy,
            )
            for i in range(num_blocks)
        )

    def build(self, input_shape=None):
        shape = (None, None, self.depth)
        self.attention.build(shape, shape)
        for block in self.blocks:
            block.build(shape)

    def call(self, x, source, source_padding_mask=None, training=False):
        x = self.attention(
            x, source, source_padding_mask=source_padding_mask, training=training
        )
        for block in self.blocks:
            x = block(x, training=training)
        return x


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class Decoder(keras.layers.Layer):
    """ConvBlock + attention, several times, with a mixture of experts (paper 2.4).

    The attention block's output is added to its input (T2T v1.0.3).

    Args:
        depth: Depth of every position (C).
        conv_block: Further arguments of every `ConvBlock`.
        attentions: An `AttentionBlock`, or what stands in for it, per block.
        moe: A `MixtureOfExpertsBlock`, or `None` for none.
        moe_after: Blocks before the experts.

    Call arguments:
        x: `(B, T, C)` from the mixer.
        source: `(B, S, C)`.
        source_padding_mask: `(B, S)` bool, False at padding.
        padding_mask: `(B, T)` bool, False where no symbol is predicted; such
            positions are not sent to experts. `None` means all are real.

    Returns:
        `(B, T, C)` and a list of (importance, load), one per MoE.
    """

    def __init__(self, depth, *, conv_block, attentions, moe, moe_after, **kwargs):
        super().__init__(**kwargs)
        self.depth = depth
        self.moe = moe
        self.moe_after = moe_after
        self.attentions = tuple(attentions)
        self.blocks = tuple(
            ConvBlock(
                depth,
                **conv_block,
                causal=True,
                name=f"block_{i}",
                dtype=self.dtype_policy,
            )
            for i in range(len(self.attentions))
        )

    def build(self, input_shape=None):
        shape = (None, None, self.depth)
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            block.build(shape)
            attention.build(shape, shape)
        if self.moe is not None:
            self.moe.build(shape)

    def call(
        self, x, source, source_padding_mask=None, padding_mask=None, training=False
    ):
        balance = []
        for index in range(len(self.blocks) + 1):
            if self.moe is not None and index == self.moe_after:
                x, *statistics = self.moe(
                    x, padding_mask=padding_mask, training=training
                )
                balance.append(tuple(statistics))
            if index < len(self.blocks):
                x = self.blocks[index](x, training=training)
                x = x + self.attentions[index](
                    x,
                    source,
                    source_padding_mask=source_padding_mask,
                    training=training,
                )
        return x, balance
