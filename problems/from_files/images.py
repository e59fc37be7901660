"""Declared problems over files of pictures of classes."""

import pathlib
from collections.abc import Callable, Iterator, Sequence

from t2t_multimodel.data import image_files, plain_files
from t2t_multimodel.data.features import AUGMENTATIONS, ClassLabel, Image
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.errors import unknown
from t2t_multimodel.problems.from_files.declaration import (
    DeclaredProblem,
    Kind,
    paths_of,
    splits_of,
)

BATCH_SIZE_MULTIPLIER = 256
"""T2T's of ImageNet and COCO."""

PICTURE_KEYS = ("image_size", "augmentation")
"""Keys that all kinds with pictures have."""


class ImageFolder(DeclaredProblem):
    """Pictures of classes, a folder each, named like the class.

    Args:
        inputs: The size that every picture is resized to.
        targets: The classes.
        splits: Split to its folders.
    """

    batch_size_multiplier = BATCH_SIZE_MULTIPLIER

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample]:
        """Yields the pictures, the classes in turn, so that shards are alike."""
        of_class: dict[int, list[pathlib.Path]] = {}
        for path, label in self._listed(split):
            of_class.setdefault(label, []).append(path)
        for path in image_files.in_turn(of_class.values()):
            label = self.targets.names.index(path.parent.name)
            yield {"inputs": path.read_bytes, "targets": label, "place": str(path)}

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of files."""
        return sum(1 for _ in self._listed(split))

    def _listed(self, split: str) -> Iterator[tuple[pathlib.Path, int]]:
        return self.splits[split].select(
            lambda folder: image_files.labelled_images(folder, self.targets.names)
        )


class ImageCsv(DeclaredProblem):
    """Pictures whose classes stand in a CSV file `path,label`.

    Args:
        inputs: The size that every picture is resized to.
        targets: The classes.
        splits: Split to its CSV files.
    """

    batch_size_multiplier = BATCH_SIZE_MULTIPLIER

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the pictures in the order of the rows."""
        for row in self._listed(split):
            if isinstance(row, BadExample):
                yield row
                continue
            path, label, place = row
            where = f"{place}: {path}"
            yield {"inputs": path.read_bytes, "targets": label, "place": where}

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of rows."""
        return sum(1 for _ in self._listed(split))

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the names, sizes and times of the lists and pictures."""
        lists = [file for part in self.splits.values() for file in part.sources]
        listed = (
            row[0]
            for file in dict.fromkeys(lists)
            for row in image_files.listed_images(file, self.targets.names)
            if not isinstance(row, BadExample)
        )
        state = plain_files.state_of(self.splits.values())
        return f"{state} {plain_files.state_of_files(listed)}"

    def _listed(
        self, split: str
    ) -> Iterator[tuple[pathlib.Path, int, str] | BadExample]:
        return self.splits[split].select(
            lambda file: image_files.listed_images(file, self.targets.names)
        )


def picture_of(table: TomlTable) -> Image:
    """Returns the feature that the keys `PICTURE_KEYS` describe."""
    size = table.get("image_size", list)
    if len(size) != 2 or not all(type(px) is int and px > 0 for px in size):
        table.fail(
            f"image_size = {size} must be [height, width] in pixels", "image_size"
        )
    augmentation = table.get("augmentation", str, "none")
    if augmentation not in AUGMENTATIONS:
        table.fail(unknown("augmentation", augmentation, AUGMENTATIONS), "augmentation")
    return Image(height_px=size[0], width_px=size[1], augmentation=augmentation)


def _image_folder(table: TomlTable) -> ImageFolder:
    splits = splits_of(table, paths_of)
    classes = _classes(table, splits["train"].sources, image_files.class_names)
    return ImageFolder(picture_of(table), classes, splits)


def _image_csv(table: TomlTable) -> ImageCsv:
    splits = splits_of(table, paths_of)
    classes = _classes(table, splits["train"].sources, image_files.listed_classes)
    return ImageCsv(picture_of(table), classes, splits)


def _classes(
    table: TomlTable,
    sources: Sequence[pathlib.Path],
    find: Callable[[Sequence[pathlib.Path]], list[str]],
) -> ClassLabel:
    names = table.get("classes", list, []) or find(sources)
    if len(set(names)) != len(names) or not all(type(n) is str for n in names):
        table.fail(f"classes = {names} must be names, each once", "classes")
    return ClassLabel(names=tuple(names))


KINDS = {
    "image_folder": Kind((*PICTURE_KEYS, "classes"), _image_folder),
    "image_csv": Kind((*PICTURE_KEYS, "classes"), _image_csv),
}
