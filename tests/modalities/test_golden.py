"""Modality nets compute what Tensor2Tensor v1.0.3's computed.

Symbol, audio and waveform nets of v1.4.4 gave the same numbers bit for bit; its image
and class nets are other, stripped ones.
"""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from t2t_multimodel.layers import ConvStep2D
from t2t_multimodel.modalities import LanguageModality
from t2t_multimodel.modalities.conv_res import max_pool
from t2t_multimodel.modalities.image import standardize
from tests.layers.golden import (
    VERSIONS,
    Pairs,
    check,
    check_gradients,
    read,
    variables,
)
from tests.modalities import t2t_nets

VERSION = "v1.0.3"


@pytest.mark.parametrize(
    "case", ["shards1", "shards16", "shared_shards1", "shared_shards16"]
)
def test_symbols(case):
    golden = read("modality_SymbolModality", VERSION, case)
    v = variables(golden)
    shared = case.startswith("shared")
    net = LanguageModality(20, 16, shared=shared)
    net.build()
    ids = golden["in/x"][:, :, 0, 0]
    b = tf.constant(golden["in/b"][:, :, 0])
    with tf.GradientTape() as tape:
        tape.watch(b)
        pairs = Pairs()
        tables = [net.inputs_table, net.targets_table, net.softmax_table]
        scopes = ["shared"] if shared else ["input_emb", "target_emb", "softmax"]
        for table, scope in zip(tables, scopes, strict=False):
            # T2T stores a table in pieces, one after the other.
            pieces = [value for name, value in v.items() if name.startswith(scope)]
            pairs.add(table, tf.concat(pieces, axis=0))
        with pairs.in_place():
            ours = {
                "bottom": net.embed_inputs(ids),
                "targets_bottom": net.embed_targets(ids),
                "top": net.logits(b),
            }
        loss = 0.0
        for name, y in ours.items():
            want = golden[f"out/{name}"].reshape(y.shape)
            np.testing.assert_allclose(y, want, rtol=0, atol=1e-5, err_msg=name)
            loss += tf.reduce_sum(y * golden[f"ct/{name}"].reshape(y.shape))
    sources = {f"grad_var/{name}": value for name, value in v.items()}
    assert check_gradients(tape, loss, sources | {"grad_in/b": b}, golden, 1e-5) > 1


@pytest.mark.parametrize("case", ["bottom_32_h16", "bottom_37x51_h16"])
def test_images(case):
    golden = read("modality_ImageModality", VERSION, case)
    v = variables(golden)
    net = t2t_nets.image_net(16)

    def pairs():
        return t2t_nets.image_pairs(net, v, "image_modality")

    check(net, {"x": golden["in/x"]}, golden, v, pairs)


@pytest.mark.parametrize("case, stride", [("bottom_32_h16", 1), ("bottom_stride2", 2)])
def test_small_images(case, stride):
    # We have no net of one convolution, but the layers that it is made of.
    golden = read("modality_SmallImageModality", VERSION, case)
    v = variables(golden)
    step = ConvStep2D(16, (3, 3), (stride, stride), activation=False, separable=False)
    step.build((None, None, None, 3))

    def pairs():
        pairs = Pairs()
        pairs.add_step(step, v, "small_image_modality/small_image_conv")
        return pairs

    check(lambda x: step(standardize(x)), {"x": golden["in/x"]}, golden, v, pairs)


AUDIO = [  # class, case, blocks before the last, stride along columns
    ("AudioModality", "bottom_64x2_c3_h16", 3, 2),
    ("AudioModality", "bottom_61x4_c2_h16", 2, 2),
    ("AudioSpectralModality", "bottom_64x6_c3_h16", 3, 1),
    ("AudioSpectralModality", "bottom_61x5_c2_h16", 2, 1),
]


@pytest.mark.parametrize("name, case, compression, bin_stride", AUDIO)
def test_audio(name, case, compression, bin_stride):
    golden = read(f"modality_{name}", VERSION, case)
    v = variables(golden)
    net = t2t_nets.audio_net(16, compression, bin_stride)
    if name == "AudioModality":
        scope, x = "audio_modality", golden["in/x"] / np.float32(255)
    else:  # T2T stored floats as the integers of the same bits
        scope, x = "audio_spectral_modality", golden["in/x"].view("float32")

    def run(x):
        if x.shape[1] % 2 ** len(net.blocks) == 0:
            return net(x, np.full((2,), x.shape[1], "int32"))[0]
        # Ours fills up with silence first, lest a row depend on its batch; T2T does
        # not: the blocks alone are the same.
        y = ops.stack([x, -x, ops.ones_like(x)], axis=-1)
        for block in net.blocks:
            y = block(y)
        return y

    def pairs():
        return t2t_nets.audio_pairs(net, v, scope)

    # Layer norm of two channels is all but a sign; its slope magnifies rounding.
    inputs = {"x": x[..., 0].astype("float32")}
    check(run, inputs, golden, v, pairs, gradient_tolerance=5e-4)


@pytest.mark.parametrize("case", ["top2d_l16", "top2d_l100"])
def test_class_labels(case):
    golden = read("modality_ClassLabelModality", VERSION, case)
    scope = "class_label_modality_10_16"
    v = variables(golden)
    net = t2t_nets.categorical_net(16)
    side = int(case[len("top2d_l") :]) ** 0.5

    def run(x):
        summary = net(tf.reshape(x, (2, int(side), int(side), 16)))
        matrix = v[f"{scope}/conv_single/kernel"][0, 0]  # our problem's Dense
        return summary @ matrix + v[f"{scope}/conv_single/bias"]

    def pairs():
        return t2t_nets.categorical_pairs(net, v, f"{scope}/conv_block_downsample")

    check(run, {"x": golden["in/x"]}, golden, v, pairs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["k3_s2_SAME", "k3_s2_SAME_odd"])
def test_the_exit_flow_before_its_mean(version, case):
    golden = read("conv_block_downsample", version, case)
    v = variables(golden)
    net = t2t_nets.categorical_net(16)

    def run(x):
        h = max_pool(net.step_2(net.step_1(x)), (2, 2), None) + net.skip(x)
        return net.step_4(net.step_3(h))

    def pairs():
        return t2t_nets.categorical_pairs(net, v, "conv_block_downsample")

    check(run, {"x": golden["in/x"]}, golden, v, pairs)


def test_max_pool():
    golden = read("pool", VERSION, "MAX_SAME_k3_s2")
    check(lambda x: max_pool(x, (2, 2), None), {"x": golden["in/x"]}, golden, {}, Pairs)


@pytest.mark.parametrize("case", ["standardize_images", "standardize_images_flat"])
def test_standardized_pictures(case):
    golden = read("misc_layers", VERSION, case)
    got = standardize(golden["in/x"])
    np.testing.assert_allclose(got, golden["out/y"], rtol=0, atol=1e-5)


def test_embeddings_are_multiplied_by_the_root_of_the_depth():
    golden = read("misc_layers", VERSION, "embedding_mult")
    net = LanguageModality(20, 16, shared=True)
    net.build()
    net.set_weights([golden["var/e/kernel"]])
    ids = golden["in/x"][:, :, 0, 0]
    got = net.embed_inputs(ids).numpy()
    want = golden["out/y"][:, :, 0] * (ids != 0)[..., None]  # ours: padding is zeros
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
