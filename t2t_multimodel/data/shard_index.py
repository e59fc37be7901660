"""An index of a split: where each record of the shards stands, and how long it is.

With it, training reads any record of any shard directly: the whole training set is
shuffled, yet a checkpoint of the reader holds a few numbers and no data.
"""

import array
import dataclasses
import functools
import itertools
import os
import pathlib
import struct
import zipfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import records
from t2t_multimodel.data.damage import DAMAGE, words_of
from t2t_multimodel.data.shards import find_shards, index_path
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_LENGTH = struct.Struct("<Q")
# TFRecord: 8 bytes length, 4 bytes check sum, the record, 4 bytes check sum.
_FRAME_BYTES = 16
_PARSED_AT_ONCE = 1024

# What reading an index file raises, whichever of its bits is wrong.
_NOT_AN_INDEX = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    zipfile.BadZipFile,
)


class Place(NamedTuple):
    """Where a record stands.

    Attributes:
        path: Its shard.
        record: Its number within the shard, from 0.
        byte_offset: Where its frame begins in the shard.
    """

    path: pathlib.Path
    record: int
    byte_offset: int

    def __str__(self) -> str:
        return f"record {self.record} of {self.path} (at byte {self.byte_offset})"


@dataclasses.dataclass(frozen=True, eq=False)
class ShardIndex:
    """Where the records of a split stand, and how long they are.

    Args:
        paths: The shards, in order.
        shard_bytes: Size of each shard.
        counts: Records of each shard.
        offsets: Byte at which each record's frame begins, shard after shard.
        inputs_length: Tokens, frames or samples of the stored inputs, else 1.
        targets_length: The same of the stored targets.
        wav_bytes_inputs: Whether the stored inputs are sound as T2T's TIMIT problems
            wrote it; never so in shards that have an index file.
    """

    paths: tuple[pathlib.Path, ...]
    shard_bytes: np.ndarray
    counts: np.ndarray
    offsets: np.ndarray
    inputs_length: np.ndarray
    targets_length: np.ndarray
    wav_bytes_inputs: bool = False

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def shard_of(self) -> np.ndarray:
        """The shard of each record, an index into `paths`."""
        return np.repeat(np.arange(len(self.paths)), self.counts)

    def place(self, number: int) -> Place:
        """Returns where a record stands, by its number through all the shards."""
        ends = np.cumsum(self.counts)
        shard = int(np.searchsorted(ends, number, side="right"))
        first = int(ends[shard] - self.counts[shard])
        return Place(self.paths[shard], number - first, int(self.offsets[number]))

    def lengths(self, problem: Problem) -> dict[str, np.ndarray]:
        """Returns the lengths by side as the problem sees them."""
        stored = (self.inputs_length, self.targets_length)
        names = [side.name for side in records.stored_sides(problem)]
        return dict(zip(names, stored, strict=True))

    def save(self, path: pathlib.Path) -> None:
        """Writes the arrays, under a temporary name first."""
        unfinished = path.with_name(f"unfinished.{path.name}")
        arrays = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.type is np.ndarray
        }
        with open(unfinished, "wb") as file:
            np.savez(file, **arrays)
        unfinished.replace(path)


def record_offsets(path: pathlib.Path) -> np.ndarray:
    """Returns the byte at which each record of a TFRecord file begins.

    Raises:
        UserError: If a record is cut off or its length is damaged.
    """
    size = path.stat().st_size
    offsets = array.array("q")
    position = 0
    with open(path, "rb") as file:
        while position < size:
            offsets.append(position)
            file.seek(position)
            head = file.read(_LENGTH.size)
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else size
            position += length + _FRAME_BYTES
    if position != size:
        # Which of the lengths is wrong, only their check sums tell.
        for _ in placed_records(path):
            pass
    return np.array(offsets, np.int64)


def placed_records(path: pathlib.Path) -> Iterator[tuple[Place, bytes]]:
    """Yields the records of a shard, all check sums looked at.

    Raises:
        UserError: At the first record that is damaged.
    """
    contents = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    place = Place(path, 0, 0)
    while True:
        try:
            content = next(contents, None)
        except DAMAGE as error:
            raise _damaged(place, words_of(error)) from None
        if content is None:
            break
        yield place, content
        after = place.byte_offset + len(content) + _FRAME_BYTES
        place = Place(path, place.record + 1, after)
    # TensorFlow takes a length that is cut off for the end of the file.
    if place.byte_offset != path.stat().st_size:
        raise _damaged(place, "the shard ends within it")


