"""How far writing is: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

import tqdm

from t2t_multimodel.data.split_steps import Report

_SECONDS_BETWEEN_LINES = 10.0


class SplitProgress:
    """Shows the examples written of a split, their rate and the time left.

    The time left is told where the number of examples is known beforehand.

    Args:
        name: Problem and split.
        open_share: Share of the split's shards that are still to be written.
        say: Prints a line.
        stream: Where a bar goes, if it is a terminal; standard error by default.
        clock: Returns seconds; for tests.
    """

    def __init__(
        self,
        name: str,
        open_share: float,
        say: Callable[[str], None],
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.written = self.passed = 0
        self.total: int | None = None
        self._open_share = open_share
        self._say = say
        self._clock = clock
        self._stream = sys.stderr if stream is None else stream
        self._bar: tqdm.tqdm | None = None
        self._began: float | None = None
        self._told = 0.0

    @property
    def seconds(self) -> float:
        """Time since the first report."""
        return 0.0 if self._began is None else self._clock() - self._began

    def update(self, report: Report) -> None:
        """Takes note of what was done, and shows it if it is time."""
        if self._began is None:
            self._begin()
        self.written += report.written
        self.passed += report.passed
        if report.total is not None:
            self.total = round(report.total * self._open_share)
        if self._bar is not None:
            self._bar.total = self.total
            self._bar.initial = self.passed  # they say nothing of the speed
            self._bar.n = self.passed + self.written
            self._bar.refresh()
        elif self._clock() - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = self._clock()
            self._say(self._line())

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _begin(self) -> None:
        self._began = self._told = self._clock()
        if self._stream.isatty():
            self._bar = tqdm.tqdm(
                desc=self.name,
                unit=" examples",
                file=self._stream,
                leave=False,
                dynamic_ncols=True,
            )

    def _line(self) -> str:
        done = self.passed + self.written
        rate = self.written / max(self.seconds, 1e-9)
        of, left = "", ""
        if self.total is not None:
            of = f" of {self.total}"
            if rate > 0:
                minutes, seconds = divmod(round(max(0, self.total - done) / rate), 60)
                left = f", {minutes}:{seconds:02} left"
        return f"{self.name}: {done}{of} examples ({rate:.0f} a second{left})"


def above_bars(say: Callable[[str], None]) -> Callable[[str], None]:
    """Returns a function that prints a line without breaking the bars."""

    def say_above(line: str) -> None:
        with tqdm.tqdm.external_write_mode(file=sys.stdout):
            say(line)

    return say_above
