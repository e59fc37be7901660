"""What single layers promise, beyond the conformance table."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers


def naive_conv(x, kernel, dilation, strides, left):
    """Depthwise convolution by its definition; zeros outside."""
    taps, _ = kernel.shape
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        for j in range(taps):
            s = t - left + j * dilation
            if 0 <= s < x.shape[1]:
                y[:, t] += x[:, s] * kernel[j]
    return y[:, ::strides]


@pytest.mark.parametrize("length", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("kernel_size, dilation", [(3, 1), (4, 1), (5, 4), (15, 8)])
@pytest.mark.parametrize("causal", [False, True])
def test_separable_conv_by_definition(length, kernel_size, dilation, causal):
    layer = layers.SeparableConv1D(3, kernel_size, dilation, causal=causal)
    rng = np.random.default_rng(length)
    x = rng.normal(size=(2, length, 3)).astype("float32")
    layer.build(x.shape)
    kernel = rng.normal(size=(kernel_size, 3)).astype("float32")
    layer.set_weights([kernel, np.eye(3)])
    left = (kernel_size - 1) * dilation // (1 if causal else 2)
    want = naive_conv(x, kernel, dilation, 1, left)
    np.testing.assert_allclose(layer(x), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 6, 7, 9])
@pytest.mark.parametrize("kernel_size, strides", [(3, 2), (5, 3), (4, 4)])
def test_strides_are_those_of_tensorflow(length, kernel_size, strides):
    layer = layers.SeparableConv1D(3, kernel_size, strides=strides)
    rng = np.random.default_rng(length)
    x = rng.normal(size=(2, length, 3)).astype("float32")
    layer.build(x.shape)
    kernel = rng.normal(size=(kernel_size, 3)).astype("float32")
    layer.set_weights([kernel, np.eye(3)])
    want = tf.nn.depthwise_conv2d(
        x[:, :, None], kernel[:, None, :, None], [1, strides, strides, 1], "SAME"
    )[:, :, 0]
    np.testing.assert_allclose(layer(x), want, rtol=1e-4, atol=1e-5)


def test_conv_block_adds_its_input_twice():
    block = layers.ConvBlock(4)
    x = np.random.default_rng(0).normal(size=(1, 9, 4)).astype("float32")
    y = block(x)
    step_0, step_1, step_2, step_3 = block.steps
    np.testing.assert_allclose(y, x + step_3(step_2(x + step_1(step_0(x)))), atol=1e-6)
    assert [s.conv.history for s in block.steps] == [2, 2, 14, 112]


def test_attention_block_is_what_its_parts_make():
    block = layers.AttentionBlock(2, 4)
    rng = np.random.default_rng(0)
    x, source = (rng.normal(size=(1, n, 4)).astype("float32") for n in (6, 3))
    h = x + layers.timing_signal(6, 4)
    y = block(x, source)
    for step in block.steps:
        h = step(h)
    h = block.self_attention(h, h, causal=True)
    want = block.norm(x + block.source_attention(h, source))
    np.testing.assert_allclose(y, want, atol=1e-6)


def test_dropout_keeps_the_mean():
    with layers.random_scope([1, 2]):
        y = np.asarray(layers.Dropout(0.25)(np.ones((200, 200)), training=True))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs(y.mean() - 1) < 0.02


def test_every_draw_of_a_scope_has_its_own_numbers():
    dropout = layers.Dropout(0.5)
    x = np.ones((50, 50), "float32")
    with layers.random_scope([1, 2]):
        first, second = dropout(x, training=True), dropout(x, training=True)
        with layers.random_scope([1, 2]):
            again = dropout(x, training=True)
    with layers.random_scope([1, 3]):
        other = dropout(x, training=True)
    np.testing.assert_array_equal(first, again)
    for different in (second, other):
        assert 0.4 < np.mean(np.asarray(first) != np.asarray(different)) < 0.6


def test_a_traced_step_takes_its_seed_as_an_argument():
    dropout = layers.Dropout(0.5)

    @tf.function
    def step(seed):
        with layers.random_scope(seed):
            return dropout(tf.ones((50, 50)), training=True)

    first = step(tf.constant([1, 2]))
    np.testing.assert_array_equal(first, step(tf.constant([1, 2])))
    assert np.any(np.asarray(first) != np.asarray(step(tf.constant([1, 3]))))


def test_interleaved_timing_is_the_paper_s():
    signal = np.asarray(layers.timing_signal(7, 6))
    for t in range(7):
        for d in range(3):
            angle = t * 10000 ** (-2 * d / 6)
            np.testing.assert_allclose(
                signal[t, 2 * d : 2 * d + 2], [np.sin(angle), np.cos(angle)], atol=1e-5
            )
    np.testing.assert_allclose(
        layers.timing_signal(3, 5, start=4), layers.timing_signal(7, 5)[4:], atol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dropout(1.0), "rate=1.0"),
        (lambda: layers.SeparableConv1D(0, 3), "filters=0"),
        (lambda: layers.SeparableConv1D(4, 1, strides=2), "strides=2"),
        (lambda: layers.ConvBlock(4, (3, 3, 3)), r"kernel_sizes=\(3, 3, 3\)"),
        (lambda: layers.ConvBlock(4)(np.ones((1, 2, 3))), "depth 4"),
        (lambda: layers.ConvStep2D(0), "filters=0"),
        (lambda: layers.MultiHeadAttention(3, 8), "depth=8, num_heads=3"),
        (lambda: layers.AttentionBlock(2, 8, dilations=(1,)), r"dilations=\(1,\)"),
        (lambda: layers.timing_signal(3, 8, "sine"), "'sine'"),
        (lambda: layers.timing_signal(3, 8, "t2t_32"), "depth=8"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_export(tmp_path):
    """The closed-form gradients do not stand in the way of a SavedModel."""
    block = layers.AttentionBlock(2, 4)
    mixture = layers.MixtureOfExpertsBlock(4, 2, 8)
    module = tf.Module()
    module.block, module.mixture = block, mixture
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    want = mixture(block(x, x))[0]

    @tf.function(input_signature=[tf.TensorSpec((None, None, 4))])
    def serve(x):
        return mixture(block(x, x))[0]

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.serve(x), want, atol=1e-5)
