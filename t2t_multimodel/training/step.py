"""One training step on one device: gradients of one or all problems, and the update."""

import collections
import concurrent.futures
import functools
import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from t2t_multimodel.training.optimizer import Adam, weight_decay_gradient
from t2t_multimodel.training.packing import add_packed, cast_packed
from t2t_multimodel.training.problem_gradients import ProblemGradients, ProblemResult


class StepResult(NamedTuple):
    """What a step computed, before the update.

    Attributes:
        packed: Sum of the problems' gradients, packed.
        used: Whether any problem of the step uses each variable.
        losses: Problem name to its loss per target, in nats, without the experts'
            balance loss and the loss multiplier.
        totals: Problem name to what was differentiated: the loss times the
            multiplier, plus the balance loss.
        num_targets: Problem name to the number of targets its loss is a mean of.
    """

    packed: list
    used: tuple[bool, ...]
    losses: dict
    totals: dict
    num_targets: dict


class StepOutcome(NamedTuple):
    """What came of a step, the same on all replicas.

    Attributes:
        losses: Problem name to its loss per target, in nats.
        totals: Problem name to what was differentiated; see `StepResult`.
        num_targets: Problem name to its targets, over all replicas.
        norm: Global norm of the mean gradient before clipping.
        not_finite: Problems whose loss or gradient is not finite. If there is any, or
            `norm` is not finite, nothing was updated.
        stop: Whether any worker asked to stop after this step.
    """

    losses: dict[str, float]
    totals: dict[str, float]
    num_targets: dict[str, int]
    norm: float
    not_finite: tuple[str, ...]
    stop: bool

    @property
    def is_finite(self) -> bool:
        """Whether the weights were updated."""
        return not self.not_finite and math.isfinite(self.norm)


