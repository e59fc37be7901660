"""Rows of text files: lines, and the columns of TSV and CSV files, plain or gzip.

A row that cannot be used says why and where, and the reader goes on; a file that cannot
be read to its end is an error.
"""

import contextlib
import csv
import gzip
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple

from t2t_multimodel.errors import UserError, unknown

TABLE_SUFFIXES = (".tsv", ".csv")
"""Endings of files with columns; `.gz` may follow."""


class TextRow(NamedTuple):
    """What stands in one place of a file, or of files that belong together.

    Attributes:
        place: File and line, `"news.en:17"`.
        texts: The texts wanted, without spaces around them (as T2T strips lines);
            meaningless if there is a fault.
        fault: Why the row cannot be used; `""` if it can.
    """

    place: str
    texts: tuple[str, ...]
    fault: str = ""


def suffix_of(path: pathlib.Path) -> str:
    """Returns the ending of a file name in small letters, that of `a.tsv.gz` too."""
    name = path.name.lower().removesuffix(".gz")
    return pathlib.PurePath(name).suffix


def read_lines(path: pathlib.Path) -> Iterator[TextRow]:
    """Yields the lines of a text file; only a newline ends a line.

    Raises:
        UserError: If the file is missing or cut off.
    """
    for number, line in _numbered_lines(path):
        text, fault = _decoded(line)
        yield TextRow(f"{path}:{number}", (text.strip(),), fault)


def count_lines(path: pathlib.Path) -> int:
    """Returns the number of lines, without decoding them.

    Raises:
        UserError: If the file is missing or cut off.
    """
    count, last = 0, b"\n"
    with _opened(path) as file, _told(path, lambda: count):
        while block := file.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")


def read_columns(path: pathlib.Path, columns: Sequence[int | str]) -> Iterator[TextRow]:
    """Yields some columns of a TSV or CSV file.

    TSV is cut at every tab; CSV is read with quotes, in which commas and newlines may
    stand.

    Args:
        path: The file; its name says which of the two it is.
        columns: Numbers counted from 1, or names that its first line gives.

    Raises:
        UserError: If the file is missing or cut off, or has no such column.
    """
    rows = _csv_rows(path) if suffix_of(path) == ".csv" else _tsv_rows(path)
    numbers = [column for column in columns if isinstance(column, int)]
    if len(numbers) < len(columns):
        numbers = _numbers_of(path, columns, next(rows, None))
    for line, fields, fault in rows:
        place = f"{path}:{line}"
        if not fault and len(fields) < max(numbers):
            has = f"{len(fields)} column{'s' if len(fields) > 1 else ''}"
            fault = f"the line has {has}; column {max(numbers)} is wanted"
        texts = [] if fault else [fields[number - 1].strip() for number in numbers]
        yield TextRow(place, tuple(texts), fault)


def count_rows(path: pathlib.Path, columns: Sequence[int | str]) -> int:
    """Returns the number of rows that `read_columns` yields."""
    if suffix_of(path) == ".csv":
        return sum(1 for _ in read_columns(path, columns))
    has_header = any(isinstance(column, str) for column in columns)
    return count_lines(path) - has_header


_Fields = tuple[int, list[str], str]  # Number of the line, fields, fault.


def _tsv_rows(path: pathlib.Path) -> Iterator[_Fields]:
    for number, line in _numbered_lines(path):
        text, fault = _decoded(line)
        yield number, text.rstrip("\r\n").split("\t"), fault


def _csv_rows(path: pathlib.Path) -> Iterator[_Fields]:
    # What is no UTF-8 survives as lone surrogates, so that quotes stay matched.
    lines = (line.decode(errors="surrogateescape") for _, line in _numbered_lines(path))
    reader = csv.reader(lines, strict=True)
    began = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}:{began}: no CSV ({error}); quotes in quoted text are doubled"
            ) from None
        if fields:
            broken = any(_is_broken(field) for field in fields)
            yield began, fields, "not UTF-8" if broken else ""
        began = reader.line_num + 1


def _is_broken(field: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in field)


def _numbers_of(
    path: pathlib.Path, columns: Sequence[int | str], header: _Fields | None
) -> list[int]:
    if header is None:
        raise UserError(f"{path} is empty; its first line must name the columns")
    names = [name.strip() for name in header[1]]
    numbers = []
    for column in columns:
        if isinstance(column, int):
            numbers.append(column)
        elif column in names:
            numbers.append(names.index(column) + 1)
        else:
            raise UserError(f"{path}:1: {unknown('column', column, names)}")
    return numbers


def _decoded(line: bytes) -> tuple[str, str]:
    """Returns the text of a line and what is wrong with it."""
    try:
        return line.decode(), ""
    except UnicodeDecodeError as error:
        return "", f"not UTF-8 at byte {error.start} of the line"


def _numbered_lines(path: pathlib.Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    with _opened(path) as file, _told(path, lambda: number):
        for number, line in enumerate(file, 1):
            yield number, line if number > 1 else line.removeprefix(b"\xef\xbb\xbf")


def _opened(path: pathlib.Path) -> IO[bytes]:
    try:
        if path.name.lower().endswith(".gz"):
            return gzip.open(path, "rb")  # type: ignore[return-value]
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


@contextlib.contextmanager
def _told(path: pathlib.Path, lines_read: Callable[[], int]) -> Iterator[None]:
    """Tells file and line of what goes wrong within."""
    try:
        yield
    except EOFError:
        raise UserError(
            f"{path} is cut off after line {lines_read()}; get it again"
        ) from None
    except zlib.error as error:
        raise UserError(
            f"{path} is broken after line {lines_read()} ({error}); get it again"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