def _damaged(place: Place, words: str) -> UserError:
    return UserError(
        f"{place} is damaged ({words}); delete that shard and generate it again"
    )


def build_index(problem: Problem, paths: list[pathlib.Path]) -> ShardIndex:
    """Reads shards once and returns their index.

    Raises:
        UserError: If a shard is broken or does not hold what the problem declares.
    """
    offsets = [record_offsets(path) for path in paths]
    lengths: dict[str, list[np.ndarray]] = {side: [] for side in records.SIDES}
    dataset = tf.data.TFRecordDataset([str(path) for path in paths])
    dataset = dataset.batch(_PARSED_AT_ONCE).map(
        functools.partial(records.parse_lengths, problem)
    )
    wav_bytes_inputs = False
    try:
        for batch in dataset.as_numpy_iterator():
            for side, values in batch.items():
                lengths[side].append(values)
        first_record = tf.data.TFRecordDataset([str(path) for path in paths])
        for record in first_record.take(1):
            wav_bytes_inputs = records.holds_wav_bytes(problem, record.numpy())
            # Lengths alone do not show that all else is there.
            longest = {side: parts[0][0] for side, parts in lengths.items()}
            records.parse_batch(
                problem, record[None], longest, wav_bytes_inputs=wav_bytes_inputs
            )
    except DAMAGE as error:
        _tell_damage(problem, paths)
        raise UserError(
            f"the first record of {paths[0]} {_unlike(problem, error)}"
        ) from None
    joined = {
        side: np.concatenate([*parts, np.zeros(0, np.int32)])
        for side, parts in lengths.items()
    }
    first, second = (side.name for side in records.stored_sides(problem))
    return ShardIndex(
        paths=tuple(paths),
        shard_bytes=np.array([path.stat().st_size for path in paths], np.int64),
        counts=np.array([len(part) for part in offsets], np.int64),
        offsets=np.concatenate([*offsets, np.zeros(0, np.int64)]),
        inputs_length=joined[first].astype(np.int32),
        targets_length=joined[second].astype(np.int32),
        wav_bytes_inputs=wav_bytes_inputs,
    )


def _tell_damage(problem: Problem, paths: Sequence[pathlib.Path]) -> None:
    """Reads shards once more, to find the record at which that ends.

    Raises:
        UserError: If a record is damaged or has other features.
    """
    for path in paths:
        placed = placed_records(path)
        while some := list(itertools.islice(placed, _PARSED_AT_ONCE)):
            try:
                records.parse_lengths(problem, [content for _, content in some])
                continue
            except DAMAGE:
                pass  # It is one of these.
            for place, content in some:
                try:
                    records.parse_lengths(problem, [content])
                except DAMAGE as error:
                    raise UserError(f"{place} {_unlike(problem, error)}") from None


def _unlike(problem: Problem, error: tf.errors.OpError | UnicodeDecodeError) -> str:
    return (
        f"cannot be read as problem {problem.name!r} ({words_of(error)}); delete that "
        "shard and generate it again, or declare the features that it was written with"
    )


def load_index(
    problem: Problem, data_dir: str | os.PathLike[str], split: str
) -> ShardIndex:
    """Returns the index of a split: its file if that is up to date, else a new one.

    Shards written by T2T itself have no such file; they are read once here.

    Raises:
        UserError: If there are no shards, or they are incomplete or broken.
    """
    paths = find_shards(data_dir, problem.data_name, split)
    if not paths:
        raise UserError(
            f"no {split} data of problem {problem.name!r} in {data_dir}; expected "
            f"{problem.data_name}-{split}-*"
        )
    shard_bytes = np.array([path.stat().st_size for path in paths], np.int64)
    try:
        # NumPy leaves a file open that it cannot make sense of.
        with (
            open(index_path(data_dir, problem.data_name, split), "rb") as file,
            np.load(file) as arrays,
        ):
            index = ShardIndex(paths=tuple(paths), **arrays)
        if np.array_equal(index.shard_bytes, shard_bytes):
            return index
    except _NOT_AN_INDEX:
        pass  # Only ever a saving of time: what it holds is in the shards.
    return build_index(problem, paths)
