"""Ctrl-C and SIGTERM while training: it ends after the step, so that what is saved is
whole.

Python runs its signal handlers in the main thread, between two operations of its own:
never while that thread is within a call of TensorFlow, such as the first run of a large
graph, which can take a minute. So a thread of ours hears of every signal at once, over
the pipe of `signal.set_wakeup_fd`, and ends the process where it must not wait: at the
second signal, and where nothing is to be saved.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self

from t2t_multimodel import signals

_NOTICE = b"\nstopping; a second Ctrl-C or SIGTERM stops at once\n"
_SECONDS_BETWEEN_LOOKS = 0.1
_PATIENCE_SECONDS = 5.0
"""How long a program with nothing to save may go on after a signal: within it most
calls of TensorFlow return, and all that is open is closed in order."""


class Interruption:
    """While open, decides where the first Ctrl-C or SIGTERM is answered.

    Use as a context manager. Until `begin`, or the first `held`, there is nothing to
    save, and a signal raises `KeyboardInterrupt` or `signals.Terminated` where it
    comes. From then on `held` parts are not disturbed, and with `raises=False` nothing
    is but what `run_abortable` runs: `requested` tells of the signal, and the loop
    ends itself. A second signal of either kind ends the process at once.

    Args:
        raises: Whether a signal raises outside of `held` parts. Not in a group of
            workers, which have to end after the same step.
        program: Name of the program that is to end by a signal; empty if it is not
            known that all ends, as in a notebook. A program that has nothing to save
            (yet, or any more) ends a few seconds after a signal whatever it is in the
            middle of, and the second signal counts until its very end.
        exit_at_once: Ends the process with a status; for tests.

    Attributes:
        requested: The first signal; `None` if there was none yet.
    """

    def __init__(
        self,
        *,
        raises: bool = True,
        program: str = "",
        exit_at_once: Callable[[int], object] = os._exit,
    ) -> None:
        self.requested: signal.Signals | None = None
        self._raises = raises
        self._program = program
        self._exit_at_once = exit_at_once
        self._has_begun = False
        self._is_held = False
        self._is_abortable = False
        self._left_at: float | None = None
        self._before: dict[signal.Signals, object] = {}

    def begin(self) -> None:
        """Tells that from now on there is something to save."""
        self._has_begun = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within it, signals are only noted.

        Raises:
            KeyboardInterrupt: At its end, if a signal came meanwhile, and unless
                `raises=False`.
        """
        self._is_held = self._has_begun = True
        try:
            yield
        finally:
            self._is_held = False
        if self.requested and self._raises:
            raise signals.ending(self.requested)

    def run_abortable(self, work: Callable[[], object]) -> bool:
        """Runs what may be left anywhere, such as an evaluation.

        Args:
            work: Called, unless a signal came already; a signal that comes meanwhile
                raises in it, and goes no further than here.

        Returns:
            Whether it was run to its end.
        """
        try:
            try:
                self._is_abortable = True
                if self.requested:
                    return False
                work()
            finally:
                self._is_abortable = False
        except KeyboardInterrupt:
            self._is_abortable = False  # The signal may have come just before it.
            if not self.requested:  # not of ours
                raise
            return False
        return True

    def ending(self, what_is_saved: str) -> KeyboardInterrupt:
        """Returns what to raise when all is saved that is to be.

        Args:
            what_is_saved: What the user is told, in the program's last line.
        """
        return signals.ending(self.requested or signal.SIGINT, what_is_saved)

    def take_signals(self) -> None:
        """Makes this one answer the signals, whoever does now.

        To be called again when a `MultiWorkerMirroredStrategy` was made: it puts a
        handler of its own in the place of ours, which swallows SIGTERM.
        """
        # Python lets only the main thread decide about signals.
        if threading.current_thread() is threading.main_thread():
            for number in signals.ASK_TO_END:
                before = signal.signal(number, self._interrupt)
                self._before.setdefault(number, before)

    def __enter__(self) -> Self:
        self.take_signals()
        if self._before:
            self._ear, self._mouth = os.pipe()
            os.set_blocking(self._mouth, False)
            self._wakeup_before = signal.set_wakeup_fd(
                self._mouth, warn_on_full_buffer=False
            )
            self._watch = threading.Thread(target=self._listen, daemon=True)
            self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left_at = time.monotonic()
        # The threads of a program that ends may be in the middle of something long.
        if self._before and not (self.requested and self._program):
            self.release()

    def release(self) -> None:
        """Gives the signals back to whoever had them before."""
        for number, handler in self._before.items():
            if handler is not None:  # None: of a library in C, which Python cannot set
                signal.signal(number, handler)
        self._before = {}
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._mouth)
        self._watch.join()
        os.close(self._ear)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Python's handler: in the main thread, as soon as that can."""
        if self.requested:
            return  # `_listen` ends the process.
        self.requested = signal.Signals(number)
        raises = self._raises and not self._is_held
        if raises or self._is_abortable or not self._has_begun:
            raise signals.ending(number)

    def _listen(self) -> None:
        """Hears of signals whatever the main thread is at; a thread."""
        first, first_at = 0, 0.0
        while True:
            wait = _SECONDS_BETWEEN_LOOKS if first else None
            if select.select([self._ear], [], [], wait)[0]:
                numbers = os.read(self._ear, 64)
                if not numbers:  # closed
                    return
                for number in filter(signals.ASK_TO_END.__contains__, numbers):
                    if first:
                        self._exit_at_once(signals.status_of(number))
                        return
                    first, first_at = number, time.monotonic()
                    # Not print: that may be what the main thread is in the middle of.
                    os.write(2, _NOTICE)
            if first and self._is_overdue(first_at):
                self._exit_at_once(signals.status_of(first))
                return

    def _is_overdue(self, first_at: float) -> bool:
        """Whether a program that was asked to end should have; says so in a line."""
        if not self._program:
            return False
        if self._left_at is not None:  # It has told what is saved.
            return time.monotonic() > max(first_at, self._left_at) + _PATIENCE_SECONDS
        if self._has_begun or time.monotonic() < first_at + _PATIENCE_SECONDS:
            return False
        said = (
            f"{self._program}: ended before the first step; there was nothing to save\n"
        )
        os.write(2, said.encode())
        return True
