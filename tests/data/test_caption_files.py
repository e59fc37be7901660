"""COCO's annotations and tab-separated lists give pictures with their captions."""

import json

import pytest

from t2t_multimodel.data import caption_files
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.errors import UserError

COCO = {
    "images": [
        {"id": 9, "file_name": "nine.jpg"},
        {"id": 4, "file_name": "four.jpg"},
        {"id": 5, "file_name": "without_captions.jpg"},
    ],
    "annotations": [
        {"id": 12, "image_id": 4, "caption": "a red\n cat "},
        {"id": 11, "image_id": 9, "caption": "Nine."},
        {"id": 10, "image_id": 4, "caption": "A cat."},
        {"id": 13, "image_id": 77, "caption": "Of no picture."},
    ],
}


@pytest.fixture
def coco(tmp_path):
    def write(content):
        path = tmp_path / "captions.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_coco_pictures_come_by_their_ids(coco, tmp_path):
    path = coco(COCO)
    four, nine, lost = caption_files.coco_pictures(path, [tmp_path])
    assert (four.image_id, four.path) == (4, tmp_path / "four.jpg")
    assert four.captions == ("A cat.", "a red\n cat ")
    assert nine.captions == ("Nine.",)
    reason = "captions of image 77, which is not among its images"
    assert lost == BadExample(str(path), reason)


def test_pictures_are_looked_for_in_all_folders(coco, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "nine.jpg").write_bytes(b"")
    found = list(caption_files.coco_pictures(coco(COCO), [tmp_path, other]))
    assert [picture.path.parent for picture in found[:2]] == [tmp_path, other]


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"images": [\n{"id": ', "captions.json:2: no JSON"),
        ([], "has no list 'images'"),
        ({"images": []}, "has no list 'images'"),
        ({"images": COCO["images"]}, "has no list 'annotations'"),
        (COCO | {"images": [{"id": 1}]}, r"images\[0\] is .* expected id, file_name"),
        (COCO | {"annotations": ["x"]}, r"annotations\[0\] is 'x'"),
        (COCO | {"images": COCO["images"] * 2}, "image id 9 is there twice"),
    ],
)
def test_what_are_no_annotations_is_told(coco, content, message):
    with pytest.raises(UserError, match=message):
        list(caption_files.coco_pictures(coco(content), []))


def test_lists_of_paths_and_captions(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text(
        "a/1.jpg#0\tA dog.\nb/2.png\tTwo cats.\nno caption\na/1.jpg#1\tOne\tdog.\n"
    )
    bad, one, two = caption_files.tsv_pictures(path)
    assert (bad.place, bad.reason[:15]) == (f"{path}:3", "expected a path")
    assert (one.path, one.captions) == (tmp_path / "a/1.jpg", ("A dog.", "One\tdog."))
    assert two.captions == ("Two cats.",)
    assert (one.image_id, two.image_id) == (0, 1)
    assert two.place == f"{path}:2"


def test_lists_that_cannot_be_read(tmp_path):
    path = tmp_path / "captions.tsv"
    with pytest.raises(UserError, match="cannot read .*captions.tsv: No such file"):
        list(caption_files.tsv_pictures(path))
    path.write_bytes(b"1.jpg\tA caf\xe9.\n")
    with pytest.raises(UserError, match="captions.tsv:1: not UTF-8"):
        list(caption_files.tsv_pictures(path))
    path.write_text("")
    with pytest.raises(UserError, match="lists no picture"):
        list(caption_files.tsv_pictures(path))


def test_each_caption_is_an_example_and_each_picture_is_read_once(coco, tmp_path):
    (tmp_path / "four.jpg").write_bytes(b"picture")
    pictures = caption_files.coco_pictures(coco(COCO), [tmp_path])
    first, second, *others = caption_files.caption_examples(pictures)
    assert (first["targets"], second["targets"]) == ("A cat.", "a red cat")
    assert first["image_id"] == second["image_id"] == 4
    assert first["place"].endswith(f"image 4 ({tmp_path / 'four.jpg'}), caption 1")
    assert first["inputs"]() == b"picture"
    (tmp_path / "four.jpg").unlink()
    assert second["inputs"]() == b"picture"
    assert [type(other) for other in others] == [dict, BadExample]
