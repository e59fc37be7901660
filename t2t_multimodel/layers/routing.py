"""The choices of all positions, sorted by expert."""

from typing import Any, NamedTuple

from keras import ops


class Routing(NamedTuple):
    """The pairs of P positions with each of their K choices, in rows by expert.

    Attributes:
        num_choices: K.
        pair_of_row: `(P * K,)` int32.
        row_of_pair: `(P * K,)` int32.
        ends: `(E,)` int32, where the rows of each expert end; pairs that are not
            routed have the rows after the last.
    """

    num_choices: int
    pair_of_row: Any
    row_of_pair: Any
    ends: Any


def sort_by_expert(experts: Any, num_experts: int) -> Routing:
    """Sorts choices `(P, K)` int32; those of `num_experts` or above are not routed."""
    expert_of_pair = ops.reshape(ops.minimum(experts, num_experts), (-1,))
    (pairs,) = ops.shape(expert_of_pair)
    pair = ops.arange(pairs, dtype="int32")
    # Distinct keys: the order does not depend on whether the sort is stable.
    order = ops.cast(ops.argsort(expert_of_pair * pairs + pair), "int32")
    rows = ops.scatter_update(ops.zeros_like(order), order[:, None], pair)
    ends = count_at_most(ops.take(expert_of_pair, order), num_experts)
    return Routing(experts.shape[1], order, rows, ends)


def count_at_most(ascending: Any, limit: int) -> Any:
    """Returns `(limit,)` int32, how many of `ascending` are at most 0, 1, 2, ..."""
    index = ops.arange(limit, dtype="int32")
    return ops.cast(ops.searchsorted(ascending, index, side="right"), "int32")
