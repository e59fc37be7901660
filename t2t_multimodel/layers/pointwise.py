"""The product of every position with one matrix."""

from typing import Any

import keras
from keras import ops


def pointwise(x: Any, kernel: Any) -> Any:
    """Multiplies the vector of every position by a matrix.

    Args:
        x: `(B, L, C)`.
        kernel: `(C, F)`.

    Returns:
        `(B, L, F)`; sums are taken in float32.
    """
    if keras.backend.standardize_dtype(x.dtype) != "float32":
        # TensorFlow 2.21 sums an Einsum of bfloat16 in bfloat16 on CPUs.
        return ops.matmul(x, kernel)
    # One node of a graph, where a product of other than two matrices takes 23 if shapes
    # are not known before; tracing takes its time by the node. Without an order of
    # products (of which there is one) Keras takes matrices one by one, and the kernel's
    # gradient is a sum of as many.
    return ops.einsum("blc,cf->blf", x, kernel, optimize="greedy")
