"""Ctrl-C while training: ends after the step, so that what is saved is whole."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self

from t2t_multimodel import exit_status

_NOTICE = b"\nstopping; Ctrl-C again stops at once\n"


class Interruption:
    """While open, Ctrl-C waits for the end of a `held` part; a second one does not.

    Use as a context manager. After the first Ctrl-C it stays in charge, since the
    threads of a program that ends may be in the middle of something long: the second
    one ends the process at once.

    Args:
        exit_at_once: Ends the process with a status; for tests.
    """

    def __init__(self, exit_at_once: Callable[[int], None] = os._exit) -> None:
        self.requested = False
        self._is_held = False
        self._exit_at_once = exit_at_once
        self._before: object = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within it, Ctrl-C is only noted.

        Raises:
            KeyboardInterrupt: At its end, if Ctrl-C came meanwhile.
        """
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self.requested:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        # Python lets only the main thread decide about signals.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None and not self.requested:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._exit_at_once(exit_status.INTERRUPTED)
        self.requested = True
        # Not print: the signal may come while something is printed.
        os.write(2, _NOTICE)
        if not self._is_held:
            raise KeyboardInterrupt
