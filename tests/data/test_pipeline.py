"""Buckets that occur, and evaluation: everything is seen, in order, or named."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import batching, pipeline, shard_index
from t2t_multimodel.data.features import ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "shards"

KINDS = [("bytes", "tokens"), ("image", "label"), ("spectrogram", "tokens")]


def shapes_of(batch):
    return {key: value.shape for key, value in batch.items()}


@pytest.mark.parametrize(
    "lengths, boundaries",
    [
        ([5] * 20 + [11] * 20, (8, 12)),
        ([5] * 19 + [11] * 20, (12,)),  # 160 // 8 = 20 are not filled by an epoch
        ([5] * 20 + [11] * 2, (8, 12)),  # the longest have none to go on to
        ([5] * 3, (8,)),
        ([5] * 4 + [11] * 20 + [150], (12, 160)),
    ],
)
def test_examples_that_fill_no_batch_join_the_next_bucket(
    toy, tmp_path, lengths, boundaries
):
    problem = toy("bytes", "bytes")
    problem.num_shards = {"train": 1}
    problem.examples = lambda split, **kwargs: (
        {"inputs": "x" * (length - 1), "targets": "x"} for length in lengths
    )
    generate([problem], tmp_path, tmp_path, num_processes=1, say=lambda _: None)
    buckets = pipeline.training_buckets(problem, tmp_path, batch_size=160)
    assert buckets.boundaries == boundaries


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("batch_size", [20, 700, 5000])
def test_evaluation_covers_everything_in_order(generated, kinds, batch_size):
    problem, data_dir = generated(*kinds)
    problem.batch_size_multiplier = 64
    for split, count in (("train", 40), ("dev", 7)):
        dataset = pipeline.eval_dataset(problem, data_dir, split, batch_size=batch_size)
        read = list(dataset.as_numpy_iterator())
        ids = np.concatenate([batch["example_id"] for batch in read])
        assert ids.tolist() == list(range(count))


def test_evaluation_batches_have_the_shapes_of_buckets_but_for_the_last(generated):
    problem, data_dir = generated("bytes", "bytes")
    dataset = pipeline.eval_dataset(problem, data_dir, "train", batch_size=600)
    declared = batching.bucket_shapes(
        problem, batching.problem_buckets(problem, batch_size=600)
    )
    read = list(dataset.as_numpy_iterator())
    assert len(read) > 3
    for batch in read[:-1]:
        assert shapes_of(batch) in declared
    for batch in read:
        # Nothing is cut off: every text has its end mark.
        assert ((batch["inputs"] == 1).sum(axis=1) == 1).all()


def test_dropped_examples_are_told(generated, caplog):
    problem, data_dir = generated("bytes", "bytes")
    buckets = pipeline.training_buckets(problem, data_dir, batch_size=100)
    assert buckets.boundaries[-1] <= 100
    assert "'toy'" in caplog.text
    assert "of 40 training examples cost more than 100 tokens" in caplog.text
    with pytest.raises(UserError, match="40 of 40 training examples cost more than 2"):
        pipeline.training_buckets(problem, data_dir, batch_size=2)


def test_missing_data_is_told(toy, tmp_path):
    with pytest.raises(UserError, match="no train data of problem 'toy'"):
        pipeline.training_buckets(toy(), tmp_path, batch_size=64)


def test_data_of_other_features_is_told(generated, toy):
    _, data_dir = generated("bytes", "bytes")
    for index in data_dir.glob("*.index.npz"):
        index.unlink()
    with pytest.raises(UserError, match="cannot be read as problem 'toy'"):
        pipeline.training_buckets(toy("image", "label"), data_dir, batch_size=64)


def test_shards_that_t2t_wrote_are_read(toy, tmp_path):
    for name in ("wmt_ende_tokens_8k", "image_cifar10"):
        shard = GOLDEN / f"{name}-dev-00000-of-00001"
        shutil.copy(shard, tmp_path / f"{name}-train-00000-of-00001")
    vocabulary = Vocabulary("ende", 8192)
    text = toy(name="wmt_ende_tokens_8k")
    text.inputs = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=vocabulary)
    text.targets = Text(space=SpaceId.GERMAN_TOKENS, vocabulary=vocabulary)
    image = toy(name="image_cifar10")
    image.inputs = Image(height_px=32, width_px=32)
    image.targets = ClassLabel(names=tuple("0123456789"))
    for problem in (text, image):
        dataset = pipeline.eval_dataset(problem, tmp_path, "train", batch_size=1024)
        original = tf.data.TFRecordDataset(
            str(tmp_path / f"{problem.name}-train-00000-of-00001")
        )
        rows = (
            (batch["inputs"][row], batch["targets"][row])
            for batch in dataset.as_numpy_iterator()
            for row in range(len(batch["inputs"]))
        )
        for record, (source, target) in zip(
            original.as_numpy_iterator(), rows, strict=True
        ):
            fields = tf.train.Example.FromString(record).features.feature
            if problem is text:
                for got, key in ((source, "inputs"), (target, "targets")):
                    want = list(fields[key].int64_list.value)
                    assert got[got != 0].tolist() == want
            else:
                png = fields["image/encoded"].bytes_list.value[0]
                np.testing.assert_array_equal(source, tf.io.decode_png(png))
                assert target == fields["image/class/label"].int64_list.value[0]


@pytest.mark.parametrize(
    "how, words",
    [
        ("flipped", "corrupted record at"),
        ("cut", "the shard ends before it|truncated record"),
    ],
)
def test_a_damaged_record_of_the_evaluation_is_named(generated, how, words):
    problem, data_dir = generated("bytes", "label")
    dataset = pipeline.eval_dataset(
        problem, data_dir, "dev", batch_size=64, examples_per_batch=2
    )
    assert len(list(dataset)) == 4
    index = shard_index.load_index(problem, data_dir, "dev")
    path, record, offset = index.place(3)
    data = bytearray(path.read_bytes())
    data[offset + 20] ^= 1
    path.write_bytes(data if how == "flipped" else data[:offset])
    seen = []
    message = (
        rf"^problem 'toy': record {record} of {path} \(at byte {offset}\) is damaged "
        rf"\(.*({words}).*\); delete that shard and generate it again with: t2t-mm-"
    )
    with pytest.raises(UserError, match=message):
        for batch in dataset.as_numpy_iterator():
            seen += batch["example_id"].tolist()
    assert seen == [0, 1]


def test_an_evaluation_can_be_gone_through_again_and_left_early(generated):
    problem, data_dir = generated("bytes", "label")
    dataset = pipeline.eval_dataset(
        problem, data_dir, "dev", batch_size=64, examples_per_batch=2
    )
    one, other = iter(dataset), iter(dataset)
    ids = []
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first["inputs"], second["inputs"])
        ids += first["example_id"].numpy().tolist()
        next(iter(dataset))
    assert ids == list(range(7))
