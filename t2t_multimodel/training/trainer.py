"""The trainer: everything a run holds, and its loop."""

import logging
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import tensorflow as tf

from t2t_multimodel.data import manifest
from t2t_multimodel.data.batching import largest_batch
from t2t_multimodel.data.pipeline import train_dataset, training_buckets
from t2t_multimodel.data.shard_index import load_index
from t2t_multimodel.hparams import HParams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.training.checkpoint import Checkpoints
from t2t_multimodel.training.evaluation import Evaluator, Scores, evaluation_lines
from t2t_multimodel.training.interruption import Interruption
from t2t_multimodel.training.metrics_log import MetricsLog
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.problem_choice import ProblemChoice
from t2t_multimodel.training.progress import Progress
from t2t_multimodel.training.run_config import RunConfig
from t2t_multimodel.training.run_directory import (
    Run,
    check_same_run,
    read_run,
    write_run,
)
from t2t_multimodel.training.schedules import LearningRate, make_schedule
from t2t_multimodel.training.step import TrainStep

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
        decode_scores: Decodes and scores with the model as it is and the run it is
            of, at every evaluation; gives (problem, metric) to value.

    Raises:
        UserError: If data is missing or stale, or `output_dir` holds another run.
    """

    def __init__(
        self,
        config: RunConfig,
        decode_scores: Callable[[MultiModel, Run], Scores] = lambda model, run: {},
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
        self.evaluator = Evaluator(self.model, config)
        if config.evaluates:
            self.evaluator.check_data()
        self.optimizer = _make_optimizer(self.model, hparams)
        self.learning_rate = _make_learning_rate(config)
        datasets = self._datasets()
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
        self.choice = self._make_choice()
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

    def _datasets(self) -> dict[str, tf.data.Dataset]:
        config = self.config
        return {
            problem.name: train_dataset(
                problem, config.data_dir, seed=config.random_seed, **self._batching()
            )
            for problem in config.problems
        }

    def _make_choice(self) -> ProblemChoice:
        config = self.config
        sizes = {
            problem.name: len(load_index(problem, config.data_dir, "train"))
            for problem in config.problems
        }
        return ProblemChoice(
            config.hparams.problem_choice,
            list(sizes),
            seed=config.random_seed,
            sizes=sizes,
            temperature=config.hparams.proportional_temperature,
        )

    def _batching(self) -> dict[str, int]:
        hparams = self.config.hparams
        return {"batch_size": hparams.batch_size, "max_length": hparams.max_length}

    def train(self) -> None:
        """Runs to `train_steps`, with evaluations and checkpoints on the way.

        Raises:
            NotFiniteError: If a loss or gradient is not finite; nothing was updated.
            KeyboardInterrupt: After Ctrl-C; a checkpoint was saved.
        """
        config = self.config
        with Interruption() as interruption:
            try:
                # A run that ended between a checkpoint and its evaluation.
                if self._evaluation_is_due() and not self._is_evaluated():
                    self.evaluate()
                if self.step >= config.train_steps:
                    _log.info("already at step %d of %d", self.step, config.train_steps)
                    return
                self.dry_run()
                with Progress(self.step, config.train_steps) as progress:
                    self._train(progress, interruption)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(self._save_interrupted()) from None

    def _train(self, progress: Progress, interruption: Interruption) -> None:
        """The loop; Ctrl-C ends it between two steps or within an evaluation."""
        config = self.config
        while self.step < config.train_steps:
            with interruption.held():
                losses, num_targets = self._one_step()
                progress.update(self.step, losses, num_targets)
                done = self.step == config.train_steps
                if done or _due(self.step, config.save_checkpoints_steps):
                    self._save()
            if self._evaluation_is_due():
                self.evaluate(progress.write)

    def _save(self) -> pathlib.Path:
        """Writes a checkpoint.

        Raises:
            NotFiniteError: If weights are not finite, which no loss has shown yet.
        """
        weights = [variable.value for variable in self.model.trainable_variables]
        if not math.isfinite(float(tf.linalg.global_norm(weights))):
            self._refuse("the norm of the weights", self.step)
        return self.checkpoints.save(self.step)

    def _save_interrupted(self) -> str:
        """Saves what there is after Ctrl-C; returns what to tell."""
        if not self.step:
            return "interrupted before the first step"
        path = self._save()
        return f"interrupted; {path} is saved, and the same command goes on from it"

    def _evaluation_is_due(self) -> bool:
        config = self.config
        if self.step >= config.train_steps and config.evaluate_at_end:
            return True
        return self.step > 0 and _due(self.step, config.local_eval_frequency)

    def _is_evaluated(self) -> bool:
        split = self.config.eval_split
        return all(
            self.log.has(self.step, problem, split, metric)
            for problem, metric in self.evaluator.names()
        )

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
        bad = [name for name, loss in losses.items() if not math.isfinite(loss)]
        if bad:
            self._refuse(f"the loss of {', '.join(bad)}", self.step + 1)
        norm = self.train_step.update(result, self.learning_rate(self.step))
        if not math.isfinite(norm):
            bad = list(self._culprits(batches)) or ["all problems together"]
            self._refuse(f"the gradient of {', '.join(bad)}", self.step + 1)
        self.choice.learn({name: float(t) for name, t in result.totals.items()})
        self.step += 1
        for name, loss in losses.items():
            self.log.write(self.step, name, "train", "loss", loss)
        return losses, {name: int(n) for name, n in result.num_targets.items()}

    def _culprits(self, batches: Mapping[str, dict]) -> Iterator[str]:
        """Yields the problems whose gradients alone are not finite."""
        for name, batch in batches.items():
            result = self.train_step.gradients({name: batch}, self.step)
            present = [g for g in result.packed if g is not None]
            if not math.isfinite(float(tf.linalg.global_norm(present))):
                yield name

    def _refuse(self, what: str, step: int) -> NoReturn:
        last = self.checkpoints.latest_step()
        good = f"the last good checkpoint is step {last}" if last else "none was saved"
        raise NotFiniteError(
            f"{what} is not finite at step {step} in {self.config.output_dir}; {good}. "
            "A lower learning_rate, a longer learning_rate_warmup_steps or a smaller "
            "clip_grad_norm often helps"
        )

    def close(self) -> None:
        """Closes the log and ends the threads."""
        self.log.close()
        self.train_step.close()

    def evaluate(self, say: Callable[[str], None] = print) -> None:
        """Evaluates every problem at the present step; logs and says the results."""
        split = self.config.eval_split
        values = self.evaluator.evaluate() | self.decode_scores(self.model, self.run)
        self.log.write_evaluation(self.step, split, values)
        for line in evaluation_lines(self.step, split, values):
            say(line)


def _make_optimizer(model: MultiModel, hparams: HParams) -> Adam:
    return Adam(
        variables_by_path(model.trainable_variables),
        beta1=hparams.optimizer_adam_beta1,
        beta2=hparams.optimizer_adam_beta2,
        epsilon=hparams.optimizer_adam_epsilon,
        clip_grad_norm=hparams.clip_grad_norm,
    )


def _make_learning_rate(config: RunConfig) -> LearningRate:
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
