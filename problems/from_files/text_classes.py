"""Declared problems over texts of classes: sentiment, topic, language."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Mapping

from t2t_multimodel.data import text_rows
from t2t_multimodel.data.features import ClassLabel, Text
from t2t_multimodel.data.plain_files import Part
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.text_rows import TextRow
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.errors import UserError, unknown
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


@dataclasses.dataclass(frozen=True)
class LabelledTable:
    """A TSV or CSV file of texts and the names of their classes.

    Args:
        path: The file.
        text_column: Number counted from 1, or name that the first line gives.
        label_column: The same of the class.
    """

    path: pathlib.Path
    text_column: int | str
    label_column: int | str

    @property
    def paths(self) -> tuple[pathlib.Path, ...]:
        """The file."""
        return (self.path,)

    def read(self) -> Iterator[TextRow]:
        """Yields the rows, each `texts = (text, label)`."""
        columns = (self.text_column, self.label_column)
        return text_rows.read_columns(self.path, columns)


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """Text files of a class each, one text a line; a file is named like its class.

    Args:
        paths: The files, plain or `.gz`.
    """

    paths: tuple[pathlib.Path, ...]

    def read(self) -> Iterator[TextRow]:
        """Yields the lines, each `texts = (text, label)`, the files in turn."""
        for rows in itertools.zip_longest(*map(_labelled_lines, self.paths)):
            yield from filter(None, rows)


def _labelled_lines(path: pathlib.Path) -> Iterator[TextRow]:
    label = _label_of(path)
    for row in text_rows.read_lines(path):
        yield row._replace(texts=(*row.texts, label))


def _label_of(path: pathlib.Path) -> str:
    return path.name.split(".")[0]


class TextClasses(DeclaredProblem):
    """Texts of classes.

    Args:
        inputs: Language of the texts, and its sub-words.
        targets: The classes.
        splits: Split to its `LabelledTable`s or `LabelledFiles`.
    """

    def __init__(
        self, inputs: Text, targets: ClassLabel, splits: Mapping[str, Part]
    ) -> None:
        super().__init__(inputs, targets, splits)
        self._labels = {name: label for label, name in enumerate(targets.names)}

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the texts of a split in the order of the files."""
        for row in self._rows(split):
            if fault := self._fault(row):
                yield BadExample(row.place, fault)
                continue
            text, name = row.texts
            label = self._labels[name]
            yield {"inputs": text, "targets": label, "place": row.place}

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of rows or lines."""
        return sum(1 for _ in self._rows(split))

    def _rows(self, split: str) -> Iterator[TextRow]:
        return self.splits[split].select(lambda source: source.read())

    def _fault(self, row: TextRow) -> str:
        if row.fault:
            return row.fault
        text, name = row.texts
        if not text:
            return "the text is empty"
        return "" if name in self._labels else unknown("class", name, self._labels)


def _text_classes(table: TomlTable) -> TextClasses:
    text = Text(space=space_of(table, "inputs_space"), vocabulary=vocabulary_of(table))
    splits = splits_of(table, _labelled_texts)
    names = table.get("classes", list, [])
    if not names:
        try:
            names = _names_in(splits["train"])
        except UserError as error:
            table.fail(str(error), "train")
    if (
        len(set(names)) != len(names)
        or len(names) < 2
        or not all(type(name) is str for name in names)
    ):
        table.fail(f"classes = {names} must be two names or more, each once", "classes")
    return TextClasses(text, ClassLabel(names=tuple(names)), splits)


def _labelled_texts(
    table: TomlTable, split: str
) -> list[LabelledTable] | list[LabelledFiles]:
    if isinstance(table.values[split], dict):
        inner = table.inner(split)
        inner.check_keys(("table", "text_column", "label_column"))
        text, label = (column_of(inner, f"{key}_column") for key in ("text", "label"))
        return [
            LabelledTable(path, text, label) for path in table_paths_of(inner, "table")
        ]
    files = []
    for path in paths_of(table, split):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [file for file in inside if not file.name.startswith(".")]
    if not files:
        table.fail(f"{split} has no files in it; expected one a class", split)
    return [LabelledFiles(tuple(files))]


def _names_in(train: Part) -> list[str]:
    """Returns the classes of the training data, sorted."""
    names: set[str] = set()
    for source in train.sources:
        if isinstance(source, LabelledFiles):
            names.update(map(_label_of, source.paths))
        else:
            names.update(row.texts[1] for row in source.read() if not row.fault)
    return sorted(names - {""})


KINDS = {
    "text_classes": Kind(("inputs_space", "vocabulary", "classes"), _text_classes),
}
