"""Experts with exactly the rows that are sent to them, where sizes may vary.

No row is empty, and the weights of an expert without rows are not read.
"""

from collections.abc import Iterable
from typing import Any

from keras import ops

from t2t_multimodel.layers.routing import Routing


def on_own_rows(
    x: Any, routing: Routing, hidden_kernel: Any, output_kernel: Any
) -> Any:
    """Returns `(P, K, C)`, what each choice makes of its position; zeros if not routed.

    Args:
        x: `(P, C)` positions.
        routing: Of their choices.
        hidden_kernel: `(E, C, hidden)`.
        output_kernel: `(E, hidden, C)`.
    """
    k, pair_of_row, row_of_pair, ends = routing
    depth = x.shape[-1]
    starts = ops.pad(ends[:-1], ((1, 0),))
    places = ops.unstack(ops.stack([starts, ops.zeros_like(ends)], axis=1))
    sizes = ops.stack([ends - starts, ops.full_like(ends, depth)], axis=1)
    sizes = ops.unstack(sizes)

    def of_experts(rows):
        return [ops.slice(rows, *at) for at in zip(places, sizes, strict=True)]

    def by_pair(parts, rows):
        rows = ops.concatenate([*parts, ops.zeros_like(rows[ends[-1] :])])
        return ops.reshape(ops.take(rows, row_of_pair, axis=0), (-1, k, depth))

    # By hand: derived, the gradient of each expert's slice is as large as all rows.
    @ops.custom_gradient
    def multiply(x, hidden_kernel, output_kernel):
        rows = ops.take(x, pair_of_row // k, axis=0)
        inputs = of_experts(rows)
        to_hidden, to_output = ops.unstack(hidden_kernel), ops.unstack(output_kernel)
        hidden = [ops.relu(h) for h in _products(inputs, to_hidden)]
        outputs = _products(hidden, to_output)

        def grad(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            d_pairs = ops.reshape(upstream, (-1, depth))
            d_rows = ops.take(d_pairs, pair_of_row, axis=0)
            d_outputs = of_experts(d_rows)
            d_hidden = _products(d_outputs, map(ops.transpose, to_output))
            d_hidden = [
                ops.where(h > 0, d_h, ops.zeros_like(d_h))
                for d_h, h in zip(d_hidden, hidden, strict=True)
            ]
            d_inputs = _products(d_hidden, map(ops.transpose, to_hidden))
            d_x = ops.sum(ops.cast(by_pair(d_inputs, d_rows), "float32"), axis=1)
            return (
                ops.cast(d_x, x.dtype),
                _stacked(map(ops.transpose, inputs), d_hidden, hidden_kernel.shape),
                _stacked(map(ops.transpose, hidden), d_outputs, output_kernel.shape),
            )

        return by_pair(outputs, rows), grad

    return multiply(
        x, ops.cast(hidden_kernel, x.dtype), ops.cast(output_kernel, x.dtype)
    )


def _products(left: Iterable[Any], right: Iterable[Any]) -> list[Any]:
    return [ops.matmul(a, b) for a, b in zip(left, right, strict=True)]


def _stacked(left: Iterable[Any], right: Iterable[Any], shape: tuple) -> Any:
    # A slice of a length that varies does not know its depth either.
    return ops.reshape(ops.stack(_products(left, right)), shape)
