"""Layers compute what Tensor2Tensor's computed, where they mean the same."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers
from t2t_multimodel.layers.gating import cv_squared, top_k_gating
from tests.layers.golden import VERSIONS, read

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def check(layer, inputs, golden, weights, **kwargs):
    """Compares outputs and gradients; `weights` are pairs, weight and T2T's name."""
    inputs = [tf.constant(x) for x in inputs]
    layer(*inputs, **kwargs)
    for weight, name in weights:
        weight.assign(golden[f"var/{name}"].reshape(weight.shape))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = layer(*inputs, **kwargs)
        ct = golden.get("ct/y", np.zeros(y.shape, "float32")).reshape(y.shape)
        loss = tf.reduce_sum(y * ct)
    np.testing.assert_allclose(y, golden["out/y"].reshape(y.shape), rtol=0, atol=1e-5)
    if "ct/y" not in golden:
        return
    names = [f"grad_var/{name}" for _, name in weights] + ["grad_in/x"]
    variables = [w.value for w, _ in weights] + [inputs[0]]
    for name, grad in zip(names, tape.gradient(loss, variables), strict=True):
        want = golden[name].reshape(grad.shape)
        scale = np.abs(want).max()
        np.testing.assert_allclose(grad, want, atol=2e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize(
    "case",
    [
        "b2_l12_h16",
        "b2_l12_w1_h16",
        "constant_rows",
        "default_init",
        "eps_1e-16",
        "large_mean",
    ],
)
def test_layer_norm(version, case):
    golden = read("layer_norm", version, case)
    layer = layers.LayerNorm(1e-16 if case.startswith("eps") else 1e-6)
    layer.build((None, None, 16))
    names = [
        (layer.scale, "layer_norm/layer_norm_scale"),
        (layer.bias, "layer_norm/layer_norm_bias"),
    ]
    if case == "large_mean":  # a mean of 1000 takes three of the seven digits
        layer.set_weights([golden[f"var/{name}"] for _, name in names])
        np.testing.assert_allclose(layer(golden["in/x"]), golden["out/y"], atol=1e-3)
        return
    check(layer, [golden["in/x"]], golden, names)


def test_timing_signal(version):
    for length in (1, 12, 40):
        want = read("timing_signal", version, f"get_L{length}_n16")["out/y"]
        got = layers.timing_signal(length, 40, "t2t_32")
        np.testing.assert_allclose(got[:, :32], want, rtol=0, atol=1e-5)
        assert not np.any(got[:, 32:])
    golden = read("timing_signal", version, "add_b2_l12_w1_h48")
    got = golden["in/x"][:, :, 0] + layers.timing_signal(12, 48, "t2t_32")
    np.testing.assert_allclose(got, golden["out/y"][:, :, 0], rtol=0, atol=1e-5)
    for depth in (16, 17):
        golden = read("timing_signal", version, f"add1d_h{depth}")
        want = (golden["out/y"] - golden["in/x"])[0]
        got = layers.timing_signal(12, depth, "concatenated")
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
        got = layers.timing_signal(5, depth, "concatenated", start=7)
        np.testing.assert_allclose(got, want[7:], rtol=0, atol=1e-5)


def test_separable_conv(version):
    golden = read("conv", version, "sepconv_k15_SAME_d4")
    golden["out/y"] = golden["out/y"] - golden["var/c_single/bias"]
    layer = layers.SeparableConv1D(8, 15, 4)
    layer.build((None, None, 16))
    names = [
        (layer.depthwise, "c_single/depthwise_kernel"),
        (layer.pointwise, "c_single/pointwise_kernel"),
    ]
    check(layer, [golden["in/x"][:, :, 0]], _flat(golden), names)


def _flat(golden):
    """The input's gradient as `(B, L, C)`."""
    return golden | {"grad_in/x": golden["grad_in/x"][:, :, 0]}


def _step_names(step, index=0):
    start = f"conv_block/conv_block_{index}_single"
    norm = f"conv_block/conv_block_norm_{index}"
    return [
        (step.conv.depthwise, f"{start}/depthwise_kernel"),
        (step.conv.pointwise, f"{start}/pointwise_kernel"),
        (step.norm.scale, f"{norm}/layer_norm_scale"),
        (step.norm.bias, f"{norm}/layer_norm_bias"),
    ]


# Every kernel, dilation and padding that T2T's numbers have, one step or two.
STEPS = {
    f"{kernels}_{padding}": steps
    for padding in ("SAME", "LEFT")
    for kernels, steps in {
        "k3d1": [(3, 1)],
        "k5d1": [(5, 1)],
        "k5d4": [(5, 4)],
        "k15d1": [(15, 1)],
        "k15d4": [(15, 4)],
        "k15d8": [(15, 8)],
        "k3d1_k3d1": [(3, 1), (3, 1)],
        "k15d1_k15d4": [(15, 1), (15, 4)],
        "k15d1_k15d8": [(15, 1), (15, 8)],
    }.items()
} | {
    "k15d8_SAME_len1": [(15, 8)],
    "k15d8_SAME_len30": [(15, 8)],
    "k15d8_LEFT_len30": [(15, 8)],
    "k3d1_k3d1_SAME_mask": [(3, 1), (3, 1)],
    "k15d1_k15d4_SAME_mask": [(15, 1), (15, 4)],
}


@pytest.mark.parametrize(("case", "steps"), STEPS.items())
def test_conv_steps(version, case, steps):
    golden = read("separable_conv_block", version, case)
    chain = [
        layers.ConvStep(16, kernel_size, dilation, causal="LEFT" in case)
        for kernel_size, dilation in steps
    ]
    names = []
    for index, step in enumerate(chain):
        step.build((None, None, 16))
        names += _step_names(step, index)
    mask = None
    if "in/mask" in golden:
        mask = golden["in/mask"][:, :, 0, 0] > 0

    def run(x):
        for step in chain:
            x = step(x, padding_mask=mask)
        return x

    check(run, [golden["in/x"][:, :, 0]], _flat(golden), names)


@pytest.mark.parametrize("case", ["k3x3_SAME_2d", "k3x3_SAME_2d_stride2"])
def test_conv_step_of_images(version, case):
    golden = read("separable_conv_block", version, case)
    stride = 2 if case.endswith("stride2") else 1
    step = layers.ConvStep2D(16, (3, 3), (stride, stride))
    step.build((None, None, None, 16))
    # v1.0.3 made both a (3, 1) and a (3, 3) kernel; images of width above 1 use "std".
    start = "conv_block/conv_block_0_" + ("std" if version == "v1.0.3" else "single")
    names = [
        (step.depthwise, f"{start}/depthwise_kernel"),
        (step.pointwise, f"{start}/pointwise_kernel"),
        (step.norm.scale, "conv_block/conv_block_norm_0/layer_norm_scale"),
        (step.norm.bias, "conv_block/conv_block_norm_0/layer_norm_bias"),
    ]
    check(step, [golden["in/x"]], golden, names)


@pytest.mark.parametrize("case", ["encdec_pad_h4", "self_causal_h4", "self_nobias_h2"])
def test_multihead_attention(version, case):
    golden = read("multihead_attention", version, case)
    if version == "v1.0.3":
        _check_fused_and_biased(golden, int(case[-1]))
        return
    layer = layers.MultiHeadAttention(int(case[-1]), 16)
    layer.build((None, None, 16), (None, None, 16))
    names = [
        (layer.query_kernel, "att/q/kernel"),
        (layer.key_kernel, "att/k/kernel"),
        (layer.value_kernel, "att/v/kernel"),
        (layer.output_kernel, "att/output_transform/kernel"),
    ]
    kwargs = {}
    if "pad" in case:
        kwargs["padding_mask"] = golden["in/bias"][:, 0, 0] == 0
    if "causal" in case:
        kwargs["causal"] = True
    if "in/m" in golden:
        check(layer, [golden["in/x"], golden["in/m"]], golden, names, **kwargs)
    else:
        check(
            lambda x, **kw: layer(x, x, **kw), [golden["in/x"]], golden, names, **kwargs
        )


def _check_fused_and_biased(golden, heads):
    """T2T v1.0.3: one kernel for Q, K and V, and biases, as a channel of ones."""
    x = golden["in/x"]
    memory = golden.get("in/m", x)

    def kernels(name):
        name = f"var/att/{name}_transform_single"
        kernel, bias = golden[f"{name}/kernel"][0, 0], golden[f"{name}/bias"]
        return np.concatenate([kernel, bias[None]])

    if "in/m" in golden:
        query, (key, value) = kernels("q"), np.split(kernels("kv"), 2, axis=1)
    else:
        query, key, value = np.split(kernels("qkv"), 3, axis=1)
    output = kernels("output")
    layer = layers.MultiHeadAttention(heads, 16)
    layer.build((None, None, 17), (None, None, 17))
    layer.set_weights([query, key, value, output[:-1]])
    x, memory = (
        np.pad(t, ((0, 0), (0, 0), (0, 1)), constant_values=1) for t in (x, memory)
    )
    keys, values = layer.keys_and_values(tf.constant(memory))
    y = layer.attend(tf.constant(x), keys, values, golden.get("in/bias"))
    np.testing.assert_allclose(y + output[-1], golden["out/y"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["causal", "nobias", "padbias"])
def test_dot_product_attention(version, case):
    golden = read("dot_product_attention", version, case)
    heads, depth = 4, 16
    layer = layers.MultiHeadAttention(heads, depth)
    layer.build((None, None, depth), (None, None, depth))
    layer.set_weights([np.eye(depth, dtype="float32")] * 4)
    merged = golden["in/q"].transpose(0, 2, 1, 3).reshape(2, 12, depth)
    y = layer.attend(
        tf.constant(merged) * (depth / heads) ** 0.5,  # T2T scales outside
        tf.constant(golden["in/k"]),
        tf.constant(golden["in/v"]),
        golden.get("in/bias"),
    )
    want = golden["out/y"].transpose(0, 2, 1, 3).reshape(2, 12, depth)
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["v8", "v30", "zeros"])
def test_cv_squared(version, case):
    golden = read("cv_squared", version, case)
    np.testing.assert_allclose(cv_squared(golden["in/x"]), golden["out/y"], rtol=1e-5)


@pytest.mark.parametrize(
    "case",
    [
        "eval_n3_k3",
        "eval_n4_k1",
        "eval_n8_k2",
        "eval_n8_k2_zero_init",
        "eval_n8_k4",
        "train_n8_k2_given_noise",
        "train_n8_k2_zero_init_given_noise",
        "train_n8_k4_given_noise",
    ],
)
def test_gating(version, case):
    golden = read("noisy_top_k_gating", version, case)
    x = tf.constant(golden["in/x"])
    gate, noise_weight = (
        tf.constant(golden[k]) for k in sorted(golden) if "var" == k[:3]
    )
    k = int(case.split("_k")[1][0])
    with tf.GradientTape() as tape:
        tape.watch([x, gate, noise_weight])
        noise = {}
        if "in/noise" in golden:
            stddev = tf.nn.softplus(x @ noise_weight) + 0.01
            noise = {"stddev": stddev, "noise": tf.constant(golden["in/noise"])}
        gating = top_k_gating(x @ gate, k, **noise)
        dense = tf.scatter_nd(
            tf.stack([tf.repeat(tf.range(24)[:, None], k, 1), gating.experts], -1),
            gating.gates,
            (24, gate.shape[1]),
        )
        cv_importance = cv_squared(gating.importance)
        cv_load = cv_squared(gating.load)
        ours = {
            "gates": dense,
            "importance": gating.importance,
            "load": gating.load,
            "cv_importance": cv_importance,
            "cv_load": cv_load,
            "loss": layers.moe_balance_loss(gating.importance, gating.load),
        }
        total = tf.add_n(
            [
                tf.reduce_sum(ours[k[3:]] * v)
                for k, v in golden.items()
                if k[:3] == "ct/"
            ]
            or [tf.constant(0.0)]
        )
    if case == "eval_n8_k2_zero_init":  # all tie, and T2T's Phi(0 / 0) is a half
        del ours["load"], ours["cv_load"], ours["loss"]
    for name, got in ours.items():
        np.testing.assert_allclose(
            got, golden[f"out/{name}"], rtol=0, atol=1e-5, err_msg=name
        )
    if total != 0:
        names = ["grad_in/x", *(k for k in sorted(golden) if k.startswith("grad_var"))]
        grads = tape.gradient(
            total, [x, gate, noise_weight], unconnected_gradients="zero"
        )
        for name, grad in zip(names, grads, strict=True):
            np.testing.assert_allclose(
                grad, golden[name], rtol=1e-4, atol=2e-5, err_msg=name
            )


def _expert_weights(golden, version, num_experts):
    names = (
        "var/moe/moe_{}_layer_{}" if version == "v1.0.3" else "var/moe/parallel_{}/w_{}"
    )
    return [
        np.stack([golden[names.format(e, layer)] for e in range(num_experts)])
        for layer in (0, 1)
    ]


@pytest.mark.parametrize(
    "case",
    [
        "eval_n4_k2_f16",
        "eval_n8_k2_f32",
        "eval_n8_k4_f32",
        "train_n8_k2_given_noise",
        "train_n8_k4_given_noise",
    ],
)
def test_mixture_of_experts(version, case, monkeypatch):
    golden = read("moe_layer", version, case)
    num_experts, k = (int(case.split(f"_{c}")[1][0]) for c in "nk")
    hidden, output = _expert_weights(golden, version, num_experts)
    hidden_size = hidden.shape[-1]
    # T2T scales outputs of experts wider than the model ("autoscale"); ours do not.
    output = output * (hidden_size / 16) ** -0.5
    layer = layers.MixtureOfExperts(num_experts, k, hidden_size)
    x = tf.constant(golden["in/x"][:, :, 0])
    layer.build(x.shape)
    gate, noise = (
        golden[n] for n in sorted(golden) if n.startswith("var") and "gating" in n
    )
    layer.set_weights([gate, noise, hidden, output])
    training = "in/noise" in golden
    if training:
        monkeypatch.setattr(
            "keras.random.normal", lambda *_, **__: tf.constant(golden["in/noise"])
        )
    with tf.GradientTape() as tape, layers.random_scope([0, 0]):
        tape.watch(x)
        y, importance, load = layer(x, training=training)
        total = tf.reduce_sum(y * golden["ct/y"][:, :, 0])
        for name, value in (
            ("importance", importance),
            ("load", load),
            ("loss", layers.moe_balance_loss(importance, load)),
        ):
            if f"out/{name}" in golden:
                want = golden[f"out/{name}"]
                np.testing.assert_allclose(value, want, rtol=0, atol=1e-5)
            if f"ct/{name}" in golden:
                total += tf.reduce_sum(value * golden[f"ct/{name}"])
    np.testing.assert_allclose(y, golden["out/y"][:, :, 0], rtol=0, atol=1e-5)
    grad = tape.gradient(total, x)
    np.testing.assert_allclose(grad, golden["grad_in/x"][:, :, 0], rtol=1e-4, atol=2e-5)


def test_expert(version):
    if version != "v1.0.3":
        return  # made for one release only
    golden = read("feed_forward_expert", version, "f32_autoscale")
    layer = layers.MixtureOfExperts(1, 1, 32)
    x = golden["in/x"][None]
    layer.build(x.shape)
    hidden, output = (golden[f"var/e_layer_{i}"] for i in (0, 1))
    zeros = np.zeros((16, 1))
    layer.set_weights([zeros, zeros, hidden[None], output[None] * 2**-0.5])
    np.testing.assert_allclose(layer(x)[0][0], golden["out/y"], rtol=0, atol=1e-5)
