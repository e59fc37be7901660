"""Teacher-forced metrics, as T2T computes them.

Each gives a sum and a weight, both to be added over batches and replicas; the metric
is their quotient. What counts is `losses.label_weights`: symbols but padding, with
the end of the sentence; or every class label, class 0 too. T2T's `approx_bleu_score`,
`rouge_*` and `edit_distance` work on ids on the host and look at the most likely
symbol given the *true* symbols before it: they say little about decoded text, for
which there is `decode_metrics`.

The paper's log-perplexity is minus `neg_log_perplexity`, its full-tree accuracy
`accuracy_per_sequence`, its top-5 accuracy `accuracy_top5`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from keras import ops

from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.training.edit_distance import edit_distance
from t2t_multimodel.training.losses import (
    label_weights,
    pad_to_same_length,
    smoothed_cross_entropy,
)
from t2t_multimodel.training.t2t_bleu import corpus_bleu, ngrams

SumAndWeight = tuple[Any, Any]


def neg_log_perplexity(logits: Any, labels: Any, weights: Any) -> SumAndWeight:
    """Log-probability of the labels in nats, without smoothing; 0 is perfect."""
    losses = smoothed_cross_entropy(logits, labels)
    return -ops.sum(losses * weights), ops.sum(weights)


def accuracy(logits: Any, labels: Any, weights: Any) -> SumAndWeight:
    """Share of labels that are the most likely symbol."""
    return ops.sum(_is_best(logits, labels) * weights), ops.sum(weights)


def accuracy_top5(logits: Any, labels: Any, weights: Any) -> SumAndWeight:
    """Share of labels among the five most likely symbols, or all if there are less."""
    _, best = ops.top_k(logits, k=min(5, logits.shape[-1]))
    found = ops.any(ops.equal(best, ops.cast(labels, "int32")[..., None]), axis=-1)
    return ops.sum(ops.cast(found, "float32") * weights), ops.sum(weights)


def accuracy_per_sequence(logits: Any, labels: Any, weights: Any) -> SumAndWeight:
    """Share of examples in which no label that counts is missed."""
    wrong = (1.0 - _is_best(logits, labels)) * weights
    if len(labels.shape) > 1:
        wrong = ops.sum(wrong, axis=tuple(range(1, len(labels.shape))))
    right = ops.cast(ops.equal(wrong, 0.0), "float32")
    return ops.sum(right), ops.sum(ops.ones_like(right))


IN_GRAPH: dict[str, Callable[[Any, Any, Any], SumAndWeight]] = {
    "neg_log_perplexity": neg_log_perplexity,
    "accuracy": accuracy,
    "accuracy_top5": accuracy_top5,
    "accuracy_per_sequence": accuracy_per_sequence,
}
"""Metric names to functions of logits, labels and weights."""


def compute(
    logits: Any,
    labels: Any,
    names: Iterable[str] = tuple(IN_GRAPH),
    weights: Any = None,
) -> dict[str, SumAndWeight]:
    """Returns the metrics of a batch that need the logits.

    Args:
        logits: `(B, T, V)`, or `(B, V)` for class labels.
        labels: `(B, T)` int, or `(B,)`.
        names: Of `IN_GRAPH`.
        weights: Shape of `labels`; `None` means `label_weights(labels)`.

    Returns:
        Name to sum and weight, float32 scalars.

    Raises:
        UserError: If there is no metric of a name.
    """
    names = tuple(names)
    for name in names:
        if name not in IN_GRAPH:
            raise UserError(unknown("metric", name, IN_GRAPH))
    logits, labels = pad_to_same_length(logits, labels)
    weights = label_weights(labels) if weights is None else weights
    return {name: IN_GRAPH[name](logits, labels, weights) for name in names}


def approx_bleu_score(predictions: np.ndarray, labels: np.ndarray) -> SumAndWeight:
    """BLEU of a batch of ids, padding and all that follows the end included.

    Args:
        predictions: `(B, T)` int, the most likely symbols.
        labels: `(B, T)` int.

    Returns:
        The batch's BLEU within [0, 1], and 1: T2T averages over batches.
    """
    return corpus_bleu(labels.tolist(), predictions.tolist()), 1.0


def rouge_2_fscore(predictions: np.ndarray, labels: np.ndarray) -> SumAndWeight:
    """F1 of the sets of pairs of neighbours, averaged over the batch; weight 1."""
    scores = []
    for prediction, label in zip(predictions.tolist(), labels.tolist(), strict=True):
        got, wanted = set(ngrams(prediction, 2)), set(ngrams(label, 2))
        both = len(got & wanted)
        precision = both / len(got) if got else 0.0
        recall = both / len(wanted) if wanted else 0.0
        scores.append(2 * precision * recall / (precision + recall + 1e-8))
    return float(np.mean(scores)), 1.0


def rouge_l_fscore(predictions: np.ndarray, labels: np.ndarray) -> SumAndWeight:
    """F-measure of the longest common subsequence, averaged over the batch; weight 1.

    T2T's beta is precision over recall.
    """
    scores = []
    for prediction, label in zip(predictions, labels, strict=True):
        common = _longest_common_subsequence(prediction, label)
        recall, precision = common / len(label), common / len(prediction)
        square = (precision / (recall + 1e-12)) ** 2
        above = (1 + square) * recall * precision
        scores.append(above / (recall + square * precision + 1e-12))
    return float(np.mean(scores)), 1.0


def id_edit_distance(predictions: np.ndarray, labels: np.ndarray) -> SumAndWeight:
    """Edits to the labels, and the number of labels; zeros are left out of both."""
    pairs = zip(predictions, labels, strict=True)
    edits = sum(edit_distance(p[p != 0].tolist(), t[t != 0].tolist()) for p, t in pairs)
    return float(edits), float(np.count_nonzero(labels))


ON_HOST: dict[str, Callable[[np.ndarray, np.ndarray], SumAndWeight]] = {
    "approx_bleu_score": approx_bleu_score,
    "rouge_2_fscore": rouge_2_fscore,
    "rouge_L_fscore": rouge_l_fscore,
    "edit_distance": id_edit_distance,
}
"""T2T's names to functions of predicted and true ids, `(B, T)` each."""


def _is_best(logits: Any, labels: Any) -> Any:
    best = ops.argmax(logits, axis=-1)
    return ops.cast(ops.equal(best, ops.cast(labels, best.dtype)), "float32")


def _longest_common_subsequence(left: np.ndarray, right: np.ndarray) -> int:
    row = np.zeros(len(right) + 1, np.int64)
    for item in left:
        with_item = row.copy()
        with_item[1:] = np.maximum(with_item[1:], row[:-1] + (right == item))
        row = np.maximum.accumulate(with_item)
    return int(row[-1])
