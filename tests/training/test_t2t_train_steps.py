"""Three updates of T2T v1.0.14's own MultiModel, repeated with our loss and optimizer.

The network here is T2T's at that release (reference: its variables' names), written
out flat and only for this test: it shows that loss, schedule, weight decay, clipping
and Adam together do what T2T's did.
"""

import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.training.losses import padded_cross_entropy
from t2t_multimodel.training.optimizer import Adam, weight_decay_gradient
from t2t_multimodel.training.schedules import make_schedule

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "train_steps__v1.0.14.npz"
DEPTH, NUM_HEADS, NUM_EXPERTS, TARGET_SPACE = 32, 4, 4, 6


def _layer_norm(v, scope, x):
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    normed = (x - mean) * tf.math.rsqrt(variance + 1e-6)
    scope += "/layer_norm"
    return normed * v[f"{scope}_scale"] + v[f"{scope}_bias"]


def _conv_step(v, scope, index, x, mask, dilation=1):
    x = (tf.nn.relu(x) * mask)[:, :, None]
    kernels = f"{scope}/conv_block_{index}_single"
    depthwise, pointwise = (
        v[f"{kernels}/{kind}_kernel"] for kind in ("depthwise", "pointwise")
    )
    x = tf.nn.depthwise_conv2d(
        x, depthwise, [1, 1, 1, 1], "SAME", dilations=[dilation, dilation]
    )
    x = tf.einsum("blwc,cf->blf", x, pointwise[0, 0])
    return _layer_norm(v, f"{scope}/conv_block_norm_{index}", x)


def _conv_stack(v, scope, x, mask):
    for half, dilation in (("residual1", 1), ("residual2", 4)):
        x = _conv_step(v, f"{scope}/{half}", 0, x, mask)
        x = _conv_step(v, f"{scope}/{half}", 1, x, mask, dilation)
    return x


def _experts(v, scope, x):
    """Top 2 of 4 experts without noise; returns outputs and balance loss."""
    flat = tf.reshape(x, [-1, DEPTH])
    clean = flat @ v[f"{scope}/moe_primary_gating_gate"]
    noise = flat @ v[f"{scope}/moe_primary_gating_noise"]
    deviation = math.sqrt(2) * (tf.nn.softplus(noise) + 0.01) + 1e-20
    top, indices = tf.math.top_k(clean, 3)
    gates = tf.reduce_sum(
        tf.one_hot(indices[:, :2], NUM_EXPERTS) * tf.nn.softmax(top[:, :2])[..., None],
        axis=1,
    )
    threshold = tf.where(clean > top[:, 2:], top[:, 2:], top[:, 1:2])
    chosen = 0.5 * (1 + tf.math.erf((clean - threshold) / deviation))
    y = tf.zeros_like(flat)
    for expert in range(NUM_EXPERTS):
        hidden = tf.nn.relu(flat @ v[f"{scope}/moe_{expert}_layer_0"])
        # T2T scales by the root of the width that a layer gets, over the depth.
        out = hidden @ v[f"{scope}/moe_{expert}_layer_1"] * (64 / DEPTH) ** -0.5
        y += gates[:, expert, None] * out
    balance = sum(_cv_squared(tf.reduce_sum(t, 0)) for t in (gates, chosen))
    return tf.reshape(y, tf.shape(x)), balance


def _cv_squared(x):
    mean, variance = tf.nn.moments(x, [0])
    return variance / (mean**2 + 1e-10)


