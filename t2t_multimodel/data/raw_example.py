"""An example as a problem gives it, or what is wrong with one.

Readers of files give these, and problems are made of readers: so they stand here, and
not with `Problem`, from where they can be imported too.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from t2t_multimodel.errors import UserError

RawExample = Mapping[str, Any]
"""`{"inputs": ..., "targets": ...}`, each as its feature says.

A value may be a function without arguments that returns it, or raises `UserError`: it
is called only for an example that is written, so that one process of several need not
read the files of the others. A key `"place"` may tell where the example stands,
a key `"image_id"` a number that is the same for all captions of a picture.
"""


def materialise(value: Any) -> Any:
    """Returns a value of a raw example, made now if it is a function.

    Raises:
        UserError: If what it is made from cannot be read.
    """
    try:
        return value() if callable(value) else value
    except OSError as error:
        named = f" {error.filename}" if error.filename else ""
        raise UserError(f"cannot read{named}: {error.strerror or error}") from None


class LazyExample(Mapping[str, Any]):
    """A raw example that is made whole when it is first looked at.

    For problems whose two sides are made together, such as a picture and its label.

    Args:
        make: Returns the example; called once.
    """

    def __init__(self, make: Callable[[], RawExample]) -> None:
        self._make = functools.cache(make)

    def __getitem__(self, key: str) -> Any:
        return self._make()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make())

    def __len__(self) -> int:
        return len(self._make())


@dataclasses.dataclass(frozen=True)
class BadExample:
    """An example that cannot be used, yielded in its place.

    Args:
        place: File, and line or number in it.
        reason: What is wrong, and what was expected.
    """

    place: str
    reason: str
