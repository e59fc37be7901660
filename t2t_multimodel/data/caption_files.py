"""Pictures with captions: COCO's annotations, and tab-separated lists."""

import functools
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.errors import UserError

# Flickr8k and Flickr30k number the captions of a picture: 1000092795.jpg#0.
_NUMBERED = re.compile(r"(.+\.\w+)#\d+")


class CaptionedPicture(NamedTuple):
    """A picture and what was written about it.

    Attributes:
        image_id: A number that no other picture of the file has.
        path: Its file.
        captions: What was written, a sentence or so each.
        place: Where it is listed, for messages.
    """

    image_id: int
    path: pathlib.Path
    captions: tuple[str, ...]
    place: str


def coco_pictures(
    annotations: pathlib.Path, folders: Sequence[pathlib.Path]
) -> Iterator[CaptionedPicture | BadExample]:
    """Yields the pictures of a COCO captions file by their ids, those with captions.

    Args:
        annotations: JSON with `images` (`id`, `file_name`) and `annotations` (`id`,
            `image_id`, `caption`).
        folders: Where the files of the pictures are looked for.

    Yields:
        Pictures, and captions of pictures that are not listed as bad examples.

    Raises:
        UserError: If it cannot be read, is no such file, or an id is there twice.
    """
    images, captions = _read_coco(annotations)
    listed: dict[int, str] = {}
    for image in images:
        if image["id"] in listed:
            raise UserError(f"{annotations}: image id {image['id']} is there twice")
        listed[image["id"]] = image["file_name"]
    of_image: dict[int, list[str]] = {}
    for caption in sorted(captions, key=lambda caption: caption["id"]):
        of_image.setdefault(caption["image_id"], []).append(caption["caption"])
    for number in sorted(of_image):
        if number not in listed:
            reason = f"captions of image {number}, which is not among its images"
            yield BadExample(str(annotations), reason)
            continue
        path = _find(folders, listed[number])
        texts = tuple(of_image[number])
        yield CaptionedPicture(number, path, texts, f"{annotations}: image {number}")


def tsv_pictures(tsv_file: pathlib.Path) -> Iterator[CaptionedPicture | BadExample]:
    """Yields the pictures of a list of paths and captions, in the order of the list.

    Args:
        tsv_file: A path, relative to the folder of the list, a tab and a caption a
            line; a picture with several captions has several lines, anywhere. The
            name may end with the number of the caption, as Flickr30k's do
            (`12.jpg#0`).

    Yields:
        Pictures, and lines that are none as bad examples.

    Raises:
        UserError: If it cannot be read, or holds no picture.
    """
    captions: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(_text(tsv_file).splitlines(), 1):
        name, tab, caption = line.partition("\t")
        if not name or not tab:
            reason = f"expected a path, a tab and a caption, got {line[:60]!r}"
            yield BadExample(f"{tsv_file}:{number}", reason)
            continue
        if match := _NUMBERED.fullmatch(name):
            name = match[1]
        captions.setdefault(name, []).append(caption)
        lines.setdefault(name, number)
    if not captions:
        raise UserError(
            f"{tsv_file} lists no picture; expected a path, a tab, a caption"
        )
    for image_id, (name, texts) in enumerate(captions.items()):
        place = f"{tsv_file}:{lines[name]}"
        path = tsv_file.parent / name
        yield CaptionedPicture(image_id, path, tuple(texts), place)


def caption_examples(
    pictures: Iterator[CaptionedPicture | BadExample],
) -> Iterator[RawExample | BadExample]:
    """Yields an example for each caption; those of a picture share its `image_id`.

    Of several processes that write the captions of a picture, each reads it once.
    """
    for picture in pictures:
        if isinstance(picture, BadExample):
            yield picture
            continue
        read = functools.cache(picture.path.read_bytes)
        for number, caption in enumerate(picture.captions, 1):
            yield {
                "inputs": read,
                # Some captions of COCO hold line breaks.
                "targets": " ".join(caption.split()),
                "image_id": picture.image_id,
                "place": f"{picture.place} ({picture.path}), caption {number}",
            }


def count_captions(pictures: Iterator[CaptionedPicture | BadExample]) -> int:
    """Returns the number of examples that `caption_examples` yields of pictures."""
    return sum(
        1 if isinstance(picture, BadExample) else len(picture.captions)
        for picture in pictures
    )


def _read_coco(
    path: pathlib.Path,
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Returns the images and the annotations, all with the keys that are needed."""
    try:
        content = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}: no JSON ({error.msg}); it may be cut off"
        ) from None
    needed = {
        "images": ("id", "file_name"),
        "annotations": ("id", "image_id", "caption"),
    }
    for key, fields in needed.items():
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not rows:
            raise UserError(f"{path} has no list {key!r}; expected COCO's captions")
        for number, row in enumerate(rows):
            if not isinstance(row, dict) or not all(field in row for field in fields):
                raise UserError(
                    f"{path}: {key}[{number}] is {str(row)[:80]!r}; expected "
                    f"{', '.join(fields)}"
                )
    return content["images"], content["annotations"]


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not UTF-8; save it as UTF-8") from None


def _find(folders: Sequence[pathlib.Path], name: str) -> pathlib.Path:
    paths = [folder / name for folder in folders]
    if len(paths) == 1:
        return paths[0]
    return next((path for path in paths if path.exists()), paths[0])
