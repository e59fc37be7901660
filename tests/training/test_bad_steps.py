"""Steps that are not finite are counted; too many in a row end the run."""

import math
import pathlib

import pytest

from t2t_multimodel.data.batch_plan import PlannedBatch
from t2t_multimodel.data.shard_index import Place
from t2t_multimodel.training.bad_steps import (
    BadSteps,
    NotFiniteError,
    not_finite_kinds,
)
from t2t_multimodel.training.replay_file import BadBatch, Written
from t2t_multimodel.training.step import StepOutcome


def outcome(norm=1.0, not_finite=(), **losses):
    losses = losses or {"look": 1.0, "listen": 2.0}
    counts = dict.fromkeys(losses, 3)
    return StepOutcome(losses, dict(losses), counts, norm, not_finite, False)


GOOD = outcome()
BAD_LOSS = outcome(math.nan, ("listen",), look=1.0, listen=math.nan)
BAD_GRADIENT = outcome(math.inf, ("look",))


class Log:
    """The lines of `metrics.jsonl`."""

    def __init__(self):
        self.lines = []

    def write(self, *line):
        self.lines.append(line)


class Replay:
    """Writes nothing, and tells of twenty records of two shards."""

    output_dir = pathlib.Path("/run")

    def write(self, step, outcome, kinds):
        places = [
            Place(
                pathlib.Path(f"/data/{name}-train-0000{n // 10}-of-00002"), n % 10, 99
            )
            for name in kinds
            for n in range(20)
        ]
        planned = PlannedBatch(0, range(20), range(20))
        batches = [BadBatch(name, 0, planned, places) for name in kinds]
        return Written(batches, "t2t-mm-trainer --replay=FILE computes it again")


def counter(limit, last=None):
    counted = BadSteps(limit, log=Log(), replay=Replay(), last_checkpoint=lambda: last)
    counted.log = counted._log
    return counted


def test_a_bad_step_is_told_and_logged_and_a_good_one_begins_anew():
    counted, said = counter(3), []
    outcomes = [GOOD, BAD_LOSS, BAD_GRADIENT, GOOD, BAD_LOSS, BAD_LOSS]
    updated = [counted.record(i, o, said.append) for i, o in enumerate(outcomes, 1)]
    assert updated == [True, False, False, True, False, False]
    assert said[:2] == [
        "step 2 is skipped: the loss of listen is not finite (1 in a row, training "
        "ends after 3)",
        "step 3 is skipped: the gradient of look is not finite (2 in a row, training "
        "ends after 3)",
    ]
    assert counted.log.lines == [
        (step, "", "train", "skipped_updates", count)
        for count, step in enumerate((2, 3, 5, 6), 1)
    ]
    with pytest.raises(NotFiniteError):
        counted.record(7, BAD_LOSS, said.append)


def test_a_limit_of_one_ends_at_the_first_and_names_all():
    with pytest.raises(NotFiniteError) as error:
        counter(1, last=40).record(47, BAD_LOSS, lambda line: None)
    assert str(error.value) == (
        "the loss of listen is not finite at step 47 in /run; listen read records 0, "
        "1, 2, 3, 4, 5, 6, 7, 8, 9 of listen-train-00000-of-00002, records 0, 1 of "
        "listen-train-00001-of-00002 and 8 more; t2t-mm-trainer --replay=FILE "
        "computes it again; the last good checkpoint is step 40. A lower "
        "learning_rate, a longer learning_rate_warmup_steps or a smaller "
        "clip_grad_norm often helps"
    )


def test_the_row_goes_on_after_a_restart():
    first = counter(3)
    for step in (1, 2):
        first.record(step, BAD_GRADIENT, lambda line: None)
    second = counter(3)
    second.set_state(first.get_state())
    message = "at step 3 in /run; 3 steps in a row; .*; no checkpoint was saved"
    with pytest.raises(NotFiniteError, match=message):
        second.record(3, BAD_GRADIENT, lambda line: None)
    assert second.skipped == 3


def test_what_is_bad_is_told_of_each_problem():
    both = outcome(math.nan, ("look", "listen"), look=1.0, listen=math.inf)
    assert not_finite_kinds(both) == {"look": "gradient", "listen": "loss"}
    balance = GOOD._replace(
        totals={"look": math.inf, "listen": 2.0}, not_finite=("look",), norm=math.nan
    )
    assert not_finite_kinds(balance) == {"look": "loss"}
    # Each gradient is finite, and their sum is not.
    everyone = {"look": "gradient", "listen": "gradient"}
    assert not_finite_kinds(outcome(math.inf)) == everyone
    said = []
    counter(9).record(1, both, said.append)
    assert "the loss of listen and the gradient of look is not finite" in said[0]
