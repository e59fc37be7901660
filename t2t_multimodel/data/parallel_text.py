"""Parallel texts: two files line by line, TSV columns, or a pair of SGML files."""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Iterator

from t2t_multimodel.data import sgml, text_rows
from t2t_multimodel.data.text_rows import TextRow
from t2t_multimodel.errors import UserError

_ONE_EMPTY, _BOTH_EMPTY = "one side is empty", "both sides are empty"


@dataclasses.dataclass(frozen=True)
class ParallelText:
    """Files that hold sentences of two languages, one as the other's translation.

    Args:
        first: File of the first language, plain, `.gz` or SGML; or a table of both.
        second: File of the second language, `None` if `first` is a table.
        columns: Columns of the table, counted from 1 or named by its first line.
    """

    first: pathlib.Path
    second: pathlib.Path | None = None
    columns: tuple[int | str, int | str] = (1, 2)

    @property
    def paths(self) -> tuple[pathlib.Path, ...]:
        """The files."""
        return (self.first,) if self.second is None else (self.first, self.second)

    def read(self) -> Iterator[TextRow]:
        """Yields the pairs in order, each `texts = (first, second)`.

        One with an empty side or wrong encoding has a fault.

        Raises:
            UserError: If a file is missing or cut off, or the files do not belong
                together: unequal numbers of lines, other segments.
        """
        if self.second is None:
            pairs = text_rows.read_columns(self.first, self.columns)
        elif text_rows.suffix_of(self.first) in sgml.SGML_SUFFIXES:
            pairs = sgml.pair_segments(self.first, self.second)
        else:
            pairs = _pair_lines(self.first, self.second)
        for pair in pairs:
            yield pair if pair.fault else _unless_empty(pair)

    def count(self) -> int:
        """Returns the number of pairs, bad ones included.

        Raises:
            UserError: If a file cannot be read to its end.
        """
        if self.second is None:
            return text_rows.count_rows(self.first, self.columns)
        if text_rows.suffix_of(self.first) in sgml.SGML_SUFFIXES:
            return len(sgml.read_segments(self.first))
        return text_rows.count_lines(self.first)


def find(folder: pathlib.Path, first: str, second: str) -> list[ParallelText]:
    """Returns the parallel texts of a folder, by the names of its files.

    Two files belong together whose names differ in the language alone:
    `news.en` and `news.de.gz`, `newstest2013-src.en.sgm` and `newstest2013-ref.de.sgm`.
    A table says the order of its columns: `news.de-en.tsv`. A `README`, `LICENSE` and
    names that begin with a dot are left out.

    Args:
        folder: Where they are; sub-folders are looked through.
        first: Code of the first language, `"en"`.
        second: Code of the second.

    Raises:
        UserError: If there is none, a file has no partner, or is none of these kinds.
    """
    pairs: dict[str, dict[str, list[pathlib.Path]]] = {}
    found = []
    for path in _files(folder):
        if text_rows.suffix_of(path) in text_rows.TABLE_SUFFIXES:
            found.append(_table(path, first, second))
            continue
        stem, language = _stem_and_language(path)
        if language not in (first, second):
            raise UserError(
                f"{path} is no text in {first!r} or {second!r}: expected names like "
                f"x.{first} and x.{second} (.gz), x-src.{first}.sgm and "
                f"x-ref.{second}.sgm, or x.{first}-{second}.tsv; take it away or "
                "rename it"
            )
        where = str(path.parent.relative_to(folder) / stem)
        pairs.setdefault(where, {}).setdefault(language, []).append(path)
    for stem, sides in pairs.items():
        for language, other in ((first, second), (second, first)):
            if other not in sides:
                raise UserError(
                    f"{sides[language][0]} has no partner: there is no {stem} in "
                    f"{other!r} in {folder}"
                )
        found.append(ParallelText(*_sides(sides[first], sides[second])))
    if not found:
        raise UserError(
            f"{folder} has no parallel text in {first!r} and {second!r} in it"
        )
    return sorted(found, key=lambda text: text.paths)


_ROLE = re.compile(r"[-.](src|ref|tgt)(?:\.[A-Z])?$")


def _stem_and_language(path: pathlib.Path) -> tuple[str, str]:
    """Returns what the names of two partners share, and the language of this one."""
    name = path.name.removesuffix(".gz")
    is_sgml = text_rows.suffix_of(path) in sgml.SGML_SUFFIXES
    if is_sgml:
        name = name.rsplit(".", 1)[0]
    stem, _, language = name.rpartition(".")
    return _ROLE.sub("", stem) + (" (SGML)" if is_sgml else ""), language


def _sides(
    first: list[pathlib.Path], second: list[pathlib.Path]
) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns source and reference; WMT gives some pairs in both directions."""
    for one, other in itertools.product(sorted(first), sorted(second)):
        if _role(one) != "ref" and _role(other) != "src":
            return one, other
    return min(first), min(second)


def _role(path: pathlib.Path) -> str:
    name = re.sub(r"(?i)(\.sgml?)?(\.gz)?$", "", path.name)
    match = _ROLE.search(name.rpartition(".")[0])
    return match[1] if match else ""


def _table(path: pathlib.Path, first: str, second: str) -> ParallelText:
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    languages = re.search(r"(?:^|[._-])([a-z]{2,3})-([a-z]{2,3})$", stem)
    if languages is None or {languages[1], languages[2]} != {first, second}:
        raise UserError(
            f"{path}: the name must say which columns it has: "
            f"x.{first}-{second}.tsv has {first!r} first, then {second!r}"
        )
    columns = (1, 2) if languages[1] == first else (2, 1)
    return ParallelText(path, columns=columns)


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith((".", "README", "LICENSE"))
        )
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}") from None


def _pair_lines(first: pathlib.Path, second: pathlib.Path) -> Iterator[TextRow]:
    files = (text_rows.read_lines(first), text_rows.read_lines(second))
    for number, (one, other) in enumerate(itertools.zip_longest(*files)):
        if one is None or other is None:
            longer, shorter = (first, second) if other is None else (second, first)
            raise UserError(
                f"{shorter} ends after line {number}, {longer} goes on; parallel files "
                "need one line for each other's"
            )
        if one.fault or other.fault:
            yield one if one.fault else other
        else:
            yield TextRow(one.place, one.texts + other.texts)


def is_empty(pair: TextRow) -> bool:
    """Returns whether the fault of a pair is that a side of it is empty."""
    return pair.fault in (_ONE_EMPTY, _BOTH_EMPTY)


def _unless_empty(pair: TextRow) -> TextRow:
    if all(pair.texts):
        return pair
    return pair._replace(fault=_ONE_EMPTY if any(pair.texts) else _BOTH_EMPTY)
