import pathlib

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.training import losses

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
CASES = [
    (version, case)
    for version in ("v1.0.3", "v1.4.4")
    for case in (
        "class_b4",
        "ls0.0_nonzero",
        "ls0.1_all",
        "ls0.1_nonzero",
        "ls0.1_shorter_labels",
        "ls0.3_nonzero",
    )
] + [("v1.4.4", "ls0.1_shorter_logits")]


def _case(version, case):
    with np.load(GOLDEN / f"padded_cross_entropy__{version}.npz") as file:
        start = f"{case}/"
        return {
            key.removeprefix(start): file[key]
            for key in file.files
            if key.startswith(start)
        }


@pytest.mark.parametrize(("version", "case"), CASES)
def test_equals_t2t(version, case):
    golden = _case(version, case)
    logits = tf.constant(golden["in/logits"][:, :, 0, 0])
    labels = tf.constant(golden["in/labels"][:, :, 0, 0])
    smoothing = 0.1 if case == "class_b4" else float(case[2:5])
    weights = tf.ones(labels.shape) if case == "ls0.1_all" else None
    if case == "class_b4":
        logits, labels = logits[:, 0], labels[:, 0]

    total, count = losses.padded_cross_entropy(logits, labels, smoothing, weights)

    np.testing.assert_allclose(total, golden["out/num"], rtol=1e-5)
    np.testing.assert_allclose(count, golden["out/den"])


@pytest.mark.parametrize("case", ["ls0.0_nonzero", "ls0.1_nonzero", "ls0.3_nonzero"])
def test_gradient_equals_t2t(case):
    golden = _case("v1.4.4", case)
    logits = tf.constant(golden["in/logits"][:, :, 0, 0])
    labels = golden["in/labels"][:, :, 0, 0]
    # The golden gradient is that of xent and num together, weighted by cotangents.
    xent_factor = golden["ct/xent"][:, :, 0, 0]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        each = losses.smoothed_cross_entropy(logits, labels, float(case[2:5]))
        weighted = each * losses.label_weights(labels)
        out = tf.reduce_sum(weighted * (golden["ct/num"] + xent_factor))
    got = tape.gradient(out, logits)
    want = golden["grad_in/logits"][:, :, 0, 0]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", ["v1.0.3", "v1.4.4"])
def test_smoothing_constants_equal_t2t(version):
    with np.load(GOLDEN / f"smoothing_constants__{version}.npz") as file:
        cases = {key.split("/")[0] for key in file.files if key != "__meta__"}
        for case in cases:
            vocab_size, smoothing = case.removeprefix("v").split("_ls")
            got = losses.smoothing_constants(int(vocab_size), float(smoothing))
            want = [
                file[f"{case}/{k}"]
                for k in ("confidence", "low_confidence", "normalizing")
            ]
            np.testing.assert_allclose(got, want, rtol=1e-5)


def _misc(case):
    with np.load(GOLDEN / "misc_layers__v1.0.3.npz") as file:
        return {
            key.removeprefix(f"{case}/"): file[key]
            for key in file.files
            if key.startswith(f"{case}/")
        }


def test_weights_of_labels_equal_t2t():
    golden = _misc("weights_nonzero")
    labels = golden["in/x"][:, :, 0, 0]
    weights = golden["out/y"][:, :, 0, 0]
    np.testing.assert_array_equal(losses.label_weights(tf.constant(labels)), weights)
    golden = _misc("weights_all")  # T2T's for classes, which are one a row
    for column in golden["in/x"][:, :, 0, 0].T:
        weights = losses.label_weights(tf.constant(column))
        np.testing.assert_array_equal(weights, golden["out/y"][:, 0, 0, 0])


def test_padding_to_the_same_length_equals_t2t():
    golden = _misc("pad_to_same_length")
    short, long = (tf.constant(golden[f"in/{k}"][:, :, 0]) for k in "xy")
    padded, labels = losses.pad_to_same_length(short, long[..., 0])
    np.testing.assert_array_equal(padded, golden["out/x"][:, :, 0])
    np.testing.assert_array_equal(labels, long[..., 0])
    logits, labels = losses.pad_to_same_length(long, short[..., 0])
    np.testing.assert_array_equal(logits, golden["out/y"][:, :, 0])
    np.testing.assert_array_equal(labels, golden["out/x"][:, :, 0, 0])


def test_huge_logits_stay_finite():
    logits = tf.constant([[[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4 + 1]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, _ = losses.padded_cross_entropy(logits, tf.constant([[1, 2]]))
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, logits)).all()


def test_a_shift_of_all_logits_changes_nothing():
    logits = tf.random.stateless_normal((2, 5, 30), seed=(0, 1))
    labels = tf.constant([[3, 4, 29, 1, 0], [7, 1, 0, 0, 0]])
    plain, _ = losses.padded_cross_entropy(logits, labels)
    shifted, _ = losses.padded_cross_entropy(logits + 1000.0, labels)
    np.testing.assert_allclose(plain, shifted, rtol=1e-4)


def test_class_zero_counts_and_padding_does_not():
    _, classes = losses.padded_cross_entropy(tf.zeros((3, 4)), tf.constant([0, 1, 2]))
    _, tokens = losses.padded_cross_entropy(
        tf.zeros((1, 3, 4)), tf.constant([[0, 1, 2]])
    )
    assert (float(classes), float(tokens)) == (3.0, 2.0)


def test_half_precision_logits_are_summed_in_single():
    logits = tf.random.stateless_normal((2, 5, 300), seed=(0, 1))
    labels = tf.constant([[3, 4, 29, 1, 0], [7, 1, 0, 0, 0]])
    half = tf.cast(logits, tf.bfloat16)
    got, _ = losses.padded_cross_entropy(half, labels)
    want, _ = losses.padded_cross_entropy(tf.cast(half, tf.float32), labels)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_works_in_a_graph_with_unknown_lengths():
    spec = [tf.TensorSpec((None, None, 7)), tf.TensorSpec((None, None), tf.int32)]
    in_graph = tf.function(losses.padded_cross_entropy, input_signature=spec)
    logits = tf.random.stateless_normal((2, 3, 7), seed=(0, 1))
    labels = tf.constant([[1, 2, 0], [6, 0, 0]])
    np.testing.assert_allclose(
        in_graph(logits, labels), losses.padded_cross_entropy(logits, labels), rtol=1e-6
    )


def test_an_empty_batch_is_harmless():
    total, count = losses.padded_cross_entropy(
        tf.zeros((0, 5, 7)), tf.zeros((0, 5), tf.int32)
    )
    assert (float(total), float(count)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("vocab_size", "smoothing", "message"),
    [(10, 1.0, r"must be in \[0, 1\)"), (1, 0.1, "needs 2 symbols")],
)
def test_impossible_smoothing_is_refused(vocab_size, smoothing, message):
    with pytest.raises(UserError, match=message):
        losses.smoothing_constants(vocab_size, smoothing)
