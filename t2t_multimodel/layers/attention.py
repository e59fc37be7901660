"""Attention with many heads, of whole sequences and one position after the other."""

from typing import Any, NamedTuple

import keras
from keras import ops

from t2t_multimodel.layers.cursor import MASKED, Cursor
from t2t_multimodel.layers.dropout import Dropout
from t2t_multimodel.layers.observation import observe
from t2t_multimodel.layers.pointwise import pointwise


class Memory(NamedTuple):
    """Keys and values of the positions so far, of self-attention in steps.

    TensorFlow writes a tensor anew to change one position of it, so the position goes
    into a small one, and the large one changes only when that is full.

    Attributes:
        settled_keys: `(B * N, P, G * C/N)` of the first positions, of the G hypotheses
            of an input side by side.
        settled_values: The same of the values.
        keys: `(B * N, room, G * C/N)` of the positions after them.
        values: The same of the values.
    """

    settled_keys: Any
    settled_values: Any
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
            self._split_heads(pointwise(memory, self.key_kernel)),
            self._split_heads(pointwise(memory, self.value_kernel)),
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
        projected = self._scaled(pointwise(queries, self.query_kernel))
        heads = self._split_heads(projected)
        heads = self._mix(heads, [(keys, values)], bias, training)
        shape = (*ops.shape(queries)[:2], self.depth)
        return pointwise(ops.reshape(heads, shape), self.output_kernel)

    def _mix(self, queries, memories, bias, training=False):
        """Mixes values with scaled queries `(B, N, T, C/N)`: `(B, T, N, C/N)`.

        `memories` are pairs of keys and values, looked at as if they were joined.
        """
        logits = ops.concatenate(
            [ops.matmul(queries, ops.transpose(k, (0, 1, 3, 2))) for k, _ in memories],
            axis=-1,
        )
        logits = ops.cast(logits, "float32")  # (B, N, T, S)
        if bias is not None:
            logits = logits + bias
        weights = ops.cast(ops.softmax(logits), memories[0][1].dtype)
        observe(self, "attention", weights)
        weights = self.dropout(weights, training=training)
        start, mixed = 0, []
        for keys, values in memories:
            end = start + ops.shape(keys)[2]
            part = weights if len(memories) == 1 else weights[..., start:end]
            mixed.append(ops.matmul(part, values))
            start = end
        return ops.transpose(sum(mixed[1:], mixed[0]), (0, 2, 1, 3))

    def initial_state(
        self, batch_size: Any, room: Any, num_hypotheses: int = 1
    ) -> Memory:
        """Returns the memory of no position, with room for the first `room`."""
        heads = batch_size * self.num_heads
        width = num_hypotheses * (self.depth // self.num_heads)

        def zeros(length):
            return ops.zeros((heads, length, width), dtype=self.compute_dtype)

        return Memory(zeros(0), zeros(0), zeros(room), zeros(room))

    def extend_state(self, memory: Memory, capacity: Any) -> Memory:
        """Returns a full memory with room for `capacity` positions in all."""
        heads, have, width = ops.shape(memory.keys)
        have = have + ops.shape(memory.settled_keys)[1]
        empty = ops.zeros((heads, capacity - have, width), dtype=memory.keys.dtype)
        return Memory(
            ops.concatenate([memory.settled_keys, memory.keys], axis=1),
            ops.concatenate([memory.settled_values, memory.values], axis=1),
            empty,
            empty,
        )

    def step(self, x: Any, memory: Memory, cursor: Cursor) -> tuple[Any, Memory]:
        """Computes one position of causal self-attention, in inference.

        Args:
            x: `(R, C)`, the position's input.
            memory: From `initial_state`, `extend_state` or the step before.
            cursor: Which position it is; the memory has room for it.

        Returns:
            `(R, C)` and the next memory.
        """
        heads, room, width = ops.shape(memory.keys)
        settled = ops.shape(memory.settled_keys)[1]
        group = width // (self.depth // self.num_heads)  # G, a Python integer
        here = ops.broadcast_to(cursor.position - settled, (heads,))
        here = ops.stack([ops.arange(heads, dtype="int32"), here], axis=1)

        def write(kernel, recent):
            new = ops.cast(self._group(x, kernel, group), recent.dtype)
            return ops.scatter_update(recent, here, new)

        memory = memory._replace(
            keys=write(self.key_kernel, memory.keys),
            values=write(self.value_kernel, memory.values),
        )
        pairs = [
            (self._ungroup(keys, heads, group), self._ungroup(values, heads, group))
            for keys, values in (memory[:2], memory[2:])
        ]
        bias = cursor.attention_bias(settled + room, group)
        return self._attend_step(x, pairs, bias), memory

    def _ungroup(self, memory, heads, group):
        """`(B * N, L, G * C/N)` to `(B, N, L * G, C/N)`."""
        shape = (
            heads // self.num_heads,  # there may be nothing to infer it from
            self.num_heads,
            ops.shape(memory)[1] * group,
            self.depth // self.num_heads,
        )
        return ops.reshape(memory, shape)

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
        return self._attend_step(x, [(keys, values)], bias)

    def _attend_step(self, x, memories, bias):
        # As a matrix: a product with more axes takes several operations more.
        batch = ops.shape(memories[0][0])[0]
        projected = ops.reshape(
            self._scaled(ops.matmul(x, self.query_kernel)),
            (batch, -1, self.num_heads, self.depth // self.num_heads),
        )
        heads = self._mix(ops.transpose(projected, (0, 2, 1, 3)), memories, bias)
        heads = ops.reshape(heads, (-1, self.depth))
        return ops.cast(ops.matmul(heads, self.output_kernel), x.dtype)

    def _scaled(self, queries: Any) -> Any:
        # Not where they meet the keys: TensorFlow 2.21 with oneDNN makes one node of a
        # product by a number, one of matrices and a sum, which in a loop gives nothing.
        return queries * (self.depth // self.num_heads) ** -0.5

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
