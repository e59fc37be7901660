"""Check sums of a folder's files, so that damage to one of them is noticed.

They stand in `checksums.json` in the folder: the name of each file with its length in
bytes and its SHA-256. A flipped bit in that file itself makes it differ from the
others, so it needs no check sum of its own.
"""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from t2t_multimodel.errors import UserError

CHECKSUMS_FILE = "checksums.json"


class DamagedError(UserError):
    """A file that is not what was written: cut, altered, or not there."""


class Checksum(NamedTuple):
    """What a file must be.

    Attributes:
        num_bytes: Its length.
        sha256: Its SHA-256 in hexadecimal.
    """

    num_bytes: int
    sha256: str


def checksum_of(file: pathlib.Path) -> Checksum:
    """Returns the check sum of a file; takes about a second a gigabyte."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    return Checksum(file.stat().st_size, digest.hexdigest())


def to_json(checksums: Mapping[str, Checksum]) -> str:
    """Returns the content of `checksums.json` for file names and their sums."""
    described = {name: checksums[name]._asdict() for name in sorted(checksums)}
    return json.dumps(described, indent=1) + "\n"


def from_json(text: str) -> dict[str, Checksum]:
    """Returns file names and their sums.

    Raises:
        ValueError: If the text is not what `to_json` makes.
    """
    described = json.loads(text)
    try:
        return {name: Checksum(**fields) for name, fields in described.items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"no names and check sums ({error})") from error


def check_complete(directory: pathlib.Path) -> dict[str, Checksum]:
    """Checks that all files are there in their full length, which reads none of them.

    Returns:
        File names and their sums.

    Raises:
        DamagedError: If a file is missing or cut; the message names it.
    """
    file = directory / CHECKSUMS_FILE
    try:
        checksums = from_json(_read(file).decode())
    except ValueError as error:
        raise _damaged(directory, CHECKSUMS_FILE, f"is unreadable: {error}") from error
    for name, expected in checksums.items():
        try:
            num_bytes = (directory / name).stat().st_size
        except (OSError, ValueError):
            raise _damaged(directory, name, "is missing") from None
        if num_bytes != expected.num_bytes:
            what = f"has {num_bytes} bytes instead of {expected.num_bytes}"
            raise _damaged(directory, name, what)
    return checksums


def check_content(directory: pathlib.Path) -> None:
    """Checks every byte of all files against the check sums.

    Raises:
        DamagedError: If a file is not what was written; the message names it.
    """
    for name, expected in check_complete(directory).items():
        try:
            found = checksum_of(directory / name)
        except OSError as error:
            raise _damaged(directory, name, f"is unreadable: {error}") from error
        if found != expected:
            raise _damaged(directory, name, "has other content than was written")


def _read(file: pathlib.Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise _damaged(file.parent, file.name, "is missing") from None
    except OSError as error:
        what = f"is unreadable: {error.strerror}"
        raise _damaged(file.parent, file.name, what) from error


def _damaged(directory: pathlib.Path, name: Any, what: str) -> DamagedError:
    return DamagedError(f"{directory} is damaged: its file {name} {what}")
