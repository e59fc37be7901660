"""T2T's variants that our layers compute too, under the right settings and weights.

Their numbers are those of v1.0.3; v1.4.4 gave the same bit for bit.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers
from t2t_multimodel.layers.attention import padding_bias
from tests.layers.golden import Pairs, check, read, variables

VERSION = "v1.0.3"


@pytest.mark.parametrize("padding", ["SAME", "LEFT"])
@pytest.mark.parametrize("groups", ["sep-3-2", "sep-2-1"])
def test_super_separable_steps_are_block_diagonal_ones(groups, padding):
    golden = read("subseparable_conv_block", VERSION, f"k3d1_k15d4_{groups}_{padding}")
    v = variables(golden)
    causal = padding == "LEFT"
    steps = [
        layers.ConvStep(24, kernel_size, dilation, causal=causal)
        for kernel_size, dilation in ((3, 1), (15, 4))
    ]
    for step in steps:
        step.build((None, None, 24))

    def pairs():
        pairs = Pairs()
        for index, step in enumerate(steps):
            pairs.add_step(step, v, "conv_block", index)
        return pairs

    def run(x):
        return steps[1](steps[0](x[:, :, 0]))

    check(run, {"x": golden["in/x"]}, golden, v, pairs)


@pytest.mark.parametrize("kernel_size", [5, 15])
def test_fewer_taps_are_taps_of_zeros(kernel_size):
    # As T2T's four kernel sizes fit in the two of ours.
    for padding in ("SAME", "LEFT"):
        golden = read("separable_conv_block", VERSION, f"k3d1_{padding}")
        v = variables(golden)
        step = layers.ConvStep(16, kernel_size, causal=padding == "LEFT")
        step.build((None, None, 16))
        pairs = Pairs()
        pairs.add_step(step, v, "conv_block")
        with pairs.in_place():
            y = step(golden["in/x"][:, :, 0])
        np.testing.assert_allclose(y, golden["out/y"][:, :, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "kernel_sizes", "stride"),
    [
        ("k3d1_SAME", [(3, 1)], 1),
        ("k5d1_SAME", [(5, 1)], 1),
        ("k15d1_SAME", [(15, 1)], 1),
        ("k3d1_k3d1_SAME", [(3, 1), (3, 1)], 1),
        ("k3d1_k3d1_SAME_mask", [(3, 1), (3, 1)], 1),
        ("k3d1_SAME_norelu", [(3, 1)], 1),
        ("k3x3_SAME_2d", [(3, 3)], 1),
        ("k3x3_SAME_2d_stride2", [(3, 3)], 2),
    ],
)
def test_ordinary_convolutions(case, kernel_sizes, stride):
    golden = read("conv_block", VERSION, case)
    v = variables(golden)
    mask = golden["in/mask"][:, :, 0, 0] > 0 if "in/mask" in golden else None
    steps = [
        layers.ConvStep2D(
            golden["out/y"].shape[-1],
            kernel_size,
            (stride, stride),
            activation="norelu" not in case,
            separable=False,
        )
        for kernel_size in kernel_sizes
    ]
    for step in steps:
        step.build((None, None, None, 16))

    def run(x):
        for step in steps:
            x = step(x, padding_mask=mask)
        return x

    def pairs():
        pairs = Pairs()
        for index, step in enumerate(steps):
            pairs.add_step(step, v, "conv_block", index)
        return pairs

    check(run, {"x": golden["in/x"]}, golden, v, pairs)


@pytest.mark.parametrize("case", ["bias", "nobias"])
def test_simple_attention_is_one_head_without_projections(case):
    golden = read("simple_attention", VERSION, case)
    layer = layers.MultiHeadAttention(1, 16)
    layer.build((None, None, 16), (None, None, 16))
    layer.set_weights([np.eye(16, dtype="float32")] * 4)
    mask = golden["in/b"][:, :, 0, 0] == 0 if case == "bias" else None

    def run(target, source):
        return layer(target[:, :, 0], source[:, :, 0], padding_mask=mask)

    inputs = {"t": golden["in/t"], "s": golden["in/s"]}
    check(run, inputs, golden, {}, Pairs)


def test_padding_is_hidden_from_attention():
    golden = read("attention_bias", VERSION, "ignore_padding")
    real = np.any(golden["in/x"] != 0, axis=-1)
    got = padding_bias(real)
    assert got.shape == golden["out/y"].shape
    np.testing.assert_array_equal(got, golden["out/y"])
    padding = read("attention_bias", VERSION, "embedding_to_padding")
    np.testing.assert_array_equal(real, padding["out/y"] == 0)


def test_the_future_is_hidden_from_attention():
    bias = read("attention_bias", VERSION, "lower_triangle")["out/y"]
    layer = layers.MultiHeadAttention(2, 8)
    x = tf.random.stateless_normal((2, 6, 8), seed=(0, 1))
    causal = layer(x, x, causal=True)
    biased = layer.attend(x, *layer.keys_and_values(x), keras.ops.array(bias))
    np.testing.assert_array_equal(causal, biased)
    assert np.abs(causal - layer(x, x)).max() > 1e-2
