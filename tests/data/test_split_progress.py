"""Progress of a split: a bar on a terminal, lines elsewhere; rate and time left."""

import io

import pytest

from t2t_multimodel.data.split_progress import SplitProgress
from t2t_multimodel.data.split_steps import Report


class Clock:
    """Seconds that pass when told so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_lines_come_now_and_then_with_rate_and_time_left(clock):
    said = []
    progress = SplitProgress(
        "x train", 1.0, said.append, stream=io.StringIO(), clock=clock
    )
    clock.now += 500  # waiting for its turn says nothing of the speed
    progress.update(Report("x train", total=1000))
    for _ in range(3):
        clock.now += 5
        progress.update(Report("x train", written=50))
    assert said == ["x train: 100 of 1000 examples (10 a second, 1:30 left)"]
    assert progress.seconds == 15


def test_the_end_is_told_only_where_it_is_known(clock):
    said = []
    progress = SplitProgress(
        "x dev", 1.0, said.append, stream=io.StringIO(), clock=clock
    )
    progress.update(Report("x dev"))
    clock.now += 10
    progress.update(Report("x dev", written=30))
    assert said == ["x dev: 30 examples (3 a second)"]


def test_what_was_written_before_says_nothing_of_the_speed(clock):
    said = []
    # Half of the shards are finished, of the rest 300 examples are dealt.
    progress = SplitProgress(
        "x train", 0.5, said.append, stream=io.StringIO(), clock=clock
    )
    progress.update(Report("x train", total=1000))
    clock.now += 10
    progress.update(Report("x train", passed=300, written=50))
    assert said == ["x train: 350 of 500 examples (5 a second, 0:30 left)"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_terminal_shows_a_bar(clock):
    terminal, said = Terminal(), []
    progress = SplitProgress("x train", 1.0, said.append, stream=terminal, clock=clock)
    assert terminal.getvalue() == ""
    progress.update(Report("x train", total=200))
    progress.update(Report("x train", written=50))
    progress.close()
    assert "x train:  25%" in terminal.getvalue()
    assert "50/200" in terminal.getvalue()
    assert said == []
