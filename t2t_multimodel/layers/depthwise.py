"""Convolution of every channel by itself, with a gradient that is one, too."""

import functools
from collections.abc import Callable
from typing import Any

from keras import ops


def in_float32(convolution: Callable[[Any, Any], Any], x: Any, kernel: Any) -> Any:
    """Convolves in float32, whatever the dtype of `x` and `kernel`.

    TensorFlow adds up a kernel's gradient over all positions in the dtype of the
    convolution. In bfloat16 a sum of ones ends at 256 and one of 3,600 comes out as
    1,024 (on CPUs, TensorFlow 2.21); matrix products and `ops.sum` add in float32. It
    costs little: a depthwise convolution multiplies a few times for each value it
    reads, and on CPUs without bfloat16 arithmetic float32 is the faster one.

    Args:
        convolution: Of float32 activations with a float32 kernel.
        x: Activations.
        kernel: Of any dtype.

    Returns:
        The convolution, in the dtype of `x`.
    """
    y = convolution(ops.cast(x, "float32"), ops.cast(kernel, "float32"))
    return ops.cast(y, x.dtype)


def depthwise_conv(x: Any, kernel: Any, dilation: int, left: Any, right: Any) -> Any:
    """Convolves every channel of `x` `(B, L, C)` with its own taps `(k, C)`.

    Args:
        x: Activations.
        kernel: One row a tap.
        dilation: Distance between taps, in positions.
        left: Zeros put before the first position.
        right: Zeros put after the last; with `left` (k - 1) * dilation.

    Returns:
        `(B, L, C)`, in the dtype of `x`. Taps are added up in float32, see
        `in_float32`.
    """
    # The gradient of x is the same convolution of the upstream with the taps turned
    # round. On CPUs that takes half the time of the derived gradient, whose kernel is
    # slower and which has copies of its own to undo the padding.
    mixed = _convolve(ops.stop_gradient(x), kernel, dilation, left, right)
    turned = ops.flip(ops.stop_gradient(kernel), axis=0)

    @ops.custom_gradient
    def with_gradient(x: Any, mixed: Any, turned: Any) -> tuple[Any, Any]:
        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            upstream = args[0] if upstream is None else upstream
            d_x = _convolve(upstream, turned, dilation, right, left)
            return d_x, upstream, ops.zeros_like(turned)

        return mixed, gradient

    return with_gradient(x, mixed, turned)


def _convolve(x: Any, kernel: Any, dilation: int, left: Any, right: Any) -> Any:
    """Computes `depthwise_conv`; its gradient is derived."""
    # Positions a dilation apart become rows of a matrix whose columns are the phases:
    # a convolution down the rows, without dilation. For 15 taps that is faster on CPUs
    # than `ops.depthwise_conv`, 1.2 to 1.5 times without dilation and 2.3 to 5 times
    # with one of 8 (benchmarks/layers.py).
    depth = x.shape[-1]
    # Reshaped, not indexed: the gradient of an index is a copy.
    kernel = ops.reshape(kernel, (-1, 1, depth, 1))
    convolve = functools.partial(ops.depthwise_conv, padding="valid")
    if dilation == 1:  # no lengths need to be known, which would be most of the graph
        x = ops.pad(x, ((0, 0), (left, right), (0, 0)))
        mixed = in_float32(convolve, ops.expand_dims(x, 2), kernel)
        return ops.squeeze(mixed, 2)
    length = ops.shape(x)[1]
    rows = -(-length // dilation)
    right = right + rows * dilation - length
    x = ops.pad(x, ((0, 0), (left, right), (0, 0)))
    phases = (-1, rows + kernel.shape[0] - 1, dilation, depth)
    mixed = in_float32(convolve, ops.reshape(x, phases), kernel)
    return ops.reshape(mixed, (-1, rows * dilation, depth))[:, :length]
