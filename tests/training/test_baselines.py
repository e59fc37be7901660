import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.training import decode_metrics, metrics
from t2t_multimodel.training.baselines import (
    UnigramBaseline,
    best_constant_answer,
    constant_score,
)


def test_unigram_is_the_model_whose_logits_are_the_training_frequencies():
    training = [[3, 4, 3, 1], [3, 5, 1, 0]]
    baseline = UnigramBaseline(vocab_size=8)
    for targets in training:
        baseline.add(targets)
    dev = np.array([[3, 4, 1, 0], [3, 3, 3, 7], [3, 0, 0, 0]])

    counts = np.array([0, 3, 1, 4, 2, 2, 1, 1])  # each once more than it occurs
    logits = np.log(np.maximum(counts, 1e-9) / counts.sum())
    batch = tf.constant(np.broadcast_to(logits, (3, 4, 8)), tf.float32)
    want = metrics.compute(batch, tf.constant(dev))

    for name, got in baseline.metrics(dev).items():
        total, weight = want[name]
        assert got == pytest.approx(float(total / weight), rel=1e-5), name


def test_majority_class_counts_class_zero():
    baseline = UnigramBaseline(vocab_size=3, class_labels=True)
    baseline.add([0, 0, 0, 2])
    got = baseline.metrics([0, 0, 1, 2])
    assert got["accuracy"] == got["accuracy_per_sequence"] == 0.5
    assert got["accuracy_top5"] == 1.0
    want = (2 * np.log(4 / 7) + np.log(1 / 7) + np.log(2 / 7)) / 4
    assert got["neg_log_perplexity"] == pytest.approx(want)
    assert baseline.ranking() == [0, 2, 1]
    score = constant_score(baseline.ranking(), [0, 1], decode_metrics.top1)
    assert score.value == 0.5


def test_batches_of_any_shape_are_counted():
    one, other = UnigramBaseline(5), UnigramBaseline(5)
    one.add(np.array([[1, 2, 0], [3, 0, 0]]))
    for ids in ([1, 2], [3]):
        other.add(ids)
    assert one.metrics([[1, 2]]) == other.metrics([[1, 2]])


def test_the_constant_answer_is_the_best_and_not_just_the_commonest():
    texts = ["x"] * 2 + ["a red cube", "a red ball", "a red ring", "a red cone"]
    assert best_constant_answer(texts, decode_metrics.correct_trees) == "x"
    answer = best_constant_answer(texts, decode_metrics.wer)
    assert answer.startswith("a red")
    score = constant_score(answer, ["a red egg", "a blue egg"], decode_metrics.wer)
    assert score.value == pytest.approx(3 / 6)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(UserError, match="no training targets"):
        best_constant_answer([], decode_metrics.bleu)
    with pytest.raises(UserError, match="no targets to evaluate"):
        UnigramBaseline(3).metrics([])
