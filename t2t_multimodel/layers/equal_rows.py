"""Experts with the same number of rows each, for compiled code.

JAX needs sizes that do not depend on values. Of N pairs and E experts each expert has c
= 2 N / E rows of its own, and there are E blocks of c rows for the pairs beyond: an
expert takes as many as it needs. Whole blocks hold at most N pairs less those of the
experts' own rows, and at most E / 2 experts have more than c pairs, so that there are
enough blocks for any routing.
"""

from typing import Any

from keras import ops

from t2t_multimodel.layers.routing import Routing, count_at_most


def on_equal_rows(
    x: Any, routing: Routing, hidden_kernel: Any, output_kernel: Any
) -> Any:
    """Returns `(P, K, C)`, what each choice makes of its position; zeros if not routed.

    Args:
        x: `(P, C)` positions, of a static shape.
        routing: Of their choices.
        hidden_kernel: `(E, C, hidden)`.
        output_kernel: `(E, hidden, C)`.
    """
    num_choices, pair_of_row, row_of_pair, ends = routing
    num_positions, depth = x.shape
    pairs, num_experts = num_positions * num_choices, ends.shape[0]
    size = max(-(-2 * pairs // num_experts), 1)  # c
    starts = ops.pad(ends[:-1], ((1, 0),))
    blocks_of_expert = (ops.maximum(ends - starts - size, 0) + size - 1) // size
    block_ends = ops.cumsum(blocks_of_expert)
    # Whose a thing is: that of as many as end at or before it, counted from 0.
    expert_of_block = count_at_most(block_ends, num_experts)
    expert_of_block = ops.minimum(expert_of_block, num_experts - 1)

    expert = count_at_most(ends, pairs)  # of each pair as sorted; E if not routed
    owner = ops.minimum(expert, num_experts - 1)
    rank = ops.arange(pairs, dtype="int32") - ops.take(starts, owner)
    first_block = num_experts + ops.take(block_ends - blocks_of_expert, owner)
    place = ops.where(
        rank < size, owner * size + rank, first_block * size + rank - size
    )
    nowhere = 2 * num_experts * size
    place = ops.where(expert < num_experts, place, nowhere)
    position = ops.scatter_update(
        ops.full((nowhere + 1,), num_positions, dtype="int32"),
        place[:, None],
        pair_of_row // num_choices,
    )[:-1]

    def multiply(rows, kernel):
        # A repeated expert's gradients add up in float32.
        copies = ops.take(ops.cast(kernel, "float32"), expert_of_block, axis=0)
        own = ops.matmul(rows[:num_experts], ops.cast(kernel, x.dtype))
        blocks = ops.matmul(rows[num_experts:], ops.cast(copies, x.dtype))
        return ops.concatenate([own, blocks])

    rows = ops.take(_and_a_row_of_zeros(x), position, axis=0)
    rows = ops.reshape(rows, (2 * num_experts, size, depth))
    rows = multiply(ops.relu(multiply(rows, hidden_kernel)), output_kernel)
    rows = _and_a_row_of_zeros(ops.reshape(rows, (-1, depth)))
    choices = ops.take(rows, ops.take(place, row_of_pair), axis=0)
    return ops.reshape(choices, (num_positions, num_choices, depth))


def _and_a_row_of_zeros(x: Any) -> Any:
    return ops.pad(x, ((0, 1), (0, 0)))
