"""What a worker prints, in whole lines that carry its number."""

import time
from collections.abc import Callable
from typing import BinaryIO

_SECONDS_BETWEEN_STATES = 10.0
_MAX_LINE_BYTES = 1 << 20


class WorkerLines:
    """Writes one stream of a worker as lines `[worker 1] ...`, never parts of them.

    Lines of several workers can share an output so. Of a line that is written over
    after a carriage return, such as a progress bar, its state is a line of its own
    every 10 seconds; at its end, what it ends with.

    Args:
        worker: Number of the worker.
        output: Where the lines go.
        now: Clock, in seconds.
    """

    def __init__(
        self,
        worker: int,
        output: BinaryIO,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = f"[worker {worker}] ".encode()
        self._output = output
        self._now = now
        self._unfinished = b""
        self._state_shown_at = -_SECONDS_BETWEEN_STATES

    def take(self, data: bytes) -> None:
        """Takes what came next from the worker."""
        *lines, rest = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._write(_states(line)[-1])
        *overwritten, current = _states(rest)
        # A carriage return at the end may be that of "\r\n".
        self._unfinished = current + b"\r" * rest.endswith(b"\r")
        self._show_state(overwritten)
        if len(self._unfinished) > _MAX_LINE_BYTES:
            self.finish()

    def finish(self) -> None:
        """Writes what is left, as the line that it was to become."""
        if self._unfinished:
            self._write(_states(self._unfinished)[-1])
        self._unfinished = b""

    def _show_state(self, overwritten: list[bytes]) -> None:
        visible = [state for state in overwritten if state.strip()]
        now = self._now()
        if visible and now - self._state_shown_at >= _SECONDS_BETWEEN_STATES:
            self._state_shown_at = now
            self._write(visible[-1])

    def _write(self, line: bytes) -> None:
        self._output.write(self._prefix + line + b"\n")
        self._output.flush()


def _states(line: bytes) -> list[bytes]:
    """Returns what a line showed, one after the other; the last one still is shown."""
    return line.rstrip(b"\r").split(b"\r")
