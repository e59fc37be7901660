"""Stepping through the positions gives what the full pass gives."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers

LENGTH, DEPTH, BATCH = 23, 8, 3
POLICIES = {"float32": 1e-5, "mixed_bfloat16": 0.1}


def inputs(seed, length=LENGTH, batch=BATCH):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(batch, length, DEPTH)).astype("float32"))


def randomize(layer):
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(0.3, 0.5, size=w.shape) for w in layer.get_weights()])


def check(layer, full, x, state, *args):
    randomize(layer)
    dtype = layer.compute_dtype
    step = tf.function(layer.step)
    x, outputs = tf.cast(x, dtype), []
    before = tf.nest.map_structure(lambda t: (t.shape, t.dtype), state)
    cursor = layers.Cursor.first(BATCH, LENGTH)
    for position in range(x.shape[1]):
        y, state = step(x[:, position], state, *args, cursor)
        outputs.append(y)
        cursor = cursor.advanced()
    got = tf.stack(outputs, axis=1)
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
    state = layer.initial_state(BATCH, LENGTH + 4)
    check(layer, lambda: layer(x, x, causal=True), x, state)


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


def test_a_state_is_extended_as_it_fills():
    block = layers.AttentionBlock(2, DEPTH)
    x, source = inputs(0), inputs(1, 6)
    block(x, source)
    randomize(block)
    memory = block.project_source(source)
    state, outputs = block.initial_state(BATCH, 0), []
    cursor = layers.Cursor.first(BATCH, 0)
    for position in range(LENGTH):
        if position % 7 == 0:
            state = block.extend_state(state, position + 7)
        y, state = block.step(x[:, position], state, memory, cursor)
        outputs.append(y)
        cursor = cursor.advanced()
    want = block(x, source)
    np.testing.assert_allclose(tf.stack(outputs, axis=1), want, atol=1e-5)


class Hypotheses:
    """The pasts of three hypotheses of each of two inputs, reordered at every step."""

    def __init__(self):
        self.rng = np.random.default_rng(4)
        self.past = np.zeros((6, 0, DEPTH), "float32")

    def next_input(self):
        x = self.rng.normal(size=(6, DEPTH)).astype("float32")
        self.past = np.concatenate([self.past, x[:, None]], axis=1)
        return x

    def parents(self):
        chosen = self.rng.integers(0, 3, size=(2, 3)) + [[0], [3]]
        self.past = self.past[chosen.reshape(-1)]
        return tf.constant(chosen.reshape(-1), tf.int32)


def test_attention_and_convolutions_follow_the_hypotheses():
    """As in beam search, where rows take over the past of others."""
    attention = layers.AttentionBlock(2, DEPTH)
    conv = layers.ConvBlock(DEPTH, causal=True)
    source, hypotheses = inputs(1, 6, batch=2), Hypotheses()
    attention.build((None, None, DEPTH), (None, None, DEPTH))
    conv.build((None, None, DEPTH))
    randomize(attention)
    randomize(conv)
    memory = attention.project_source(source)
    state = attention.initial_state(2, 0, 3), conv.initial_state(6)
    cursor = layers.Cursor.first(2, 0, 3)
    for position in range(LENGTH):
        if position % 5 == 0:
            state = attention.extend_state(state[0], position + 5), state[1]
            cursor = cursor.extended(position + 5)
        x = hypotheses.next_input()
        attended, attention_state = attention.step(x, state[0], memory, cursor)
        mixed, conv_state = conv.step(x, state[1], cursor)
        state = attention_state, conv_state
        if position:  # Keras warns of attention to a single position
            full = attention(hypotheses.past, tf.repeat(source, 3, axis=0))[:, -1]
            np.testing.assert_allclose(attended, full, atol=1e-5)
        np.testing.assert_allclose(mixed, conv(hypotheses.past)[:, -1], atol=1e-5)
        cursor = cursor.advanced().following(hypotheses.parents())
