"""Evaluation with the targets known: sums over a split of every problem."""

import collections
import itertools
from collections.abc import Mapping

import tensorflow as tf

from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.training import metrics
from t2t_multimodel.training.run_config import RunConfig

PARALLEL_FACTOR = 2
"""Evaluation needs no memory for gradients: its batches are this much larger."""


class Evaluator:
    """Computes the teacher-forced metrics of the problems of a run.

    Args:
        model: The model; its weights may change between calls.
        config: Problems, split, data and batch size.
    """

    def __init__(self, model: MultiModel, config: RunConfig) -> None:
        self.model = model
        self.config = config
        self._functions = {}

    def evaluate(self) -> dict[tuple[str, str], float]:
        """Returns the value of each (problem name, metric)."""
        return {
            (problem.name, metric): value
            for problem in self.config.problems
            for metric, value in self.evaluate_problem(problem).items()
        }

    def evaluate_problem(self, problem: Problem) -> dict[str, float]:
        """Returns the metrics of one problem, over at most `eval_steps` batches."""
        dataset = eval_dataset(
            problem,
            self.config.data_dir,
            self.config.eval_split,
            batch_size=PARALLEL_FACTOR * self.config.hparams.batch_size,
        )
        function = self._function(problem, dataset.element_spec)
        sums: dict[str, float] = collections.defaultdict(float)
        weights: dict[str, float] = collections.defaultdict(float)
        for batch in itertools.islice(dataset, self.config.eval_steps or None):
            for name, (total, weight) in function(batch).items():
                sums[name] += float(total)
                weights[name] += float(weight)
        return {name: sums[name] / max(weights[name], 1e-9) for name in sums}

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
            )
        return self._functions[problem.name]
