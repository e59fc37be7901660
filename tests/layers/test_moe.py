"""The mixture of experts: every token through its experts, at the cost of k of them."""

import functools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers
from t2t_multimodel.layers import dispatch
from t2t_multimodel.layers.dispatch import mix_experts
from t2t_multimodel.layers.equal_rows import on_equal_rows
from t2t_multimodel.layers.routing import sort_by_expert

POSITIONS, DEPTH, HIDDEN = 50, 6, 9


def route(kind, num_experts, k, rng):
    """Expert ids `(P, K)`, distinct in a row; E where a position is padding."""
    order = rng.random((POSITIONS, num_experts))
    if kind == "skewed":
        order += np.arange(num_experts) * 0.3
    if kind == "one":
        order = np.tile(np.arange(num_experts), (POSITIONS, 1))
    experts = np.argsort(order, axis=1)[:, :k].astype("int32")
    if kind == "padding":
        experts[::3] = num_experts
    if kind == "all padding":
        experts[:] = num_experts
    return experts


def dense(x, gates, experts, hidden_kernel, output_kernel):
    """Every expert on every position."""
    hidden = tf.nn.relu(tf.einsum("pc,ech->peh", x, hidden_kernel))
    every = tf.einsum("peh,ehc->pec", hidden, output_kernel)
    weights = tf.one_hot(experts, hidden_kernel.shape[0]) * gates[..., None]
    return tf.einsum("pke,pec->pc", weights, every)


def compiled(*arguments):
    """`mix_experts` as a compiler of static shapes runs it."""
    with mock.patch.object(dispatch, "_multiply", on_equal_rows):
        return mix_experts(*arguments)


@functools.cache
def with_gradients(function):
    """Returns a graph function of the outputs and gradients, traced once a shape."""

    @tf.function
    def run(x, gates, experts, hidden, output):
        with tf.GradientTape() as tape:
            tape.watch([x, gates, hidden, output])
            y = function(x, gates, experts, hidden, output)
            loss = tf.reduce_sum(tf.sin(y))
        return y, *tape.gradient(loss, [x, gates, hidden, output])

    return run


@pytest.mark.parametrize(
    ("num_experts", "k"), [(1, 1), (4, 1), (4, 4), (8, 2), (60, 4), (100, 3)]
)
@pytest.mark.parametrize("kind", ["random", "skewed", "one", "padding", "all padding"])
def test_outputs_and_gradients_equal_those_of_all_experts(kind, num_experts, k):
    rng = np.random.default_rng(num_experts)
    experts = tf.constant(route(kind, num_experts, k, rng))
    x, gates, *kernels = (
        tf.constant(rng.normal(size=shape).astype("float32"))
        for shape in (
            (POSITIONS, DEPTH),
            (POSITIONS, k),
            (num_experts, DEPTH, HIDDEN),
            (num_experts, HIDDEN, DEPTH),
        )
    )
    results = (
        with_gradients(function)(x, gates, experts, *kernels)
        for function in (mix_experts, compiled, dense)
    )
    for own_rows, equal_rows, want in zip(*results, strict=True):
        np.testing.assert_allclose(own_rows, want, rtol=1e-4, atol=2e-4)
        np.testing.assert_allclose(equal_rows, want, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("kind", ["random", "skewed", "one", "padding"])
def test_every_pair_has_a_row_of_its_own(kind):
    experts = route(kind, 24, 4, np.random.default_rng(1))
    routing = sort_by_expert(tf.constant(experts), 24)
    every_pair = np.arange(experts.size)
    pair_of_row = np.asarray(routing.pair_of_row)
    np.testing.assert_array_equal(np.sort(pair_of_row), every_pair)
    np.testing.assert_array_equal(pair_of_row[routing.row_of_pair], every_pair)
    counts = np.bincount(experts.ravel(), minlength=25)
    np.testing.assert_array_equal(routing.ends, np.cumsum(counts)[:24])
    np.testing.assert_array_equal(
        experts.ravel()[pair_of_row], np.repeat(np.arange(25), counts)
    )


@pytest.mark.parametrize("kind", ["random", "skewed", "one", "padding"])
@pytest.mark.parametrize("num_experts", [16, 48, 240])
def test_rows_grow_with_the_pairs_and_not_with_the_experts(kind, num_experts):
    rng = np.random.default_rng(2)
    experts = np.concatenate([route(kind, num_experts, 4, rng) for _ in range(20)])
    x = tf.ones((len(experts), 2))
    gates = tf.ones(experts.shape)
    kernels = [tf.ones((num_experts, 2, 2))] * 2
    multiply, rows = keras.ops.matmul, []

    def counting(a, b):
        rows.append(np.prod(a.shape[:-1]))
        return multiply(a, b)

    with mock.patch.object(keras.ops, "matmul", counting):
        mix_experts(x, gates, tf.constant(experts), *kernels)
        own_rows = sum(rows)
        compiled(x, gates, tf.constant(experts), *kernels)
    assert own_rows == 2 * (experts < num_experts).sum()  # to hidden and to output
    assert sum(rows) - own_rows <= 2 * 5 * experts.size


def test_padding_is_neither_routed_nor_counted():
    layer = layers.MixtureOfExperts(5, 2, 8)
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    mask = np.arange(6)[None] < np.array([[6], [2]])
    layer(x)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    x[~mask] = np.nan
    with layers.random_scope([0, 1]):
        y, importance, load = layer(x, padding_mask=mask, training=True)
    assert np.all(np.asarray(y)[~mask] == 0)
    assert np.abs(np.asarray(y)[mask]).min() > 0
    np.testing.assert_allclose(np.sum(importance), mask.sum(), rtol=1e-5)
    assert np.isfinite(load).all()
    _, importance, load = layer(x, padding_mask=mask)
    assert np.sum(load) == 2 * mask.sum()


def test_experts_and_layers_start_different():
    keras.utils.set_random_seed(0)
    initializers = ("orthogonal", keras.initializers.Orthogonal(seed=3))
    for initializer in initializers:
        layer = layers.MixtureOfExperts(3, 1, 8, kernel_initializer=initializer)
        layer.build((None, None, 4))
        assert not np.any(layer.gate_kernel) and not np.any(layer.noise_kernel)
        first, second, _ = np.asarray(layer.hidden_kernel)
        assert np.abs(first - second).max() > 0.1
        np.testing.assert_allclose(first @ first.T, np.eye(4), atol=1e-5)


def test_the_noise_is_that_of_the_seed():
    layer = layers.MixtureOfExperts(5, 2, 8)
    x = np.ones((1, 64, 4), "float32")
    loads = []
    for _ in range(2):
        with layers.random_scope([7, 7]):
            loads.append(np.asarray(layer(x, training=True)[1]))
    np.testing.assert_array_equal(*loads)
    assert loads[0].min() > 0  # fresh gates are all 0: without noise two would win


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((4, 5, 8), "k=5"), ((4, 0, 8), "k=0"), ((4, 2, 0), "hidden_size=0")],
)
def test_wrong_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.MixtureOfExperts(*arguments)
