"""Declared problems over pictures with captions."""

import pathlib
from collections.abc import Callable, Iterator, Mapping

from t2t_multimodel.data import caption_files, plain_files
from t2t_multimodel.data.caption_files import CaptionedPicture
from t2t_multimodel.data.features import Image, Text
from t2t_multimodel.data.plain_files import Part
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.toml_file import TomlTable
from t2t_multimodel.problems.captions import CAPTION_METRICS
from t2t_multimodel.problems.from_files.declaration import (
    DeclaredProblem,
    Kind,
    paths_of,
    space_of,
    splits_of,
    vocabulary_of,
)
from t2t_multimodel.problems.from_files.images import (
    BATCH_SIZE_MULTIPLIER,
    PICTURE_KEYS,
    picture_of,
)

_Listed = CaptionedPicture | BadExample
# A list of captions, and the folders of its pictures, if it does not tell them.
_Source = tuple[pathlib.Path, ...]


class Captions(DeclaredProblem):
    """Sentences about pictures, an example for each of them.

    What is held out is held out by the picture: none has captions in two splits.

    Args:
        inputs: The size that every picture is resized to.
        targets: Language of the captions, and its sub-words.
        splits: Split to its lists of captions.
        read: Yields the pictures of a list.
    """

    batch_size_multiplier = BATCH_SIZE_MULTIPLIER

    def __init__(
        self,
        inputs: Image,
        targets: Text,
        splits: Mapping[str, Part],
        read: Callable[[_Source], Iterator[_Listed]],
    ) -> None:
        super().__init__(inputs, targets, splits)
        self.read = read

    @property
    def decode_metrics(self) -> tuple[str, ...]:
        """Metrics of decoded captions, of a picture's against all its references."""
        return CAPTION_METRICS

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the captions, a picture's in a row."""
        yield from caption_files.caption_examples(self._pictures(split))

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int:
        """Returns the number of captions."""
        return caption_files.count_captions(self._pictures(split))

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the names, sizes and times of the lists and pictures."""
        sources = [source for part in self.splits.values() for source in part.sources]
        paths = (
            picture.path
            for source in dict.fromkeys(sources)
            for picture in self.read(source)
            if not isinstance(picture, BadExample)
        )
        lists = plain_files.state_of_files(source[0] for source in sources)
        chosen = [(part.only, part.leave_out) for part in self.splits.values()]
        return f"{chosen} {lists} {plain_files.state_of_files(paths)}"

    def _pictures(self, split: str) -> Iterator[_Listed]:
        # The numbers of two lists may be the same ones.
        for number, picture in enumerate(self.splits[split].select(self.read)):
            if isinstance(picture, BadExample):
                yield picture
            else:
                yield picture._replace(image_id=number)


def _read_coco(source: _Source) -> Iterator[_Listed]:
    annotations, *folders = source
    return caption_files.coco_pictures(annotations, folders)


def _read_tsv(source: _Source) -> Iterator[_Listed]:
    return caption_files.tsv_pictures(source[0])


def _coco_captions(table: TomlTable) -> Captions:
    return _captions(table, _coco_sources, _read_coco)


def _tsv_captions(table: TomlTable) -> Captions:
    def sources(table: TomlTable, split: str) -> list[_Source]:
        return [(path,) for path in paths_of(table, split)]

    return _captions(table, sources, _read_tsv)


def _coco_sources(table: TomlTable, split: str) -> list[_Source]:
    inner = table.inner(split)
    inner.check_keys(("annotations", "images"))
    folders = paths_of(inner, "images")
    for folder in folders:
        if not folder.is_dir():
            inner.fail(f"images: {folder} is not a folder", "images")
    return [(path, *folders) for path in paths_of(inner, "annotations")]


def _captions(
    table: TomlTable,
    sources: Callable[[TomlTable, str], list],
    read: Callable[[_Source], Iterator[_Listed]],
) -> Captions:
    return Captions(
        picture_of(table),
        Text(
            space=space_of(table, "targets_space", SpaceId.ENGLISH_TOKENS),
            vocabulary=vocabulary_of(table),
        ),
        splits_of(table, sources),
        read,
    )


_KEYS = (*PICTURE_KEYS, "targets_space", "vocabulary")

KINDS = {
    "coco_captions": Kind(_KEYS, _coco_captions),
    "tsv_captions": Kind(_KEYS, _tsv_captions),
}
