"""Which examples of a user's files belong to which split, and when files change."""

import dataclasses
import hashlib
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Every `every`-th example of the train sources, beginning with `offset`."""

    every: int
    offset: int

    def holds(self, number: int) -> bool:
        """Returns whether an example, counted from 0, is one of them."""
        return number % self.every == self.offset

    def among(self, count: int) -> int:
        """Returns how many of the first `count` examples are of them."""
        return len(range(self.offset, count, self.every))

    def meets(self, other: "HeldOut") -> bool:
        """Returns whether some number is held by both."""
        step = math.gcd(self.every, other.every)
        return self.offset % step == other.offset % step


@dataclasses.dataclass(frozen=True)
class Part:
    """The sources of a split, and which of their examples belong to it.

    Args:
        sources: Whatever the kind reads: files, folders, or what has `paths` of them.
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

    def count(self, count_of: Callable[[Any], int]) -> int:
        """Returns the number of the split's examples, given that of a source."""
        total = sum(map(count_of, self.sources))
        if self.only:
            return self.only.among(total)
        return total - sum(other.among(total) for other in self.leave_out)


def state_of_files(paths: Iterable[pathlib.Path]) -> str:
    """Returns a digest of the names, sizes and times of files, missing ones too.

    Of no files it is empty.
    """
    digest, stamp = hashlib.sha256(), None
    for path in paths:
        try:
            stat = path.stat()
            stamp = (str(path), stat.st_size, stat.st_mtime_ns)
        except OSError:
            stamp = (str(path), -1, -1)
        digest.update(repr(stamp).encode())
    return digest.hexdigest() if stamp else ""


def state_of(parts: Iterable[Part]) -> str:
    """Returns a digest that differs when a file or the choice of examples does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr((part.only, part.leave_out)).encode())
        for source in part.sources:
            for path in getattr(source, "paths", [source]):
                files = sorted(path.glob("*/*")) if path.is_dir() else [path]
                for file in files:
                    stat = file.stat()
                    stamp = (str(file), stat.st_size, stat.st_mtime_ns)
                    digest.update(repr(stamp).encode())
    return digest.hexdigest()
