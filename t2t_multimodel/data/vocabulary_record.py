"""What a vocabulary was built from, kept beside its file.

It lets a later run see that the sub-words were chosen without the text of a problem
that is to be written in them.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping

from t2t_multimodel.data.features import Vocabulary
from t2t_multimodel.errors import UserError

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class VocabularyRecord:
    """The history of a vocabulary that was built here.

    Args:
        sha256: Of the vocabulary's file, in hexadecimal.
        text_bytes: Data name of a problem to the bytes of text it gave; empty if the
            vocabulary has texts of its own.
        kept_for: Data names of problems that are written in it all the same.
    """

    sha256: str
    text_bytes: Mapping[str, int]
    kept_for: tuple[str, ...] = ()

    def write(self, data_dir: str | os.PathLike[str], vocabulary: Vocabulary) -> None:
        """Writes the record, whole or not at all."""
        file = path(data_dir, vocabulary)
        values = dataclasses.asdict(self) | {"format_version": FORMAT_VERSION}
        unfinished = file.with_name(f"unfinished.{file.name}")
        unfinished.write_text(
            json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        unfinished.replace(file)


def path(data_dir: str | os.PathLike[str], vocabulary: Vocabulary) -> pathlib.Path:
    """Returns the path of a record."""
    return pathlib.Path(data_dir) / f"{vocabulary.file_name}.json"


def read(
    data_dir: str | os.PathLike[str], vocabulary: Vocabulary
) -> VocabularyRecord | None:
    """Returns the record of a vocabulary, `None` if it was not built here.

    Raises:
        UserError: If the file is no record, or one of a later version.
    """
    file = path(data_dir, vocabulary)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values.pop("format_version") != FORMAT_VERSION:
            raise ValueError(f"not of format version {FORMAT_VERSION}")
        return VocabularyRecord(
            values["sha256"], dict(values["text_bytes"]), tuple(values["kept_for"])
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} is broken ({error}); delete it, and {vocabulary.file_name} is "
            "taken for one that was built elsewhere"
        ) from None
