"""The trainer: everything a run holds, and its loop."""

import contextlib
import logging
import math
import pathlib
import signal
import sys
import time
from collections.abc import Callable

import tensorflow as tf

from t2t_multimodel.data import manifest
from t2t_multimodel.errors import UserError
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.training.bad_steps import BadSteps
from t2t_multimodel.training.checkpoint import Checkpoints
from t2t_multimodel.training.evaluation import Evaluator, Scores, evaluation_lines
from t2t_multimodel.training.freezing import frozen_lines, frozen_paths
from t2t_multimodel.training.interruption import Interruption
from t2t_multimodel.training.metrics_log import MetricsLog
from t2t_multimodel.training.optimizer import make_adam, variables_by_path
from t2t_multimodel.training.output_lock import OutputLock
from t2t_multimodel.training.problem_choice import ProblemChoice
from t2t_multimodel.training.problem_gradients import ProblemGradients
from t2t_multimodel.training.progress import Progress, shown_progress
from t2t_multimodel.training.replay_file import ReplayWriter
from t2t_multimodel.training.replicas import Assignment, Replicas
from t2t_multimodel.training.replicated_step import ReplicatedStep
from t2t_multimodel.training.run_config import RunConfig
from t2t_multimodel.training.run_directory import (
    Run,
    check_same_run,
    read_run,
    write_run,
)
from t2t_multimodel.training.schedules import run_schedule
from t2t_multimodel.training.step import TrainStep
from t2t_multimodel.training.train_data import TrainData
from t2t_multimodel.training.warm_start import Source, find_source, warm_start

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 2.0  # less than what t2t-mm-launch gives the others


