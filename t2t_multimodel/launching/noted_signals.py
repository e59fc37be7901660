"""Ctrl-C and SIGTERM, noted for a loop that looks."""

import signal
from types import FrameType, TracebackType
from typing import Self

from t2t_multimodel import signals


class NotedSignals:
    """While open, SIGINT and SIGTERM do nothing but stand here.

    Use as a context manager, in the main thread.

    Attributes:
        noted: The signals that came, in their order.
    """

    def __init__(self) -> None:
        self.noted: list[signal.Signals] = []
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in signals.ASK_TO_END:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted.append(signal.Signals(number))
