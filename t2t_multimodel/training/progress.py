"""How far the training is: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self, TextIO

import tqdm

_SMOOTHING = 0.9  # weight of what was shown before


class Progress:
    """Shows steps, each problem's loss, targets a second and the time left.

    Use as a context manager, so that the bar ends its line also after an error.

    Args:
        first_step: The step at which training begins or goes on.
        total_steps: The step at which it ends.
        stream: Where to; a bar if it is a terminal, otherwise plain lines.
        interval_seconds: Time between two plain lines.
        clock: Returns seconds; for tests.
    """

    def __init__(
        self,
        first_step: int,
        total_steps: int,
        *,
        stream: TextIO | None = None,
        interval_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_steps = total_steps
        self.step = first_step
        self._stream = sys.stderr if stream is None else stream
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._losses: dict[str, float] = {}
        self._first_step, self._num_tokens = first_step, 0
        self._start = self._last_line = clock()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm.tqdm(
                total=total_steps,
                initial=first_step,
                file=self._stream,
                unit="step",
                dynamic_ncols=True,
            )

    def update(
        self, step: int, losses: Mapping[str, float], num_tokens: Mapping[str, int]
    ) -> None:
        """Shows a step.

        Args:
            step: Updates done, this one included.
            losses: Problem name to loss of this step, in nats a target. What is
                shown is smoothed; a problem keeps its last one until its next step.
            num_tokens: Problem name to targets of this step, over all replicas.
        """
        num_steps, self.step = step - self.step, step
        self._num_tokens += sum(num_tokens.values())
        for name, loss in losses.items():
            old = self._losses.get(name, float(loss))
            self._losses[name] = _SMOOTHING * old + (1 - _SMOOTHING) * float(loss)
        if self._bar is not None:
            self._bar.set_postfix_str(self._text(), refresh=False)
            self._bar.update(num_steps)
            return
        now = self._clock()
        due = now - self._last_line >= self._interval_seconds
        if due or self.step == self.total_steps or self.step == self._first_step + 1:
            self._last_line = now
            self.write(
                f"step {self.step}/{self.total_steps} {self._text()}{self._left()}"
            )

    def write(self, line: str) -> None:
        """Writes a line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _text(self) -> str:
        losses = " ".join(f"{name}={loss:.3f}" for name, loss in self._losses.items())
        seconds = max(self._clock() - self._start, 1e-9)
        return f"{losses} {self._num_tokens / seconds:.0f} targets/s"

    def _left(self) -> str:
        done = self.step - self._first_step
        seconds = (self._clock() - self._start) / done
        return f", {_duration((self.total_steps - self.step) * seconds)} left"


@contextlib.contextmanager
def shown_progress(
    first_step: int, total_steps: int, *, is_shown: bool
) -> Iterator[Progress]:
    """Opens a `Progress` on standard error, or one that nobody sees."""
    with contextlib.ExitStack() as closing:
        stream = None
        if not is_shown:
            stream = closing.enter_context(open(os.devnull, "w", encoding="utf-8"))
        yield closing.enter_context(Progress(first_step, total_steps, stream=stream))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
