"""JSON files of this package that carry the version of their format."""

import json
import pathlib
from typing import Any

from t2t_multimodel.errors import UserError


def read(path: pathlib.Path, format_version: int, remedy: str) -> dict[str, Any]:
    """Returns the object that a file holds.

    Args:
        path: The file.
        format_version: What its `format_version` must be.
        remedy: What to do about a file that does not read; ends the message.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is not JSON, or of another version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); {remedy}") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != format_version:
        raise UserError(
            f"{path} has format version {version}, this program reads "
            f"{format_version}; {remedy}"
        )
    return content
