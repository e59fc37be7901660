"""Scores what a split decodes to, each score next to that of one constant answer."""

import dataclasses
import functools
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from t2t_multimodel.data.shard_index import load_index
from t2t_multimodel.data.shards import find_shards
from t2t_multimodel.data.targets import sample_targets
from t2t_multimodel.decoding.decoder import Decoder
from t2t_multimodel.decoding.shown_trees import is_parser
from t2t_multimodel.decoding.split import DecodedSplit, decode_split
from t2t_multimodel.decoding.traced import until_eos
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.training.baselines import (
    UnigramBaseline,
    best_constant_answer,
    constant_score,
)
from t2t_multimodel.training.decode_metrics import (
    DECODE_METRICS,
    TREE_METRICS,
    Score,
)

SINGLE_REFERENCE = "_1ref"
"""Ends the name of a metric that sees one caption of a picture at a time."""

_BASELINE_TARGETS = 5000

# Laying one answer over a sentence takes a while, and brackets are many to a tree.
_TREES_TRIED = 100
# What captions are compared by elsewhere is always of all references.
_OF_ALL_REFERENCES = ("caption_bleu4", "cider_d")


@dataclasses.dataclass(frozen=True)
class MetricResult:
    """One metric of a decoded split.

    Attributes:
        name: As in `Problem.decode_metrics`.
        score: Of the model.
        baseline: Of the constant answer that does best on training targets; `None`
            if the training shards are not there.
    """

    name: str
    score: Score
    baseline: Score | None

    def line(self) -> str:
        """Returns the metric as the programs print it."""
        baseline = "unknown" if self.baseline is None else self._number(self.baseline)
        number = self._number(self.score)
        return (
            f"{self.name:16} {number:>8}   one constant answer {baseline:>8}   "
            f"{self.score.signature}"
        )

    def _number(self, score: Score) -> str:
        if "cider" in self.name:
            return f"{score.value:.3f}"
        return f"{score.value:.2f}" if "bleu" in self.name else f"{score.value:.2%}"


@dataclasses.dataclass(frozen=True)
class ScoredSplit:
    """A decoded split and its scores.

    Attributes:
        decoded: Inputs, targets and outputs.
        metrics: The scores.
        seconds: What decoding took, reading included.
    """

    decoded: DecodedSplit
    metrics: tuple[MetricResult, ...]
    seconds: float

    def values(self) -> dict[str, float]:
        """Returns metric to value; baselines under `<metric>_baseline`."""
        values = {}
        for metric in self.metrics:
            values[metric.name] = metric.score.value
            if metric.baseline is not None:
                values[f"{metric.name}_baseline"] = metric.baseline.value
        return values

    def report(self, num_shown: int = 0) -> list[str]:
        """Returns lines to print.

        Args:
            num_shown: Examples to show with their target and output.
        """
        decoded = self.decoded
        symbols = sum(result.num_symbols for result in decoded.results)
        speed = f", {symbols / self.seconds:.0f} symbols a second" if symbols else ""
        lines = [
            f"{decoded.problem.name}, {decoded.split}: {len(decoded.results)} examples "
            f"in {self.seconds:.1f} s{speed}"
        ]
        lines += [f"  {metric.line()}" for metric in self.metrics]
        shown = zip(
            decoded.inputs, decoded.shown_targets, decoded.shown_outputs, strict=True
        )
        for text, target, output in itertools.islice(shown, num_shown):
            lines += [
                f"    input   {text}",
                f"    target  {target}",
                f"    output  {output}",
            ]
        return lines


