"""The trainer: everything a run holds, and its loop."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

from t2t_multimodel.data import manifest
from t2t_multimodel.data.batching import largest_batch
from t2t_multimodel.data.pipeline import train_dataset, training_buckets
from t2t_multimodel.data.shard_index import load_index
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.training.checkpoint import Checkpoints
from t2t_multimodel.training.evaluation import Evaluator
from t2t_multimodel.training.metrics_log import MetricsLog
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.problem_choice import ProblemChoice
from t2t_multimodel.training.progress import Progress
from t2t_multimodel.training.run_config import RunConfig
from t2t_multimodel.training.run_directory import check_same_run, read_run, write_run
from t2t_multimodel.training.schedules import LearningRate, make_schedule
from t2t_multimodel.training.step import TrainStep

Scores = dict[tuple[str, str], float]
"""(problem name, metric) to value."""

_log = logging.getLogger(__name__)


class NotFiniteError(RuntimeError):
    """A loss or a gradient that is not a number, or infinite."""


class Trainer:
    """One device, one process: data, model, optimizer and the state between steps.

    Making one restores the latest checkpoint of `output_dir`, if there is one, so
    that a run that was stopped or killed goes on as if it had not been: weights,
    moments, counters, places in the data and random draws.

    Args:
        config: The run.
        decode_scores: Decodes and scores with the model as it is, at every
            evaluation; gives (problem, metric) to value.

    Raises:
        UserError: If data is missing or stale, or `output_dir` holds another run.
    """

    def __init__(
        self,
        config: RunConfig,
        decode_scores: Callable[[MultiModel], Scores] = lambda model: {},
    ) -> None:
        self.config = config
        self.decode_scores = decode_scores
        hparams, data_dir = config.hparams, config.data_dir
        manifest.check_ready(config.problems, data_dir)
        args = (config.output_dir, config.problems, hparams)
        if not check_same_run(*args, data_dir=data_dir):
            write_run(*args, data_dir=data_dir)
        self.run = read_run(config.output_dir)
        self.model = make_model(self.run.specs(), hparams, seed=config.random_seed)
        self.optimizer = Adam(
            variables_by_path(self.model.trainable_variables),
            beta1=hparams.optimizer_adam_beta1,
            beta2=hparams.optimizer_adam_beta2,
            epsilon=hparams.optimizer_adam_epsilon,
            clip_grad_norm=hparams.clip_grad_norm,
        )
        self.learning_rate = _learning_rate(config)
        datasets = {
            problem.name: train_dataset(
                problem, data_dir, seed=config.random_seed, **self._batching()
            )
            for problem in config.problems
        }
        self.iterators = {name: iter(dataset) for name, dataset in datasets.items()}
        self.train_step = TrainStep(
            self.model,
            self.optimizer,
            hparams,
            loss_multipliers={p.name: p.loss_multiplier for p in config.problems},
            element_specs={name: d.element_spec for name, d in datasets.items()},
            seed=config.random_seed,
            num_parallel=config.num_parallel_problems,
        )
        self.choice = ProblemChoice(
            hparams.problem_choice,
            [problem.name for problem in config.problems],
            seed=config.random_seed,
            sizes=self._sizes(),
            temperature=hparams.proportional_temperature,
        )
        self.checkpoints = Checkpoints(
            config.output_dir,
            model=self.model,
            optimizer=self.optimizer,
            iterators=self.iterators,
            states={"problem_choice": self.choice},
            keep_max=config.keep_checkpoint_max,
        )
        self.step = self.checkpoints.restore_latest()
        self.log = MetricsLog(config.output_dir / "metrics.jsonl", self.step)
        self.evaluator = Evaluator(self.model, config)

    def _batching(self) -> dict[str, int]:
        hparams = self.config.hparams
        return {"batch_size": hparams.batch_size, "max_length": hparams.max_length}

    def _sizes(self) -> dict[str, int]:
        """Returns the number of training examples of each problem."""
        return {
            problem.name: len(load_index(problem, self.config.data_dir, "train"))
            for problem in self.config.problems
        }

    def train(self) -> None:
        """Runs to `train_steps`, with evaluations and checkpoints on the way.

        Raises:
            NotFiniteError: If a loss or gradient is not finite; nothing was updated.
        """
        config = self.config
        if self.step >= config.train_steps:
            _log.info("already at step %d of %d", self.step, config.train_steps)
            return
        self.dry_run()
        with Progress(self.step, config.train_steps) as progress:
            while self.step < config.train_steps:
                progress.update(self.step, *self._one_step())
                done = self.step == config.train_steps
                if done or _due(self.step, config.save_checkpoints_steps):
                    self.checkpoints.save(self.step)
                if (done and config.evaluate_at_end) or _due(
                    self.step, config.local_eval_frequency
                ):
                    self.evaluate(progress.write)

    def dry_run(self) -> None:
        """Runs the largest batch of every problem once, and updates nothing.

        Running out of memory then shows in the first minute, not in the night.
        """
        began = time.monotonic()
        batches = {}
        for problem in self.config.problems:
            buckets = training_buckets(
                problem, self.config.data_dir, **self._batching()
            )
            arrays = largest_batch(problem, buckets)
            batches[problem.name] = {k: tf.constant(v) for k, v in arrays.items()}
        for names in self.choice.sets():
            self.train_step.gradients({name: batches[name] for name in names}, step=0)
        _log.info("largest batches ran in %.1f s", time.monotonic() - began)

    def _one_step(self) -> tuple[dict[str, float], dict[str, int]]:
        """Updates once; returns each problem's loss and number of targets."""
        names = self.choice.draw(self.step)
        batches = {name: next(self.iterators[name]) for name in names}
        result = self.train_step.gradients(batches, self.step)
        losses = {name: float(loss) for name, loss in result.losses.items()}
        self._check_finite(losses, batches)
        norm = self.train_step.update(result, self.learning_rate(self.step))
        if not math.isfinite(norm):
            self._refuse(self._culprits(batches), "gradient")
        self.choice.learn(losses)
        self.step += 1
        for name, loss in losses.items():
            self.log.write(self.step, name, "train", "loss", loss)
        return losses, {name: int(n) for name, n in result.num_targets.items()}

    def _check_finite(self, losses: Mapping[str, float], batches) -> None:
        bad = [name for name, loss in losses.items() if not math.isfinite(loss)]
        if bad:
            self._refuse(bad, "loss")

    def _culprits(self, batches: Mapping[str, dict]) -> Iterator[str]:
        """Yields the problems whose gradients alone are not finite."""
        for name, batch in batches.items():
            result = self.train_step.gradients({name: batch}, self.step)
            present = [g for g in result.packed if g is not None]
            if not math.isfinite(float(tf.linalg.global_norm(present))):
                yield name

    def _refuse(self, problems, what: str) -> None:
        last = self.checkpoints.latest_step()
        good = f"the last good checkpoint is step {last}" if last else "none was saved"
        raise NotFiniteError(
            f"{what} of {', '.join(problems)} is not finite at step {self.step + 1} "
            f"in {self.config.output_dir}; {good}. A lower learning_rate, a longer "
            "learning_rate_warmup_steps or a smaller clip_grad_norm often helps"
        )

    def evaluate(self, say: Callable[[str], None] = print) -> None:
        """Evaluates every problem at the present step; logs and says the results."""
        values = self.evaluator.evaluate() | self.decode_scores(self.model)
        for name in {name: None for name, _ in values}:
            found = (f"{m} {v:.4g}" for (n, m), v in values.items() if n == name)
            say(f"step {self.step} {self.config.eval_split} {name}: {', '.join(found)}")
        for (problem, metric), value in values.items():
            self.log.write(self.step, problem, self.config.eval_split, metric, value)


def _learning_rate(config: RunConfig) -> LearningRate:
    hparams = config.hparams
    return make_schedule(
        hparams.learning_rate_schedule,
        learning_rate=hparams.learning_rate,
        warmup_steps=hparams.learning_rate_warmup_steps,
        hidden_size=hparams.hidden_size,
        cosine_cycle_steps=hparams.learning_rate_cosine_cycle_steps,
        train_steps=config.train_steps,
    )


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
