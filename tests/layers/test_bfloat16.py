"""Layers in bfloat16: weights and their gradients stay float32, sums lose nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from t2t_multimodel import layers
from t2t_multimodel.layers import dispatch
from t2t_multimodel.layers.dispatch import mix_experts
from t2t_multimodel.layers.equal_rows import on_equal_rows
from t2t_multimodel.layers.own_rows import on_own_rows
from tests.layers.table import CASES

SEED = np.array([3, 4], "int32")
NAMES = list(CASES)
ROUNDING = 2.0**-8  # of one number, relative


def rounded(x):
    return ops.convert_to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32"))


def weights_of(case):
    """Returns weights as a run has them early on: drawn, and moved a little."""
    keras.utils.set_random_seed(1)
    layer = case.make("float32")
    layer(*case.inputs())
    rng = np.random.default_rng(5)
    return [rounded(w + rng.normal(0, 0.05, w.shape)) for w in layer.get_weights()]


def outputs_and_gradients(case, policy):
    """Returns the outputs, and the gradients of the input and of all weights."""
    layer = case.layer(policy)
    layer.set_weights(weights_of(case))
    x = [tf.constant(rounded(x)) for x in case.inputs()]
    weights = [w.value for w in layer.trainable_weights]
    with tf.GradientTape() as tape, layers.random_scope(SEED):
        tape.watch(x)
        outputs = tf.nest.flatten(layer(*x, **case.training()))
        loss = tf.add_n([tf.reduce_sum(tf.sin(tf.cast(y, "float32"))) for y in outputs])
    gradients = tape.gradient(loss, [*x[:1], *weights])
    return [tf.cast(y, "float32").numpy() for y in outputs], gradients


def distance(got, want):
    """Returns how far `got` is from `want`, over the length of `want`."""
    return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_float32_and_near_float32s(name):
    outputs, gradients = outputs_and_gradients(CASES[name], "mixed_bfloat16")
    want_outputs, want_gradients = outputs_and_gradients(CASES[name], "float32")
    for got, want in zip(outputs, want_outputs, strict=True):
        assert distance(got, want) < 4 * ROUNDING
    for got, want in zip(gradients, want_gradients, strict=True):
        assert got.dtype == tf.float32
        # ReLUs near 0 switch: a tenth, in the first steps of a block.
        assert distance(got.numpy(), want.numpy()) < 32 * ROUNDING


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].masked >= 0])
def test_padding_does_not_change_a_row(name):
    case = CASES[name]
    layer, inputs = case.layer("mixed_bfloat16"), case.inputs()
    x = inputs[case.masked]
    real = ops.convert_to_numpy(ops.cast(tf.nest.flatten(layer(*inputs))[0], "float32"))
    padding = np.full((x.shape[0], 5, *x.shape[2:]), -1000.0, "float32")
    inputs[case.masked] = np.concatenate([x, padding], axis=1)
    mask = np.arange(x.shape[1] + 5)[None] < np.full((len(x), 1), x.shape[1])
    got = tf.nest.flatten(layer(*inputs, **{case.mask_name: mask}))[0]
    got = ops.convert_to_numpy(ops.cast(got, "float32"))[:, : real.shape[1]]
    np.testing.assert_allclose(got, real, rtol=2 * ROUNDING, atol=2 * ROUNDING)


@pytest.mark.parametrize(
    ("make", "kernel", "shape", "want"),
    [
        # A kernel's gradient adds up all positions: of ones, their number.
        (
            lambda: layers.SeparableConv1D(1, 3, dtype="mixed_bfloat16"),
            "depthwise",
            (4, 1000, 1),
            [[3996], [4000], [3996]],
        ),
        (
            lambda: layers.SeparableConv1D(1, 1, dtype="mixed_bfloat16"),
            "pointwise",
            (4, 1000, 1),
            [[4000]],
        ),
    ],
)
def test_a_kernels_gradient_adds_up_thousands_of_positions(make, kernel, shape, want):
    layer = make()
    layer.build(shape)
    layer.set_weights([np.ones(w.shape) for w in layer.weights])
    variable = getattr(layer, kernel).value
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.cast(layer(tf.ones(shape)), "float32"))
    gradient = tape.gradient(total, variable)
    np.testing.assert_allclose(gradient, want, rtol=ROUNDING)


@pytest.mark.parametrize("separable", [True, False])
def test_a_picture_kernels_gradient_adds_up_thousands_of_positions(separable):
    rng = np.random.default_rng(0)
    x = rounded(1 + rng.normal(size=(4, 40, 40, 3)))
    gradients = []
    for policy in ("float32", "mixed_bfloat16"):
        layer = layers.ConvStep2D(5, separable=separable, dtype=policy)
        layer.build(x.shape)
        generator = np.random.default_rng(1)
        layer.set_weights(
            [rounded(generator.normal(size=w.shape)) for w in layer.weights]
        )
        kernel = (layer.depthwise if separable else layer.kernel).value
        with tf.GradientTape() as tape:
            y = tf.cast(layer(x), "float32")
            loss = tf.reduce_sum(y**2)
        gradients.append(tape.gradient(loss, kernel).numpy())
    assert distance(gradients[1], gradients[0]) < 4 * ROUNDING


@pytest.mark.parametrize("multiply", [on_own_rows, on_equal_rows])
def test_experts_of_thousands_of_positions_add_up_in_float32(multiply, monkeypatch):
    """All go to one of many experts, so that compiled code has them in many blocks."""
    monkeypatch.setattr(dispatch, "_multiply", multiply)
    positions, num_experts, depth = 4000, 60, 2
    experts = np.zeros((positions, 1), "int32")
    x = tf.ones((positions, depth), "bfloat16")
    kernels = [tf.ones((num_experts, depth, depth)) for _ in range(2)]
    gates = tf.fill((positions, 1), 0.7001)
    with tf.GradientTape() as tape:
        tape.watch([gates, *kernels])
        y = mix_experts(x, gates, experts, *kernels)
        total = tf.reduce_sum(tf.cast(y, "float32"))
    d_gates, *d_kernels = tape.gradient(total, [gates, *kernels])
    assert y.dtype == tf.bfloat16
    assert all(g.dtype == tf.float32 for g in (d_gates, *d_kernels))
    np.testing.assert_array_equal(d_gates, np.full((positions, 1), 8.0))
    for gradient in d_kernels:  # 0.7001 each of 2 outputs or of 2 hidden units
        want = 0.7001 * 2 * positions
        np.testing.assert_allclose(gradient[0], np.full((2, 2), want), 2 * ROUNDING)
        np.testing.assert_array_equal(gradient[1:], 0)


def test_norms_and_gates_compute_in_float32():
    """What bfloat16 would round away makes a difference to them."""
    norm = layers.LayerNorm(dtype="mixed_bfloat16")
    x = np.array([[256.0, 258.0, 256.0, 258.0]], "float32")  # neighbours in bfloat16
    np.testing.assert_array_equal(
        ops.cast(norm(x), "float32"), np.array([[-1.0, 1.0, -1.0, 1.0]])
    )
    moe = layers.MixtureOfExperts(4, 1, 8, dtype="mixed_bfloat16")
    moe.build((None, None, 2))
    gate = np.zeros((2, 4), "float32")
    gate[0, 1], gate[0, 3] = 1.0, 1.0005  # equal in bfloat16
    moe.gate_kernel.assign(gate)
    _, importance, load = moe(np.ones((1, 6, 2), "float32"))
    np.testing.assert_array_equal(importance, [0, 0, 0, 6])
    assert keras.backend.standardize_dtype(load.dtype) == "float32"
