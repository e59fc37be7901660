"""Examples from plain files: parallel texts, folders of images.

What is wrong with a file is told with its name and, for texts, the line.
"""

import dataclasses
import gzip
import hashlib
import itertools
import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from t2t_multimodel.errors import UserError, unknown

T = TypeVar("T")

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Files of an image folder; others are told about."""


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


def labelled_images(
    folder: pathlib.Path, names: Sequence[str]
) -> Iterator[tuple[pathlib.Path, int]]:
    """Yields the image files of a folder of class folders, class after class.

    Raises:
        UserError: If there is no image, or a sub-folder is no class.
    """
    for name in class_names([folder]):
        if name not in names:
            raise UserError(f"{folder / name}: {unknown('class', name, names)}")
        for path in _image_files(folder / name):
            yield path, names.index(name)


def classes_in_turn(
    images: Iterable[tuple[pathlib.Path, int]],
) -> Iterator[tuple[pathlib.Path, int]]:
    """Yields one image of each class, again and again, as long as there are any."""
    of_class: dict[int, list[pathlib.Path]] = {}
    for path, label in images:
        of_class.setdefault(label, []).append(path)
    for paths in itertools.zip_longest(*of_class.values()):
        for path, label in zip(paths, of_class, strict=True):
            if path is not None:
                yield path, label


def class_names(folders: Iterable[pathlib.Path]) -> list[str]:
    """Returns the names of the sub-folders, sorted.

    Raises:
        UserError: If a folder is none or has no sub-folders.
    """
    found: set[str] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder; expected one folder a class")
        inner = {
            path.name
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        }
        if not inner:
            raise UserError(f"{folder} has no folders in it; expected one a class")
        found |= inner
    return sorted(found)


def read_image(path: pathlib.Path) -> bytes:
    """Returns the bytes of a PNG or JPEG file that can be decoded.

    Raises:
        UserError: If it cannot be read or decoded.
    """
    # Problems are listed without TensorFlow; only making their data needs it.
    import tensorflow as tf

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read image {path}: {error.strerror}") from None
    if not data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise UserError(f"{path} is neither PNG nor JPEG; convert it, or take it away")
    try:
        with tf.device("/CPU:0"):
            tf.io.decode_image(data, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise UserError(
            f"{path} cannot be decoded ({error.message.splitlines()[0][:100]}); take "
            "it away or mend it"
        ) from None
    return data


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


def _image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in files:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(
                f"{path} is not an image file ({', '.join(IMAGE_SUFFIXES)}); take it "
                "away"
            )
    if not files:
        raise UserError(f"{folder} has no images in it")
    return files


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
