"""Pictures of classes come out of every layout that they are given out in."""

import gzip
import io
import pickle
import struct

import numpy as np
import pytest

from t2t_multimodel.data import imagenet_files, records, serialization
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.tfds_corpus import TfdsCorpus
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem
from tests.problems.pictures import jpeg, png, raw, tar, write

SYNSETS = list(imagenet_files.synsets())
NAMES = ("image_imagenet", "image_imagenette", "image_cifar10", "image_mnist")
THREE = [SYNSETS[i] for i in (1, 985, 999)]


def _like(corpus):
    return TfdsCorpus(corpus.name, size=corpus.size, needs_files=corpus.needs_files)


@pytest.fixture(autouse=True)
def no_tfds(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    for name in NAMES:  # What they know of TFDS is of the last test's folder.
        problem = type(make_problem(name))
        monkeypatch.setattr(problem, "corpus", _like(problem.corpus))


def examples(name, split, tmp_dir):
    found = make_problem(name).examples(split, tmp_dir=tmp_dir, seed=0)
    return [e if isinstance(e, BadExample) else raw(e) for e in found]


def three_classes(suffix=""):
    """Returns class to files, of which the second class has one more."""
    counts = dict(zip(THREE, (2, 3, 1), strict=True))
    return {
        synset: {f"{synset}_{i}.JPEG": jpeg(8 * k + i) for i in range(count)}
        for k, (synset, count) in enumerate(counts.items())
    }


def official_tars(folder):
    train = {f"{s}.tar": tar(files) for s, files in three_classes().items()}
    val = {f"ILSVRC2012_val_0000000{i}.JPEG": jpeg(50 + i) for i in (2, 1, 3)}
    write(folder, {"ILSVRC2012_img_train.tar": tar(train)})
    write(folder, {"ILSVRC2012_img_val.tar": tar(val)})


def test_the_classes_are_those_of_imagenet_in_the_order_of_their_ids():
    import tensorflow_datasets as tfds

    builder = tfds.builder("imagenet2012")
    assert builder.info.features["label"].names == SYNSETS
    assert SYNSETS == sorted(SYNSETS)
    names = make_problem("image_imagenet").targets.names
    assert (names[0], names[134]) == ("n01440764 tench, Tinca tinca", "n02012849 crane")
    assert len(set(names)) == 1000


def test_imagenet_from_its_two_tars(tmp_path):
    official_tars(tmp_path / "imagenet")
    labels = "\n".join([THREE[2], THREE[0], THREE[1]])
    write(tmp_path / "imagenet", {imagenet_files.VALIDATION_LABELS: labels})
    train = examples("image_imagenet", "train", tmp_path)
    # The classes in turn; each picture with its own class.
    assert [e["targets"] for e in train] == [1, 985, 999, 1, 985, 985]
    expected = three_classes()
    for example in train:
        archive, inner, name = example["place"].rsplit(":", 2)
        assert archive == str(tmp_path / "imagenet" / "ILSVRC2012_img_train.tar")
        synset = inner.removesuffix(".tar")
        assert example["inputs"] == expected[synset][name]
        assert SYNSETS[example["targets"]] == synset
    dev = examples("image_imagenet", "dev", tmp_path)
    assert [e["targets"] for e in dev] == [1, 999, 985]  # numbers 2, 1, 3
    assert [e["inputs"] for e in dev] == [jpeg(52), jpeg(51), jpeg(53)]


@pytest.mark.parametrize("val", ["classes", "flat"])
def test_imagenet_from_folders_is_the_same(tmp_path, val):
    official_tars(tmp_path / "tars" / "imagenet")
    folder = tmp_path / "imagenet"
    for synset, files in three_classes().items():
        write(folder / "train" / synset, files)
    # These pictures' classes, as TFDS knows them.
    known = ["n01751748", "n09193705", "n02105855"]
    for number, synset in enumerate(known, 1):
        place = folder / "val" / (synset if val == "classes" else "")
        write(place, {f"ILSVRC2012_val_0000000{number}.JPEG": jpeg(50 + number)})
    for split in ("train", "dev"):
        ours = examples("image_imagenet", split, tmp_path)
        tars = examples("image_imagenet", split, tmp_path / "tars")
        as_set = [
            {(e["inputs"], e["targets"]) for e in found} for found in (ours, tars)
        ]
        assert as_set[0] == as_set[1]
        assert len(as_set[0]) == len(ours) == len(tars)


def test_what_is_odd_in_imagenet_is_read(tmp_path):
    """A PNG named JPEG, pictures in CMYK, grey ones, and one that is cut off."""
    Image = pytest.importorskip("PIL.Image")
    colours = Image.open(io.BytesIO(jpeg(3)))
    odd = {"png.JPEG": png(3)}
    for mode in ("CMYK", "L"):
        packed = io.BytesIO()
        colours.convert(mode).save(packed, "JPEG")
        odd[f"{mode}.JPEG"] = packed.getvalue()
    write(tmp_path / "imagenet" / "train" / THREE[0], odd | {"z.JPEG": jpeg(3)[:-30]})
    problem = make_problem("image_imagenet")
    found = examples("image_imagenet", "train", tmp_path)
    wanted = np.asarray(colours).astype(int)
    for example in found[:3]:
        record = serialization.serialize(problem, example, {})
        batch = records.parse_batch(problem, [record], {})
        assert batch["inputs"].shape == (1, 299, 299, 3)
        pixels = batch["inputs"].numpy()[0, 150, 150].astype(int)
        if "L.JPEG" not in example["place"]:
            np.testing.assert_allclose(pixels, wanted[12, 16], atol=8)
        else:
            assert len(set(pixels.tolist())) == 1
    with pytest.raises(UserError, match="z.JPEG: .*cannot be decoded"):
        serialization.serialize(problem, found[3], {})


@pytest.mark.parametrize(
    "files, message",
    [
        ({"ILSVRC2012_img_train.tar": b"x" * 2000}, "is no tar file, or is cut off"),
        ({"ILSVRC2012_img_train.tar": tar({})}, "train.tar is empty"),
        (
            {"ILSVRC2012_img_train.tar": tar({"n00000001.tar": tar({})})},
            "'n00000001' is none of the 1000 classes; expected synsets like",
        ),
        ({"train/cats/1.jpg": b""}, "'cats' is none of the 1000 classes"),
        ({f"train/{THREE[0]}/notes.txt": b""}, "notes.txt is not an image file"),
        ({"val/1.JPEG": b""}, "has no ILSVRC2012_img_train.tar and no train"),
    ],
)
def test_a_wrong_layout_is_told(tmp_path, files, message):
    write(tmp_path / "imagenet", files)
    with pytest.raises(UserError, match=message):
        examples("image_imagenet", "train", tmp_path)


def test_validation_pictures_without_a_class_are_bad_examples(tmp_path):
    write(tmp_path / "imagenet" / "val", {"cat.JPEG": jpeg(1)})
    write(tmp_path / "imagenet" / "val", {"ILSVRC2012_val_00050001.JPEG": jpeg(1)})
    found = examples("image_imagenet", "dev", tmp_path)
    assert [type(e) for e in found] == [BadExample] * 2
    assert "the name tells no number from 1 to 50000" in found[0].reason
    write(tmp_path / "imagenet", {imagenet_files.VALIDATION_LABELS: "n01440764\ncat"})
    with pytest.raises(UserError, match=r"labels.txt:2: 'cat' is no synset"):
        examples("image_imagenet", "dev", tmp_path)


def test_what_is_missing_and_how_much_there_is_is_told(tmp_path):
    problem = make_problem("image_imagenet")
    [source] = problem.sources(tmp_path)
    assert len(source.missing) == 2
    assert "no ILSVRC2012_img_val.tar or the folder val" in source.missing[1]
    assert "image-net.org" in source.where and "non-commercial" in source.licence
    assert problem.count_examples("train", tmp_path) is None
    official_tars(tmp_path / "imagenet")
    [source] = problem.sources(tmp_path)
    assert not source.missing
    counts = [problem.count_examples(s, tmp_path) for s in ("train", "dev")]
    assert counts == [6, 3]
    assert problem.known_sizes == {"train": 1281167, "dev": 50000}


def test_the_other_augmentation_reads_the_same_shards():
    plain, inception = map(make_problem, ("image_imagenet", "image_imagenet_inception"))
    assert plain.data_name == inception.data_name == "image_imagenet"
    assert plain.inputs.augmentation == "crop"
    assert inception.inputs.augmentation == "inception"


def test_imagenette_from_the_largest_folder_that_is_there(tmp_path):
    problem = make_problem("image_imagenette")
    assert problem.targets.names[3].endswith("chain saw, chainsaw")
    for name, number in (("imagenette2-160", 1), ("imagenette2-320", 2)):
        for part in ("train", "val"):
            write(tmp_path / name / part / "n03000684", {"1.JPEG": jpeg(number)})
        write(tmp_path / name, {"noisy_imagenette.csv": "path"})
    [example] = examples("image_imagenette", "dev", tmp_path)
    assert (example["inputs"], example["targets"]) == (jpeg(2), 3)
    assert not problem.sources(tmp_path)[0].missing


def cifar_files(folder, binary):
    """Writes 5 training files of two pictures each, and a test file."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(12) % 10
    rows = pictures.transpose(0, 3, 1, 2).reshape(12, -1)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for i, name in enumerate(names):
        part = slice(2 * i, 2 * i + 2)
        data = np.column_stack([labels[part], rows[part]]).astype(np.uint8).tobytes()
        if not binary:
            batch = {b"data": rows[part], b"labels": labels[part].tolist()}
            data = pickle.dumps(batch, protocol=2)
        write(folder, {f"{name}.bin" if binary else name: data})
    return pictures, labels


@pytest.mark.parametrize("version", ["py", "bin"])
def test_cifar_from_its_batches(tmp_path, version, monkeypatch):
    import tensorflow as tf

    folder = tmp_path / "cifar10" / f"cifar-10-batches-{version}"
    pictures, labels = cifar_files(folder, version == "bin")
    monkeypatch.setattr(type(make_problem("image_cifar10")), "held_out", 7)
    found = {
        s: examples("image_cifar10", s, tmp_path) for s in ("train", "dev", "test")
    }
    assert [len(split) for split in found.values()] == [7, 3, 2]
    everything = [example for split in found.values() for example in split]
    for example, picture, label in zip(everything, pictures, labels, strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(example["inputs"]), picture)
        assert example["targets"] == label
    assert not make_problem("image_cifar10").sources(tmp_path)[0].missing
    [missing] = make_problem("image_cifar10").sources(tmp_path / "none")[0].missing
    assert "t2t-mm-datagen downloads it, if it can" in missing
    (folder / f"data_batch_3{'.bin' if version == 'bin' else ''}").unlink()
    [missing] = make_problem("image_cifar10").sources(tmp_path)[0].missing
    assert "data_batch_3" in missing
    with pytest.raises(UserError, match="cannot read .*data_batch_3"):
        examples("image_cifar10", "train", tmp_path)


def test_mnist_from_its_idx_files(tmp_path, monkeypatch):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.array([5, 0, 4, 1, 9], np.uint8)

    def idx(array):
        return (
            struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            + array.tobytes()
        )

    files = {
        "train-images-idx3-ubyte.gz": gzip.compress(idx(pictures)),
        "train-labels-idx1-ubyte": idx(labels),
        "t10k-images-idx3-ubyte.gz": gzip.compress(idx(pictures[:1])),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx(labels[:1])),
    }
    write(tmp_path / "mnist", files)
    monkeypatch.setattr(type(make_problem("image_mnist")), "held_out", 3)
    found = {s: examples("image_mnist", s, tmp_path) for s in ("train", "dev", "test")}
    assert {s: [e["targets"] for e in split] for s, split in found.items()} == {
        "train": [5, 0, 4],
        "dev": [1, 9],
        "test": [5],
    }
    problem = make_problem("image_mnist")
    record = serialization.serialize(problem, found["dev"][0], {})
    batch = records.parse_batch(problem, tf.constant([record]), {})
    np.testing.assert_array_equal(batch["inputs"][0, ..., 0], pictures[3])
    write(tmp_path / "mnist", {"train-labels-idx1-ubyte": idx(labels[:4])})
    with pytest.raises(UserError, match="5 train pictures and 4 labels"):
        examples("image_mnist", "train", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_from_tfds(tmp_path, name):
    import tensorflow_datasets as tfds

    problem = make_problem(name)
    with tfds.testing.mock_data(num_examples=3):
        for split in problem.num_shards:
            if "[" in problem.tfds_splits[split]:  # Slices of a mock are empty.
                continue
            found = examples(name, split, tmp_path)
            assert len(found) == 3
            for example in found:
                serialization.serialize(problem, example, {})
                assert (
                    f"TFDS {problem.corpus.name}, {split} example" in example["place"]
                )


def test_the_classes_of_imagenette_are_in_the_order_of_tfds():
    import tensorflow_datasets as tfds

    problem = make_problem("image_imagenette")
    info = tfds.builder("imagenette").info
    assert info.features["label"].names == list(problem.synsets)


def test_without_files_and_tfds_it_is_told_what_to_bring(tmp_path):
    with pytest.raises(UserError, match="there is no .*ILSVRC2012_img_train.tar"):
        examples("image_imagenet", "train", tmp_path)


def test_examples_of_tfds_that_is_prepared_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(TfdsCorpus, "is_prepared", lambda self: True)
    monkeypatch.setattr(TfdsCorpus, "num_examples", lambda self, split: len(split))
    problem = make_problem("image_cifar10")
    assert not problem.sources(tmp_path)[0].missing
    assert problem.count_examples("test", tmp_path) == len("test")
    assert problem.count_examples("train", tmp_path) is None
