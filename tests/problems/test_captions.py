"""Captions come with their pictures, and those of a picture stay together."""

import json

import pytest

from t2t_multimodel.data import serialization
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.tfds_corpus import TfdsCorpus
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem
from tests.problems.pictures import jpeg, raw, write

NAME = "image_ms_coco_tokens8k"


def _like(corpus):
    return TfdsCorpus(corpus.name, size=corpus.size)


@pytest.fixture(autouse=True)
def no_tfds(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    for name in (NAME,):  # What they know of TFDS is of the last test's folder.
        problem = type(make_problem(name))
        monkeypatch.setattr(problem, "corpus", _like(problem.corpus))


def coco_tree(folder, year="2014", num_val=4):
    """Writes two training pictures and some for validation, two captions each."""
    number = 0
    for part, count in (("train", 2), ("val", num_val)):
        images, annotations = [], []
        for _ in range(count):
            number += 1
            name = f"COCO_{part}{year}_{number:012}.jpg"
            write(folder / f"{part}{year}", {name: jpeg(number)})
            images.insert(0, {"id": number, "file_name": name})
            for k in range(2):
                caption = {
                    "id": 10 * number + k,
                    "image_id": number,
                    "caption": f"Picture {number}, caption {k}.",
                }
                annotations.append(caption)
        content = json.dumps({"images": images, "annotations": annotations})
        write(folder / "annotations", {f"captions_{part}{year}.json": content})


def examples(split, tmp_dir):
    found = make_problem(NAME).examples(split, tmp_dir=tmp_dir, seed=0)
    return [e if isinstance(e, BadExample) else raw(e) for e in found]


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_coco_from_its_annotations(tmp_path, year):
    coco_tree(tmp_path / "coco", year)
    found = {s: examples(s, tmp_path) for s in ("train", "dev", "test")}
    assert {s: [e["image_id"] for e in split] for s, split in found.items()} == {
        "train": [1, 1, 2, 2],
        "dev": [3, 3, 5, 5],
        "test": [4, 4, 6, 6],
    }
    for split in found.values():
        for example in split:
            assert example["targets"].startswith(f"Picture {example['image_id']}, ")
            assert example["inputs"] == jpeg(example["image_id"])
    problem = make_problem(NAME)
    assert [problem.count_examples(s, tmp_path) for s in found] == [4, 4, 4]
    assert not problem.sources(tmp_path)[0].missing


def test_what_is_missing_is_told(tmp_path):
    problem = make_problem(NAME)
    [source] = problem.sources(tmp_path)
    [missing] = source.missing
    assert "TFDS coco_captions (37.6 GiB download) is not in" in missing
    (tmp_path / "coco").mkdir()
    [source] = problem.sources(tmp_path)
    assert len(source.missing) == 4
    assert f"there is no {tmp_path / 'coco' / 'val2014'}" in source.missing
    assert problem.count_examples("train", tmp_path) is None
    coco_tree(tmp_path / "coco")
    lost = tmp_path / "coco" / "val2014" / "COCO_val2014_000000000004.jpg"
    lost.unlink()
    [source] = problem.sources(tmp_path)
    assert source.missing == (f"1 of 4 pictures, first {lost}",)
    _, bad, *_ = problem.examples("test", tmp_dir=tmp_path, seed=0)
    with pytest.raises(UserError, match="image 4 .*caption 2: .*cannot read"):
        serialization.serialize(problem, bad, {})
    (tmp_path / "coco" / "val2014").rename(tmp_path / "coco" / "somewhere")
    with pytest.raises(UserError, match="no folder .*val2014; unpack val2014.zip"):
        examples("dev", tmp_path)


def prepared_coco(data_dir):
    """Writes pictures 7 and 8 as TFDS leaves them; its mocks cannot do sequences."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("coco_captions", data_dir=str(data_dir))
    builder.data_path.mkdir(parents=True)
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=3)
    splits = ("train", "val", "test", "restval")
    writer.initialize_splits(splits)
    for number in (7, 8):
        write(data_dir, {f"{number}.jpg": jpeg(number)})
        texts = [
            {"id": k, "text": f"Picture {number},\n{k}."} for k in range(number - 5)
        ]
        example = {
            "image": str(data_dir / f"{number}.jpg"),
            "image/id": number,
            "image/filename": f"{number}.jpg",
            "captions": texts,
            "objects": [],
        }
        for split in splits:
            writer.add_examples({split: [example]})
    writer.close_all()


def test_coco_from_tfds(tmp_path):
    prepared_coco(tmp_path / "tfds")
    problem = make_problem(NAME)
    assert not problem.sources(tmp_path)[0].missing
    for split in problem.num_shards:
        found = examples(split, tmp_path)
        assert [e["image_id"] for e in found] == [7, 7, 8, 8, 8]
        assert found[1]["targets"] == "Picture 7, 1."
        assert found[4]["inputs"] == jpeg(8)
        assert "TFDS coco_captions: 8, caption 3" in found[4]["place"]
    [(side, texts)] = problem.vocabulary_texts(tmp_path)
    assert side == problem.targets
    assert list(texts) == [example["targets"] for example in found]


def test_a_pictures_captions_are_told_by_their_records(tmp_path):
    coco_tree(tmp_path / "coco", num_val=5)
    problem = make_problem(NAME)
    problem.num_shards = {"train": 2, "dev": 1}
    data_dir = tmp_path / "data"
    generate([problem], data_dir, tmp_path, num_processes=1, say=lambda line: None)
    [batch] = eval_dataset(
        problem, data_dir, "dev", batch_size=1, examples_per_batch=9, image_ids=True
    )
    assert batch["image_id"].numpy().tolist() == [3, 3, 5, 5, 7, 7]
    assert batch["inputs"].shape == (6, 299, 299, 3)
    [batch] = eval_dataset(
        problem, data_dir, "train", batch_size=1, examples_per_batch=9
    )
    assert "image_id" not in batch


def test_decoded_captions_are_scored_as_captions():
    metrics = make_problem(NAME).decode_metrics
    assert metrics == ("bleu", "caption_bleu4", "cider_d")
