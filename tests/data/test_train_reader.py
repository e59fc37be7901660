"""Training batches: everything is seen, a reader goes on exactly, damage is named."""

import collections
import dataclasses
import itertools
import json
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import batching, pipeline
from t2t_multimodel.data.batch_plan import redeal
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.train_reader import TrainReader
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import ReversedProblem

KINDS = [("bytes", "tokens"), ("image", "label"), ("spectrogram", "tokens")]


def take(reader, count):
    return [
        {key: value.numpy() for key, value in batch.items()}
        for batch in itertools.islice(reader, count)
    ]


def ids_of(batches):
    return [batch["example_id"].tolist() for batch in batches]


def assert_same(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            np.testing.assert_array_equal(value, other[key])


def shapes_of(batch):
    return {key: value.shape for key, value in batch.items()}


@pytest.mark.parametrize("kinds", KINDS)
def test_batches_have_declared_shapes(generated, kinds):
    problem, data_dir = generated(*kinds)
    arguments = {"batch_size": 700}
    buckets = pipeline.training_buckets(problem, data_dir, **arguments)
    declared = batching.bucket_shapes(problem, buckets)
    reader = TrainReader(problem, data_dir, seed=1, **arguments)
    for batch in take(reader, 12):
        assert shapes_of(batch) in declared
        assert batch.keys() == reader.element_spec.keys()
        for key, value in batch.items():
            assert reader.element_spec[key].is_compatible_with(tf.constant(value))


def test_every_example_once_an_epoch(generated):
    problem, data_dir = generated("image", "label", examples=40)
    reader = TrainReader(problem, data_dir, batch_size=64, seed=5, examples_per_batch=8)
    epochs = []
    read = take(reader, 15)
    for start in (0, 5, 10):
        ids = np.concatenate(ids_of(read[start : start + 5]))
        assert sorted(ids) == list(range(40))
        epochs.append(tuple(ids))
    assert len(set(epochs)) == 3


def test_all_lengths_get_their_share(generated):
    problem, data_dir = generated("bytes", "tokens", examples=60)
    reader = TrainReader(problem, data_dir, batch_size=800, seed=2)
    seen = collections.Counter(itertools.chain(*ids_of(take(reader, 200))))
    assert set(seen) == set(range(60))
    assert max(seen.values()) <= 1.5 * min(seen.values())


def test_the_seed_decides_the_order(generated):
    problem, data_dir = generated()

    def ids(seed):
        return ids_of(
            take(TrainReader(problem, data_dir, batch_size=700, seed=seed), 5)
        )

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_the_batches_are_those_of_a_pipeline_of_tf_data_alone(generated):
    """The order is that of a counter, `index_shuffle` and `group_by_window`."""
    problem, data_dir = generated("bytes", "tokens")
    split = pipeline.training_split(problem, data_dir, batch_size=700)
    bucket_of = tf.constant(split.buckets.of(split.costs))
    sizes = tf.constant(split.buckets.batch_sizes, tf.int64)
    dataset = (
        tf.data.Dataset.counter(1, 3)
        .map(
            lambda turn: tf.random.experimental.index_shuffle(
                turn % 40, tf.stack([6, turn // 40]), 39
            )
        )
        .group_by_window(
            key_func=lambda at: bucket_of[at],
            reduce_func=lambda bucket, window: window.batch(sizes[bucket]),
            window_size_func=lambda bucket: sizes[bucket],
        )
    )
    expected = [at.tolist() for at in dataset.take(50).as_numpy_iterator()]
    reader = TrainReader(problem, data_dir, batch_size=700, seed=6, reader=(1, 3))
    assert ids_of(take(reader, 50)) == expected


@pytest.mark.parametrize("kinds", KINDS)
def test_a_reader_that_takes_a_state_goes_on_exactly(generated, kinds):
    problem, data_dir = generated(*kinds)
    problem.inputs = (
        dataclasses.replace(problem.inputs, augmentation="crop")
        if kinds[0] == "image"
        else problem.inputs
    )

    def fresh():
        return TrainReader(problem, data_dir, batch_size=700, seed=3)

    first = fresh()
    take(first, 9)
    state = json.dumps(first.get_state())
    assert len(state) < 3000
    want = take(first, 10)
    other = fresh()
    take(other, 2)
    for reader in (other, first):  # another one, and the same one back again
        reader.set_state(json.loads(state))
        assert_same(take(reader, 10), want)
    assert first.get_state() == other.get_state()


def test_readers_share_epochs_also_when_their_number_changes(generated):
    problem, data_dir = generated("image", "label", examples=40)

    def readers(states):
        made = []
        for index, state in enumerate(states):
            made.append(
                TrainReader(
                    problem,
                    data_dir,
                    batch_size=64,
                    seed=5,
                    examples_per_batch=4,
                    reader=(index, len(states)),
                )
            )
            if state:
                made[-1].set_state(state)
        return made

    ids = []
    two = readers([None, None])
    for count, reader in zip((4, 1), two, strict=True):
        ids += ids_of(take(reader, count))
    [one] = readers(redeal([reader.get_state() for reader in two], 1))
    ids += ids_of(take(one, 5))
    assert sorted(itertools.chain(*ids)) == list(range(40))


def test_a_batch_tells_its_plan_and_can_be_made_again(generated):
    problem, data_dir = generated("image", "label")
    problem.inputs = dataclasses.replace(problem.inputs, augmentation="crop")
    arguments = {"batch_size": 700, "seed": 3, "examples_per_batch": 6}
    reader = TrainReader(problem, data_dir, **arguments)
    assert reader.last_plan is None
    read = take(reader, 20)
    plan = json.loads(json.dumps(reader.last_plan))
    assert plan[1] == read[-1]["example_id"].tolist()
    state = reader.get_state()
    other = TrainReader(problem, data_dir, **arguments)
    for maker in (reader, other):
        [again] = take([maker.batch_of(*plan)], 1)
        assert_same([again], read[-1:])
    # Nothing of it is seen in what comes next.
    assert reader.get_state() == state
    assert_same(take(reader, 3), take(other, 23)[20:])
    stranger = TrainReader(problem, data_dir, **arguments | {"seed": 4})
    with pytest.raises(
        UserError, match="'toy' are not those that the batch of records"
    ):
        stranger.batch_of(*plan)


def test_places_say_where_records_stand(generated):
    problem, data_dir = generated("bytes", "tokens")
    reader = TrainReader(problem, data_dir, batch_size=700, seed=3)
    files = sorted(data_dir.glob("toy-train-*"))
    numbered = itertools.count()
    for path in files:
        offset = 0
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for record, content in enumerate(records):
            [place] = reader.places([next(numbered)])
            assert place == (path, record, offset)
            assert str(place) == f"record {record} of {path} (at byte {offset})"
            offset += len(content) + 16
    assert next(numbered) == 40


def test_a_closed_reader_has_no_threads_left_and_can_go_on(generated):
    problem, data_dir = generated()
    reader = TrainReader(problem, data_dir, batch_size=700, seed=3)
    twin = TrainReader(problem, data_dir, batch_size=700, seed=3)
    before = set(threading.enumerate())
    take(reader, 2)
    reader.close()
    reader.close()
    assert set(threading.enumerate()) <= before
    assert_same(take(reader, 3), take(twin, 5)[2:])


def test_a_reversed_problem_reads_the_data_of_its_base(generated):
    problem, data_dir = generated()
    turned = ReversedProblem(problem)
    turned.name = "toy_rev"
    batch, swapped = (
        take(TrainReader(each, data_dir, batch_size=700, seed=1), 1)[0]
        for each in (problem, turned)
    )
    np.testing.assert_array_equal(batch["inputs"], swapped["targets"])
    np.testing.assert_array_equal(batch["targets"], swapped["inputs"])


def test_missing_data_is_told(toy, tmp_path):
    with pytest.raises(UserError, match="no train data of problem 'toy'"):
        TrainReader(toy(), tmp_path, batch_size=64, seed=1)


def flip(path, offset):
    """Flips a bit of a byte of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


def replace_record(path, offset, content):
    """Puts another record of the same length in place of one, with right sums."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[offset : offset + 8], "little")
    other = path.with_name("other")
    with tf.io.TFRecordWriter(str(other)) as writer:
        writer.write(content.ljust(length, b"\xff"))
    data[offset : offset + length + 16] = other.read_bytes()
    other.unlink()
    path.write_bytes(data)


def damage(reader, number, how):
    """Spoils a record of the shards; the sizes of the files stay, unless cut."""
    [(path, _, offset)] = reader.places([number])
    match how:
        case "content":
            flip(path, offset + 40)
        case "length":
            flip(path, offset + 1)
        case "check sum":
            flip(path, offset + 9)
        case "not an example":
            replace_record(path, offset, b"\xff" * 8)
        case "not a picture":
            example = tf.train.Example()
            field = example.features.feature["image/encoded"]
            field.bytes_list.value.append(b"nothing that anybody ever painted")
            example.features.feature["image/class/label"].int64_list.value.append(1)
            content = example.SerializeToString()
            # An unknown field of the rest of the length.
            length = int.from_bytes(path.read_bytes()[offset : offset + 8], "little")
            rest = length - len(content) - 3
            assert 127 < rest < 2**14
            head = b"\x7a" + bytes([rest & 127 | 128, rest >> 7])
            replace_record(path, offset, content + head)
        case "cut within":
            path.write_bytes(path.read_bytes()[: offset + 30])
        case "cut before":
            path.write_bytes(path.read_bytes()[:offset])


@pytest.fixture(scope="module")
def picture_shards(tmp_path_factory):
    """A folder that is filled once."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture
def pictures(toy, picture_shards, tmp_path):
    """Returns a function that makes a reader of a picture problem of 40 examples."""
    problem = toy("image", "label", examples=40)
    if not any(picture_shards.iterdir()):
        generate(
            [problem], picture_shards, tmp_path, num_processes=1, say=lambda _: None
        )
    data_dir = shutil.copytree(picture_shards, tmp_path / "data")

    def make(**arguments):
        given = {"batch_size": 64, "seed": 5, "examples_per_batch": 4}
        return TrainReader(problem, data_dir, **given | arguments)

    return make


@pytest.fixture(scope="module")
def undamaged():
    """Batches of the pictures, once some test has made them."""
    return []


@pytest.fixture
def whole(pictures, undamaged):
    """The first 30 batches of the pictures, before anything is damaged."""
    undamaged.extend(take(pictures(), 30) if not undamaged else ())
    return undamaged


DAMAGES = [
    ("content", "corrupted record at"),
    ("length", "corrupted record at"),
    ("check sum", "corrupted record at"),
    ("not an example", "Could not parse example input"),
    ("not a picture", "Unknown image file format"),
    ("cut within", "truncated record at"),
    ("cut before", "the shard ends before it"),
]


@pytest.mark.parametrize("how, reason", DAMAGES)
def test_a_damaged_record_is_named_and_stops_nothing_before_it(
    pictures, whole, how, reason
):
    reader = pictures()
    [position] = [i for i, batch in enumerate(whole[:10]) if 39 in batch["example_id"]]
    damage(reader, 39, how)  # the last of its shard
    assert_same(take(reader, position), whole[:position])
    [(path, record, offset)] = reader.places([39])
    message = (
        rf"^problem 'toy': record {record} of {path} \(at byte {offset}\) is damaged "
        rf"\(.*{reason}.*\); leave up to N damaged records out with "
        r"--skip_bad_examples=N, or delete that shard and generate it again with: "
        rf"t2t-mm-datagen --data_dir={path.parent} --problems=toy$"
    )
    state = reader.get_state()
    for _ in range(2 if how == "content" else 1):  # it does not go away
        with pytest.raises(UserError, match=message):
            next(reader)
        assert reader.get_state() == state


@pytest.mark.parametrize("how", ["content", "not a picture", "cut before"])
def test_damaged_records_are_left_out_warned_of_once_and_remembered(
    pictures, whole, how, caplog
):
    reader = pictures(skip_bad_examples=2)
    for number in (39, 17):
        damage(reader, number, how if number == 39 else "content")
    read = take(reader, 30)
    bad = {39, 17}
    expected = [[i for i in ids if i not in bad] for ids in ids_of(whole)]
    assert ids_of(read) == [ids for ids in expected if ids]
    for batch, full in zip(read, whole, strict=True):
        good = ~np.isin(full["example_id"], list(bad))
        assert_same([batch], [{key: value[good] for key, value in full.items()}])
    assert reader.num_bad_examples == 2
    told = sorted(r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    places = [str(place) for place in reader.places([17, 39])]
    assert len(told) == 2
    for line, place in zip(told, sorted(places), strict=True):
        assert f"problem 'toy': {place} is damaged" in line
    assert sum("it is left out, the 2. of at most 2" in line for line in told) == 1


def test_a_run_that_goes_on_makes_the_same_batches(pictures, caplog):
    reader = pictures(skip_bad_examples=1)
    damage(reader, 8, "content")
    take(reader, 12)
    state = json.loads(json.dumps(reader.get_state()))
    assert state["left_out"] == [8]
    want = take(reader, 12)
    caplog.clear()
    other = pictures()  # also if no more may be left out
    other.set_state(state)
    assert "1 damaged training records that were found before stay" in caplog.text
    assert str(other.places([8])[0]) in caplog.text
    assert_same(take(other, 12), want)
    # A state from before it was found leads to the same.
    early = pictures(skip_bad_examples=1)
    assert_same(take(early, 24)[12:], want)


def test_no_more_are_left_out_than_allowed(pictures):
    reader = pictures(skip_bad_examples=2)
    for number in (1, 20, 33):
        damage(reader, number, "content")
    message = "and 2 were left out already; leave up to N"
    with pytest.raises(UserError, match=message):
        take(reader, 11)
    assert reader.num_bad_examples == 2


def test_a_batch_of_damaged_records_only_is_passed_over(pictures, whole):
    reader = pictures(skip_bad_examples=4)
    for number in ids_of(whole)[3]:
        damage(reader, number, "content")
    assert_same(take(reader, 9), whole[:3] + whole[4:10])


def test_nothing_but_damaged_records_is_told(generated):
    problem, data_dir = generated("bytes", "label", examples=3)
    reader = TrainReader(problem, data_dir, batch_size=700, seed=1, skip_bad_examples=9)
    for number in range(3):
        damage(reader, number, "content")
    with pytest.raises(UserError, match="all 3 training examples are damaged"):
        next(reader)


def test_a_damaged_record_of_a_batch_made_again_is_named(pictures):
    reader = pictures()
    next(reader)
    plan = reader.last_plan
    damage(reader, plan.numbers[2], "content")
    with pytest.raises(UserError, match=f"{reader.places(plan.numbers)[2].path} .at"):
        reader.batch_of(*plan)


def test_a_shard_that_is_gone_is_told_and_not_left_out(pictures):
    reader = pictures(skip_bad_examples=40)
    path = reader.places([0])[0].path
    path.unlink()
    message = f"problem 'toy': shard {path} cannot be read: .*No such file"
    with pytest.raises(UserError, match=message):
        take(reader, 10)


def test_a_shard_generated_again_as_told_is_whole(generated):
    problem, data_dir = generated("bytes", "tokens")
    arguments = {"batch_size": 700, "seed": 1}
    want = take(TrainReader(problem, data_dir, **arguments), 20)
    reader = TrainReader(problem, data_dir, **arguments)
    damage(reader, 3, "content")
    with pytest.raises(UserError, match="delete that shard and generate it again"):
        take(reader, 20)
    kept = data_dir / "kept"
    kept.mkdir()
    path = reader.places([3])[0].path
    shutil.move(path, kept / path.name)
    generate([problem], data_dir, data_dir / "tmp", num_processes=1, say=lambda _: None)
    assert_same(take(TrainReader(problem, data_dir, **arguments), 20), want)
