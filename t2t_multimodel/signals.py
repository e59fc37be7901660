"""What asks a program to end: Ctrl-C (SIGINT) and SIGTERM, as exceptions.

Python answers SIGINT with `KeyboardInterrupt` and lets SIGTERM kill the process; here
both are exceptions that close on their way out whatever is open.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from t2t_multimodel import exit_status

ASK_TO_END = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a program to end."""

_SECONDS_BETWEEN_LOOKS = 0.2

_STATUSES = {
    signal.SIGINT: exit_status.INTERRUPTED,
    signal.SIGTERM: exit_status.TERMINATED,
}


class Terminated(KeyboardInterrupt):
    """SIGTERM: all that catches Ctrl-C catches it, but it has its own exit status."""


def ending(number: int, what_is_saved: str = "") -> KeyboardInterrupt:
    """Returns the exception that a signal is answered with, to be raised.

    Args:
        number: SIGINT or SIGTERM.
        what_is_saved: Told in the program's last line.
    """
    kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    if not what_is_saved:
        return kind()
    return kind(f"{_word(kind)}; {what_is_saved}")


def said_of(error: KeyboardInterrupt) -> str:
    """Returns what a program says of such an exception, in its last line."""
    return str(error) or _word(type(error))


def is_all_done(error: KeyboardInterrupt) -> bool:
    """Whether what is saved was told: then nothing is left to be done in order."""
    return bool(str(error))


def status_of(asked: KeyboardInterrupt | int) -> int:
    """Returns the exit status after such an exception, or after a signal's number."""
    if isinstance(asked, KeyboardInterrupt):
        is_terminated = isinstance(asked, Terminated)
        asked = signal.SIGTERM if is_terminated else signal.SIGINT
    return _STATUSES[signal.Signals(asked)]


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Within it the first SIGTERM raises `Terminated`, a second ends the process.

    Outside the main thread, where Python lets nobody decide about signals, it does
    nothing.
    """
    asked = []

    def answer(number: int, frame: FrameType | None) -> None:
        if asked:
            os._exit(status_of(number))
        asked.append(number)
        raise ending(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, answer)
    try:
        yield
    finally:
        if before is not None:  # None: of a library in C, which Python cannot set
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def ending_at_once(
    program: str, exit_at_once: Callable[[int], object] = os._exit
) -> Iterator[None]:
    """Within it a signal ends the process at once, even one that Python never sees.

    A `MultiWorkerMirroredStrategy` that is being made waits for the other workers
    without limit, in C++: no handler of Python's runs meanwhile, and SIGTERM is
    swallowed by a handler of its own. Blocked signals come to no handler, but to
    the thread that asks for them.

    Args:
        program: Name of the program, for its last line.
        exit_at_once: Ends the process with a status; for tests.
    """
    is_over = threading.Event()

    def wait() -> None:
        while not is_over.is_set():
            asked = signal.sigtimedwait(ASK_TO_END, _SECONDS_BETWEEN_LOOKS)
            if asked is not None:
                kind = type(ending(asked.si_signo))
                said = f"{program}: {_word(kind)} before the first step\n"
                os.write(2, said.encode())
                exit_at_once(status_of(asked.si_signo))

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASK_TO_END)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _word(kind: type[KeyboardInterrupt]) -> str:
    return "terminated" if issubclass(kind, Terminated) else "interrupted"
