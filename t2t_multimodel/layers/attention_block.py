"""The block that joins targets with a source (paper 2.2)."""

from typing import Any, NamedTuple

import keras
from keras import ops

from t2t_multimodel.layers.attention import Memory, MultiHeadAttention, padding_bias
from t2t_multimodel.layers.conv import ConvStep
from t2t_multimodel.layers.cursor import Cursor
from t2t_multimodel.layers.norm import LayerNorm
from t2t_multimodel.layers.timing import timing_signal


class SourceMemory(NamedTuple):
    """A source as its attention reads it, projected once for all steps.

    Attributes:
        keys: `(B, N, S, C/N)`.
        values: `(B, N, S, C/N)`.
        bias: `(B, 1, 1, S)` float32, or `None`.
    """

    keys: Any
    values: Any
    bias: Any


class AttentionState(NamedTuple):
    """What an attention block remembers of the positions so far.

    Attributes:
        steps: States of the two convolution steps.
        memory: Of the self-attention.
    """

    steps: tuple[Any, ...]
    memory: Memory


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class AttentionBlock(keras.layers.Layer):
    """Targets look at themselves, then at the source.

    Paper 2.2: timing signal, two convolution steps, self-attention of the past, then
    attention over the source, whose keys and values have their own projections. The
    output LN(x + attended) is that of T2T v1.0.3 (the paper shows it only in a
    figure); the caller adds x once more.

    Args:
        num_heads: Number of heads N of both attentions.
        depth: Depth C of the targets and of the output.
        kernel_size: Taps of the two convolution steps, in positions.
        dilations: Distance between taps of the two steps, in positions.
        attention_dropout: Fraction of the attention weights dropped.
        timing: Kind of the timing signal, see `timing_signal`.
        self_residual: Ours: adds the mixed targets to the self-attention's output,
            before it queries the source.
        kernel_initializer: Initializer of all kernels.

    Call arguments:
        x: `(B, T, C)` targets.
        source: `(B, S, C)` encoded source, of any depth.
        source_padding_mask: `(B, S)` bool, False at padding, or `None`.
        training: Whether to apply dropout.

    Returns:
        `(B, T, C)`.
    """

    def __init__(
        self,
        num_heads: int,
        depth: int,
        *,
        kernel_size: int = 5,
        dilations: tuple[int, int] = (1, 4),
        attention_dropout: float = 0.0,
        timing: str = "interleaved",
        self_residual: bool = False,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if len(dilations) != 2:
            raise ValueError(f"dilations needs 2 numbers, got dilations={dilations}")
        self.num_heads = num_heads
        self.depth = depth
        self.kernel_size = kernel_size
        self.dilations = tuple(dilations)
        self.attention_dropout = attention_dropout
        self.timing = timing
        self.self_residual = self_residual
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.steps = tuple(
            ConvStep(
                depth,
                kernel_size,
                dilation,
                causal=True,
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=f"step_{index}",
            )
            for index, dilation in enumerate(self.dilations)
        )
        self.self_attention = self._attention("self_attention")
        self.source_attention = self._attention("source_attention")
        self.norm = LayerNorm(dtype=self.dtype_policy, name="norm")

    def _attention(self, name: str) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.num_heads,
            self.depth,
            self.attention_dropout,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, x_shape, source_shape):
        if x_shape[-1] != self.depth:
            raise ValueError(
                f"the residual needs targets of depth {self.depth}, got targets of "
                f"shape {tuple(x_shape)}"
            )
        for step in self.steps:
            step.build(x_shape)
        self.self_attention.build(x_shape, x_shape)
        self.source_attention.build(x_shape, source_shape)
        self.norm.build(x_shape)
        self.built = True

    def call(self, x, source, source_padding_mask=None, training=False):
        signal = timing_signal(ops.shape(x)[1], self.depth, self.timing)
        h = x + ops.cast(signal, x.dtype)
        for step in self.steps:
            h = step(h)
        looked_at = self.self_attention(h, h, causal=True, training=training)
        h = h + looked_at if self.self_residual else looked_at
        attended = self.source_attention(
            h, source, padding_mask=source_padding_mask, training=training
        )
        return self.norm(x + attended)

    def project_source(
        self, source: Any, source_padding_mask: Any = None
    ) -> SourceMemory:
        """Projects a source `(B, S, C)` for `step`; the mask is `(B, S)` bool."""
        keys, values = self.source_attention.keys_and_values(source)
        return SourceMemory(keys, values, padding_bias(source_padding_mask))

    def initial_state(
        self, batch_size: Any, room: Any, num_hypotheses: int = 1
    ) -> AttentionState:
        """Returns the state before the first of `room` positions."""
        rows = batch_size * num_hypotheses
        return AttentionState(
            tuple(step.initial_state(rows) for step in self.steps),
            self.self_attention.initial_state(batch_size, room, num_hypotheses),
        )

    def extend_state(self, state: AttentionState, capacity: Any) -> AttentionState:
        """Returns a full state with room for `capacity` positions in all."""
        memory = self.self_attention.extend_state(state.memory, capacity)
        return state._replace(memory=memory)

    def step(
        self, x: Any, state: AttentionState, source: SourceMemory, cursor: Cursor
    ) -> tuple[Any, AttentionState]:
        """Computes one position, in inference.

        Args:
            x: `(R, C)`, the position's target.
            state: From `initial_state` or the step before.
            source: From `project_source`, of the B inputs.
            cursor: Which position it is; the state has room for it.

        Returns:
            `(R, C)` and the next state.
        """
        signal = timing_signal(1, self.depth, self.timing, start=cursor.position)
        h = x + ops.cast(signal, x.dtype)
        steps = []
        for step, step_state in zip(self.steps, state.steps, strict=True):
            h, step_state = step.step(h, step_state, cursor)
            steps.append(step_state)
        looked_at, memory = self.self_attention.step(h, state.memory, cursor)
        h = h + looked_at if self.self_residual else looked_at
        attended = self.source_attention.attend_step(h, *source)
        return self.norm(x + attended), AttentionState(tuple(steps), memory)

    def compute_output_shape(
        self, x_shape, source_shape, source_padding_mask_shape=None
    ):
        return x_shape

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "depth": self.depth,
            "kernel_size": self.kernel_size,
            "dilations": self.dilations,
            "attention_dropout": self.attention_dropout,
            "timing": self.timing,
            "self_residual": self.self_residual,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
