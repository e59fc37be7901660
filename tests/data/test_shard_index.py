"""An index of shards: damage of the shards is named, its own does not matter."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import shard_index
from t2t_multimodel.errors import UserError


@pytest.fixture
def shards(generated):
    """Returns problem, paths of the train shards, and their index; no index file."""
    problem, data_dir = generated("bytes", "label")
    index = shard_index.load_index(problem, data_dir, "train")
    (data_dir / "toy.train.index.npz").unlink()
    return problem, data_dir, index


def spoil(place, at, bits):
    data = bytearray(place.path.read_bytes())
    data[place.byte_offset + at] ^= bits
    place.path.write_bytes(data)


@pytest.mark.parametrize(
    "at, bits",
    [
        pytest.param(0, 1, id="length longer or shorter"),
        pytest.param(6, 1, id="length of petabytes"),
        pytest.param(9, 1, id="check sum of the length"),
        pytest.param(30, 1, id="content"),
    ],
)
@pytest.mark.parametrize("number", [0, 20, 39])
def test_a_damaged_record_is_named(shards, number, at, bits):
    problem, data_dir, index = shards
    place = index.place(number)
    spoil(place, at, bits)
    message = (
        rf"^record {place.record} of {place.path} \(at byte {place.byte_offset}\) is "
        r"damaged \(corrupted record at .*\); delete that shard and generate it again$"
    )
    with pytest.raises(UserError, match=message):
        shard_index.load_index(problem, data_dir, "train")


@pytest.mark.parametrize(
    "kept, words",
    [
        (3, "the shard ends within it"),
        (11, "the shard ends within it"),
        (40, "truncated record at"),
    ],
)
def test_a_shard_that_is_cut_off_is_told(shards, kept, words):
    problem, data_dir, index = shards
    place = index.place(7)
    place.path.write_bytes(place.path.read_bytes()[: place.byte_offset + kept])
    message = rf"^record 7 of {place.path} \(at .*\) is damaged \({words}"
    with pytest.raises(UserError, match=message):
        shard_index.load_index(problem, data_dir, "train")


def test_a_record_that_is_no_example_is_named(shards):
    problem, data_dir, index = shards
    place = index.place(20)
    records = tf.data.TFRecordDataset(str(place.path)).as_numpy_iterator()
    contents = list(records)
    contents[place.record] = b"\xff" * 20
    with tf.io.TFRecordWriter(str(place.path)) as writer:
        for content in contents:
            writer.write(content)
    message = (
        rf"^record {place.record} of {place.path} \(at byte {place.byte_offset}\) "
        r"cannot be read as problem 'toy' \(.*parse.*\); delete that shard"
    )
    with pytest.raises(UserError, match=message):
        shard_index.load_index(problem, data_dir, "train")


@pytest.mark.parametrize(
    "inputs, targets, which",
    [
        ("waveform", "label", r"record 0 of {} \(at byte 0\)"),
        # Their lengths are fixed, so that only the first record is looked at.
        ("image", "label", "the first record of {}"),
    ],
)
def test_the_first_record_is_named_if_it_has_other_features(
    shards, toy, inputs, targets, which
):
    _, data_dir, index = shards
    which = which.format(index.paths[0])
    message = rf"^{which} cannot be read as problem 'toy' \(.*\); delete that shard and"
    with pytest.raises(UserError, match=message):
        shard_index.load_index(toy(inputs, targets), data_dir, "train")


def test_a_damaged_index_file_is_made_up_for(generated):
    problem, data_dir = generated("bytes", "label")
    whole = shard_index.load_index(problem, data_dir, "dev")
    path = data_dir / "toy.dev.index.npz"
    good = path.read_bytes()
    # The beginning and the end are headers, where a bit can mean anything.
    for position in (*range(0, 130, 13), *range(len(good) - 300, len(good), 13)):
        data = bytearray(good)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        found = shard_index.load_index(problem, data_dir, "dev")
        for field in ("offsets", "counts", "inputs_length", "targets_length"):
            np.testing.assert_array_equal(getattr(found, field), getattr(whole, field))
