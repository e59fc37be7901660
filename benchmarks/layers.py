"""Time of the convolution, the norm and dropout against other ways to write them.

    python -m benchmarks.layers

Prints forward and backward in one traced function with lengths unknown to it, best of
10, in milliseconds, and the ratio to the layer's own form; convolutions include the
pointwise product. Ratios on two cores with AVX-512, TensorFlow 2.21, Keras 3.15, for
(32, 24, 128) and (16, 128, 512):

    convolution           `ops.depthwise_conv`   shifted sums
    3 taps                1.0   0.95             2.6   2.0
    5 taps, dilation 4    1.3   1.1              3.5   2.6
    15 taps               1.5   1.15             5.5   5.2
    15 taps, dilation 8   5.0   2.3              5.8   6.6

    norm                  `ops.layer_normalization`   by hand
                          1.9   1.3                   1.2   1.04

Also tried: gathered windows with einsum (5 to 20 times as slow), a band matrix for each
channel (1.0 to 1.8 at length 24), a norm by products with a column of ones (equal), a
norm by TensorFlow's fused batch norm (1.3 to 1.5).
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from benchmarks.timing import best_ms
from t2t_multimodel import layers

SHAPES = ((32, 24, 128), (16, 128, 512))
CONVOLUTIONS = ((3, 1), (5, 4), (15, 1), (15, 8))  # taps, dilation
SEED = (1, 2)


def depthwise_conv(x: Any, kernel: Any, dilation: int) -> Any:
    """`keras.ops.depthwise_conv`, as a Keras layer would call it."""
    return ops.depthwise_conv(
        x, kernel[..., None], padding="same", dilation_rate=dilation
    )


def shifted_sums(x: Any, kernel: Any, dilation: int) -> Any:
    """A sum over the taps of the shifted input times the tap's weights."""
    length, history = ops.shape(x)[1], (kernel.shape[0] - 1) * dilation
    x = ops.pad(x, ((0, 0), (history // 2, history - history // 2), (0, 0)))
    return sum(
        x[:, tap * dilation : tap * dilation + length] * kernel[tap]
        for tap in range(kernel.shape[0])
    )


def plain_norm(x: Any, scale: Any, bias: Any) -> Any:
    """Layer normalization left to automatic differentiation."""
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return centred * ops.rsqrt(variance + 1e-6) * scale + bias


def keras_norm(x: Any, scale: Any, bias: Any) -> Any:
    """`keras.ops.layer_normalization`."""
    return ops.layer_normalization(x, scale, bias, axis=-1, epsilon=1e-6)


def step(
    function: Callable[[Any], Any], shape: tuple[int, ...], weights: list[Any]
) -> Callable[[], object]:
    """Returns a call of forward and backward on inputs of unknown lengths."""
    x = tf.constant(np.random.default_rng(0).normal(size=shape).astype("float32"))

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, shape[-1]))], autograph=False
    )
    def run(x):
        with tf.GradientTape() as tape, layers.random_scope(SEED):
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(function(x)))
        return tape.gradient(loss, [x, *weights])

    return lambda: run(x)


def conv_steps(shape: tuple[int, ...], taps: int, dilation: int) -> dict:
    """Returns the ways to convolve; all end with the same pointwise product."""
    layer = layers.SeparableConv1D(shape[-1], taps, dilation)
    layer.build(shape)
    depthwise, pointwise = (w.value for w in layer.weights)

    def with_pointwise(conv):
        return lambda x: tf.matmul(conv(x, depthwise, dilation), pointwise)

    ways = {
        "ours": layer,
        "depthwise_conv": with_pointwise(depthwise_conv),
        "shifted_sums": with_pointwise(shifted_sums),
    }
    return {n: step(way, shape, [depthwise, pointwise]) for n, way in ways.items()}


def norm_steps(shape: tuple[int, ...]) -> dict:
    """Returns the ways to normalize."""
    layer = layers.LayerNorm()
    layer.build(shape)
    scale, bias = (w.value for w in layer.weights)
    ways = {
        "ours": layer,
        "plain": lambda x: plain_norm(x, scale, bias),
        "layer_normalization": lambda x: keras_norm(x, scale, bias),
    }
    return {n: step(way, shape, [scale, bias]) for n, way in ways.items()}


def dropout_steps(shape: tuple[int, ...]) -> dict:
    """Returns dropout and the cost of the benchmark itself."""
    dropout = layers.Dropout(0.1)
    ways = {"ours": lambda x: dropout(x, training=True), "none": lambda x: x}
    return {n: step(way, shape, []) for n, way in ways.items()}


def main() -> None:
    """Prints a line for each layer and shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="timed calls of each")
    rounds = parser.parse_args().rounds
    for shape in SHAPES:
        rows = {
            f"conv {taps} taps, dilation {dilation}": conv_steps(shape, taps, dilation)
            for taps, dilation in CONVOLUTIONS
        }
        rows |= {"norm": norm_steps(shape), "dropout": dropout_steps(shape)}
        for name, steps in rows.items():
            times = best_ms(steps, rounds)
            text = ", ".join(
                f"{way} {ms:.2f} ms ({ms / times['ours']:.2f})"
                for way, ms in times.items()
            )
            print(f"{shape} {name}: {text}", flush=True)


if __name__ == "__main__":
    main()
