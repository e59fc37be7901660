"""TOML files whose mistakes are told with file and line."""

import pathlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from t2t_multimodel.errors import UserError, unknown

_MISSING = object()


class TomlTable:
    """One `[[table]]` of a TOML file, which knows the lines of its keys.

    Args:
        path: The file.
        values: The parsed table.
        lines: The lines of the file that the table stands on.
        first_line: Number of the first of them, counted from 1.
    """

    def __init__(
        self,
        path: pathlib.Path,
        values: Mapping[str, Any],
        *,
        lines: list[str],
        first_line: int,
    ) -> None:
        self.path = path
        self.values = values
        self._lines = lines
        self._first_line = first_line

    def fail(self, message: str, key: str = "") -> NoReturn:
        """Raises the message with file and line of `key`, or of the table."""
        raise UserError(f"{self.path}:{self.line_of(key)}: {message}")

    def line_of(self, key: str) -> int:
        """Returns the line that a key, also one of an inline table, stands on."""
        name = re.escape(key)
        quoted = rf"""(?<![\w.-])["']?{name}["']?\s*[=.]|^\s*\[+\s*{name}\s*\]"""
        for number, line in enumerate(self._lines, self._first_line):
            if key and re.search(quoted, line.split("#")[0]):
                return number
        return self._first_line

    def check_keys(self, known: Iterable[str]) -> None:
        """Raises for the first key that is not known, and suggests one that is."""
        known = list(known)
        for key in self.values:
            if key not in known:
                self.fail(unknown("key", key, known), key)

    def get(self, key: str, kind: type, default: Any = _MISSING) -> Any:
        """Returns the value of a key.

        Args:
            key: The key.
            kind: Type that the value must have; `float` takes integers too.
            default: Returned if the key is not there; without it the key must be.
        """
        if key not in self.values:
            if default is _MISSING:
                self.fail(f"{key!r} is missing; give {key} = {_EXAMPLES[kind]}")
            return default
        value = self.values[key]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            self.fail(f"{key} = {value!r} must be like {_EXAMPLES[kind]}", key)
        return value

    def inner(self, key: str) -> "TomlTable":
        """Returns the table under a key, whose lines are looked for in this one."""
        inner = self.get(key, dict)
        start = self.line_of(key) - self._first_line
        return TomlTable(
            self.path,
            inner,
            lines=self._lines[start:],
            first_line=self._first_line + start,
        )


_EXAMPLES = {
    str: '"text"',
    bool: "true or false",
    int: "12",
    float: "1.5",
    list: "[...]",
    dict: "{...}",
}


def read_tables(path: pathlib.Path, name: str) -> list[TomlTable]:
    """Returns the `[[name]]` tables of a file.

    Raises:
        UserError: If the file cannot be read, is no TOML, or holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        parsed = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason})") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}") from None
    lines = text.splitlines()
    whole = TomlTable(path, parsed, lines=lines, first_line=1)
    whole.check_keys([name])
    if isinstance(parsed.get(name), dict):
        whole.fail(f"[{name}] needs double brackets: [[{name}]]", name)
    tables = whole.get(name, list, [])
    header = re.compile(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]")
    starts = [number for number, line in enumerate(lines) if header.match(line)]
    if not tables or len(starts) != len(tables):
        whole.fail(f"expected a [[{name}]] before each {name}")
    return [
        TomlTable(path, values, lines=lines[start:end], first_line=start + 1)
        for values, start, end in zip(
            tables, starts, [*starts[1:], len(lines)], strict=True
        )
    ]
