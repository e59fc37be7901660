"""Targets of a split alone, for what is counted over them."""

import math
import os
import pathlib

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import records, shards
from t2t_multimodel.problems.problem import Problem

_MOST_BYTES = 256 << 20  # read for it: pictures stand next to their labels


def sample_targets(
    problem: Problem, data_dir: str | os.PathLike[str], split: str, *, most: int
) -> list[np.ndarray]:
    """Returns the ids of targets of a split, alike many from each of its shards.

    Args:
        problem: A problem with texts or class labels for targets.
        data_dir: Folder of the shards.
        split: `"train"`, `"dev"` or `"test"`.
        most: Examples to read at most; fewer of a problem with large records.

    Returns:
        int64 arrays: ids with EOS, or the one label. Empty if there are no shards.
    """
    paths = shards.find_shards(data_dir, problem.data_name, split)
    (side,) = (s for s in records.stored_sides(problem) if s.name == "targets")
    targets: list[np.ndarray] = []
    for path in paths:
        serialized = _first_records(
            path, math.ceil(most / len(paths)), _MOST_BYTES // len(paths)
        )
        if serialized:
            spec = {side.key: tf.io.RaggedFeature(tf.int64)}
            ids = tf.io.parse_example(tf.constant(serialized), spec)[side.key]
            starts = ids.row_splits.numpy()[1:-1]
            targets += np.split(ids.flat_values.numpy(), starts)
    return targets[:most]


def _first_records(path: pathlib.Path, most: int, most_bytes: int) -> list[bytes]:
    serialized: list[bytes] = []
    for record in tf.data.TFRecordDataset(str(path)).take(most).as_numpy_iterator():
        serialized.append(record)
        most_bytes -= len(record)
        if most_bytes <= 0:
            break
    return serialized
