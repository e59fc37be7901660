"""Evaluation with the targets known: sums over a split of every problem."""

import collections
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.data.targets import sample_targets
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.training import metrics
from t2t_multimodel.training.baselines import UnigramBaseline
from t2t_multimodel.training.run_config import RunConfig

Scores = dict[tuple[str, str], float]
"""(problem name, metric) to value."""

BASELINE = "_baseline"
"""Ends the name of what is reached without looking at the input."""

PARALLEL_FACTOR = 2
"""Evaluation needs no memory for gradients: its batches are this much larger."""

_BASELINE_EXAMPLES = 20_000


class Evaluator:
    """Computes the teacher-forced metrics of the problems of a run.

    Beside each stands, under `<metric>_baseline`, what `UnigramBaseline` reaches on
    the same examples with the symbols or classes counted in the training data.

    Args:
        model: The model; its weights may change between calls.
        config: Problems, split, data and batch size.
    """

    def __init__(self, model: MultiModel, config: RunConfig) -> None:
        self.model = model
        self.config = config
        self._functions: dict[str, Callable] = {}
        self._baselines: dict[str, dict[str, float]] = {}

    def check_data(self) -> None:
        """Looks whether there is something to evaluate on, before hours of training.

        Raises:
            UserError: If the data of the split is missing or broken.
        """
        for problem in self.config.problems:
            self._dataset(problem)

    def names(self) -> list[tuple[str, str]]:
        """Returns each (problem name, metric) that `evaluate` gives, less baselines."""
        return [
            (problem.name, metric)
            for problem in self.config.problems
            for metric in problem.metrics
        ]

    def evaluate(self) -> Scores:
        """Returns the value of each (problem name, metric), baselines included."""
        return {
            (problem.name, metric): value
            for problem in self.config.problems
            for metric, value in self.evaluate_problem(problem).items()
        }

    def evaluate_problem(self, problem: Problem) -> dict[str, float]:
        """Returns the metrics of one problem, over at most `eval_steps` batches."""
        dataset = self._dataset(problem)
        function = self._function(problem, dataset.element_spec)
        sums: dict[str, float] = collections.defaultdict(float)
        weights: dict[str, float] = collections.defaultdict(float)
        targets: list[np.ndarray] = []
        for batch in itertools.islice(dataset, self.config.eval_steps or None):
            for name, (total, weight) in function(batch).items():
                sums[name] += float(total)
                weights[name] += float(weight)
            if problem.name not in self._baselines:
                targets.extend(batch["targets"].numpy())
        if problem.name not in self._baselines:
            self._baselines[problem.name] = self._baseline(problem, targets)
        values = {}
        for name in sums:
            values[name] = sums[name] / max(weights[name], 1e-9)
            if name in self._baselines[problem.name]:
                values[name + BASELINE] = self._baselines[problem.name][name]
        return values

    def _dataset(self, problem: Problem) -> tf.data.Dataset:
        return eval_dataset(
            problem,
            self.config.data_dir,
            self.config.eval_split,
            batch_size=PARALLEL_FACTOR * self.config.hparams.batch_size,
        )

    def _baseline(
        self, problem: Problem, targets: Sequence[np.ndarray]
    ) -> dict[str, float]:
        """Returns the metrics of the unigram or majority guess on `targets`."""
        spec = self.model.spec(problem.name)
        size = (
            len(spec.targets.names)
            if spec.is_classification
            else spec.vocab_size(spec.targets)
        )
        unigram = UnigramBaseline(size, class_labels=spec.is_classification)
        counted = sample_targets(
            problem, self.config.data_dir, "train", most=_BASELINE_EXAMPLES
        )
        unigram.add(np.concatenate(counted))
        return unigram.metrics(targets)

    def _function(self, problem: Problem, element_spec: Mapping[str, tf.TensorSpec]):
        """Returns the traced function of a problem, which gives sums and weights."""
        if problem.name not in self._functions:

            def batch_metrics(batch):
                labels = batch["targets"]
                output = self.model(batch, problem=problem.name, training=False)
                is_label = self.model.spec(problem.name).is_classification
                return metrics.compute(
                    output.logits,
                    labels,
                    problem.metrics,
                    weights=tf.ones_like(labels, tf.float32) if is_label else None,
                )

            self._functions[problem.name] = tf.function(
                batch_metrics, input_signature=[element_spec]
            ).get_concrete_function()
        return self._functions[problem.name]


def evaluation_lines(step: int, split: str, values: Scores) -> list[str]:
    """Returns a line a problem, each metric with its baseline in brackets.

    Args:
        step: Updates done.
        split: Evaluated split.
        values: (problem name, metric) to value, baselines under `<metric>_baseline`.
    """
    parts: dict[str, list[str]] = {}
    for (problem, metric), value in values.items():
        if metric.endswith(BASELINE):
            continue
        part = f"{metric} {value:.4g}"
        baseline = values.get((problem, metric + BASELINE))
        if baseline is not None:
            guess = "unigram" if metric in metrics.IN_GRAPH else "constant"
            part += f" ({guess} {baseline:.4g})"
        parts.setdefault(problem, []).append(part)
    return [
        f"step {step} {split} {problem}: {', '.join(found)}"
        for problem, found in parts.items()
    ]
