"""What is reached without looking at the input: the yardstick of every figure.

A model that has learned something beats the distribution of single symbols in the
training targets, the commonest class, or the one answer that fits best everywhere.
"""

import collections
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.decode_metrics import Score


class UnigramBaseline:
    """Predicts every symbol, or class, by its frequency in the training targets.

    Args:
        vocab_size: Symbols or classes.
        class_labels: Whether targets are classes, of which 0 counts too.
    """

    def __init__(self, vocab_size: int, *, class_labels: bool = False) -> None:
        self.class_labels = class_labels
        # Each begins at 1, so that none that training lacks is impossible. Padding
        # is no symbol that a text's baseline could predict.
        self._counts = np.ones(vocab_size, np.int64)
        if not class_labels:
            self._counts[0] = 0

    def add(self, targets: Iterable[int]) -> None:
        """Counts the training targets of an example or a batch of any shape."""
        ids = self._ids(targets)
        self._counts += np.bincount(ids, minlength=len(self._counts))

    def metrics(self, targets: Iterable[Sequence[int] | int]) -> dict[str, float]:
        """Returns T2T's four metrics on other targets.

        Args:
            targets: The ids of each example, with the end, padding or none; for
                classes one id an example.

        Raises:
            UserError: If there are no targets.
        """
        with np.errstate(divide="ignore"):
            logs = np.log(self._counts / self._counts.sum())
        best = np.argsort(-self._counts, kind="stable")[:5]
        log_sum, num_ids, num_best, num_top5, whole, num_examples = 0.0, 0, 0, 0, 0, 0
        for example in targets:
            ids = self._ids(example)
            right = ids == best[0]
            log_sum += logs[ids].sum()
            num_ids += ids.size
            num_best += right.sum()
            num_top5 += np.isin(ids, best).sum()
            whole += right.all()
            num_examples += 1
        if not num_ids:
            raise UserError("no targets to evaluate the baseline on")
        return {
            "neg_log_perplexity": float(log_sum / num_ids),
            "accuracy": float(num_best / num_ids),
            "accuracy_top5": float(num_top5 / num_ids),
            "accuracy_per_sequence": float(whole / num_examples),
        }

    def ranking(self) -> list[int]:
        """Returns all symbols or classes, the commonest first."""
        return np.argsort(-self._counts, kind="stable").tolist()

    def _ids(self, targets: Iterable[int] | int) -> np.ndarray:
        ids = np.asarray(targets, np.int64).reshape(-1)
        return ids if self.class_labels else ids[ids != 0]


def best_constant_answer(
    training_texts: Iterable[str],
    metric: Callable[[Sequence[str], Sequence[str]], Score],
    *,
    num_candidates: int = 20,
    num_texts: int = 500,
) -> str:
    """Returns the training target that does best as the answer to everything.

    The commonest targets are tried on a sample of the training targets. Where hardly
    any occurs twice, they are a sample themselves.

    Args:
        training_texts: The targets of the training split.
        metric: A metric of `decode_metrics` on texts.
        num_candidates: Targets that are tried.
        num_texts: Targets that they are tried on, evenly spread.

    Raises:
        UserError: If there are no texts.
    """
    texts = list(training_texts)
    if not texts:
        raise UserError("no training targets to take a constant answer from")
    counted = collections.Counter(texts)
    sample = texts[:: max(1, len(texts) // num_texts)][:num_texts]
    candidates = [text for text, _ in counted.most_common(num_candidates)]
    scores = [metric([text] * len(sample), sample) for text in candidates]
    goodness = [s.value if s.higher_is_better else -s.value for s in scores]
    return candidates[int(np.argmax(goodness))]


def constant_score(
    answer: Hashable,
    references: Sequence,
    metric: Callable[[Sequence, Sequence], Score],
) -> Score:
    """Returns what a metric gives for one answer to everything.

    Args:
        answer: A text, or for `top1` and `top5` the classes, the commonest first
            (`UnigramBaseline.ranking`).
        references: The references of the split.
        metric: A metric of `decode_metrics`.
    """
    return metric([answer] * len(references), references)
