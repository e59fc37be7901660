"""Pictures in folders: which there are, of which class, and in which order."""

import csv
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.errors import UserError, unknown

T = TypeVar("T")

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Files of an image folder; others are told about."""


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
        for path in images_of(folder / name):
            yield path, names.index(name)


def listed_images(
    csv_file: pathlib.Path, names: Sequence[str]
) -> Iterator[tuple[pathlib.Path, int, str] | BadExample]:
    """Yields (file, class, place) of the rows of a CSV file `path,label`.

    A row without a path, without a known class, or with the path of another row is
    yielded as a bad example.

    Args:
        csv_file: Its first line names its columns, among them `path` and `label`.
            Paths are relative to its folder.
        names: The classes.

    Raises:
        UserError: If it is no such file, or has no rows.
    """
    index = {name: number for number, name in enumerate(names)}
    lines: dict[str, int] = {}
    for line, path, label in _rows(csv_file):
        place = f"{csv_file}:{line}"
        if not path or not label:
            reason = f"expected a path and a label, got {path!r} and {label!r}"
            yield BadExample(place, reason)
        elif label not in index:
            yield BadExample(place, unknown("class", label, names))
        elif path in lines:
            reason = f"{path} is on line {lines[path]} already; give it once"
            yield BadExample(place, reason)
        else:
            lines[path] = line
            yield csv_file.parent / path, index[label], place


def listed_classes(csv_files: Iterable[pathlib.Path]) -> list[str]:
    """Returns the labels that occur in CSV files `path,label`, sorted.

    Raises:
        UserError: If a file is no such file, or has no rows.
    """
    found = {label for file in csv_files for _, _, label in _rows(file)}
    return sorted(found - {""})


def in_turn(sequences: Iterable[Iterable[T]]) -> Iterator[T]:
    """Yields an element of each in turn, again and again, as long as there are any."""
    waiting = [iter(sequence) for sequence in sequences]
    while waiting:
        going_on = []
        for iterator in waiting:
            for element in itertools.islice(iterator, 1):
                yield element
                going_on.append(iterator)
        waiting = going_on


def class_names(folders: Iterable[pathlib.Path]) -> list[str]:
    """Returns the names of the sub-folders, sorted.

    Raises:
        UserError: If a folder is none or has no sub-folders.
    """
    found: set[str] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder; expected one folder a class")
        try:
            inner = {
                path.name
                for path in folder.iterdir()
                if path.is_dir() and not path.name.startswith(".")
            }
        except OSError as error:
            raise UserError(f"cannot read folder {folder}: {error.strerror}") from None
        if not inner:
            raise UserError(f"{folder} has no folders in it; expected one a class")
        found |= inner
    return sorted(found)


def images_of(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files of a folder, sorted.

    Raises:
        UserError: If it cannot be read, has none, or has other files too.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from None
    files = [folder / name for name in names if not name.startswith(".")]
    for path in files:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(
                f"{path} is not an image file ({', '.join(IMAGE_SUFFIXES)}); take it "
                "away"
            )
    if not files:
        raise UserError(f"{folder} has no images in it")
    return files


def _rows(csv_file: pathlib.Path) -> Iterator[tuple[int, str, str]]:
    """Yields (line, path, label)."""
    count = 0
    try:
        with open(csv_file, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"path", "label"} <= set(rows.fieldnames or ()):
                raise UserError(
                    f"{csv_file}:1: the columns are {rows.fieldnames}; the first line "
                    "must name the columns path and label"
                )
            for row in rows:
                count += 1
                yield rows.line_num, row["path"] or "", row["label"] or ""
    except UnicodeDecodeError as error:
        raise UserError(
            f"{csv_file} is not UTF-8 ({error.reason}); save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise UserError(f"{csv_file}: after row {count}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {csv_file}: {error.strerror}") from None
    if not count:
        raise UserError(f"{csv_file} has no rows below the names of its columns")
