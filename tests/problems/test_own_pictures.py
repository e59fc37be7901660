"""Own pictures of classes and own captions, declared in a problem file."""

import json
import re

import pytest

from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem
from tests.problems.pictures import jpeg, png, raw, write

CSV = """
[[problem]]
name = "image_listed"
kind = "image_csv"
image_size = [8, 10]
train = "labels.csv"
dev = {from = "train", every = 3}
"""

COCO = """
[[problem]]
name = "captions_mine"
kind = "coco_captions"
image_size = [8, 10]
vocabulary = "bytes"
train = {annotations = "captions.json", images = ["photos", "more"]}
dev = {from = "train", every = 3}
"""

TSV = """
[[problem]]
name = "captions_list"
kind = "tsv_captions"
image_size = [8, 10]
targets_space = "german_tokens"
vocabulary = "bytes"
train = ["captions.tsv"]
dev = {from = "train", every = 3}
num_shards = 2
"""


@pytest.fixture
def files(tmp_path):
    """Six pictures in two folders, a list of classes, and two lists of captions."""
    paths = [f"photos/{i}.jpg" for i in range(4)] + [f"more/{i}.png" for i in (4, 5)]
    for number, path in enumerate(paths):
        write(tmp_path, {path: jpeg(number) if number < 4 else png(number)})
    rows = [f"{path},{'cat' if i % 2 else 'dog'},x" for i, path in enumerate(paths)]
    write(tmp_path, {"labels.csv": "path,label,more\n" + "\n".join(rows)})
    images = [{"id": 10 + i, "file_name": p.split("/")[1]} for i, p in enumerate(paths)]
    # The first captions of all pictures, then the second ones.
    texts = [(i, f"Number {i}, {k}.") for k in range(2) for i in range(6)]
    annotations = [
        {"id": k, "image_id": 10 + i, "caption": text}
        for k, (i, text) in enumerate(texts)
    ]
    coco = json.dumps({"images": images, "annotations": annotations})
    tsv = "".join(f"{paths[i]}\t{text}\n" for i, text in texts)
    write(tmp_path, {"captions.json": coco, "captions.tsv": tsv})
    return tmp_path


@pytest.fixture
def load(declare):
    """Returns a function that declares one problem over the files and returns it."""

    def load_text(text):
        [name] = declare(text)
        return make_problem(name)

    return load_text


def examples(problem, split):
    found = problem.examples(split, tmp_dir=None, seed=0)
    return [e if isinstance(e, BadExample) else raw(e) for e in found]


def test_classes_from_a_csv_file(files, load):
    problem = load(CSV)
    assert problem.targets.names == ("cat", "dog")
    dev, train = (examples(problem, split) for split in ("dev", "train"))
    assert [(e["inputs"], e["targets"]) for e in dev] == [(jpeg(0), 1), (jpeg(3), 0)]
    assert [e["targets"] for e in train] == [0, 1, 1, 0]
    assert problem.count_examples("train", files) == 4


@pytest.mark.parametrize(
    "row, reason",
    [
        ("more/4.png,cow", "no class named 'cow'; known: cat, dog"),
        ("photos/0.jpg,dog", "photos/0.jpg is on line 2 already"),
        (",dog", "expected a path and a label, got '' and 'dog'"),
        ("more/4.png", "expected a path and a label, got 'more/4.png' and ''"),
    ],
)
def test_rows_of_a_csv_file_that_are_none(files, load, row, reason):
    lines = (files / "labels.csv").read_text().splitlines()
    write(files, {"labels.csv": "\n".join([*lines[:5], row, *lines[6:]])})
    problem = load(CSV + 'classes = ["cat", "dog"]')
    [bad] = [e for e in examples(problem, "train") if isinstance(e, BadExample)]
    assert bad.place == f"{files / 'labels.csv'}:6"
    assert bad.reason.startswith(reason)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "labels.csv:1: the columns are None; the first line must name"),
        (b"photos/0.jpg,dog\n", "the first line must name the columns path and label"),
        (b"path,label\n", "has no rows"),
        (b"path,label\n\xff,dog", "labels.csv is not UTF-8"),
    ],
)
def test_what_is_no_list_of_classes(files, load, content, message):
    write(files, {"labels.csv": content})
    with pytest.raises(UserError, match=message):
        load(CSV)


@pytest.mark.parametrize("text", [COCO, TSV], ids=["coco", "tsv"])
def test_captions_are_held_out_by_the_picture(files, load, text):
    problem = load(text)
    found = {s: examples(problem, s) for s in ("dev", "train")}
    texts = {s: [e["targets"] for e in split] for s, split in found.items()}
    assert texts["dev"] == [f"Number {i}, {k}." for i in (0, 3) for k in (0, 1)]
    assert texts["train"] == [f"Number {i}, {k}." for i in (1, 2, 4, 5) for k in (0, 1)]
    for split, of_split in found.items():
        assert problem.count_examples(split, files) == len(of_split)
        for example in of_split:
            number = int(example["targets"][7])
            assert example["inputs"] == (jpeg if number < 4 else png)(number)
    assert [e["image_id"] for e in found["train"]] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert problem.decode_metrics == ("bleu", "caption_bleu4", "cider_d")


def test_the_language_of_captions(files, load):
    assert load(TSV).targets.space is SpaceId.GERMAN_TOKENS
    assert load(COCO).targets.space is SpaceId.ENGLISH_TOKENS


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"captions.json"', '"caption.json"', "there is no .*caption.json"),
        ('"photos"', '"captions.tsv"', "captions.tsv is not a folder"),
        ("images =", "image =", "no key named 'image'; did you mean 'images'"),
        ("image_size", "size", "image_size"),
        ('"bytes"', "8192", "vocabulary = 8192"),
    ],
)
def test_mistakes_in_the_declaration(files, load, old, new, message):
    assert old in COCO
    with pytest.raises(UserError, match=message) as caught:
        load(COCO.replace(old, new))
    assert re.search(r"mine\.toml:\d+:", str(caught.value))


def shards_of(problem, files, **options):
    said = []
    generate(
        [problem], files / "data", files, num_processes=1, say=said.append, **options
    )
    return "\n".join(said)


def test_a_picture_that_is_cut_off_is_refused_or_skipped(files, load):
    path = files / "photos" / "1.jpg"
    path.write_bytes(jpeg(1)[:-40])
    problem = load(TSV)
    with pytest.raises(UserError) as caught:
        shards_of(problem, files)
    assert f"{files / 'captions.tsv'}:2 ({path}), caption " in str(caught.value)
    assert "cannot be decoded" in str(caught.value)
    assert not list((files / "data").glob("captions_list-train-*"))
    said = shards_of(problem, files, skip_bad_examples=2)
    assert said.count(str(path)) >= 1
    [dev] = eval_dataset(problem, files / "data", "dev", batch_size=9999)
    assert dev["inputs"].shape == (4, 8, 10, 3)
    train = eval_dataset(problem, files / "data", "train", batch_size=9999)
    assert sum(len(batch["inputs"]) for batch in train) == 6


def test_data_is_made_again_when_a_picture_changes(files, load):
    for text in (CSV, COCO):
        problem = load(text)
        shards_of(problem, files)
        assert "nothing to do" in shards_of(problem, files)
        write(files, {"more/5.png": png(77)})
        assert "nothing to do" not in shards_of(problem, files)
