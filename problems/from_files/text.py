"""Declared problems over files of text."""

import pathlib
from collections.abc import Iterator, Mapping

from t2t_multimodel.data import plain_files
from t2t_multimodel.data.features import Text
from t2t_multimodel.data.plain_files import Part
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.problems.from_files.declaration import (
    Kind,
    paths_of,
    space_of,
    splits_of,
    vocabulary_of,
)
from t2t_multimodel.problems.problem import Problem, RawExample


class TextPairs(Problem):
    """Sentence pairs from parallel text files, one sentence a line.

    Args:
        inputs: Language of the input side, and its sub-words.
        targets: The same of the target side.
        splits: Split to its files: pairs of (inputs file, targets file).
    """

    def __init__(self, inputs: Text, targets: Text, splits: Mapping[str, Part]) -> None:
        self.inputs = inputs
        self.targets = targets
        self.splits = splits

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample]:
        """Yields the pairs of a split in the order of the files."""
        for source, target in self.splits[split].select(plain_files.line_pairs):
            yield {"inputs": source, "targets": target}

    def source_state(self) -> str:
        """Returns a digest of the files' names, sizes and times."""
        return plain_files.state_of(self.splits.values())


def _text_pairs(table: TomlTable) -> TextPairs:
    vocabulary = vocabulary_of(table)
    return TextPairs(
        Text(space=space_of(table, "inputs_space"), vocabulary=vocabulary),
        Text(space=space_of(table, "targets_space"), vocabulary=vocabulary),
        splits_of(table, _parallel_files),
    )


def _parallel_files(
    table: TomlTable, split: str
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    inner = table.inner(split)
    inner.check_keys(("inputs", "targets"))
    first, second = (paths_of(inner, side) for side in ("inputs", "targets"))
    if len(first) != len(second):
        inner.fail(
            f"{split} has {len(first)} files of inputs and {len(second)} of targets; "
            "they belong together one by one",
            "targets",
        )
    return list(zip(first, second, strict=True))


KINDS = {
    "text_pairs": Kind(
        ("inputs_space", "targets_space", "vocabulary", "also_reversed"), _text_pairs
    ),
}
