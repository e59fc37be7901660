"""Batches: everything is seen, shapes are known, an iterator goes on exactly."""

import collections
import itertools
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import batching, pipeline
from t2t_multimodel.data.features import ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import ReversedProblem

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "shards"

KINDS = [("bytes", "tokens"), ("image", "label"), ("spectrogram", "tokens")]


def batches(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def shapes_of(batch):
    return {key: value.shape for key, value in batch.items()}


@pytest.mark.parametrize("kinds", KINDS)
def test_training_batches_have_declared_shapes(generated, kinds):
    problem, data_dir = generated(*kinds)
    arguments = {"batch_size": 700}
    buckets = pipeline.training_buckets(problem, data_dir, **arguments)
    declared = batching.bucket_shapes(problem, buckets)
    dataset = pipeline.train_dataset(problem, data_dir, seed=1, **arguments)
    for batch in batches(dataset, 12):
        assert shapes_of(batch) in declared


def test_every_example_once_an_epoch(generated):
    problem, data_dir = generated("image", "label", examples=40)
    dataset = pipeline.train_dataset(
        problem, data_dir, batch_size=64, seed=5, examples_per_batch=8
    )
    epochs = []
    read = batches(dataset, 15)
    for start in (0, 5, 10):
        ids = np.concatenate([b["example_id"] for b in read[start : start + 5]])
        assert sorted(ids) == list(range(40))
        epochs.append(tuple(ids))
    assert len(set(epochs)) == 3


def test_readers_that_share_an_epoch_share_out_its_examples(generated):
    problem, data_dir = generated("image", "label", examples=40)
    ids = []
    for reader in range(2):
        dataset = pipeline.train_dataset(
            problem,
            data_dir,
            batch_size=64,
            seed=5,
            examples_per_batch=5,
            shard=(reader, 2),
        )
        ids += [batch["example_id"] for batch in batches(dataset, 4)]
    assert sorted(np.concatenate(ids)) == list(range(40))


def test_all_lengths_get_their_share(generated):
    problem, data_dir = generated("bytes", "tokens", examples=60)
    dataset = pipeline.train_dataset(problem, data_dir, batch_size=800, seed=2)
    seen = collections.Counter()
    for batch in batches(dataset, 400):
        seen.update(batch["example_id"].tolist())
    assert set(seen) == set(range(60))
    assert max(seen.values()) <= 1.5 * min(seen.values())


@pytest.mark.parametrize("kinds", KINDS)
def test_a_restored_iterator_goes_on_exactly(generated, kinds, tmp_path):
    problem, data_dir = generated(*kinds)

    def fresh():
        return iter(pipeline.train_dataset(problem, data_dir, batch_size=700, seed=3))

    first = fresh()
    for _ in range(9):
        next(first)
    path = tf.train.Checkpoint(iterator=first).write(str(tmp_path / "state"))
    want = [next(first) for _ in range(10)]
    second = fresh()
    tf.train.Checkpoint(iterator=second).read(path).assert_consumed()
    for batch in want:
        again = next(second)
        assert batch.keys() == again.keys()
        for key, value in batch.items():
            np.testing.assert_array_equal(value, again[key])


def test_the_state_without_prefetch_holds_no_data(generated, tmp_path):
    problem, data_dir = generated("spectrogram", "tokens")
    iterator = iter(
        pipeline.train_dataset(problem, data_dir, batch_size=700, seed=3, prefetch=0)
    )
    for _ in range(20):
        next(iterator)
    tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "state"))
    size = sum(path.stat().st_size for path in tmp_path.glob("state.*"))
    assert size < 20_000


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


def test_the_seed_decides_the_order(generated):
    problem, data_dir = generated()

    def ids(seed):
        dataset = pipeline.train_dataset(problem, data_dir, batch_size=700, seed=seed)
        return [batch["example_id"].tolist() for batch in batches(dataset, 5)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


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


def test_a_reversed_problem_reads_the_data_of_its_base(generated):
    problem, data_dir = generated()
    turned = ReversedProblem(problem)
    turned.name = "toy_rev"
    [batch] = batches(
        pipeline.train_dataset(problem, data_dir, batch_size=700, seed=1), 1
    )
    [swapped] = batches(
        pipeline.train_dataset(turned, data_dir, batch_size=700, seed=1), 1
    )
    np.testing.assert_array_equal(batch["inputs"], swapped["targets"])
    np.testing.assert_array_equal(batch["targets"], swapped["inputs"])


def test_missing_data_is_told(toy, tmp_path):
    with pytest.raises(UserError, match="no train data of problem 'toy'"):
        pipeline.train_dataset(toy(), tmp_path, batch_size=64, seed=1)


def test_data_of_other_features_is_told(generated, toy):
    _, data_dir = generated("bytes", "bytes")
    for index in data_dir.glob("*.index.npz"):
        index.unlink()
    with pytest.raises(UserError, match="cannot be read as problem 'toy'"):
        pipeline.train_dataset(toy("image", "label"), data_dir, batch_size=64, seed=1)


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