class TrainStep:
    """Computes gradients: one traced function for each pair of modality nets.

    A joint step gives the mean of its problems' gradients, each problem's loss being
    `loss_multiplier` times its mean over targets, plus the balance loss of its
    experts (the paper trained with one worker a problem; the synchronous mean is ours).

    Problems with the same nets and sizes, such as all translations, share their
    function, so that eight problems are traced as fast as four. `num_parallel` are
    run at a time, and summed in the order of the problems whichever ends first, so
    that the sum does not depend on it and few sets of gradients wait to be added.

    Args:
        problems: What each problem's gradients are.
        optimizer: Of the model's trainable variables, in their order.
        seed: With the step number decides every random draw.
        num_parallel: Problems of a joint step computed side by side. Small operations
            do not fill several cores; several problems do, at their memory.
    """

    def __init__(
        self,
        problems: ProblemGradients,
        optimizer: Adam,
        *,
        seed: int,
        num_parallel: int = 1,
    ) -> None:
        self.problems = problems
        self.optimizer = optimizer
        self.seed = seed
        self._functions: dict[tuple, Callable] = {}
        self._updates: dict[tuple, Callable] = {}
        self._lock = threading.Lock()
        self.num_parallel = num_parallel
        self._pool = concurrent.futures.ThreadPoolExecutor(num_parallel)

    def run(
        self,
        names: Sequence[str],
        batches: Sequence[Mapping[str, dict]],
        step: int,
        learning_rate: float,
        *,
        stop: bool = False,
    ) -> StepOutcome:
        """Computes and updates.

        Args:
            names: Problems of the step.
            batches: One mapping from problem name to batch, of the one replica.
            step: Number of the step; seeds dropout and gating noise.
            learning_rate: T2T's number.
            stop: Comes back in the outcome.
        """
        (own,) = batches
        result = self.gradients({name: own[name] for name in names}, step)
        losses = {name: float(loss) for name, loss in result.losses.items()}
        bad = tuple(name for name, loss in losses.items() if not math.isfinite(loss))
        norm = math.nan if bad else self.update(result, learning_rate)
        if not bad and not math.isfinite(norm):
            bad = tuple(name for name in names if self._is_culprit(name, own, step))
        return StepOutcome(
            losses,
            {name: float(total) for name, total in result.totals.items()},
            {name: int(count) for name, count in result.num_targets.items()},
            norm,
            bad,
            stop,
        )

    def dry_run(
        self, names: Sequence[str], batches: Sequence[Mapping[str, dict]]
    ) -> None:
        """Computes gradients as `run` does, and updates nothing."""
        (own,) = batches
        self.gradients({name: own[name] for name in names}, step=0)

    def gradients(self, batches: Mapping[str, dict], step: int) -> StepResult:
        """Returns gradients and losses of one batch of each problem given.

        Args:
            batches: Problem name to batch.
            step: Number of the step; seeds dropout and gating noise.
        """
        names = [name for name in self.problems.element_specs if name in batches]
        waiting = iter(names)
        running: collections.deque = collections.deque()

        def start_next() -> None:
            for name in itertools.islice(waiting, 1):
                job = self._pool.submit(self._run, name, batches[name], step)
                running.append(job)

        for _ in range(self.num_parallel):
            start_next()
        summed: list = []
        results = {}
        for name in names:
            results[name] = running.popleft().result()
            start_next()
            packed = results[name].packed
            if len(names) > 1:
                packed = cast_packed(packed, self.problems.hparams.gradient_sum_dtype)
            summed = add_packed(summed, packed) if summed else packed
            results[name] = results[name]._replace(packed=[])  # its memory is free
        masks = [self.problems.used(name) for name in names]
        return StepResult(
            summed,
            tuple(map(any, zip(*masks, strict=True))),
            {name: result.loss for name, result in results.items()},
            {name: result.total for name, result in results.items()},
            {name: result.num_targets for name, result in results.items()},
        )

    def update(self, result: StepResult, learning_rate: float) -> float:
        """Applies the mean of the problems' gradients.

        Returns:
            The global norm before clipping; nothing is updated if it is not finite.
        """
        key = (result.used, len(result.losses))
        if key not in self._updates:
            self._updates[key] = tf.function(
                functools.partial(apply_mean, self.problems, self.optimizer, *key)
            )
        rate = tf.constant(learning_rate, tf.float32)
        return float(self._updates[key](result.packed, rate))

    def close(self) -> None:
        """Ends the threads, once they are done with what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _is_culprit(self, name: str, batches: Mapping[str, dict], step: int) -> bool:
        """Whether the gradient of this problem alone is not finite."""
        result = self.gradients({name: batches[name]}, step)
        present = [g for g in result.packed if g is not None]
        return not math.isfinite(float(tf.linalg.global_norm(present)))

    def _run(self, name: str, batch: dict, step: int) -> ProblemResult:
        inputs = self.problems.inputs(name, batch, seed=self.seed, step=step)
        return self._function(name)(*inputs)

    def _function(self, name: str) -> Callable:
        """Returns the traced function of a problem, shared by those with its nets."""
        key = self.problems.key(name)
        with self._lock:
            if key not in self._functions:
                function = self.problems.function(name)
                self._functions[key] = function.get_concrete_function()
            return self._functions[key]


def apply_mean(
    problems: ProblemGradients,
    optimizer: Adam,
    used: Sequence[bool],
    count: int,
    packed: list,
    learning_rate: tf.Tensor,
    is_wanted: tf.Tensor | bool = True,
) -> tf.Tensor:
    """Updates with the mean gradients, to which the weight decay is added.

    Args:
        problems: Whose gradients they are.
        optimizer: Of the model's trainable variables.
        used: Whether each variable has a gradient.
        count: Problems that `packed` is the sum of.
        packed: Sum of gradients.
        learning_rate: T2T's number.
        is_wanted: Whether to update at all.

    Returns:
        The global norm before clipping; nothing is updated if it is not finite.
    """
    means = []
    for total, variable in zip(
        problems.packing.unpack(packed, used),
        problems.model.trainable_variables,
        strict=True,
    ):
        # Of one problem the sum is the mean: no pass over the gradients for it.
        mean = total if total is None or count == 1 else total / count
        mean = None if mean is None else tf.cast(mean, variable.dtype)
        decay = weight_decay_gradient(variable.value, problems.hparams.weight_decay)
        if mean is not None and decay is not None:
            mean += decay
        means.append(mean)
    return optimizer.apply(means, learning_rate, is_wanted)
