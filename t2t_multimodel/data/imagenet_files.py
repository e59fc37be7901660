"""ImageNet as it is given out: two tars, or folders of them unpacked.

A folder holds for each of the two splits one of these:

* train: `ILSVRC2012_img_train.tar`, a tar of one tar a class, read where it is; or
  `train/<synset>/`;
* validation: `ILSVRC2012_img_val.tar` or its files in `val/`; or `val/<synset>/`.

The file names of the validation set do not tell the class. The list that does is in
the installed TFDS; `imagenet_2012_validation_synset_labels.txt` of the folder, which
the Inception scripts that T2T used came with, goes before it.
"""

import functools
import importlib.util
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from t2t_multimodel.data import image_files, tar_files
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.errors import UserError

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VALIDATION_TAR = "ILSVRC2012_img_val.tar"
VALIDATION_LABELS = "imagenet_2012_validation_synset_labels.txt"

_VALIDATION_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")
_SYNSETS_FILE = pathlib.Path(__file__).with_name("imagenet_synsets.txt")
_PLACES = {"train": (TRAIN_TAR, "train"), "val": (VALIDATION_TAR, "val")}


class Picture(NamedTuple):
    """A picture of ImageNet.

    Attributes:
        label: Index of the class.
        read: Returns the bytes of its file.
        place: The file, or the tar and its member.
    """

    label: int
    read: Callable[[], bytes]
    place: str


@functools.cache
def synsets() -> dict[str, str]:
    """Returns the 1000 classes in the order of their indices: synset id to words."""
    lines = _SYNSETS_FILE.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))


def class_names(ids: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns names for people, all different: `"n01440764 tench, Tinca tinca"`.

    Args:
        ids: Synset ids; without any, of all 1000 classes.
    """
    words = synsets()
    return tuple(f"{synset} {words[synset]}" for synset in ids or words)


def find(folder: pathlib.Path, part: str) -> pathlib.Path | None:
    """Returns the tar or folder of `"train"` or `"val"`, `None` if there is none."""
    paths = (folder / name for name in _PLACES[part])
    return next((path for path in paths if path.exists()), None)


def pictures(folder: pathlib.Path, part: str) -> Iterator[Picture | BadExample]:
    """Yields the pictures of `"train"` or `"val"`, of the classes in turn.

    Those of validation stand in the order of their numbers, if they are not in
    folders of classes.

    Raises:
        UserError: If they are missing, or a class is none of ImageNet's.
    """
    path = find(folder, part)
    if path is None:
        raise UserError(f"{folder} has no {' and no '.join(_PLACES[part])}")
    if path.is_dir() and any(entry.is_dir() for entry in path.iterdir()):
        yield from of_class_folders(path, tuple(synsets()))
    elif path.is_dir():
        files = image_files.images_of(path)
        reading = ((file.name, file.read_bytes, str(file)) for file in files)
        yield from _numbered(folder, reading)
    elif part == "train":
        yield from _of_class_tars(path)
    else:
        found = tar_files.members(path)
        yield from _numbered(folder, ((m.name, m.read, m.place) for m in found))


def of_class_folders(folder: pathlib.Path, ids: Sequence[str]) -> Iterator[Picture]:
    """Yields the pictures of `<folder>/<synset>/`, of the classes in turn.

    Args:
        folder: Has a folder a class.
        ids: The synsets of the classes, in the order of their indices.

    Raises:
        UserError: If a folder is none of the classes, or has no pictures.
    """
    classes = image_files.class_names([folder])
    labels = [_label(name, ids, folder) for name in classes]
    files = [image_files.images_of(folder / name) for name in classes]
    return image_files.in_turn(
        [Picture(label, path.read_bytes, str(path)) for path in paths]
        for label, paths in zip(labels, files, strict=True)
    )


def _of_class_tars(path: pathlib.Path) -> Iterator[Picture]:
    ids = tuple(synsets())
    with tar_files.tars_within(path) as classes:
        if not classes:
            raise UserError(f"{path} is empty; expected a tar of each class in it")
        labels = [_label(name, ids, path) for name in classes]
        yield from image_files.in_turn(
            _of_members(label, members)
            for label, members in zip(labels, classes.values(), strict=True)
        )


def _of_members(
    label: int, members: Iterator[tar_files.TarMember]
) -> Iterator[Picture]:
    for member in members:
        yield Picture(label, member.read, member.place)


def _numbered(
    folder: pathlib.Path, found: Iterator[tuple[str, Callable[[], bytes], str]]
) -> Iterator[Picture | BadExample]:
    """Yields pictures whose class is found by the number in their name."""
    labels = _validation_labels(folder)
    for name, read, place in found:
        match = _VALIDATION_NAME.fullmatch(pathlib.PurePosixPath(name).name)
        if not match or not 1 <= int(match[1]) <= len(labels):
            reason = (
                f"the name tells no number from 1 to {len(labels)}, by which the class "
                "is found; expected one like ILSVRC2012_val_00000001.JPEG"
            )
            yield BadExample(place, reason)
        else:
            yield Picture(labels[int(match[1]) - 1], read, place)


def _validation_labels(folder: pathlib.Path) -> list[int]:
    """Returns the class of each validation picture, in the order of their numbers."""
    path = folder / VALIDATION_LABELS
    if not path.is_file():
        path = _tfds_folder() / "datasets" / "imagenet2012" / "validation_labels.txt"
    try:
        names = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; put {VALIDATION_LABELS}, the "
            f"synset of each validation picture a line, into {folder}"
        ) from None
    index = {synset: number for number, synset in enumerate(synsets())}
    for line, name in enumerate(names, 1):
        if name not in index:
            raise UserError(f"{path}:{line}: {name!r} is no synset of ImageNet's 1000")
    return [index[name] for name in names]


def _tfds_folder() -> pathlib.Path:
    """Returns the folder of the installed TFDS, without loading it."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or spec.origin is None:
        raise UserError("tensorflow-datasets is not installed; pip install it")
    return pathlib.Path(spec.origin).parent


def _label(name: str, ids: Sequence[str], where: pathlib.Path) -> int:
    if name not in ids:
        raise UserError(
            f"{where}: {name!r} is none of the {len(ids)} classes; expected synsets "
            f"like {ids[0]!r}"
        )
    return ids.index(name)