class Scorer:
    """Decodes and scores splits; works on a model in training as on a loaded one.

    Args:
        decoder: Decodes.
        data_dir: Folder of the shards.
    """

    def __init__(self, decoder: Decoder, data_dir: str | os.PathLike) -> None:
        self.decoder = decoder
        self.data_dir = pathlib.Path(data_dir)
        self._training_targets: dict[str, list[Any]] = {}
        self._answers: dict[tuple[str, str], Hashable] = {}

    def count(self, problem_name: str, split: str) -> int:
        """Returns the number of examples of a split.

        Raises:
            UserError: If data is missing or broken.
        """
        problem = self.decoder.problem(problem_name)
        return len(load_index(problem, self.data_dir, split))

    def score(
        self,
        problem_name: str,
        split: str,
        *,
        max_examples: int = 0,
        progress: Callable[[int], None] = lambda count: None,
    ) -> ScoredSplit:
        """Returns the scores of a split.

        Args:
            problem_name: Which problem.
            split: `"train"`, `"dev"` or `"test"`.
            max_examples: Stop after so many; 0 means the whole split.
            progress: Told the number of examples after each batch of them.

        Raises:
            UserError: If data is missing or broken, or a metric is unknown.
        """
        problem = self.decoder.problem(problem_name)
        for name in problem.decode_metrics:
            if name not in DECODE_METRICS:
                raise UserError(unknown("decode metric", name, DECODE_METRICS))
        began = time.monotonic()
        decoded = decode_split(
            self.decoder,
            problem_name,
            self.data_dir,
            split,
            max_examples=max_examples,
            progress=progress,
        )
        seconds = time.monotonic() - began
        results = [
            self._measure(decoded, metric, suffix, outputs, references)
            for metric in problem.decode_metrics
            for suffix, outputs, references in _outputs_and_references(decoded)
            if metric not in _OF_ALL_REFERENCES or suffix != SINGLE_REFERENCE
        ]
        return ScoredSplit(decoded, tuple(results), seconds)

    def _measure(
        self,
        decoded: DecodedSplit,
        metric: str,
        suffix: str,
        outputs: Sequence,
        references: Sequence,
    ) -> MetricResult:
        problem, function = decoded.problem, DECODE_METRICS[metric]
        if metric in TREE_METRICS and is_parser(problem):
            function = functools.partial(function, sentences=decoded.inputs)
        baseline = None
        if find_shards(self.data_dir, problem.data_name, "train"):
            answer = self._constant_answer(problem, metric)
            baseline = constant_score(answer, references, function)
        return MetricResult(metric + suffix, function(outputs, references), baseline)

    def _constant_answer(self, problem: Problem, metric: str) -> Hashable:
        if problem.name not in self._training_targets:
            self._training_targets[problem.name] = self._read_targets(problem)
        targets = self._training_targets[problem.name]
        key = (problem.name, metric)
        if key not in self._answers:
            if problem.targets.kind == "class_label":
                unigram = UnigramBaseline(len(problem.targets.names), class_labels=True)
                unigram.add(targets)
                self._answers[key] = tuple(unigram.ranking())
            else:
                few = {"num_texts": _TREES_TRIED} if metric in TREE_METRICS else {}
                self._answers[key] = best_constant_answer(
                    targets, DECODE_METRICS[metric], **few
                )
        return self._answers[key]

    def _read_targets(self, problem: Problem) -> list[Any]:
        """Returns some training targets: texts, or indices of classes."""
        ids = sample_targets(problem, self.data_dir, "train", most=_BASELINE_TARGETS)
        if problem.targets.kind == "class_label":
            return [int(target[0]) for target in ids]
        encoder = self.decoder.encoders[problem.targets.vocabulary.name]
        return [encoder.decode(until_eos(target)) for target in ids]


def _outputs_and_references(
    decoded: DecodedSplit,
) -> list[tuple[str, Sequence, Sequence]]:
    """Returns what to score, and what to add to the metric's name.

    Captions of the same picture are references of one output; each of them alone is
    scored besides, as the results of many papers are.
    """
    if decoded.labels:
        classes = [[scored.index for scored in r.classes] for r in decoded.results]
        return [("", classes, decoded.labels)]
    texts = [result.text for result in decoded.results]
    alone = (texts, decoded.targets)
    grouped: dict[int, list[str]] = {}
    for group, target in zip(decoded.groups, decoded.targets, strict=True):
        grouped.setdefault(group, []).append(target)
    if len(grouped) == len(texts):
        return [("", *alone)]
    text_of_group = dict(zip(decoded.groups, texts, strict=True))
    several = ([text_of_group[group] for group in grouped], list(grouped.values()))
    return [("", *several), (SINGLE_REFERENCE, *alone)]
