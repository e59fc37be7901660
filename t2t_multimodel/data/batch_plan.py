"""Which examples stand in which batch, decided on numbers before a record is read.

Turns count on without end: turn t is of epoch t // n, n the number of examples, and
every epoch is a permutation of the examples. A reader takes its turns one after the
other and puts each into the bucket of its example; a bucket that is full is a batch.
What waits in the buckets is a few hundred turns, so that a plan is saved exactly as a
small JSON value, and what several readers have not given out yet can be dealt to
another number of readers (ours).
"""

import collections
import copy
import itertools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.batching import Buckets
from t2t_multimodel.errors import UserError

_TURNS_AT_ONCE = 1024

_WHAT = {
    "examples": "number of examples",
    "seed": "seed",
    "boundaries": "boundaries of the buckets in tokens",
    "batch_sizes": "examples of a batch of each bucket",
    "checksum": "check sum of which example is in which bucket",
}


class PlannedBatch(NamedTuple):
    """A batch as numbers; JSON writes it as a list of three.

    Attributes:
        bucket: Its bucket.
        numbers: The number of each record, counted through the shards in order.
        turns: The turn of each; with the seed, it decides how a picture is varied.
            Empty in evaluation, where nothing is varied.
    """

    bucket: int
    numbers: Sequence[int]
    turns: Sequence[int]