def _timing(length):
    rates = np.exp(np.arange(DEPTH // 2) * -(math.log(1e4) / (DEPTH // 2 - 1)))
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype("float32")


def _dense(v, scope, x):
    return x @ v[f"{scope}/kernel"][0, 0] + v[f"{scope}/bias"]


def _attention(queries, keys, values, bias):
    def heads(x):
        x = tf.reshape(x, [x.shape[0], x.shape[1], NUM_HEADS, -1])
        return tf.transpose(x, [0, 2, 1, 3])

    logits = tf.matmul(heads(queries), heads(keys), transpose_b=True)
    weights = tf.nn.softmax(logits * (DEPTH // NUM_HEADS) ** -0.5 + bias)
    out = tf.transpose(weights @ heads(values), [0, 2, 1, 3])
    return tf.reshape(out, [out.shape[0], out.shape[1], DEPTH])


def _attentions(v, scope, x, source, causal, source_bias):
    own = f"{scope}/decoder_self_attention"
    parts = tf.split(_dense(v, f"{own}/qkv_transform_single", x), 3, -1)
    y = _dense(v, f"{own}/output_transform_single", _attention(*parts, causal))
    other = f"{scope}/encdec_attention"
    queries = _dense(v, f"{other}/q_transform_single", y)
    parts = tf.split(_dense(v, f"{other}/kv_transform_single", source), 2, -1)
    z = _attention(queries, *parts, source_bias)
    z = _dense(v, f"{other}/output_transform_single", z)
    return _layer_norm(v, f"{scope}/layer_norm", x + y + z)


def _embed(table, ids):
    real = tf.cast(ids != 0, tf.float32)[..., None]
    return tf.gather(table, ids) * DEPTH**0.5 * real


def _network(v, inputs, targets):
    """Returns logits and the experts' balance loss."""
    x = _embed(v["symbol_modality_20_32/input_emb/weights_0"], inputs)
    mask = tf.cast(inputs != 0, tf.float32)
    x += _timing(x.shape[1])
    balance = 0.0
    for layer in range(2):
        scope = f"body/enc_layer_{layer}"
        conv = _conv_stack(v, f"{scope}/conv_res_step", x, mask[..., None])
        moe, loss = _experts(v, f"{scope}/moe", x)
        balance += loss
        x = _layer_norm(v, f"{scope}/layer_norm", x + moe + conv)

    y = _embed(v["symbol_modality_24_32/target_emb/weights_0"], targets)
    command = v["body/target_space_embedding/kernel"][TARGET_SPACE]
    command = tf.tile(command[None, None], [y.shape[0], 1, 1])
    y = tf.concat([command, y[:, :-1]], 1)
    y += _timing(y.shape[1])
    causal = (np.tril(np.ones((y.shape[1],) * 2, "float32")) - 1) * 1e9
    source_bias = ((mask - 1) * 1e9)[:, None, None]
    for layer in range(2):
        scope = f"body/dec_layer_{layer}"
        y = _attentions(v, f"{scope}/attention", y, x, causal, source_bias)
        scope += "/ffn"
        if layer == 0:
            out, loss = _experts(v, f"{scope}/moe", y)
            balance += loss
        else:
            hidden = _dense(v, f"{scope}/conv_hidden_relu/conv1_single", y)
            out = _dense(
                v, f"{scope}/conv_hidden_relu/conv2_single", tf.nn.relu(hidden)
            )
        y = _layer_norm(v, f"{scope}/layer_norm", y + out)
    table = v["symbol_modality_24_32/softmax/weights_0"]
    return tf.matmul(y, table, transpose_b=True), balance


def read(start):
    with np.load(GOLDEN) as file:
        return {
            key.removeprefix(start): file[key]
            for key in file.files
            if key.startswith(start)
        }


@pytest.mark.parametrize("first_step", [0, 5000])
def test_losses_rates_and_variables_of_three_updates_equal_t2t(first_step):
    # Both began with the same variables; from step 0 they hardly move in three steps,
    # and only rates and losses are kept.
    golden = read("from_step5000/") | read(f"from_step{first_step}/")
    names = [k.removeprefix("var/") for k in golden if k.startswith("var/")]
    variables = {name: tf.Variable(golden[f"var/{name}"]) for name in names}
    optimizer = Adam(variables, clip_grad_norm=2.0)
    schedule = make_schedule(
        "noam", learning_rate=0.1, warmup_steps=4000, hidden_size=DEPTH
    )
    inputs, targets = (golden[f"in/{k}"][:, :, 0, 0] for k in ("inputs", "targets"))

    def step(rate):
        with tf.GradientTape() as tape:
            logits, balance = _network(variables, inputs, targets)
            total, count = padded_cross_entropy(logits, tf.constant(targets), 0.1)
            loss = total / count + 0.01 * balance
        # T2T's loss includes the decay; ours adds its gradient.
        matrices = [v for v in variables.values() if len(v.shape) > 1]
        decayed = loss + 0.1 * sum(0.5 * tf.reduce_mean(v**2) for v in matrices)
        gradients = tape.gradient(loss, list(variables.values()))
        decays = [weight_decay_gradient(v, 0.1) for v in variables.values()]
        gradients = [
            g if decay is None else decay if g is None else g + decay
            for g, decay in zip(gradients, decays, strict=True)
        ]
        optimizer.apply(gradients, rate)
        return decayed

    losses = []
    for i in range(4):
        rate = schedule(first_step + i)
        if i < 3:
            assert rate == pytest.approx(golden["out/learning_rate"][i], rel=1e-6)
        losses.append(float(step(tf.constant(rate))))
        if first_step and f"var_after{i + 1}/{names[0]}" in golden:
            for name in names:
                want = golden[f"var_after{i + 1}/{name}"]
                np.testing.assert_allclose(
                    variables[name], want, rtol=0, atol=1e-5, err_msg=name
                )
    want = [*golden["out/total_loss_before_step"], golden["out/total_loss_after3"]]
    np.testing.assert_allclose(losses, want, rtol=1e-6)
