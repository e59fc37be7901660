"""What the kinds of declared problems have in common: splits, paths, vocabularies."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from t2t_multimodel.data import plain_files
from t2t_multimodel.data.features import BYTES, Feature, Vocabulary
from t2t_multimodel.data.plain_files import HeldOut, Part
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_rows import TABLE_SUFFIXES, suffix_of
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.errors import unknown
from t2t_multimodel.problems.problem import SPLITS, Problem

_DEFAULT_VOCABULARY_SIZE = 8192


class Kind(NamedTuple):
    """A kind of problem that a TOML file can declare.

    Attributes:
        keys: Keys of its table that not all kinds have.
        make: Makes the problem of a table.
    """

    keys: tuple[str, ...]
    make: Callable[[TomlTable], Any]


class DeclaredProblem(Problem):
    """A problem over files of the user's.

    Args:
        inputs: What goes in.
        targets: What is to come out.
        splits: Split to its sources and to which of their examples belong to it.
    """

    def __init__(
        self, inputs: Feature, targets: Feature, splits: Mapping[str, Part]
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.splits = splits

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the files' names, sizes and times."""
        return plain_files.state_of(self.splits.values())


def splits_of(
    table: TomlTable, sources_of: Callable[[TomlTable, str], list]
) -> dict[str, Part]:
    """Returns the parts; a split that is held out of another is taken from it."""
    held_out: dict[str, HeldOut] = {}
    sources: dict[str, list] = {}
    for split in SPLITS:
        value = table.values.get(split)
        if isinstance(value, dict) and "from" in value:
            held_out[split] = _held_out(table, split, held_out)
        elif split in table.values:
            sources[split] = sources_of(table, split)
        elif split != "test":
            table.fail(
                f"{split!r} is missing; give its files, or hold it out with "
                'dev = {from = "train", every = 20}'
                if split == "dev"
                else "'train' is missing; give its files"
            )
    parts = {split: Part(given) for split, given in sources.items()}
    if held_out:
        others = tuple(held_out.values())
        parts["train"] = Part(sources["train"], leave_out=others)
        for split, choice in held_out.items():
            parts[split] = Part(sources["train"], only=choice)
    return {split: parts[split] for split in SPLITS if split in parts}


def _held_out(table: TomlTable, split: str, others: Mapping[str, HeldOut]) -> HeldOut:
    inner = table.inner(split)
    inner.check_keys(("from", "every", "offset"))
    if split == "train" or inner.get("from", str) != "train":
        inner.fail('only dev and test can be held out, from = "train"', "from")
    every, offset = inner.get("every", int), inner.get("offset", int, len(others))
    if every < 2:
        inner.fail(f"every = {every} must be 2 or more", "every")
    if not 0 <= offset < every:
        inner.fail(f"offset = {offset} must be from 0 to {every - 1}", "offset")
    choice = HeldOut(every, offset)
    for other, taken in others.items():
        if choice.meets(taken):
            inner.fail(
                f"{split} and {other} would share examples; give both the same every "
                "and another offset",
                "every",
            )
    return choice


def paths_of(table: TomlTable, key: str) -> list[pathlib.Path]:
    """Returns the paths of a key, relative to the file's folder; all exist."""
    value = table.values.get(key)
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given:
        table.fail(f'{key} must be a path or a list: {key} = ["a", "b"]', key)
    paths = []
    for entry in given:
        if not isinstance(entry, str):
            table.fail(f"{key} holds {entry!r}, which is no path", key)
        path = table.path.parent / pathlib.Path(entry).expanduser()
        if not path.exists():
            table.fail(f"{key}: there is no {path}", key)
        paths.append(path)
    return paths


def table_paths_of(table: TomlTable, key: str) -> list[pathlib.Path]:
    """Returns the paths of a key, all of TSV or CSV files."""
    paths = paths_of(table, key)
    for path in paths:
        if suffix_of(path) not in TABLE_SUFFIXES:
            table.fail(
                f"{key}: {path} must end in {' or '.join(TABLE_SUFFIXES)} (.gz)", key
            )
    return paths


def column_of(table: TomlTable, key: str, default: int | None = None) -> int | str:
    """Returns the column that a key names: a number from 1, or a name."""
    value = table.values.get(key, default)
    if value is None:
        table.fail(f"{key!r} is missing; give {key} = 2, or a name")
    if type(value) is str and value or type(value) is int and value > 0:
        return value
    table.fail(
        f"{key} = {value!r} must be a number counted from 1, or a name that the first "
        "line of the file gives",
        key,
    )


def space_of(table: TomlTable, key: str, default: SpaceId | None = None) -> SpaceId:
    """Returns the space that a key names; without a default the key must be there."""
    if default is not None and key not in table.values:
        return default
    names = {space.name.lower(): space for space in SpaceId}
    given = table.get(key, str)
    if given not in names:
        table.fail(unknown(key, given, names), key)
    return names[given]


def vocabulary_of(table: TomlTable) -> Vocabulary:
    """Returns the vocabulary of the key `vocabulary`."""
    if table.values.get("vocabulary") == "bytes":
        return BYTES
    inner = table.inner("vocabulary")
    inner.check_keys(("name", "size"))
    name = inner.get("name", str)
    if not name.replace("_", "").isalnum():
        inner.fail(
            f"name = {name!r} must be letters, digits and underscores", "vocabulary"
        )
    return Vocabulary(name, positive(inner, "size", int, _DEFAULT_VOCABULARY_SIZE))


def positive(table: TomlTable, key: str, kind: type, default: float):
    """Returns the positive number of a key, `default` if it is not given."""
    value = table.get(key, kind, default)
    if value <= 0:
        table.fail(f"{key} = {value} must be positive", key)
    return value
