"""How far decoding is: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import tqdm

_SECONDS_BETWEEN_LINES = 30.0


@contextlib.contextmanager
def progress(total: int, name: str) -> Iterator[Callable[[int], None]]:
    """Shows progress on standard error.

    Args:
        total: Examples or lines in all.
        name: Of what is decoded.

    Yields:
        A function to be told how many more are done.
    """
    if sys.stderr.isatty():
        with tqdm.tqdm(total=total, desc=name, unit=" examples") as bar:
            yield lambda count: bar.update(count)
        return
    done, told = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, told
        done += count
        if time.monotonic() - told >= _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            print(f"{name}: {done} of {total}", file=sys.stderr, flush=True)

    yield advance
