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

    def project_source(self, source, source_padding_mask=None):
        """Returns what `step` reads of a source `(B, S, C)`, computed once."""
        return self.attention.project_source(source, source_padding_mask)

    def initial_state(self, batch_size, room, num_hypotheses=1):
        """Returns the state before the first of `room` positions."""
        rows = batch_size * num_hypotheses
        return (
            self.attention.initial_state(batch_size, room, num_hypotheses),
            tuple(block.initial_state(rows) for block in self.blocks),
        )

    def extend_state(self, state, capacity):
        """Returns a full state with room for `capacity` positions in all."""
        attention, blocks = state
        return self.attention.extend_state(attention, capacity), blocks

    def step(self, x, state, source, cursor):
        """Computes one position, in inference.

        Args:
            x: `(R, C)`, the position's command token or embedded symbol.
            state: From `initial_state` or the step before.
            source: From `project_source`.
            cursor: A `Cursor`: which position it is.

        Returns:
            `(R, C)` and the next state.
        """
        attention, blocks = state
        x, attention = self.attention.step(x, attention, source, cursor)
        next_blocks = []
        for block, block_state in zip(self.blocks, blocks, strict=True):
            x, block_state = block.step(x, block_state, cursor)
            next_blocks.append(block_state)
        return x, (attention, tuple(next_blocks))


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

    def project_source(self, source, source_padding_mask=None):
        """Returns what `step` reads of a source `(B, S, C)`, computed once."""
        return tuple(
            attention.project_source(source, source_padding_mask)
            for attention in self.attentions
        )

    def initial_state(self, batch_size, room, num_hypotheses=1):
        """Returns the state before the first of `room` positions."""
        rows = batch_size * num_hypotheses
        return tuple(
            (
                block.initial_state(rows),
                attention.initial_state(batch_size, room, num_hypotheses),
            )
            for block, attention in zip(self.blocks, self.attentions, strict=True)
        )

    def extend_state(self, state, capacity):
        """Returns a full state with room for `capacity` positions in all."""
        return tuple(
            (block_state, attention.extend_state(attention_state, capacity))
            for attention, (block_state, attention_state) in zip(
                self.attentions, state, strict=True
            )
        )

    def step(self, x, state, source, cursor):
        """Computes one position, in inference.

        Args:
            x: `(R, C)` from the mixer.
            state: From `initial_state` or the step before.
            source: From `project_source`.
            cursor: A `Cursor`: which position it is.

        Returns:
            `(R, C)` and the next state.
        """
        next_state = []
        for index in range(len(self.blocks) + 1):
            if self.moe is not None and index == self.moe_after:
                x = self.moe(x[:, None])[0][:, 0]
            if index < len(self.blocks):
                block_state, attention_state = state[index]
                x, block_state = self.blocks[index].step(x, block_state, cursor)
                attended, attention_state = self.attentions[index].step(
                    x, attention_state, source[index], cursor
                )
                x = x + attended
                next_state.append((block_state, attention_state))
        return x, tuple(next_state)
