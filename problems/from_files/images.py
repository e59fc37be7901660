"""Declared problems over files of pictures."""

import pathlib
from collections.abc import Iterator, Mapping

from t2t_multimodel.data import plain_files
from t2t_multimodel.data.features import AUGMENTATIONS, ClassLabel, Image
from t2t_multimodel.data.plain_files import Part
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.errors import unknown
from t2t_multimodel.problems.from_files.declaration import (
    Kind,
    paths_of,
    splits_of,
)
from t2t_multimodel.problems.problem import Problem, RawExample

# T2T's of ImageNet and COCO.
_IMAGE_BATCH_SIZE_MULTIPLIER = 256


class ImageFolder(Problem):
    """Pictures of classes, a folder each, named like the class.

    Args:
        inputs: The size that every picture is resized to.
        targets: The classes.
        splits: Split to its folders.
    """

    def __init__(
        self, inputs: Image, targets: ClassLabel, splits: Mapping[str, Part]
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.splits = splits

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample]:
        """Yields the pictures, the classes in turn, so that shards are alike."""
        read = self.splits[split].select(
            lambda folder: plain_files.labelled_images(folder, self.targets.names)
        )
        for path, label in plain_files.classes_in_turn(read):
            yield {"inputs": plain_files.read_image(path), "targets": label}

    def source_state(self) -> str:
        """Returns a digest of the files' names, sizes and times."""
        return plain_files.state_of(self.splits.values())


def _image_folder(table: TomlTable) -> ImageFolder:
    splits = splits_of(table, paths_of)
    size = table.get("image_size", list)
    if len(size) != 2 or not all(type(px) is int and px > 0 for px in size):
        table.fail(
            f"image_size = {size} must be [height, width] in pixels", "image_size"
        )
    names = table.get("classes", list, [])
    if not names:
        names = plain_files.class_names(splits["train"].sources)
    if len(set(names)) != len(names) or not all(type(n) is str for n in names):
        table.fail(f"classes = {names} must be names, each once", "classes")
    augmentation = table.get("augmentation", str, "none")
    if augmentation not in AUGMENTATIONS:
        table.fail(unknown("augmentation", augmentation, AUGMENTATIONS), "augmentation")
    problem = ImageFolder(
        Image(height_px=size[0], width_px=size[1], augmentation=augmentation),
        ClassLabel(names=tuple(names)),
        splits,
    )
    problem.batch_size_multiplier = _IMAGE_BATCH_SIZE_MULTIPLIER
    return problem


KINDS = {
    "image_folder": Kind(("image_size", "classes", "augmentation"), _image_folder),
}
