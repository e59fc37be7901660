"""Experts with exactly the rows that are sent to them; TensorFlow's sizes may vary.

No row is empty, and the weights of an expert without rows are not read.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from t2t_multimodel.layers.routing import Routing


def on_own_rows(
    x: tf.Tensor, routing: Routing, hidden_kernel: Any, output_kernel: Any
) -> tf.Tensor:
    """Returns `(P, K, C)`, what each choice makes of its position; zeros if not routed.

    Args:
        x: `(P, C)` positions.
        routing: Of their choices.
        hidden_kernel: `(E, C, hidden)`.
        output_kernel: `(E, hidden, C)`.
    """
    k, pair_of_row, row_of_pair, ends = routing
    bounds = tf.pad(ends, [[1, 0]])
    unrouted = tf.shape(pair_of_row)[:1] - ends[-1:]
    counts = tf.concat([bounds[1:] - bounds[:-1], unrouted], axis=0)

    def by_expert(rows):
        return tf.split(rows, counts, num=hidden_kernel.shape[0] + 1)

    def by_pair(parts, rest):
        rows = tf.concat([*parts, tf.zeros_like(rest)], axis=0)
        return tf.reshape(tf.gather(rows, row_of_pair), [-1, k, x.shape[-1]])

    # By hand: rows that are taken go back by taking, which adds nothing to zeros.
    @tf.custom_gradient
    def multiply(x, hidden_kernel, output_kernel):
        *inputs, rest = by_expert(tf.gather(x, pair_of_row // k))
        to_hidden, to_output = tf.unstack(hidden_kernel), tf.unstack(output_kernel)
        hidden = [tf.nn.relu(h) for h in _products(inputs, to_hidden)]
        outputs = _products(hidden, to_output)

        def grad(upstream):
            d_pairs = tf.reshape(upstream, [-1, x.shape[-1]])
            *d_outputs, rest = by_expert(tf.gather(d_pairs, pair_of_row))
            d_hidden = [
                tf.raw_ops.ReluGrad(gradients=d_h, features=h)
                for d_h, h in zip(
                    _products(d_outputs, to_output, transpose_b=True),
                    hidden,
                    strict=True,
                )
            ]
            d_inputs = _products(d_hidden, to_hidden, transpose_b=True)
            d_x = tf.reduce_sum(tf.cast(by_pair(d_inputs, rest), tf.float32), axis=1)
            return (
                tf.cast(d_x, x.dtype),
                tf.stack(_products(inputs, d_hidden, transpose_a=True)),
                tf.stack(_products(hidden, d_outputs, transpose_a=True)),
            )

        return by_pair(outputs, rest), grad

    return multiply(x, tf.cast(hidden_kernel, x.dtype), tf.cast(output_kernel, x.dtype))


def _products(
    left: Sequence[tf.Tensor], right: Sequence[tf.Tensor], **transposed: bool
) -> list[tf.Tensor]:
    """Returns the matrix product of each pair."""
    return [tf.matmul(a, b, **transposed) for a, b in zip(left, right, strict=True)]
