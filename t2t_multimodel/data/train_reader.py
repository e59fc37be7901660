"""Endless training batches whose place can be saved, and that survive damaged records.

The plan of the batches runs ahead of the reading; a second one, which goes on when a
batch is handed out, is what is saved. So a state is a few kilobytes of numbers, of
what was handed out and not of what was read ahead.
"""

import dataclasses
import logging
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from t2t_multimodel.data import pipeline
from t2t_multimodel.data.batch_plan import BatchPlan, PlannedBatch
from t2t_multimodel.data.damage import DAMAGE, UNREADABLE
from t2t_multimodel.data.record_batches import Batch, RecordBatches
from t2t_multimodel.data.shard_index import Place
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_log = logging.getLogger(__name__)


class TrainReader:
    """An endless iterator of the training batches of a problem.

    Every epoch shows every example once, in an order drawn from `seed` and the number
    of the epoch. The same arguments give the same batches.

    Batches are dictionaries as `records.parse_batch` describes, and `example_id`
    `(B,)` int64: the number of each record, counted through the shards in order.

    A damaged record (its check sum or its content is wrong) ends training with a line
    that names it, or is left out: its batch is then made of the others, in this epoch
    and in all that follow.

    Args:
        problem: What to read.
        data_dir: Folder of the shards.
        batch_size: Tokens of a batch; see `batching.token_buckets`.
        seed: Decides the order, and how pictures are varied.
        max_length: Examples that cost more tokens are left out, with a message; 0
            means `batch_size`.
        examples_per_batch: If positive, examples of a batch, in place of tokens.
        reader: (index, count) of this reader among those that share the epochs.
        skip_bad_examples: Damaged records that this reader leaves out, at most.

    Attributes:
        last_plan: Bucket, record numbers and turns of the batch that was handed out
            last; `None` before the first.

    Raises:
        UserError: If data is missing or broken, or no example is short enough.
    """

    def __init__(
        self,
        problem: Problem,
        data_dir: str | os.PathLike[str],
        *,
        batch_size: int,
        seed: int,
        max_length: int = 0,
        examples_per_batch: int = 0,
        reader: tuple[int, int] = (0, 1),
        skip_bad_examples: int = 0,
    ) -> None:
        split = pipeline.training_split(
            problem,
            data_dir,
            batch_size=batch_size,
            max_length=max_length,
            examples_per_batch=examples_per_batch,
        )
        self.last_plan: PlannedBatch | None = None
        self._skip_bad_examples = skip_bad_examples
        self._num_examples = len(split.index)
        self._plan = BatchPlan(
            split.numbers,
            split.buckets.of(split.costs),
            split.buckets,
            seed=seed,
            reader=reader,
        )
        self._batches = RecordBatches(problem, split.index, split.buckets, seed=seed)
        self._iterator: Generator[Batch, None, None] | None = None

    @property
    def element_spec(self) -> dict[str, Any]:
        """What the batches are, a `tf.TensorSpec` by key."""
        return self._batches.element_spec

    @property
    def num_bad_examples(self) -> int:
        """Damaged records that are left out."""
        return len(self._plan.left_out)

    def __iter__(self) -> "TrainReader":
        return self

    def __next__(self) -> Batch:
        """Returns the next batch.

        Raises:
            UserError: If a record is damaged and may not be left out, or a shard
                cannot be read. The place in the data stays before the batch.
        """
        failed: PlannedBatch | None = None
        while True:
            if self._iterator is None:
                self._iterator = self._batches.read(self._plan.copy())
            try:
                batch = next(self._iterator)
            except (*DAMAGE, *UNREADABLE):
                self.close()
                planned = next(self._plan.copy())
                bad = self._batches.damaged(planned)
                # What is whole by itself is read once more: a network drive may have
                # been away for a moment.
                if not bad and planned == failed:
                    raise
                failed = planned
                self._leave_out(bad)
                continue
            self.last_plan = next(self._plan)
            return batch

    def get_state(self) -> dict[str, Any]:
        """Returns the place after the last batch handed out, as JSON can write it."""
        return self._plan.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `get_state` was called.

        Raises:
            UserError: If the state is of other data.
        """
        self._plan.set_state(state)
        self.close()
        self.last_plan = None
        bad = sorted(self._plan.left_out)
        if bad:
            _log.warning(
                "problem %r: %d damaged training records that were found before stay "
                "left out: %s",
                self._batches.problem.name,
                len(bad),
                "; ".join(str(place) for place in self.places(bad)),
            )

    def batch_of(
        self, bucket: int, numbers: Sequence[int], turns: Sequence[int]
    ) -> Batch:
        """Makes a batch once more; the place in the data does not change.

        Args:
            bucket: These three are a `last_plan`.
            numbers: Of the records.
            turns: Of the records.

        Raises:
            UserError: If the data are not those that the batch was made of, or a
                record is damaged.
        """
        if self._plan.numbers_of(turns) != list(numbers):
            raise UserError(
                f"the training data of problem {self._batches.problem.name!r} are not "
                f"those that the batch of records {list(numbers)} was made of: their "
                "number, the seed or the lengths allowed differ"
            )
        planned = PlannedBatch(bucket, tuple(numbers), tuple(turns))
        try:
            return self._batches.batch(planned)
        except (*DAMAGE, *UNREADABLE):
            for number, words in self._batches.damaged(planned).items():
                told = self._batches.told(number, words)
                raise UserError(f"{told}; {self._batches.remedy}") from None
            raise

    def places(self, numbers: Iterable[int]) -> list[Place]:
        """Returns where records stand: shard, record within it, byte offset."""
        return [self._batches.index.place(number) for number in numbers]

    def close(self) -> None:
        """Stops reading ahead and ends the threads that do."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None

    def _leave_out(self, bad: Mapping[int, str]) -> None:
        """Notes damaged records, each with a warning, if so many may be left out."""
        allowed = self._skip_bad_examples
        for number, words in bad.items():
            told = self._batches.told(number, words)
            if self.num_bad_examples >= allowed:
                already = f", and {allowed} were left out already" if allowed else ""
                raise UserError(
                    f"{told}{already}; leave up to N damaged records out with "
                    f"--skip_bad_examples=N, or {self._batches.remedy}"
                )
            self._plan.leave_out([number])
            _log.warning(
                "%s; it is left out, the %d. of at most %d",
                told,
                self.num_bad_examples,
                allowed,
            )


@dataclasses.dataclass(frozen=True)
class ReaderGroup:
    """The readers of a problem that share its epochs.

    Args:
        count: Readers in the whole run.
        own: Those of this process by their index among all.
    """

    count: int
    own: Mapping[int, TrainReader]
