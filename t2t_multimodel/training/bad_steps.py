"""Steps whose loss or gradient is not finite: passed over, counted, and when to stop.

Such a step updates nothing. One now and then is harmless; several in a row mean that
the run is beyond help, or that its data is.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf

from t2t_multimodel.training.replay_file import BadBatch, ReplayWriter
from t2t_multimodel.training.step import StepOutcome

_log = logging.getLogger(__name__)

METRIC = "skipped_updates"
"""In `metrics.jsonl`, of the whole run: the updates skipped so far."""

_RECORDS_NAMED = 12  # of a batch, in the message; the file has all
_ADVICE = (
    "A lower learning_rate, a longer learning_rate_warmup_steps or a smaller "
    "clip_grad_norm often helps"
)


class NotFiniteError(RuntimeError):
    """Numbers of a run are not finite, and it cannot go on."""


class Log(Protocol):
    """`MetricsLog`, or what stands for it on workers that write none."""

    def write(
        self, step: int, problem: str, split: str, metric: str, value: Any
    ) -> None:
        """Appends a line."""


class BadSteps:
    """Counts the steps that updated nothing, and ends the run after some in a row.

    Its state belongs in the checkpoints, so that a run that goes on stops where the
    run that never stopped does.

    Args:
        limit: Steps in a row after which the run ends; 1 ends it at the first.
        log: Is told the number of updates skipped so far, at each.
        replay: Writes the last step, so that it can be computed again.
        last_checkpoint: Returns the step of the last good checkpoint, if there is one.

    Attributes:
        skipped: Updates skipped in the whole run.
        in_a_row: Those since the last update.
    """

    def __init__(
        self,
        limit: int,
        *,
        log: Log | None,
        replay: ReplayWriter,
        last_checkpoint: Callable[[], int | None],
    ) -> None:
        self.limit = limit
        self.skipped = 0
        self.in_a_row = 0
        self._log = log
        self._replay = replay
        self._last_checkpoint = last_checkpoint

    def record(
        self,
        step: int,
        outcome: StepOutcome,
        say: Callable[[str], None] = _log.warning,
    ) -> bool:
        """Counts a step; all workers of a group call it with the same outcome.

        Args:
            step: Its number; that of the first is 1.
            outcome: What came of it.
            say: Is given a line about a step that updated nothing.

        Returns:
            Whether it updated anything.

        Raises:
            NotFiniteError: If it is one of too many in a row.
        """
        if outcome.is_finite:
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self._log is not None:
            self._log.write(step, "", "train", METRIC, self.skipped)
        kinds = not_finite_kinds(outcome)
        say(
            f"step {step} is skipped: {_named(kinds)} is not finite ({self.in_a_row} "
            f"in a row, training ends after {self.limit})"
        )
        if self.in_a_row >= self.limit:
            raise NotFiniteError(self._message(step, outcome, kinds))
        return False

    def get_state(self) -> dict[str, int]:
        """Returns the counts."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Takes what `get_state` returned."""
        self.skipped, self.in_a_row = state["skipped"], state["in_a_row"]

    def _message(
        self, step: int, outcome: StepOutcome, kinds: Mapping[str, str]
    ) -> str:
        batches, written = self._replay.write(step, outcome, kinds)
        bad = [batch for batch in batches if batch.problem in kinds]
        parts = [f"{self.in_a_row} steps in a row"] if self.in_a_row > 1 else []
        parts += [f"{batch.problem} read {_places(batch)}" for batch in bad]
        parts.append(written)
        return self._ending(_named(kinds), step, parts)

    def check_weights(self, step: int, variables: Iterable[Any]) -> None:
        """Checks weights before they are saved: no loss may have shown it yet.

        Args:
            step: Updates done.
            variables: The model's, of Keras.

        Raises:
            NotFiniteError: If they are not finite.
        """
        weights = [tf.convert_to_tensor(variable.value) for variable in variables]
        if not math.isfinite(float(tf.linalg.global_norm(weights))):
            raise NotFiniteError(self._ending("the norm of the weights", step))

    def _ending(self, what: str, step: int, known: Iterable[str] = ()) -> str:
        """Returns the message that ends a run."""
        last = self._last_checkpoint()
        good = (
            f"the last good checkpoint is step {last}"
            if last
            else "no checkpoint was saved"
        )
        where = f"{what} is not finite at step {step} in {self._replay.output_dir}"
        return f"{'; '.join([where, *known, good])}. {_ADVICE}"


def not_finite_kinds(outcome: StepOutcome) -> dict[str, str]:
    """Returns the problems of a bad step, each with what is bad: loss or gradient.

    All of the step's if no gradient alone is to blame, but their sum.
    """
    kinds = {}
    for name in outcome.not_finite or outcome.losses:
        numbers = (outcome.losses[name], outcome.totals[name])
        is_loss = not all(map(math.isfinite, numbers))
        kinds[name] = "loss" if is_loss else "gradient"
    return kinds


def _named(kinds: Mapping[str, str]) -> str:
    """Returns e.g. `the loss of a, b and the gradient of c`."""
    parts = []
    for kind in ("loss", "gradient"):
        names = [name for name, its in kinds.items() if its == kind]
        if names:
            parts.append(f"the {kind} of {', '.join(names)}")
    return " and ".join(parts)


def _places(batch: BadBatch) -> str:
    """Returns the shards and record numbers of a batch, the first few."""
    by_file: dict[str, list[int]] = {}
    for place in batch.places[:_RECORDS_NAMED]:
        by_file.setdefault(place.path.name, []).append(place.record)
    text = ", ".join(
        f"{_records(numbers)} of {name}" for name, numbers in by_file.items()
    )
    more = len(batch.places) - _RECORDS_NAMED
    return f"{text} and {more} more" if more > 0 else text


def _records(numbers: Sequence[int]) -> str:
    word = "record" if len(numbers) == 1 else "records"
    return f"{word} {', '.join(map(str, numbers))}"