class Trainer:
    """A run, or one worker's part of it: data, model, optimizer, state between steps.

    Making one restores the latest checkpoint of `output_dir`, if there is one, so
    that a run that was stopped or killed goes on as if it had not been: weights,
    moments, counters, places in the data and random draws.

    All workers of a group make one with the same configuration and call the same
    methods; the first of them, the chief, writes the run's files, evaluates and
    speaks.

    Args:
        config: The run.
        decode_scores: Decodes and scores with the model as it is and the run it is
            of, at every evaluation; gives (problem, metric) to value.
        replicas: The devices; one by default.

    Raises:
        UserError: If data is missing or stale, `output_dir` holds another run or is in
            use, or the devices cannot share the run.
    """

    def __init__(
        self,
        config: RunConfig,
        decode_scores: Callable[[MultiModel, Run], Scores] = lambda model, run: {},
        replicas: Replicas | None = None,
    ) -> None:
        self.config = config
        self.decode_scores = decode_scores
        self.replicas = replicas or Replicas(tf.distribute.get_strategy())
        manifest.check_ready(config.problems, config.data_dir)
        with contextlib.ExitStack() as closing:
            source = self._open_run(closing)
            self.run = read_run(config.output_dir)
            self.assignment = Assignment(
                self.replicas,
                [problem.name for problem in config.problems],
                is_joint=config.is_joint,
            )
            self.data = TrainData(config, self.assignment)
            closing.callback(self.data.close)
            with self.replicas.strategy.scope():
                specs = self.run.specs()
                self.model = make_model(specs, config.hparams, seed=config.random_seed)
                self.optimizer = make_adam(
                    self.model.trainable_variables, config.hparams
                )
            self.evaluator = Evaluator(self.model, config)
            if config.evaluates and self.replicas.is_chief:
                self.evaluator.check_data()
            self.learning_rate = run_schedule(config.hparams, config.train_steps)
            self.frozen = self._frozen()
            self.train_step = self._make_step()
            closing.callback(self.train_step.close)
            self.choice = self._make_choice()
            if source is not None:
                self._warm_start(source)
            self.bad_steps = self._make_bad_steps()
            self.checkpoints = self._make_checkpoints()
            self.step = self._restore()
            self.log = self._open_log(closing)
            self._closing = closing.pop_all()

    def _open_run(self, closing: contextlib.ExitStack) -> Source | None:
        """Takes the output directory; returns what to begin with, if anything."""
        config = self.config
        source = None
        if self.replicas.is_chief:
            if config.warm_start_from is not None:
                source = self._source(config.warm_start_from)
            args = (config.output_dir, config.problems, config.hparams)
            is_there = check_same_run(*args, data_dir=config.data_dir)
            closing.enter_context(OutputLock(config.output_dir))
            if not is_there:
                write_run(*args, data_dir=config.data_dir)
        self.replicas.agree(0)
        if not self.replicas.is_chief and config.warm_start_from is not None:
            source = self._source(config.warm_start_from)
        return source

    def _source(self, warm_start_from: pathlib.Path) -> Source | None:
        config = self.config
        return find_source(warm_start_from, config.output_dir, config.hparams)

    def _warm_start(self, source: Source) -> None:
        started = warm_start(
            source,
            model=self.model,
            optimizer=self.optimizer,
            run=self.run,
            choice=self.choice,
        )
        if self.replicas.is_chief:
            for line in started.lines():
                _log.info("%s", line)
            for line in started.warnings():
                _log.warning("%s", line)

    def _frozen(self) -> frozenset[str]:
        variables = variables_by_path(self.model.trainable_variables)
        frozen = frozen_paths(self.config.freeze, variables)
        if self.replicas.is_chief:
            for line in frozen_lines(frozen, variables):
                _log.info("%s", line)
        return frozen

    def _make_step(self) -> TrainStep | ReplicatedStep:
        config, seed = self.config, self.config.random_seed
        problems = ProblemGradients(
            self.model,
            config.hparams,
            element_specs=self.data.element_specs,
            loss_multipliers={p.name: p.loss_multiplier for p in config.problems},
            frozen=self.frozen,
        )
        if self.replicas.count > 1:
            return ReplicatedStep(
                problems, self.optimizer, assignment=self.assignment, seed=seed
            )
        num_parallel = config.num_parallel_problems
        return TrainStep(problems, self.optimizer, seed=seed, num_parallel=num_parallel)

    def _make_choice(self) -> ProblemChoice:
        config = self.config
        sizes = self.data.sizes()
        return ProblemChoice(
            config.hparams.problem_choice,
            list(sizes),
            seed=config.random_seed,
            sizes=sizes,
            temperature=config.hparams.proportional_temperature,
        )

    def _make_bad_steps(self) -> BadSteps:
        config = self.config
        replay = ReplayWriter(
            config.output_dir,
            data_dir=config.data_dir,
            model=self.model,
            readers=self.data.readers,
            random_seed=config.random_seed,
            frozen=self.frozen,
            worker=self.replicas.worker,
            num_workers=self.replicas.num_workers,
        )
        return BadSteps(
            config.max_bad_steps,
            log=self,
            replay=replay,
            last_checkpoint=lambda: self.checkpoints.latest_step(),
        )

    def _make_checkpoints(self) -> Checkpoints:
        if not self.replicas.is_chief:
            self.replicas.agree(1)  # The chief's are made first.
        checkpoints = Checkpoints(
            self.config.output_dir,
            model=self.model,
            optimizer=self.optimizer,
            readers=self.data.readers,
            states={"problem_choice": self.choice, "bad_steps": self.bad_steps},
            keep_max=self.config.keep_checkpoint_max,
            worker=self.replicas.worker,
            num_workers=self.replicas.num_workers,
        )
        if self.replicas.is_chief:
            self.replicas.agree(1)
        return checkpoints

    def _restore(self) -> int:
        step = self.checkpoints.restore_latest()
        if not self.replicas.agree(step):
            raise UserError(
                f"worker {self.replicas.worker} found the checkpoint of step {step} in "
                f"{self.config.output_dir}, and another worker another one; all need "
                "the same --output_dir, on a file system that they share"
            )
        return step

    def _open_log(self, closing: contextlib.ExitStack) -> MetricsLog | None:
        """Opens `metrics.jsonl`, which the chief alone writes."""
        if not self.replicas.is_chief:
            return None
        log = MetricsLog(self.config.output_dir / "metrics.jsonl", self.step)
        closing.callback(log.close)
        return log

    def train(self, program: str = "") -> None:
        """Runs to `train_steps`, with evaluations and checkpoints on the way.

        Args:
            program: Name of the program that ends with it; see `Interruption`.

        Raises:
            NotFiniteError: If too many losses or gradients are not finite.
            KeyboardInterrupt: After Ctrl-C or SIGTERM; a checkpoint was saved.
            UserError: If a checkpoint or data cannot be written or read.
        """
        config = self.config
        is_alone = self.replicas.num_workers == 1
        with Interruption(raises=is_alone, program=program) as interruption:
            try:
                # A run that ended between a checkpoint and its evaluation.
                if not self._is_evaluated():
                    self._evaluate_if_due(interruption)
                if self.step >= config.train_steps:
                    _log.info("already at step %d of %d", self.step, config.train_steps)
                else:
                    self.dry_run()
                    with shown_progress(
                        self.step, config.train_steps, is_shown=self.replicas.is_chief
                    ) as progress:
                        self._train(progress, interruption)
            except KeyboardInterrupt:
                raise interruption.ending(self._save_interrupted()) from None
            finally:
                self._finish_saving()
            self.replicas.agree(2)  # The chief may have been evaluating.
            if interruption.requested:
                raise interruption.ending(self._save_interrupted())

    def _train(self, progress: Progress, interruption: Interruption) -> None:
        """The loop; a signal ends it between two steps or within an evaluation.

        In a group all workers end it after the same step, the one that agrees on it.
        """
        config = self.config
        while self.step < config.train_steps:
            with interruption.held():
                stop = self._one_step(progress, interruption.requested is not None)
                done = self.step == config.train_steps
                if done or _due(self.step, config.save_checkpoints_steps):
                    self._save()
                self.checkpoints.raise_failure()
            if stop:  # of a group: alone, the end of `held` has raised
                interruption.requested = interruption.requested or signal.SIGTERM
                raise KeyboardInterrupt
            self._evaluate_if_due(interruption, progress.write)

    def _save(self) -> pathlib.Path:
        """Begins to write a checkpoint; see also `BadSteps.check_weights`."""
        self.bad_steps.check_weights(self.step, self.model.trainable_variables)
        return self.checkpoints.save(self.step)

    def _save_interrupted(self) -> str:
        """Saves what there is after a signal; returns what to tell."""
        if not self.step:
            return "nothing is saved, as it was before the first step"
        path = self._save()
        self.checkpoints.wait()
        return f"{path} is saved, and the same command goes on from it"

    def _finish_saving(self) -> None:
        """Waits for the checkpoint that is being written; an error goes before its."""
        error = sys.exc_info()[1]
        if error is None:
            self.checkpoints.wait()
            return
        # A worker that is gone may not have written its part, and never will.
        is_lost = isinstance(error, tf.errors.OpError) and self.replicas.num_workers > 1
        with contextlib.suppress(UserError):
            self.checkpoints.wait(_PATIENCE_SECONDS if is_lost else None)

    def _evaluate_if_due(
        self, interruption: Interruption, say: Callable[[str], None] = print
    ) -> None:
        """Evaluates; the chief of a group alone, while the others wait for it."""
        if not self._evaluation_is_due() or not self.replicas.is_chief:
            return
        if self.replicas.num_workers == 1:
            self.evaluate(say)
        else:
            interruption.run_abortable(lambda: self.evaluate(say))

    def _evaluation_is_due(self) -> bool:
        config = self.config
        if self.step >= config.train_steps and config.evaluate_at_end:
            return True
        return self.step > 0 and _due(self.step, config.local_eval_frequency)

    def _is_evaluated(self) -> bool:
        split = self.config.eval_split
        return self.log is None or all(
            self.log.has(self.step, problem, split, metric)
            for problem, metric in self.evaluator.names()
        )

    def dry_run(self) -> None:
        """Runs the largest batch of every problem once, and updates nothing.

        Running out of memory then shows in the first minute, not in the night.
        """
        began = time.monotonic()
        for names in self.choice.sets():
            self.train_step.dry_run(names, self.data.largest_batches(names))
        if self.replicas.is_chief:
            seconds = time.monotonic() - began
            _log.info("largest batches ran in %.1f s", seconds)

    def _one_step(self, progress: Progress, stop: bool) -> bool:
        """Computes a step; returns whether any worker asked to stop after it."""
        names = self.choice.draw(self.step)
        outcome = self.train_step.run(
            names,
            self.data.next_batches(names),
            self.step,
            self.learning_rate(self.step),
            stop=stop,
        )
        self.step += 1
        for name, loss in outcome.losses.items():
            self.write(self.step, name, "train", "loss", loss)
        finite = {n: loss for n, loss in outcome.losses.items() if math.isfinite(loss)}
        progress.update(self.step, finite, outcome.num_targets)
        if self.bad_steps.record(self.step, outcome, progress.write):
            self.choice.learn(outcome.totals)
        return outcome.stop

    def write(
        self, step: int, problem: str, split: str, metric: str, value: float
    ) -> None:
        """Logs a number of the run, on the chief; see `MetricsLog.write`."""
        if self.log is not None:
            self.log.write(step, problem, split, metric, value)

    def close(self) -> None:
        """Ends threads and lets go of the output directory."""
        self._closing.close()

    def evaluate(self, say: Callable[[str], None] = print) -> None:
        """Evaluates every problem at the present step; logs and says the results."""
        split = self.config.eval_split
        values = self.evaluator.evaluate() | self.decode_scores(self.model, self.run)
        if self.log is not None:
            self.log.write_evaluation(self.step, split, values)
        for line in evaluation_lines(self.step, split, values):
            say(line)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
