import pathlib

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.training import metrics

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
T2T_NAMES = {
    "padded_neg_log_perplexity": "neg_log_perplexity",
    "padded_accuracy": "accuracy",
    "padded_accuracy_top5": "accuracy_top5",
    "padded_sequence_accuracy": "accuracy_per_sequence",
}


def _golden(version, case):
    with np.load(GOLDEN / f"metrics__{version}.npz") as file:
        start = f"{case}/"
        return {k.removeprefix(start): file[k] for k in file.files if start in k}


def _inputs(golden):
    return (
        tf.constant(golden["in/logits"][:, :, 0, 0]),
        tf.constant(golden["in/labels"][:, :, 0, 0]),
    )


@pytest.mark.parametrize("version", ["v1.0.3", "v1.4.4"])
@pytest.mark.parametrize("weighting", ["weights_nonzero", "weights_all"])
@pytest.mark.parametrize("t2t_name", T2T_NAMES)
def test_equals_t2t(version, weighting, t2t_name):
    golden = _golden(version, f"{t2t_name}/{weighting}")
    logits, labels = _inputs(golden)
    weights = tf.ones(labels.shape) if weighting == "weights_all" else None
    name = T2T_NAMES[t2t_name]
    total, weight = metrics.compute(logits, labels, [name], weights)[name]
    np.testing.assert_allclose(total / weight, golden["out/mean"], rtol=1e-5)


def test_shorter_logits_are_filled_up_as_in_t2t():
    golden = _golden("v1.4.4", "padded_accuracy/shorter_logits")
    total, weight = metrics.compute(*_inputs(golden), ["accuracy"])["accuracy"]
    want = (golden["out/scores"] * golden["out/weights"]).sum()
    np.testing.assert_allclose((total, weight), (want, golden["out/weights"].sum()))


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("approx_bleu", "approx_bleu_score"),
        ("rouge_2_fscore", "rouge_2_fscore"),
        ("rouge_l_fscore", "rouge_L_fscore"),
    ],
)
def test_metrics_of_ids_equal_t2t(case, name):
    golden = _golden("v1.4.4", case)
    logits, labels = _inputs(golden)
    got = metrics.ON_HOST[name](np.argmax(logits, -1), labels.numpy())
    want = golden["out/score"], golden["out/weight"]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_edit_distance_leaves_zeros_out():
    predictions = np.array([[3, 0, 4, 5, 0], [7, 1, 9, 9, 9]])
    labels = np.array([[3, 4, 0, 0, 0], [7, 8, 1, 0, 0]])
    # 3 4 5 -> 3 4: one edit. 7 1 9 9 9 -> 7 8 1: four edits.
    assert metrics.ON_HOST["edit_distance"](predictions, labels) == (5.0, 5.0)


def test_sums_over_batches_are_the_sums_of_one_batch():
    logits = tf.random.stateless_normal((6, 4, 9), seed=(0, 1))
    labels = tf.random.stateless_uniform((6, 4), seed=(2, 3), maxval=9, dtype=tf.int32)
    whole = metrics.compute(logits, labels)
    parts = [metrics.compute(logits[a:b], labels[a:b]) for a, b in ((0, 2), (2, 6))]
    for name, want in whole.items():
        got = np.sum([part[name] for part in parts], axis=0)
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_class_labels():
    logits = tf.constant([[3.0, 1, 2, 0, -1, -2], [0, 1, 2, 3, 4, 5]])
    got = metrics.compute(logits, tf.constant([0, 0]))
    assert {name: float(s / w) for name, (s, w) in got.items()} == {
        "neg_log_perplexity": pytest.approx(
            float(tf.reduce_mean(tf.nn.log_softmax(logits)[:, 0]))
        ),
        "accuracy": 0.5,
        "accuracy_top5": 0.5,
        "accuracy_per_sequence": 0.5,
    }


def test_fewer_than_five_symbols():
    got = metrics.compute(tf.zeros((2, 3)), tf.constant([0, 2]), ["accuracy_top5"])
    assert float(got["accuracy_top5"][0]) == 2.0


def test_in_a_graph_with_unknown_lengths():
    spec = [tf.TensorSpec((None, None, 9)), tf.TensorSpec((None, None), tf.int32)]
    in_graph = tf.function(metrics.compute, input_signature=spec)
    logits = tf.random.stateless_normal((2, 4, 9), seed=(0, 1))
    labels = tf.constant([[1, 2, 3, 0], [4, 0, 0, 0]])
    got, want = in_graph(logits, labels), metrics.compute(logits, labels)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-6)


def test_an_unknown_metric_is_named():
    with pytest.raises(UserError, match="no metric named 'acuracy'; did you mean"):
        metrics.compute(tf.zeros((1, 2)), tf.constant([0]), ["acuracy"])
