"""Planned batches to batches of tensors: records are read, parsed, decoded, padded.

Made of tf.data, fed with numbers alone. What of the records cannot be read is found
out here and told by file, record and byte.
"""

import os
from collections.abc import Generator, Iterable

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import batching, records
from t2t_multimodel.data.batch_plan import PlannedBatch
from t2t_multimodel.data.batching import Buckets
from t2t_multimodel.data.damage import DAMAGE, UNREADABLE, words_of
from t2t_multimodel.data.shard_index import ShardIndex
from t2t_multimodel.data.vocabularies import datagen_command
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

Batch = dict[str, tf.Tensor]
"""As `records.parse_batch` describes it, and `example_id` `(B,)` int64: the number of
each record, counted through the shards in order."""

# Records are read one by one from anywhere: a read-ahead would be thrown away.
_LARGEST_READ_BYTES = 1 << 18
_THREADS = 2
_BATCHES_AHEAD = 1

# The functions of the datasets have no Python control flow over tensors.
_as_written = tf.autograph.experimental.do_not_convert


class RecordBatches:
    """Makes batches of the records of a split.

    Args:
        problem: Says what the records hold.
        index: Where the records stand.
        buckets: Say what a batch is padded to.
        seed: With the turns, decides how pictures are varied; `None` leaves them as
            they are.
        image_ids: Whether to tell which examples are of the same picture.
    """

    def __init__(
        self,
        problem: Problem,
        index: ShardIndex,
        buckets: Buckets,
        *,
        seed: int | None = None,
        image_ids: bool = False,
    ) -> None:
        self.problem = problem
        self.index = index
        self._seed = seed
        self._plans: Iterable[PlannedBatch] = ()
        signature = [tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64)]
        if seed is not None:
            signature.append(tf.TensorSpec((None, 2), tf.int64))
        planned = tf.data.Dataset.from_generator(
            lambda: map(self._as_arrays, self._plans), output_signature=tuple(signature)
        )
        self._dataset = (
            planned.flat_map(_records_reader(index))
            .map(_parser(problem, index, buckets, image_ids))
            .prefetch(_BATCHES_AHEAD)
            .with_options(_options())
        )

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """What the batches are."""
        return self._dataset.element_spec

    def read(self, plans: Iterable[PlannedBatch]) -> Generator[Batch, None, None]:
        """Yields the batches of `plans`, which it runs ahead of.

        Its threads end when it is exhausted or closed.

        Raises:
            DAMAGE: And whatever else tf.data raises where reading fails; `damaged`
                tells which records it was.
        """
        # tf.data begins to take plans when the first batch is asked for, here.
        self._plans = plans
        yield from iter(self._dataset)

    def batch(self, planned: PlannedBatch) -> Batch:
        """Returns one batch; raises as `read` does."""
        [batch] = self.read([planned])
        return batch

    def damaged(self, planned: PlannedBatch) -> dict[int, str]:
        """Reads parts of a batch, ever smaller ones, to find what cannot be read.

        Returns:
            The number of each record that is damaged, and what TensorFlow says of it.

        Raises:
            UserError: If a shard as a whole cannot be read.
        """
        bucket, numbers, turns = planned
        try:
            self.batch(planned)
        except (*DAMAGE, *UNREADABLE) as error:
            if len(numbers) > 1:
                half = len(numbers) // 2
                first = PlannedBatch(bucket, numbers[:half], turns[:half])
                second = PlannedBatch(bucket, numbers[half:], turns[half:])
                return self.damaged(first) | self.damaged(second)
            if isinstance(error, DAMAGE):
                return {numbers[0]: words_of(error)}
            raise UserError(
                f"problem {self.problem.name!r}: shard "
                f"{self.index.place(numbers[0]).path} cannot be read: {words_of(error)}"
            ) from None
        return {}

    def told(self, number: int, words: str) -> str:
        """Returns the line for a damaged record: problem, file, record and byte."""
        return (
            f"problem {self.problem.name!r}: {self.index.place(number)} is damaged "
            f"({words})"
        )

    @property
    def remedy(self) -> str:
        """What to do about a damaged record; ends with a command."""
        command = datagen_command(self.index.paths[0].parent, [self.problem.name])
        return f"delete that shard and generate it again with: {command}"

    def _as_arrays(self, planned: PlannedBatch) -> tuple[np.ndarray, ...]:
        bucket, numbers, turns = planned
        arrays = (np.int64(bucket), np.array(numbers, np.int64))
        if self._seed is None:
            return arrays
        # A turn never comes again, and so no picture is varied twice alike.
        seeds = np.full((len(turns), 2), self._seed, np.int64)
        seeds[:, 1] = turns
        return (*arrays, seeds)


def _records_reader(index: ShardIndex):
    """Returns a function from (bucket, numbers, ...) to records with the same."""
    paths = tf.constant([os.fspath(path) for path in index.paths])
    shard_of = tf.constant(index.shard_of, tf.int32)
    offsets = tf.constant(index.offsets)
    spec = tf.TensorSpec((), tf.string)
    mean_bytes = int(index.shard_bytes.sum() // max(1, len(index)))
    buffer_bytes = min(max(mean_bytes, 512), _LARGEST_READ_BYTES)
    nothing = tf.data.Dataset.from_tensors(tf.zeros([0], tf.string))

    @_as_written
    def read_one(number: tf.Tensor) -> tf.data.Dataset:
        # The raw op takes a byte to begin at; the class over it does not.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=paths[shard_of[number]][tf.newaxis],
            compression_type="",
            buffer_size=buffer_bytes,
            byte_offsets=offsets[number][tf.newaxis],
        )
        return tf.data.experimental.from_variant(variant, spec).take(1)

    @_as_written
    def read(bucket: tf.Tensor, numbers: tf.Tensor, *seeds: tf.Tensor):
        together = tf.data.Dataset.from_tensor_slices(numbers).flat_map(read_one)
        # A shard that became shorter gives no record and no error: if all records of
        # the batch are missing, there must be a batch all the same.
        batch = together.batch(tf.size(numbers, tf.int64)).concatenate(nothing).take(1)
        return batch.map(_as_written(lambda read_: (read_, bucket, numbers, *seeds)))

    return read


def _parser(problem: Problem, index: ShardIndex, buckets: Buckets, image_ids: bool):
    """Returns a function from (records, bucket, numbers, perhaps seeds) to a batch."""
    multiplier = problem.batch_size_multiplier
    padded = {
        name: tf.constant(
            [
                batching.padded_length(feature, boundary, multiplier)
                for boundary in buckets.boundaries
            ],
            tf.int32,
        )
        for name, feature in (("inputs", problem.inputs), ("targets", problem.targets))
    }

    @_as_written
    def parse(serialized: tf.Tensor, bucket: tf.Tensor, numbers: tf.Tensor, *seeds):
        is_whole = tf.equal(tf.size(serialized), tf.size(numbers))
        tf.debugging.Assert(is_whole, ["the shard ends before it"])
        lengths = {name: table[bucket] for name, table in padded.items()}
        batch = records.parse_batch(
            problem,
            serialized,
            lengths,
            wav_bytes_inputs=index.wav_bytes_inputs,
            seeds=seeds[0] if seeds else None,
            image_ids=image_ids,
        )
        return batch | {"example_id": numbers}

    return parse


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # The model needs the cores; reading is a small part of a step.
    options.threading.private_threadpool_size = _THREADS
    options.threading.max_intra_op_parallelism = 1
    return options
