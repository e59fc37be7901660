"""Targets of a split alone, for what is counted over them."""

import itertools
import logging
import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import records, shards
from t2t_multimodel.data.damage import DAMAGE, words_of
from t2t_multimodel.data.shard_index import Place, placed_records
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_log = logging.getLogger(__name__)

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
        int64 arrays: ids with EOS, or the one label. Empty if there are no shards. What
        is damaged is left out with a warning: something is counted, no more.
    """
    paths = shards.find_shards(data_dir, problem.data_name, split)
    (side,) = (s for s in records.stored_sides(problem) if s.name == "targets")
    targets: list[np.ndarray] = []
    for path in paths:
        placed = _first_records(
            path, math.ceil(most / len(paths)), _MOST_BYTES // len(paths)
        )
        targets += _ids(placed, side.key)
    return targets[:most]


def _first_records(
    path: pathlib.Path, most: int, most_bytes: int
) -> list[tuple[Place, bytes]]:
    """Returns the records at the beginning of a shard, up to one that is damaged."""
    placed = []
    try:
        for place, content in itertools.islice(placed_records(path), most):
            placed.append((place, content))
            most_bytes -= len(content)
            if most_bytes <= 0:
                break
    except UserError as error:
        _log.warning("what stands before it in the shard is counted: %s", error)
    return placed


def _ids(placed: Sequence[tuple[Place, bytes]], key: str) -> list[np.ndarray]:
    """Returns the ids of each record that parses."""
    if not placed:
        return []
    spec = {key: tf.io.RaggedFeature(tf.int64)}
    try:
        ids = tf.io.parse_example([content for _, content in placed], spec)[key]
    except DAMAGE as error:
        if len(placed) > 1:
            half = len(placed) // 2
            return _ids(placed[:half], key) + _ids(placed[half:], key)
        _log.warning("%s is not counted: %s", placed[0][0], words_of(error))
        return []
    return np.split(ids.flat_values.numpy(), ids.row_splits.numpy()[1:-1])
