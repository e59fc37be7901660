"""Sentences about photographs: MS COCO."""

import itertools
import pathlib
from collections.abc import Iterator, Sequence

from t2t_multimodel.data import caption_files
from t2t_multimodel.data.caption_files import CaptionedPicture
from t2t_multimodel.data.features import TOKENS_8K, Image, Text
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.tfds_corpus import TfdsCorpus
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.images import not_there
from t2t_multimodel.problems.problem import Problem, Source
from t2t_multimodel.registry import register_problem

CAPTION_METRICS = ("bleu", "caption_bleu4", "cider_d")
"""Metrics of decoded captions, each of a picture's against all its references."""

_YEARS = ("2014", "2017")
_TFDS_SPLITS = {"train": "train", "dev": "val", "test": "test"}
_SPLITS_OF_VALIDATION = {"dev": 0, "test": 1}


@register_problem("image_ms_coco_tokens8k")
class ImageMsCocoTokens8k(Problem):
    """An English sentence about a photograph (MS COCO)."""

    inputs = Image(height_px=299, width_px=299, augmentation="crop")
    targets = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=TOKENS_8K)
    batch_size_multiplier = 256
    # One shard of what is evaluated, so that a picture's captions stand together.
    num_shards = {"train": 100, "dev": 1, "test": 1}
    known_sizes = {"train": 414_113}
    source = "MS COCO 2014 captions, cocodataset.org; CC BY 4.0, photographs by Flickr"

    corpus = TfdsCorpus("coco_captions", size="37.6 GiB download")

    @property
    def decode_metrics(self) -> tuple[str, ...]:
        """Metrics of decoded captions."""
        return CAPTION_METRICS

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields an example for each (picture, caption), a picture's in a row.

        Training takes train2014; of val2014, by the ids of the pictures, `dev` takes
        the first, the third and so on, `test` the others. TFDS has the splits of
        Karpathy and Fei-Fei instead, whose training pictures are the same ones.
        """
        del seed
        folder = _folder(tmp_dir)
        if folder.is_dir():
            yield from caption_files.caption_examples(_pictures(folder, split))
        else:
            yield from self._tfds_examples(split)

    def vocabulary_texts(
        self, tmp_dir: pathlib.Path
    ) -> Iterator[tuple[Text, Iterator[str]]]:
        """Yields the captions of training; no picture is read for it."""
        if _folder(tmp_dir).is_dir():
            yield from super().vocabulary_texts(tmp_dir)
        else:
            yield self.targets, self._tfds_texts()

    def _tfds_texts(self) -> Iterator[str]:
        for example in self.corpus.read("train", features={"captions": {"text": True}}):
            for text in example["captions"]["text"]:
                yield " ".join(text.decode().split())

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns the annotations and the folders of pictures."""
        folder = _folder(tmp_dir)
        missing = []
        if folder.is_dir():
            missing = [
                line for part in ("train", "val") for line in _missing(folder, part)
            ]
        elif not self.corpus.is_prepared():
            missing = [not_there(folder, self.corpus)]
        return (
            Source(
                what="MS COCO 2014 captions",
                splits=tuple(self.num_shards),
                where="https://cocodataset.org/#download",
                licence="captions CC BY 4.0; photographs as their Flickr pages say",
                layout=(
                    f"{folder}: annotations/captions_train2014.json and "
                    "captions_val2014.json, train2014/, val2014/ (or all of 2017); or "
                    "TFDS coco_captions"
                ),
                missing=tuple(missing),
            ),
        )

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns the number of captions, `None` if only making tells."""
        folder = _folder(tmp_dir)
        if not _annotations(folder, "train" if split == "train" else "val").is_file():
            return None
        return caption_files.count_captions(_pictures(folder, split))

    def _tfds_examples(self, split: str) -> Iterator[RawExample]:
        wanted = {"image": True, "image/id": True, "captions": {"text": True}}
        for example in self.corpus.read(_TFDS_SPLITS[split], features=wanted):
            image_id = int(example["image/id"])
            for number, text in enumerate(example["captions"]["text"], 1):
                yield {
                    "inputs": example["image"],
                    "targets": " ".join(text.decode().split()),
                    "image_id": image_id,
                    "place": f"TFDS {self.corpus.name}: {image_id}, caption {number}",
                }


def _folder(tmp_dir: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(tmp_dir) / "coco"


def _year(folder: pathlib.Path) -> str:
    """Returns the year of the release that is there, 2014 if there are two or none."""
    names = {year: f"annotations/captions_train{year}.json" for year in _YEARS}
    return next((y for y, name in names.items() if (folder / name).exists()), _YEARS[0])


def _annotations(folder: pathlib.Path, part: str) -> pathlib.Path:
    return folder / "annotations" / f"captions_{part}{_year(folder)}.json"


def _pictures(
    folder: pathlib.Path, split: str
) -> Iterator[CaptionedPicture | BadExample]:
    part = "train" if split == "train" else "val"
    images = folder / f"{part}{_year(folder)}"
    if not images.is_dir():
        raise UserError(f"there is no folder {images}; unpack {images.name}.zip there")
    pictures = caption_files.coco_pictures(_annotations(folder, part), [images])
    first = _SPLITS_OF_VALIDATION.get(split)
    if first is None:
        return pictures
    return itertools.islice(pictures, first, None, len(_SPLITS_OF_VALIDATION))


def _missing(folder: pathlib.Path, part: str) -> list[str]:
    annotations = _annotations(folder, part)
    images = folder / f"{part}{_year(folder)}"
    missing = [
        f"there is no {path}" for path in (annotations, images) if not path.exists()
    ]
    if missing:
        return missing
    paths = [
        picture.path
        for picture in caption_files.coco_pictures(annotations, [images])
        if isinstance(picture, CaptionedPicture)
    ]
    there = {path.name for path in images.iterdir()}
    absent = [path for path in paths if path.name not in there]
    if absent:
        return [f"{len(absent)} of {len(paths)} pictures, first {absent[0]}"]
    return []
