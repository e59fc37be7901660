"""Running each position through its experts at a cost that grows with k, not with E.

The (position, choice) pairs are sorted by expert and laid out in rows. The first rows
are a direct buffer `(E, c, C)` with c rows an expert, multiplied by the weights as
they are; pairs beyond the c-th of an expert go to overflow blocks of b rows, each of
one expert, multiplied by copies of that expert's weights. With the routing the balance
loss aims at there is no overflow; with all positions on one expert there are as many
blocks as its pairs need. No pair is dropped, and the rows stay proportional to the
number of pairs.
"""

from typing import Any, NamedTuple

import keras
from keras import ops


class Layout(NamedTuple):
    """Where each pair is computed. R rows: E * c direct ones, then blocks * b.

    Attributes:
        position_of_row: `(R,)` int32 position whose activations the row holds; P or
            above at an empty row.
        row_of_pair: `(P, K)` int32 row of each choice; R where nothing is routed.
        direct_rows: c.
        block_rows: b.
        expert_of_block: `(blocks,)` int32 expert of each overflow block.
    """

    position_of_row: Any
    row_of_pair: Any
    direct_rows: Any
    block_rows: Any
    expert_of_block: Any


def mix_experts(
    x: Any, gates: Any, experts: Any, hidden_kernel: Any, output_kernel: Any
) -> Any:
    """Returns the sum over a position's choices of gate * expert(position).

    Args:
        x: `(P, C)` positions.
        gates: `(P, K)` float32, weight of each choice.
        experts: `(P, K)` int32 expert of each choice; E or above: not routed.
        hidden_kernel: `(E, C, hidden)`.
        output_kernel: `(E, hidden, C)`.

    Returns:
        `(P, C)`, in the dtype of `x`.
    """
    num_experts, depth, _ = hidden_kernel.shape
    layout = lay_out(experts, num_experts)
    rows = _take_or_zero(x, layout.position_of_row)  # (R, C)
    split = num_experts * layout.direct_rows
    direct = ops.reshape(rows[:split], (num_experts, layout.direct_rows, depth))
    blocks = ops.reshape(rows[split:], (-1, layout.block_rows, depth))
    direct, blocks = _multiply(direct, blocks, hidden_kernel, layout.expert_of_block)
    direct, blocks = _multiply(
        ops.relu(direct), ops.relu(blocks), output_kernel, layout.expert_of_block
    )
    rows = ops.concatenate(
        [ops.reshape(direct, (-1, depth)), ops.reshape(blocks, (-1, depth))]
    )
    choices = _take_or_zero(rows, layout.row_of_pair)  # (P, K, C)
    mixed = ops.sum(ops.cast(choices, "float32") * gates[..., None], axis=1)
    return ops.cast(mixed, x.dtype)


def lay_out(experts: Any, num_experts: int) -> Layout:
    """Assigns a row to every pair.

    Args:
        experts: `(P, K)` int32 expert of each choice; E or above: not routed.
        num_experts: E.
    """
    k = experts.shape[1]
    pairs = ops.shape(experts)[0] * k
    expert_of_pair = ops.reshape(ops.minimum(experts, num_experts), (-1,))
    pair = ops.arange(pairs, dtype="int32")
    # Distinct keys: the order does not depend on whether the sort is stable.
    order = ops.cast(ops.argsort(expert_of_pair * pairs + pair), "int32")
    expert = ops.take(expert_of_pair, order)  # sorted
    every_expert = ops.arange(num_experts, dtype="int32")
    ends = _count_at_most(expert, every_expert)
    starts = _count_at_most(expert, every_expert - 1)
    direct_rows, block_rows, blocks = _sizes(ends - starts, pairs)

    over = ops.maximum(ends - starts - direct_rows, 0)
    blocks_of_expert = (over + block_rows - 1) // block_rows
    block_ends = ops.cumsum(blocks_of_expert)
    blocks = block_ends[-1] if blocks is None else blocks
    block = ops.arange(blocks, dtype="int32")
    expert_of_block = ops.minimum(_count_at_most(block_ends, block), num_experts - 1)

    routed = ops.minimum(expert, num_experts - 1)
    rank = pair - ops.take(starts, routed)  # among the pairs of its expert
    first_block = ops.take(block_ends - blocks_of_expert, routed)
    total = num_experts * direct_rows + blocks * block_rows
    row = ops.where(
        rank < direct_rows,
        routed * direct_rows + rank,
        num_experts * direct_rows + first_block * block_rows + rank - direct_rows,
    )
    row = ops.where(expert < num_experts, row, total)
    pair_of_row = ops.scatter_update(
        ops.full((total + 1,), pairs, dtype="int32"), row[:, None], order
    )[:-1]
    row_of_pair = ops.scatter_update(ops.zeros_like(row), order[:, None], row)
    return Layout(
        pair_of_row // k,
        ops.reshape(row_of_pair, (-1, k)),
        direct_rows,
        block_rows,
        expert_of_block,
    )


