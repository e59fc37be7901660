"""Stepping through the positions gives what the full pass gives."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers

LENGTH, DEPTH, BATCH = 23, 8, 3
POLICIES = {"float32": 1e-5, "mixed_bfloat16": 0.1}


def inputs(seed, length=LENGTH):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(BATCH, length, DEPTH)).astype("float32"))


def randomize(layer):
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(0.3, 0.5, size=w.shape) for w in layer.get_weights()])


def check(layer, full, x, state, *args):
    randomize(layer)
    dtype = layer.compute_dtype
    step = tf.function(layer.step)
    x, outputs = tf.cast(x, dtype), []
    before = tf.nest.map_structure(lambda t: (t.shape, t.dtype), state)
    for position in range(x.shape[1]):
        y, state = step(x[:, position : position + 1], state, *args)
        outputs.append(y)
    got = tf.concat(outputs, axis=1)
    assert got.dtype == dtype
    assert tf.nest.map_structure(lambda t: (t.shape, t.dtype), state) == before
    np.testing.assert_allclose(
        tf.cast(got, "float32"),
        tf.cast(full(), "float32"),
        atol=POLICIES[layer.dtype_policy.name],
    )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: layers.SeparableConv1D(DEPTH, 5, 4, causal=True, **kw),
        lambda **kw: layers.ConvStep(DEPTH, 3, causal=True, **kw),
        lambda **kw: layers.ConvBlock(DEPTH, causal=True, dropout=0.5, **kw),
    ],
)
def test_convolutions(make, policy):
    layer = make(dtype=policy)
    layer.build((None, None, DEPTH))
    x = inputs(0)
    check(layer, lambda: layer(x), x, layer.initial_state(BATCH))


def test_self_attention():
    layer = layers.MultiHeadAttention(2, DEPTH)
    x = inputs(0)
    layer(x, x)
    randomize(layer)
    state = layer.initial_state(BATCH, LENGTH + 4)
    for position in range(LENGTH):
        y, state = layer.step(
            x[:, position : position + 1], state, tf.fill([BATCH], position)
        )
    np.testing.assert_allclose(y, layer(x, x, causal=True)[:, -1:], atol=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("self_residual", [False, True])
def test_attention_block(self_residual, policy):
    layer = layers.AttentionBlock(2, DEPTH, self_residual=self_residual, dtype=policy)
    x, source = inputs(0), inputs(1, 6)
    mask = tf.sequence_mask([6, 3, 1], 6)
    layer(x, source)
    randomize(layer)
    memory = layer.project_source(tf.cast(source, layer.compute_dtype), mask)
    state = layer.initial_state(BATCH, LENGTH + 4)
    check(layer, lambda: layer(x, source, source_padding_mask=mask), x, state, memory)


def test_rows_of_a_state_can_be_reordered():
    """As beam search does: every tensor of a state has the batch first."""
    block = layers.AttentionBlock(2, DEPTH)
    x, source = inputs(0), inputs(1, 6)
    block(x, source)
    memory = block.project_source(source)
    state = block.initial_state(BATCH, LENGTH)
    for position in range(4):
        y, state = block.step(x[:, position : position + 1], state, memory)
    order = [2, 0, 0]
    state, memory = tf.nest.map_structure(
        lambda t: t if t is None else tf.gather(t, order), (state, memory)
    )
    y, _ = block.step(tf.gather(x, order)[:, 4:5], state, memory)
    want = tf.gather(block(x, source)[:, 4:5], order)
    np.testing.assert_allclose(y, want, atol=1e-5)
