"""Layer norm of positions and of pictures, against NumPy and automatic gradients."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.layers import LayerNorm

AXES = [(-1,), (-3, -2, -1)]


def normalized(x, axes, scale, bias):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-6) * scale + bias


@pytest.mark.parametrize("axes", AXES)
def test_equals_numpy(axes):
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, (2, 5, 4, 3)).astype("float32")
    scale, bias = rng.normal(size=(2, 3)).astype("float32")
    layer = LayerNorm(axes=axes)
    layer.build(x.shape)
    layer.set_weights([scale, bias])
    np.testing.assert_allclose(layer(x), normalized(x, axes, scale, bias), atol=1e-5)


@pytest.mark.parametrize("axes", AXES)
def test_gradients_equal_automatic_ones(axes):
    rng = np.random.default_rng(1)
    x, weights = (
        tf.constant(rng.normal(size=(2, 5, 4, 3)), tf.float32) for _ in range(2)
    )
    layer = LayerNorm(axes=axes)
    layer.build(x.shape)
    layer.set_weights(rng.normal(size=(2, 3)))
    scale, bias = layer.scale.value, layer.bias.value

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(function() * weights)
        return tape.gradient(loss, (x, scale, bias))

    def plainly():
        mean, variance = tf.nn.moments(x, axes, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-6) * scale + bias

    for ours, expected in zip(
        gradients(lambda: layer(x)), gradients(plainly), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=2e-5)
