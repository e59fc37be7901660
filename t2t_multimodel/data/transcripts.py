"""Lists of sound files with what is said in them, in the usual formats.

Tables (CSV, TSV), trees of `.trans.txt` files as LibriSpeech has them, and the pairs of
`.fileids` and `.transcription` of CMU Sphinx, such as AN4's.
"""

import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from t2t_multimodel.data import sound_files, text_rows
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.errors import UserError

# `<s> GO </s> (an253-fash-b)`
_SPHINX_LINE = re.compile(r"(?:<s>(?:\s|$))?(.*?)(?:</s>)?\s*\(([^()\s]+)\)")


class Utterance(NamedTuple):
    """A sound file and what is said in it.

    Attributes:
        sound: The file; it need not be there yet.
        text: The words.
        place: File and line of the transcript.
    """

    sound: pathlib.Path
    text: str
    place: str


def read_table(
    path: pathlib.Path, sound_folder: pathlib.Path, columns: Sequence[int | str]
) -> Iterator[Utterance | BadExample]:
    """Yields the rows of a CSV or TSV file; see `text_rows.read_columns`.

    Args:
        path: The table.
        sound_folder: What the paths in it are relative to; their ending may lack.
        columns: Of the path and of the transcript, numbers from 1 or names.

    Raises:
        UserError: If it cannot be read, or lacks a column.
    """
    for row in text_rows.read_columns(path, columns):
        if row.fault:
            yield BadExample(row.place, row.fault)
        elif not row.texts[0]:
            yield BadExample(row.place, "the column of the path is empty")
        else:
            name, text = row.texts
            yield checked(Utterance(find_sound(sound_folder / name), text, row.place))


def read_trans_tree(folder: pathlib.Path) -> Iterator[Utterance | BadExample]:
    """Yields the utterances of all `.trans.txt` files below a folder, sorted.

    Each line is the name of a sound file in the same folder, without its ending, and
    after a blank the words, as in LibriSpeech.

    Raises:
        UserError: If the folder cannot be read or has no such file.
    """
    lists = trans_files(folder)
    if not lists:
        raise UserError(
            f"{folder} has no .trans.txt file in it or below it; expected folders as "
            "LibriSpeech has them"
        )
    for path in lists:
        for row in text_rows.read_lines(path):
            name, _, text = row.texts[0].partition(" ")
            if row.fault:
                yield BadExample(row.place, row.fault)
            elif name:
                sound = find_sound(path.parent / name)
                yield checked(Utterance(sound, text.strip(), row.place))


def trans_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the `.trans.txt` files below a folder, sorted.

    Raises:
        UserError: If the folder cannot be read.
    """
    found = (path for path in files_below(folder) if path.name.endswith(".trans.txt"))
    return sorted(found)


def read_fileids(
    path: pathlib.Path, sound_folder: pathlib.Path
) -> Iterator[Utterance | BadExample]:
    """Yields the utterances of `X.fileids` and the `X.transcription` beside it.

    Line i of the one is a sound file without its ending, line i of the other
    `WORDS (name)`, the words perhaps between `<s>` and `</s>` (CMU Sphinx).

    Raises:
        UserError: If a file cannot be read, or is longer than the other.
    """
    other = path.with_suffix(".transcription")
    first, second = text_rows.read_lines(path), text_rows.read_lines(other)
    number = 0
    while True:
        one, two = next(first, None), next(second, None)
        if one is None and two is None:
            return
        if one is None or two is None:
            shorter, longer = (path, other) if one is None else (other, path)
            raise UserError(
                f"{shorter} ends after line {number}, {longer} goes on; they need one "
                "line for each other's"
            )
        number += 1
        name, line = one.texts[0], two.texts[0]
        match = _SPHINX_LINE.fullmatch(line)
        if one.fault or two.fault:
            yield BadExample(*((one.place, one.fault) if one.fault else two[::2]))
        elif match is None or match[2] != name.rsplit("/", 1)[-1]:
            yield BadExample(
                two.place, f"{line!r} does not end with ({name!r}), as {one.place} says"
            )
        else:
            sound = find_sound(sound_folder / name)
            yield checked(Utterance(sound, match[1].strip(), two.place))


def find_sound(path: pathlib.Path) -> pathlib.Path:
    """Returns the file that a name with or without an ending stands for."""
    if path.suffix.lower() in sound_files.SUFFIXES:
        return path
    for suffix in sound_files.SUFFIXES:
        candidate = path.with_name(path.name + suffix)
        if candidate.exists():
            return candidate
    return path


def checked(utterance: Utterance) -> Utterance | BadExample:
    """Returns the utterance, or what is wrong if it has no words."""
    if not utterance.text:
        return BadExample(
            utterance.place, f"the transcript of {utterance.sound} is empty"
        )
    return utterance


def files_below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields all files below a folder, links followed.

    Raises:
        UserError: If the folder, or one below it, cannot be read.
    """

    def fail(error: OSError) -> None:
        raise UserError(f"cannot read folder {error.filename}: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        folders.sort()
        for name in sorted(names):
            yield pathlib.Path(parent, name)
