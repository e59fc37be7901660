"""Running each position through its experts at a cost that grows with k, not with E.

The (position, choice) pairs are sorted by expert and laid out in rows. The first rows
are a direct buffer `(E, c, C)` with c rows an expert, multiplied by the weights as
they are; pairs beyond the c-th of an expert go to overflow blocks of c rows, each of
one expert, multiplied by copies of that expert's weights. With the routing the balance
loss aims at there is no overflow; with all positions on one expert there are as many
blocks as pairs need, so that no pair is dropped and the cost stays proportional to
the number of pairs.
"""

from typing import Any, NamedTuple

import keras
from keras import ops


class Layout(NamedTuple):
    """Where each pair is computed. R rows: E * c direct, then the overflow blocks.

    Attributes:
        position_of_row: `(R,)` int32 position whose activations the row holds, P at an
            empty row.
        row_of_pair: `(P, K)` int32 row of each choice, R where nothing is routed.
        rows_per_expert: c.
        expert_of_block: `(blocks,)` int32 expert of each overflow block.
    """

    position_of_row: Any
    row_of_pair: Any
    rows_per_expert: Any
    expert_of_block: Any


def mix_experts(
    x: Any, gates: Any, experts: Any, hidden_kernel: Any, output_kernel: Any
) -> Any:
    """Returns the sum over the choices of gate * expert(x).

    Args:
        x: `(P, C)` positions.
        gates: `(P, K)` weight of each choice.
        experts: `(P, K)` int32 expert of each choice; E or above: not routed.
        hidden_kernel: `(E, C, hidden)`.
        output_kernel: `(E, hidden, C)`.

    Returns:
        `(P, C)`, in the dtype of `x`.
    """
    layout = lay_out(experts, hidden_kernel.shape[0])
    rows = ops.take(
        ops.pad(x, ((0, 1), (0, 0))), layout.position_of_row, axis=0
    )  # (R, C)
    y = _experts(rows, layout, hidden_kernel, output_kernel)
    y = ops.take(ops.pad(y, ((0, 1), (0, 0))), layout.row_of_pair, axis=0)
    return ops.sum(y * ops.cast(gates, y.dtype)[..., None], axis=1)


def lay_out(experts: Any, num_experts: int) -> Layout:
    """Assigns a row to every pair.

    Args:
        experts: `(P, K)` int32 expert of each choice; E or above: not routed.
        num_experts: E.
    """
    shape = ops.shape(experts)
    k = experts.shape[1]
    pairs = shape[0] * k
    flat = ops.reshape(ops.minimum(experts, num_experts), (-1,))
    # Unique keys, so that any sort is stable.
    index = ops.arange(pairs, dtype="int32")
    order = ops.cast(ops.argsort(flat * pairs + index), "int32")
    sorted_experts = ops.take(flat, order)
    ends = ops.cast(
        ops.searchsorted(
            sorted_experts, ops.arange(num_experts, dtype="int32"), side="right"
        ),
        "int32",
    )
    starts = ops.concatenate([ops.zeros((1,), "int32"), ends[:-1]])
    counts = ends - starts
    rows_per_expert, blocks = _sizes(counts, pairs, num_experts)
    over = ops.maximum(counts - rows_per_expert, 0)
    over_blocks = (over + rows_per_expert - 1) // rows_per_expert
    block_ends = ops.cumsum(over_blocks)
    if blocks is None:
        blocks = block_ends[-1]
    expert_of_block = ops.minimum(
        ops.cast(
            ops.searchsorted(
                block_ends, ops.arange(blocks, dtype="int32"), side="right"
            ),
            "int32",
        ),
        num_experts - 1,
    )
    total = (num_experts + blocks) * rows_per_expert
    # An expert that is not there gets rows past the last.
    routed = ops.minimum(sorted_experts, num_experts - 1)
    rank = index - ops.take(starts, routed)
    direct = routed * rows_per_expert + rank
    overflow = (
        num_experts + ops.take(block_ends - over_blocks, routed)
    ) * rows_per_expert + (rank - rows_per_expert)
    row = ops.where(rank < rows_per_expert, direct, overflow)
    row = ops.where(sorted_experts < num_experts, row, total)
    pair_of_row = ops.scatter_update(
        ops.full((total + 1,), pairs, dtype="int32"), row[:, None], order
    )[:-1]
    row_of_pair = ops.scatter_update(ops.zeros((pairs,), "int32"), order[:, None], row)
    return Layout(
        pair_of_row // k,
        ops.reshape(row_of_pair, shape),
        rows_per_expert,
        expert_of_block,
    )


def _sizes(counts: Any, pairs: Any, num_experts: int) -> tuple[Any, Any]:
    """Rows an expert and number of overflow blocks (`None`: as many as needed)."""
    twice_the_mean = ops.maximum(-(-2 * pairs // num_experts), 1)
    if keras.backend.backend() != "jax":
        return ops.clip(ops.max(counts), 1, twice_the_mean), None
    # Compiled code needs sizes that do not depend on values: at most E / 2 experts
    # overflow, and their full blocks hold at most all pairs.
    twice_the_mean = int(max(-(-2 * pairs // num_experts), 1))
    return twice_the_mean, num_experts


def _experts(rows: Any, layout: Layout, hidden_kernel: Any, output_kernel: Any) -> Any:
    num_experts, depth, _ = hidden_kernel.shape
    c = layout.rows_per_expert
    direct = ops.reshape(rows[: num_experts * c], (num_experts, c, depth))
    direct = ops.matmul(ops.relu(ops.matmul(direct, hidden_kernel)), output_kernel)
    blocks = ops.reshape(rows[num_experts * c :], (-1, c, depth))
    w = ops.take(hidden_kernel, layout.expert_of_block, axis=0)
    v = ops.take(output_kernel, layout.expert_of_block, axis=0)
    blocks = ops.matmul(ops.relu(ops.matmul(blocks, w)), v)
    return ops.concatenate(
        [ops.reshape(direct, (-1, depth)), ops.reshape(blocks, (-1, depth))]
    )
