"""The SGML files of WMT's test sets: segments, named by document and number.

They are no XML: `&` and `<` stand in the texts as they are.
"""

import bisect
import html
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from t2t_multimodel.data.text_rows import TextRow, read_lines
from t2t_multimodel.errors import UserError

SGML_SUFFIXES = (".sgm", ".sgml")
"""Endings of these files; `.gz` may follow."""

_TAG = re.compile(r"<(/?)(srcset|refset|tstset|doc|seg)\b([^>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")
# With a semicolon only, so that "R&D" and "S&P" are what they say.
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);")


class Segment(NamedTuple):
    """A sentence of a test set.

    Attributes:
        place: File and line.
        name: Document and number in it, the same in all languages.
        text: What it says, entities resolved, spaces of line ends made one.
    """

    place: str
    name: tuple[str, str]
    text: str


def read_segments(path: pathlib.Path) -> list[Segment]:
    """Returns the segments of a file, in order.

    Raises:
        UserError: If the file is missing, not UTF-8, cut off, or names two segments
            alike; file and line are told.
    """
    text, line_starts = _whole_text(path)
    place_of = _Places(path, line_starts)
    segments: list[Segment] = []
    document, opened, in_set = "", None, ""
    for tag in _TAG.finditer(text):
        closes, kind, attributes = tag[1] == "/", tag[2].lower(), tag[3]
        if kind == "seg" and closes:
            if opened is None:
                raise UserError(f"{place_of(tag)}: </seg> without <seg>")
            segments.append(_segment(place_of(opened), document, opened, text, tag))
            opened = None
        elif opened is not None:
            raise UserError(f"{place_of(opened)}: the segment does not end with </seg>")
        elif kind == "seg":
            opened = tag
        elif kind == "doc" and not closes:
            document = dict(_ATTRIBUTE.findall(attributes)).get("docid", "")
        elif kind.endswith("set"):
            in_set = "" if closes else kind
    if opened is not None or in_set:
        last = place_of(opened) if opened else segments[-1].place if segments else path
        raise UserError(f"{path} is cut off after {last}; get it again")
    if not segments:
        raise UserError(f"{path} has no <seg> in it; expected WMT's SGML")
    return segments


def pair_segments(first: pathlib.Path, second: pathlib.Path) -> Iterator[TextRow]:
    """Yields the segments of two files that have one name, in the first's order.

    Raises:
        UserError: As `read_segments`, or if a segment is in one file only.
    """
    ours, theirs = (_by_name(path) for path in (first, second))
    for name, segment in theirs.items():
        if name not in ours:
            raise UserError(f"{segment.place}: {_called(name)} is not in {first}")
    for name, segment in ours.items():
        if name not in theirs:
            raise UserError(f"{segment.place}: {_called(name)} is not in {second}")
        yield TextRow(segment.place, (segment.text, theirs[name].text))


def _by_name(path: pathlib.Path) -> dict[tuple[str, str], Segment]:
    found: dict[tuple[str, str], Segment] = {}
    for segment in read_segments(path):
        if segment.name in found:
            raise UserError(
                f"{segment.place}: {_called(segment.name)} stands at "
                f"{found[segment.name].place} already"
            )
        found[segment.name] = segment
    return found


def _called(name: tuple[str, str]) -> str:
    return f"segment {name[1]!r} of document {name[0]!r}"


def _segment(
    place: str, document: str, opened: re.Match, text: str, closed: re.Match
) -> Segment:
    number = dict(_ATTRIBUTE.findall(opened[3])).get("id")
    if number is None:
        raise UserError(f"{place}: the segment has no id")
    inner = " ".join(text[opened.end() : closed.start()].split("\n")).strip()
    said = _ENTITY.sub(lambda entity: html.unescape(entity[0]), inner)
    return Segment(place, (document, number), said)


class _Places:
    """Line of a position in the whole text; positions come in rising order."""

    def __init__(self, path: pathlib.Path, line_starts: list[int]) -> None:
        self._path = path
        self._line_starts = line_starts

    def __call__(self, tag: re.Match) -> str:
        return f"{self._path}:{bisect.bisect_right(self._line_starts, tag.start())}"


def _whole_text(path: pathlib.Path) -> tuple[str, list[int]]:
    """Returns the text and where each of its lines begins."""
    lines, starts, length = [], [], 0
    for row in read_lines(path):
        if row.fault:
            raise UserError(f"{row.place}: {row.fault}")
        starts.append(length)
        lines.append(row.texts[0])
        length += len(row.texts[0]) + 1
    return "\n".join(lines), starts