def _sizes(counts: Any, pairs: Any) -> tuple[Any, Any, Any]:
    """Returns c, b and the number of blocks, `None` for as many as needed.

    A block of b rows costs about as much as a row more in all of the direct buffer,
    so that a few of the experts may overflow.
    """
    num_experts = counts.shape[0]
    if keras.backend.backend() == "jax":
        # Compiled code needs sizes that do not depend on values. Whole blocks hold
        # at most half of the pairs that c = b rows an expert would; the others belong
        # to experts with more than c pairs, of which there are at most E / 2.
        rows = max(-(-2 * pairs // num_experts), 1)
        return rows, rows, num_experts
    twice_the_mean = ops.maximum((2 * pairs - 1) // num_experts + 1, 1)
    busiest, _ = ops.top_k(counts, 1 + num_experts // 48)
    return ops.clip(busiest[-1], 1, twice_the_mean), twice_the_mean, None


def _multiply(
    direct: Any, blocks: Any, kernel: Any, expert_of_block: Any
) -> tuple[Any, Any]:
    """Multiplies rows by the kernels of their experts.

    Args:
        direct: `(E, c, I)` rows.
        blocks: `(blocks, b, I)` rows.
        kernel: `(E, I, O)`.
        expert_of_block: `(blocks,)` int32.

    Returns:
        `(E, c, O)` and `(blocks, b, O)`.
    """

    # Left to automatic differentiation, the gradient of `kernel` would be a sum of two
    # tensors of its size, although usually there is no block.
    @ops.custom_gradient
    def multiply(direct, blocks, kernel):
        copies = ops.take(kernel, expert_of_block, axis=0)

        def grad(*upstream):
            # TensorFlow passes two gradients, JAX a tuple of the two.
            d_direct, d_blocks = upstream[0] if len(upstream) == 1 else upstream
            d_kernel = ops.matmul(_transpose(direct), d_direct)
            d_copies = ops.matmul(_transpose(blocks), d_blocks)
            d_kernel = ops.cond(
                ops.shape(blocks)[0] > 0,
                lambda: _add_at(d_kernel, expert_of_block, d_copies),
                lambda: d_kernel,
            )
            return (
                ops.matmul(d_direct, _transpose(kernel)),
                ops.matmul(d_blocks, _transpose(copies)),
                d_kernel,
            )

        return (ops.matmul(direct, kernel), ops.matmul(blocks, copies)), grad

    return multiply(direct, blocks, ops.cast(kernel, direct.dtype))


def _add_at(x: Any, indices: Any, summands: Any) -> Any:
    """Adds `summands[i]` to `x[indices[i]]`; repeated indices add up in float32."""
    total = ops.scatter_update(
        ops.cast(x, "float32"),
        indices[:, None],
        ops.cast(summands, "float32"),
        reduction="add",
    )
    return ops.cast(total, x.dtype)


def _take_or_zero(x: Any, indices: Any) -> Any:
    """Rows of `x` `(n, C)`; zeros for the index n."""
    return ops.take(ops.pad(x, ((0, 1), (0, 0))), indices, axis=0)


def _count_at_most(ascending: Any, values: Any) -> Any:
    """How many of `ascending` are at most each of `values`, int32."""
    return ops.cast(ops.searchsorted(ascending, values, side="right"), "int32")


def _transpose(x: Any) -> Any:
    return ops.transpose(x, (0, 2, 1))