class BatchPlan:
    """The endless sequence of the batches of one reader.

    The same arguments give the same batches. All readers of a data set together come
    to every example exactly once an epoch.

    Args:
        numbers: `(n,)` int64, the records that are used.
        bucket_of: `(n,)` int64, the bucket of each.
        buckets: Say how many examples a batch has.
        seed: Decides the order.
        reader: (index, count) of this reader among those that share the epochs.
    """

    def __init__(
        self,
        numbers: np.ndarray,
        bucket_of: np.ndarray,
        buckets: Buckets,
        *,
        seed: int,
        reader: tuple[int, int] = (0, 1),
    ) -> None:
        self._numbers = numbers
        self._bucket_of = bucket_of
        self._batch_sizes = buckets.batch_sizes
        self._seed = seed
        self._reader = reader
        checksum = zlib.crc32(np.ascontiguousarray(numbers, "<i8"))
        self._data = {
            "examples": len(numbers),
            "seed": seed,
            "boundaries": list(buckets.boundaries),
            "batch_sizes": list(buckets.batch_sizes),
            "checksum": zlib.crc32(np.ascontiguousarray(bucket_of, "<i8"), checksum),
        }
        self._next_turn = reader[0]
        self._left_over: collections.deque[int] = collections.deque()
        self._waiting: list[list[tuple[int, int]]] = [[] for _ in buckets.batch_sizes]
        self._num_batches = 0
        self._left_out: set[int] = set()
        # (turn, number, bucket) of the turns that come next, computed ahead.
        self._block: collections.deque[tuple[int, int, int]] = collections.deque()

    def __iter__(self) -> "BatchPlan":
        return self

    def __next__(self) -> PlannedBatch:
        """Returns the next batch, less what is left out, that is not empty."""
        while True:
            bucket, waiting = self._fill()
            good = [pair for pair in waiting if pair[1] not in self._left_out]
            if good:
                turns, numbers = zip(*good, strict=True)
                return PlannedBatch(bucket, numbers, turns)

    @property
    def left_out(self) -> frozenset[int]:
        """The numbers of the records that no batch holds."""
        return frozenset(self._left_out)

    def leave_out(self, numbers: Iterable[int]) -> None:
        """Gives no batch from now on that holds one of these records.

        The others of the batch do not move: who stands together stays as it was.

        Raises:
            UserError: If no record would be left.
        """
        self._left_out.update(numbers)
        if len(self._left_out) >= len(self._numbers):
            raise UserError(
                f"all {len(self._numbers)} training examples are damaged; delete the "
                "shards and generate them again"
            )

    def numbers_of(self, turns: Sequence[int]) -> list[int]:
        """Returns the number of the record at each turn."""
        return self._numbers[self._positions(turns)].tolist()

    def copy(self) -> "BatchPlan":
        """Returns a plan that goes on alike and on its own."""
        twin = copy.copy(self)
        twin._left_over = self._left_over.copy()
        twin._waiting = [list(waiting) for waiting in self._waiting]
        twin._left_out = set(self._left_out)
        twin._block = self._block.copy()
        return twin

    def get_state(self) -> dict[str, Any]:
        """Returns the place in the data, as JSON can write it."""
        return {
            "data": copy.deepcopy(self._data),
            "reader": list(self._reader),
            "next_turn": self._next_turn,
            "left_over": list(self._left_over),
            "waiting": [[turn for turn, _ in waiting] for waiting in self._waiting],
            "num_batches": self._num_batches,
            "left_out": sorted(self._left_out),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes what `get_state` returned; nothing is changed if it is refused.

        Raises:
            UserError: If the state is of other data.
            ValueError: If it is of another reader; see `redeal`.
        """
        _check_same_data(state["data"], self._data)
        if tuple(state["reader"]) != self._reader:
            raise ValueError(
                f"the state is of reader {state['reader']}, this is reader "
                f"{list(self._reader)} (index, count); `redeal` the states first"
            )
        self._next_turn = state["next_turn"]
        self._left_over = collections.deque(state["left_over"])
        self._waiting = [
            list(zip(turns, self.numbers_of(turns), strict=True))
            for turns in state["waiting"]
        ]
        self._num_batches = state["num_batches"]
        self._left_out = set()
        self._block.clear()
        self.leave_out(state["left_out"])

    def _fill(self) -> tuple[int, list[tuple[int, int]]]:
        """Takes turns until a bucket is full; returns it and what is in it."""
        while True:
            if not self._block:
                self._look_ahead()
            turn, number, bucket = self._block.popleft()
            if self._left_over:
                self._left_over.popleft()
            else:
                self._next_turn += self._reader[1]
            waiting = self._waiting[bucket]
            waiting.append((turn, number))
            if len(waiting) == self._batch_sizes[bucket]:
                self._waiting[bucket] = []
                self._num_batches += 1
                return bucket, waiting

    def _look_ahead(self) -> None:
        """Makes the next block: turns left over or, if there are none, new ones."""
        if self._left_over:
            turns = list(itertools.islice(self._left_over, _TURNS_AT_ONCE))
        else:
            # To the end of the epoch at most: an epoch has its own permutation.
            count, step = len(self._numbers), self._reader[1]
            end = (self._next_turn // count + 1) * count
            end = min(end, self._next_turn + _TURNS_AT_ONCE * step)
            turns = list(range(self._next_turn, end, step))
        positions = self._positions(turns)
        numbers = self._numbers[positions].tolist()
        buckets = self._bucket_of[positions].tolist()
        self._block.extend(zip(turns, numbers, buckets, strict=True))

    def _positions(self, turns: Sequence[int]) -> np.ndarray:
        """Returns where in `numbers` each turn points."""
        count = len(self._numbers)
        positions = np.zeros(len(turns), np.int64)
        if count == 1:  # which the shuffle refuses
            return positions
        epochs, within = np.divmod(np.asarray(turns, np.int64), count)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            positions[chosen] = tf.random.experimental.index_shuffle(
                within[chosen],
                np.array([self._seed, epoch], np.int64),
                np.int64(count - 1),
            ).numpy()
        return positions


def redeal(states: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """Deals what readers have not given out yet to another number of readers.

    Turns below the one that the furthest reader would take next, and not given out,
    are dealt round robin in their order, and from there on it goes round alike. So
    every epoch still has every example once. Records that a reader leaves out, all
    leave out then.

    Args:
        states: Those of all readers of a data set.
        count: Number of readers to deal to; the present number changes nothing.

    Returns:
        The state of each reader, in order.

    Raises:
        UserError: If the states are of different data.
        ValueError: If they are not those of all readers.
    """
    by_index = {state["reader"][0]: state for state in states}
    expected = {(index, len(states)) for index in range(len(states))}
    if not states or {tuple(state["reader"]) for state in states} != expected:
        readers = [list(state["reader"]) for state in states]
        raise ValueError(f"expected all readers of a data set once, got {readers}")
    ordered = [dict(by_index[index]) for index in range(len(states))]
    for state in ordered[1:]:
        _check_same_data(state["data"], ordered[0]["data"])
    if count == len(states):
        return ordered
    frontier = max(state["next_turn"] for state in ordered)
    pending = []
    for state in ordered:
        pending += state["left_over"]
        pending += (turn for turns in state["waiting"] for turn in turns)
        pending += range(state["next_turn"], frontier, len(states))
    pending.sort()
    left_out = {number for state in ordered for number in state["left_out"]}
    num_batches = sum(state["num_batches"] for state in ordered)
    return [
        {
            "data": copy.deepcopy(ordered[0]["data"]),
            "reader": [index, count],
            "next_turn": frontier + (index - len(pending)) % count,
            "left_over": pending[index::count],
            "waiting": [[] for _ in ordered[0]["waiting"]],
            "num_batches": len(range(index, num_batches, count)),
            "left_out": sorted(left_out),
        }
        for index in range(count)
    ]


def _check_same_data(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    different = [
        f"{what} {found[key]} there and {expected[key]} here"
        for key, what in _WHAT.items()
        if found[key] != expected[key]
    ]
    if different:
        raise UserError(
            f"the saved place in the data is of other data: {'; '.join(different)}. Go "
            "on with the data and settings of the run, or begin in a new output_dir"
        )
