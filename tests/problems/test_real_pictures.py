"""Real pictures in every official layout become shards, and shards batches."""

import json
import pickle

import numpy as np
import pytest

from t2t_multimodel.data import imagenet_files
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.data.source_check import check_sources
from t2t_multimodel.data.train_reader import TrainReader
from t2t_multimodel.data.vocabularies import encoders_for
from t2t_multimodel.decoding.traced import until_eos
from t2t_multimodel.problems import make_problem
from tests.problems.pictures import SHARED, tar, write

SYNSETS = list(imagenet_files.synsets())
FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
# One of them is a class of ImageNet; the others borrow ids.
FLOWER_SYNSETS = dict(zip(FLOWERS, ("n11939491", *SYNSETS[-4:]), strict=True))


def corpus(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


def made(problem, tmp_path, shards):
    """Makes the data with few shards; returns the folder."""
    problem.num_shards = shards
    check = check_sources(problem, tmp_path)
    assert not any("MISSING" in line for line in check.lines), str(check)
    generate(
        [problem], tmp_path / "data", tmp_path, num_processes=1, say=lambda line: None
    )
    return tmp_path / "data"


def files_of(folder, count):
    return sorted(path for path in folder.iterdir() if path.is_file())[:count]


def imagenet_tree(folder, source, *, num_train, num_validation):
    """Packs flowers as ImageNet's archives; returns the synsets of the validation.

    One archive is a tar of tars, a class each, the other one of pictures.

    Args:
        folder: Where to.
        source: A folder a class.
        num_train: Pictures of a class to train with.
        num_validation: Pictures of a class for validation, others than those.
    """
    classes, validation, labels = {}, {}, []
    for name, synset in FLOWER_SYNSETS.items():
        files = files_of(source / name, num_validation + num_train)
        train = enumerate(files[num_validation:])
        classes[f"{synset}.tar"] = tar(
            {f"{synset}_{i}.JPEG": path.read_bytes() for i, path in train}
        )
        for path in files[:num_validation]:
            labels.append(synset)
            number = f"ILSVRC2012_val_{len(labels):08}.JPEG"
            validation[number] = path.read_bytes()
    write(folder, {imagenet_files.TRAIN_TAR: tar(classes)})
    write(folder, {imagenet_files.VALIDATION_TAR: tar(validation)})
    write(folder, {imagenet_files.VALIDATION_LABELS: "\n".join(labels)})
    return labels


def test_flowers_as_imagenets_tars(tmp_path):
    folder = corpus("flowers")
    labels = imagenet_tree(
        tmp_path / "imagenet", folder, num_train=10, num_validation=2
    )
    problem = make_problem("image_imagenet")
    data_dir = made(problem, tmp_path, {"train": 3, "dev": 1})
    [batch] = eval_dataset(
        problem, data_dir, "dev", batch_size=1, examples_per_batch=10
    )
    assert batch["inputs"].shape == (10, 299, 299, 3)
    assert [SYNSETS[label] for label in batch["targets"]] == labels
    training = TrainReader(
        problem, data_dir, batch_size=1, examples_per_batch=50, seed=0
    )
    batch = next(training)
    assert np.unique(batch["targets"], return_counts=True)[1].tolist() == [10] * 5
    # A real photograph, not a flat field.
    assert np.all(np.std(batch["inputs"], axis=(1, 2, 3)) > 5)


def test_cifar_10_in_its_batches(tmp_path, monkeypatch):
    import tensorflow as tf

    folder = corpus("cifar10") / "train"
    problem = make_problem("image_cifar10")
    rows = []
    for label, name in enumerate(problem.targets.names):
        for path in files_of(folder / name, 12):
            pixels = tf.io.decode_image(path.read_bytes(), channels=3).numpy()
            rows.append((label, pixels.transpose(2, 0, 1).reshape(-1)))
    rows = rows[::12] + [row for i, row in enumerate(rows) if i % 12]
    target = tmp_path / "cifar10" / "cifar-10-batches-py"
    names = ["test_batch", *(f"data_batch_{i}" for i in range(1, 6))]
    for i, name in enumerate(names):
        part = rows[20 * i : 20 * (i + 1)]
        labels, pixels = [row[0] for row in part], np.stack([row[1] for row in part])
        data = pickle.dumps({b"data": pixels, b"labels": labels}, protocol=2)
        write(target, {name: data})
    monkeypatch.setattr(type(problem), "held_out", 90)
    data_dir = made(problem, tmp_path, {"train": 2, "dev": 1, "test": 1})
    [batch] = eval_dataset(
        problem, data_dir, "test", batch_size=1, examples_per_batch=20
    )
    for i, (label, pixels) in enumerate(rows[:20]):
        assert batch["targets"][i] == label
        wanted = pixels.reshape(3, 32, 32).transpose(1, 2, 0)
        np.testing.assert_array_equal(batch["inputs"][i], wanted)
    [batch] = eval_dataset(
        problem, data_dir, "dev", batch_size=1, examples_per_batch=20
    )
    assert batch["inputs"].shape == (10, 32, 32, 3)


def coco_tree(folder, source):
    """Lays 30 pictures out as COCO 2014: 20 to train with, 10 for validation."""
    content = json.loads((source / "annotations" / "captions.json").read_text())
    images = sorted(content["images"], key=lambda image: image["id"])[:30]
    for part, chosen in (("train", images[:20]), ("val", images[20:])):
        ids = {image["id"] for image in chosen}
        captions = [a for a in content["annotations"] if a["image_id"] in ids]
        listed = []
        for image in chosen:
            name = f"COCO_{part}2014_{image['id']:012}.jpg"
            data = (source / "images" / image["file_name"]).read_bytes()
            write(folder / f"{part}2014", {name: data})
            listed.append(image | {"file_name": name})
        text = json.dumps(content | {"images": listed, "annotations": captions})
        write(folder / "annotations", {f"captions_{part}2014.json": text})
    return content, [image["id"] for image in images[20:]]


def test_coco_in_its_official_tree(tmp_path):
    source = corpus("coco_captions")
    content, validation = coco_tree(tmp_path / "coco", source)
    problem = make_problem("image_ms_coco_tokens8k")
    data_dir = made(problem, tmp_path, {"train": 2, "dev": 1, "test": 1})
    encoder = encoders_for(problem, data_dir)["targets"]
    for split, ids in (("dev", validation[::2]), ("test", validation[1::2])):
        wanted = [
            (number, " ".join(a["caption"].split()))
            for number in ids
            for a in sorted(content["annotations"], key=lambda a: a["id"])
            if a["image_id"] == number
        ]
        found = []
        for batch in eval_dataset(
            problem, data_dir, split, batch_size=1, examples_per_batch=8, image_ids=True
        ):
            assert batch["inputs"].shape[1:] == (299, 299, 3)
            for number, ids_ in zip(batch["image_id"], batch["targets"], strict=True):
                found.append((int(number), encoder.decode(until_eos(ids_.numpy()))))
        assert found == wanted
