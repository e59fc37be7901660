"""Targets that are counted: those of all shards, less what is damaged."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import shard_index
from t2t_multimodel.data.targets import sample_targets


@pytest.fixture
def labelled(generated):
    """Returns problem, folder, index of the train shards and their labels."""
    problem, data_dir = generated("bytes", "label")
    index = shard_index.load_index(problem, data_dir, "train")
    labels = [
        tf.train.Example.FromString(content)
        .features.feature["targets"]
        .int64_list.value[0]
        for path in index.paths
        for _, content in shard_index.placed_records(path)
    ]
    return problem, data_dir, index, labels


def counted(problem, data_dir, most=1000):
    return [ids.item() for ids in sample_targets(problem, data_dir, "train", most=most)]


def test_all_shards_give_alike_many(labelled):
    problem, data_dir, index, labels = labelled
    assert counted(problem, data_dir) == labels
    first = np.cumsum([0, *index.counts[:-1]])
    assert counted(problem, data_dir, 6) == [
        labels[start + row] for start in first for row in range(2)
    ]


def test_of_a_shard_with_damage_what_stands_before_it_is_counted(labelled, caplog):
    problem, data_dir, index, labels = labelled
    place = index.place(20)
    data = bytearray(place.path.read_bytes())
    data[place.byte_offset + 20] ^= 1
    place.path.write_bytes(data)
    end = int(index.counts[:2].sum())
    assert counted(problem, data_dir) == labels[:20] + labels[end:]
    [warning] = caplog.records
    assert f"before it in the shard is counted: {place} is" in warning.getMessage()


def test_a_record_that_is_no_example_is_not_counted(labelled, caplog):
    problem, data_dir, index, labels = labelled
    place = index.place(20)
    contents = [content for _, content in shard_index.placed_records(place.path)]
    contents[place.record] = b"\xff" * 20
    with tf.io.TFRecordWriter(str(place.path)) as writer:
        for content in contents:
            writer.write(content)
    assert counted(problem, data_dir) == labels[:20] + labels[21:]
    [warning] = caplog.records
    assert f"{place} is not counted: " in warning.getMessage()
