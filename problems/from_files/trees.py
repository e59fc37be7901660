"""Declared problems over treebanks."""

import pathlib
from collections.abc import Iterator

from t2t_multimodel.data import treebank
from t2t_multimodel.data.features import Text
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.spaces import PARSE_SPACES, SpaceId
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.problems.from_files.declaration import (
    DeclaredProblem,
    Kind,
    paths_of,
    space_of,
    splits_of,
    vocabulary_of,
)


class Trees(DeclaredProblem):
    """Sentences and the tags of their trees, from files of bracketed trees.

    Args:
        inputs: Language of the sentences, and their sub-words.
        targets: The tags.
        splits: Split to its files.
    """

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the trees of a split in the order of the files."""
        return self.splits[split].select(treebank.parsing_examples)

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of trees, with those that cannot be read."""
        return self.splits[split].count(treebank.count_trees)


def _trees(table: TomlTable) -> Trees:
    vocabulary = vocabulary_of(table)
    language = space_of(table, "inputs_space", SpaceId.ENGLISH_TOKENS)
    tags = space_of(table, "targets_space", SpaceId.PARSE_TOKENS)
    if tags not in PARSE_SPACES:
        names = ", ".join(space.name.lower() for space in sorted(PARSE_SPACES))
        table.fail(
            f"targets_space = {tags.name.lower()!r} is not one of trees: {names}",
            "targets_space",
        )
    return Trees(
        Text(space=language, vocabulary=vocabulary),
        Text(space=tags, vocabulary=vocabulary),
        splits_of(table, _treebank_files),
    )


def _treebank_files(table: TomlTable, split: str) -> list[pathlib.Path]:
    files = []
    for path in paths_of(table, split):
        found = treebank.treebank_files(path) if path.is_dir() else [path]
        if not found:
            table.fail(
                f"{split}: {path} has no files that end in "
                f"{', '.join(treebank.SUFFIXES)} (.gz); name the files themselves if "
                "they are called otherwise",
                split,
            )
        files += found
    return files


KINDS = {
    "trees": Kind(("inputs_space", "targets_space", "vocabulary"), _trees),
}
