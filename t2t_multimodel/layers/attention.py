"""Attention: many heads, and the block that joins targets with a source (paper 2.2)."""

from typing import Any, NamedTuple

import keras
from keras import ops

from t2t_multimodel.layers.conv import ConvStep
from t2t_multimodel.layers.cursor import MASKED, Cursor
from t2t_multimodel.layers.dropout import Dropout
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
        keys: `(B * N, capacity, G * C/N)` of the self-attention, of the G hypotheses
            of an input side by side.
        values: `(B * N, capacity, G * C/N)` of the self-attention.
    """

    steps: tuple[Any, ...]
    keys: Any
    values: Any


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention with N heads.

    Queries, keys, values and the result each have their own pointwise projection,
    without bias (T2T v1.4.4). Queries are scaled by (depth / heads)^-0.5.

    Args:
        num_heads: Number of heads N; paper: 8.
        depth: Depth of the projections and of the output C, a multiple of N.
        dropout: Fraction of the attention weights dropped in training.
        kernel_initializer: Initializer of the projections.

    Call arguments:
        queries: `(B, T, C)` activations.
        memory: `(B, S, C)` positions to attend to, of any depth.
        padding_mask: `(B, S)` bool, False at padding of the memory, or `None`.
        causal: Whether query t sees only memory positions up to t.
        training: Whether to apply dropout.

    Returns:
        `(B, T, C)`.
    """

    def __init__(
        self,
        num_heads: int,
        depth: int,
        dropout: float = 0.0,
        *,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_heads < 1 or depth % num_heads:
            raise ValueError(
                f"depth must be a multiple of num_heads, got depth={depth}, "
                f"num_heads={num_heads}"
            )
        self.num_heads = num_heads
        self.depth = depth
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, queries_shape, memory_shape):
        def projection(name: str, input_depth: int) -> keras.Variable:
            return self.add_weight(
                name=name,
                shape=(input_depth, self.depth),
                initializer=self.kernel_initializer.clone(),
            )

        self.query_kernel = projection("query", queries_shape[-1])
        self.key_kernel = projection("key", memory_shape[-1])
        self.value_kernel = projection("value", memory_shape[-1])
        self.output_kernel = projection("output", self.depth)
        self.built = True

    def call(self, queries, memory, padding_mask=None, causal=False, training=False):
        keys, values = self.keys_and_values(memory)
        bias = padding_bias(padding_mask)
        if causal:
            later = ops.arange(ops.shape(memory)[1])[None, :]
            later = later > ops.arange(ops.shape(queries)[1])[:, None]
            future = MASKED * ops.cast(later, "float32")  # (T, S)
            bias = future if bias is None else bias + future
        return self.attend(queries, keys, values, bias, training=training)

    def keys_and_values(self, memory: Any) -> tuple[Any, Any]:
        """Projects a memory `(B, S, C)`; returns keys and values `(B, N, S, C/N)`."""
        return (
            self._split_heads(ops.matmul(memory, self.key_kernel)),
            self._split_heads(ops.matmul(memory, self.value_kernel)),
        )

    def attend(
        self, queries: Any, keys: Any, values: Any, bias: Any, training: bool = False
    ) -> Any:
        """Attends with queries `(B, T, C)` to projected keys and values.

        Args:
            queries: `(B, T, C)`, before projection.
            keys: `(B, N, S, C/N)`, from `keys_and_values`.
            values: `(B, N, S, C/N)`, from `keys_and_values`.
            bias: float32 that broadcasts to `(B, N, T, S)`, added to the logits, or
                `None`.
            training: Whether to apply dropout.

        Returns:
            `(B, T, C)`.
        """
        projected = self._split_heads(ops.matmul(queries, self.query_kernel))
        heads = self._mix(projected, keys, values, bias, training)
        shape = (ops.shape(queries)[0], ops.shape(queries)[1], self.depth)
        return ops.matmul(ops.reshape(heads, shape), self.output_kernel)

    def _mix(self, queries, keys, values, bias, training=False):
        """Mixes values with projected queries `(B, N, T, C/N)`: `(B, T, N, C/N)`."""
        queries = queries * (self.depth // self.num_heads) ** -0.5
        logits = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        logits = ops.cast(logits, "float32")  # (B, N, T, S)
        if bias is not None:
            logits = logits + bias
        weights = ops.cast(ops.softmax(logits), values.dtype)
        weights = self.dropout(weights, training=training)
        return ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))

    def initial_state(
        self, batch_size: Any, capacity: Any, num_hypotheses: int = 1
    ) -> tuple[Any, Any]:
        """Returns empty keys and values `(B * N, capacity, G * C/N)`."""
        head_depth = self.depth // self.num_heads
        shape = (batch_size * self.num_heads, capacity, num_hypotheses * head_depth)
        return tuple(ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2))

    def step(
        self, x: Any, state: tuple[Any, Any], cursor: Cursor
    ) -> tuple[Any, tuple[Any, Any]]:
        """Computes one position of causal self-attention, in inference.

        Args:
            x: `(R, C)`, the position's input.
            state: Keys and values so far, from `initial_state` or the step before.
            cursor: Which position it is; below the state's capacity.

        Returns:
            `(R, C)` and the next state.
        """
        heads, capacity, width = ops.shape(state[0])
        group = width // (self.depth // self.num_heads)  # G, a Python integer
        here = ops.broadcast_to(cursor.position, (heads,))
        here = ops.stack([ops.arange(heads, dtype="int32"), here], axis=1)
        state = tuple(
            ops.scatter_update(
                memory, here, ops.cast(self._group(x, kernel, group), memory.dtype)
            )
            for kernel, memory in zip(
                (self.key_kernel, self.value_kernel), state, strict=True
            )
        )
        shape = (-1, self.num_heads, capacity * group, width // group)
        keys, values = (ops.reshape(memory, shape) for memory in state)
        bias = cursor.attention_bias(capacity, group)
        return self.attend_step(x, keys, values, bias), state

    def _group(self, x, kernel, group):
        """Projects `(R, C)`; joins an input's hypotheses: `(B * N, G * C/N)`."""
        head_depth = self.depth // self.num_heads
        x = ops.reshape(ops.matmul(x, kernel), (-1, group, self.num_heads, head_depth))
        if group > 1:
            x = ops.transpose(x, (0, 2, 1, 3))
        return ops.reshape(x, (-1, group * head_depth))

    def attend_step(self, x: Any, keys: Any, values: Any, bias: Any) -> Any:
        """Attends with one position `(R, C)` a row; see `attend`.

        Keys and values are of the B inputs: all hypotheses of one look at the same.
        """
        # As a matrix: a product with more axes takes several operations more.
        projected = ops.reshape(
            ops.matmul(x, self.query_kernel),
            (ops.shape(keys)[0], -1, self.num_heads, self.depth // self.num_heads),
        )
        heads = self._mix(ops.transpose(projected, (0, 2, 1, 3)), keys, values, bias)
        heads = ops.reshape(heads, (-1, self.depth))
        return ops.cast(ops.matmul(heads, self.output_kernel), x.dtype)

    def _split_heads(self, x: Any) -> Any:
        """`(B, L, C)` to `(B, N, L, C/N)`."""
        shape = (*ops.shape(x)[:2], self.num_heads, self.depth // self.num_heads)
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

    def compute_output_shape(
        self, queries_shape, memory_shape, padding_mask_shape=None
    ):
        return (*queries_shape[:-1], self.depth)

    def get_config(self):
        return super().get_config() | {
            "num_heads": self.num_heads,
            "depth": self.depth,
            "dropout": self.dropout.rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


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
        dropout: Fraction dropped of what was attended to, before the residual.
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
        dropout: float = 0.0,
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
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
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
        return self.norm(x + self.dropout(attended, training=training))

    def project_source(
        self, source: Any, source_padding_mask: Any = None
    ) -> SourceMemory:
        """Projects a source `(B, S, C)` for `step`; the mask is `(B, S)` bool."""
        keys, values = self.source_attention.keys_and_values(source)
        return SourceMemory(keys, values, padding_bias(source_padding_mask))

    def initial_state(
        self, batch_size: Any, capacity: Any, num_hypotheses: int = 1
    ) -> AttentionState:
        """Returns the state before the first of `capacity` positions."""
        rows = batch_size * num_hypotheses
        return AttentionState(
            tuple(step.initial_state(rows) for step in self.steps),
            *self.self_attention.initial_state(batch_size, capacity, num_hypotheses),
        )

    def extend_state(self, state: AttentionState, capacity: Any) -> AttentionState:
        """Returns the state with room for `capacity` positions, not fewer than now."""
        more = ((0, 0), (0, capacity - ops.shape(state.keys)[1]), (0, 0))
        return state._replace(
            keys=ops.pad(state.keys, more), values=ops.pad(state.values, more)
        )

    def step(
        self, x: Any, state: AttentionState, source: SourceMemory, cursor: Cursor
    ) -> tuple[Any, AttentionState]:
        """Computes one position, in inference.

        Args:
            x: `(R, C)`, the position's target.
            state: From `initial_state` or the step before.
            source: From `project_source`, of the B inputs.
            cursor: Which position it is; below the state's capacity.

        Returns:
            `(R, C)` and the next state.
        """
        signal = timing_signal(1, self.depth, self.timing, start=cursor.position)
        h = x + ops.cast(signal, x.dtype)
        steps = []
        for step, step_state in zip(self.steps, state.steps, strict=True):
            h, step_state = step.step(h, step_state, cursor)
            steps.append(step_state)
        looked_at, memory = self.self_attention.step(
            h, (state.keys, state.values), cursor
        )
        h = h + looked_at if self.self_residual else looked_at
        attended = self.source_attention.attend_step(h, *source)
        return self.norm(x + attended), AttentionState(tuple(steps), *memory)

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
            "dropout": self.dropout.rate,
            "attention_dropout": self.attention_dropout,
            "timing": self.timing,
            "self_residual": self.self_residual,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def padding_bias(padding_mask: Any) -> Any:
    """Returns what to add to logits so that padding is not seen.

    Args:
        padding_mask: `(B, S)` bool, False at padding, or `None`.

    Returns:
        `(B, 1, 1, S)` float32, or `None`.
    """
    if padding_mask is None:
        return None
    return MASKED * (1 - ops.cast(padding_mask, "float32"))[:, None, None, :]
