"""Declared problems over pairs of sentences."""

import pathlib
from collections.abc import Iterator

from t2t_multimodel.data.features import Text
from t2t_multimodel.data.parallel_text import ParallelText
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.problems.from_files.declaration import (
    DeclaredProblem,
    Kind,
    column_of,
    paths_of,
    space_of,
    splits_of,
    table_paths_of,
    vocabulary_of,
)


class TextPairs(DeclaredProblem):
    """Sentence pairs from parallel text files or tables, one pair a line.

    Args:
        inputs: Language of the input side, and its sub-words.
        targets: The same of the target side.
        splits: Split to its `ParallelText`s.
    """

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the pairs of a split in the order of the files."""
        for pair in self.splits[split].select(ParallelText.read):
            if pair.fault:
                yield BadExample(pair.place, pair.fault)
                continue
            source, target = pair.texts
            yield {"inputs": source, "targets": target, "place": pair.place}

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of pairs."""
        return self.splits[split].count(ParallelText.count)


def _text_pairs(table: TomlTable) -> TextPairs:
    vocabulary = vocabulary_of(table)
    return TextPairs(
        Text(space=space_of(table, "inputs_space"), vocabulary=vocabulary),
        Text(space=space_of(table, "targets_space"), vocabulary=vocabulary),
        splits_of(table, _parallel_texts),
    )


def _parallel_texts(table: TomlTable, split: str) -> list[ParallelText]:
    inner = table.inner(split)
    if "table" in inner.values:
        inner.check_keys(("table", "inputs_column", "targets_column"))
        columns = (
            column_of(inner, "inputs_column", 1),
            column_of(inner, "targets_column", 2),
        )
        return [
            ParallelText(path, columns=columns)
            for path in table_paths_of(inner, "table")
        ]
    inner.check_keys(("inputs", "targets", "table"))
    first, second = (paths_of(inner, side) for side in ("inputs", "targets"))
    if len(first) != len(second):
        inner.fail(
            f"{split} has {len(first)} files of inputs and {len(second)} of targets; "
            "they belong together one by one",
            "targets",
        )
    return [ParallelText(*pair) for pair in zip(first, second, strict=True)]


KINDS = {
    "text_pairs": Kind(
        ("inputs_space", "targets_space", "vocabulary", "also_reversed"), _text_pairs
    ),
}
