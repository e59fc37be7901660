"""Examples from plain files: parallel texts, and parts of a list of files.

What is wrong with a file is told with its name and, for texts, the line.
"""

import dataclasses
import gzip
import hashlib
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from t2t_multimodel.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Every `every`-th example of the train sources, beginning with `offset`."""

    every: int
    offset: int

    def holds(self, number: int) -> bool:
        """Returns whether an example, counted from 0, is one of them."""
        return number % self.every == self.offset

    def meets(self, other: "HeldOut") -> bool:
        """Returns whether some number is held by both."""
        step = math.gcd(self.every, other.every)
        return self.offset % step == other.offset % step


@dataclasses.dataclass(frozen=True)
class Part:
    """The sources of a split, and which of their examples belong to it.

    Args:
        sources: Whatever the kind reads: pairs of files, or folders.
        only: If given, the examples that belong to it.
        leave_out: Examples that belong to other splits.
    """

    sources: Sequence[Any]
    only: HeldOut | None = None
    leave_out: tuple[HeldOut, ...] = ()

    def select(self, read: Callable[[Any], Iterable[T]]) -> Iterator[T]:
        """Yields the split's examples of all sources, counted through."""
        number = -1
        for source in self.sources:
            for example in read(source):
                number += 1
                if self.only and not self.only.holds(number):
                    continue
                if not any(other.holds(number) for other in self.leave_out):
                    yield example


def line_pairs(files: tuple[pathlib.Path, pathlib.Path]) -> Iterator[tuple[str, str]]:
    """Yields the lines of two parallel files, plain or `.gz`, side by side.

    Raises:
        UserError: If a file is missing, not UTF-8, or longer than the other.
    """
    first, second = (_lines(path) for path in files)
    count = 0
    while True:
        one, other = next(first, None), next(second, None)
        if one is None and other is None:
            return
        if one is None or other is None:
            longer, shorter = files if other is None else files[::-1]
            raise UserError(
                f"{shorter} ends after line {count}, {longer} goes on; parallel files "
                "need one line for each other's"
            )
        count += 1
        yield one, other


def state_of(parts: Iterable[Part]) -> str:
    """Returns a digest that differs when a file or the choice of examples does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr((part.only, part.leave_out)).encode())
        for source in part.sources:
            for path in source if isinstance(source, tuple) else [source]:
                files = sorted(path.glob("*/*")) if path.is_dir() else [path]
                for file in files:
                    stat = file.stat()
                    stamp = (str(file), stat.st_size, stat.st_mtime_ns)
                    digest.update(repr(stamp).encode())
    return digest.hexdigest()


def _lines(path: pathlib.Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    count = 0
    try:
        with opened(path, "rb") as file:
            for line in file:
                text = line.decode("utf-8" if count else "utf-8-sig")
                count += 1
                yield text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}:{count + 1}: not UTF-8 at byte {error.start} of the line"
        ) from None
    except EOFError:
        raise UserError(f"{path} is cut off after line {count}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
