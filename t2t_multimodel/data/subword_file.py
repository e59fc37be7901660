"""Vocabulary files of sub-tokens, as T2T wrote them from v1.0.7 on.

One entry a line, in the order of the ids, in UTF-8, each in single quotes. The first
two lines are the reserved entries: empty in v1.0.x, later `<pad>` and `<EOS>`, and from
v1.5 on with an underscore behind, which is read as well.
"""

import os
import pathlib
from collections.abc import Sequence

from t2t_multimodel.data.reserved_ids import NUM_RESERVED_IDS, RESERVED_TOKENS
from t2t_multimodel.data.segmentation import END_OF_TOKEN, ESCAPE_CHARACTERS
from t2t_multimodel.errors import UserError

_REMEDY = "restore the file or delete it and generate the data again"


def read_subtokens(path: str | os.PathLike[str]) -> list[str]:
    """Reads a vocabulary file; the entries may be in single, double or no quotes.

    Raises:
        UserError: If the file is missing or no vocabulary that T2T could have written,
            with the line at fault.
    """
    try:
        content = pathlib.Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"no vocabulary file {path}; generate the data first or give the folder "
            "that holds it"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot read the vocabulary file {path}: {error.strerror}; it should be "
            "a readable text file"
        ) from error
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{line}: byte {content[error.start]:#04x} is not UTF-8, which "
            f"vocabulary files are in; {_REMEDY}"
        ) from error
    if lines[-1] == "":
        lines.pop()  # what follows the last line end
    subtokens = [_unquoted(line.strip()) for line in lines]
    check_subtokens(subtokens, str(path))
    return subtokens


def write_subtokens(path: str | os.PathLike[str], subtokens: Sequence[str]) -> None:
    """Writes a vocabulary file; until it is complete, its name keeps what it had.

    Args:
        path: The file, in a folder that exists.
        subtokens: The entries in the order of their ids, the reserved ones included.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = "".join(f"'{subtoken}'\n" for subtoken in subtokens).encode()
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_subtokens(subtokens: Sequence[str], source: str) -> None:
    """Checks that every text can be written in these sub-tokens.

    T2T's builder puts the whole alphabet into each vocabulary, rare characters last, so
    this also finds files that were cut short.

    Args:
        subtokens: The entries in the order of their ids.
        source: Where they come from; messages begin with it.

    Raises:
        UserError: If the reserved entries are not there, or a character that is used
            has no entry of its own.
    """
    for line, reserved in enumerate(RESERVED_TOKENS, start=1):
        got = subtokens[line - 1] if line <= len(subtokens) else None
        if got not in ("", reserved, reserved + END_OF_TOKEN):
            found = "the end" if got is None else repr(got)
            raise UserError(
                f"{source}:{line}: found {found} where a sub-word vocabulary has "
                f"'{reserved}' or ''; {_REMEDY}"
            )
    entries = set(subtokens)
    missing = sorted(ESCAPE_CHARACTERS - entries)
    if missing:
        if r"\x00" in entries:
            raise UserError(
                f"{source}: its sub-tokens are escaped bytes, as T2T wrote them before "
                "v1.0.7; only vocabularies of characters can be read: build a new one"
            )
        raise UserError(
            f"{source}:{len(subtokens)}: ends without an entry for each of "
            f"{' '.join(missing)}, which every sub-word vocabulary has; {_REMEDY}"
        )
    for line, subtoken in enumerate(subtokens, start=1):
        if line > NUM_RESERVED_IDS and not entries.issuperset(subtoken):
            lone = next(c for c in subtoken if c not in entries)
            raise UserError(
                f"{source}:{line}: {subtoken!r} uses {lone!r}, which has no entry of "
                f"its own as every character should; {_REMEDY}"
            )


def _unquoted(line: str) -> str:
    # A lone quote becomes empty: T2T's reading of it, which also makes a newline in
    # quotes (two lines, each a lone quote) take two ids.
    if line[:1] in ("'", '"') and line[:1] == line[-1:]:
        return line[1:-1]
    return line
