"""Shards to batches with tf.data: endless for training, once for evaluation.

Everything random is decided on record numbers, before any record is read: an epoch
is a permutation of the numbers, the buckets hold numbers, and only a finished batch
of numbers is turned into records, parsed, decoded and padded. So the whole training
set is shuffled, and the state of an iterator is a few kilobytes that
`tf.train.Checkpoint` saves and restores exactly.
"""

import dataclasses
import logging
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import batching, records, shard_index
from t2t_multimodel.data.batch_plan import PlannedBatch
from t2t_multimodel.data.batching import Buckets
from t2t_multimodel.data.damage import DAMAGE, UNREADABLE
from t2t_multimodel.data.record_batches import Batch, RecordBatches
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_log = logging.getLogger(__name__)

# Records are read one by one from anywhere: a read-ahead would be thrown away.
_LARGEST_READ_BYTES = 1 << 18
_THREADS = 2

# The functions of the datasets have no Python control flow over tensors.
_as_written = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The records of a split that are used, their costs and their buckets."""

    problem: Problem
    index: shard_index.ShardIndex
    numbers: np.ndarray
    costs: np.ndarray
    buckets: Buckets


def training_buckets(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    *,
    batch_size: int,
    max_length: int = 0,
    examples_per_batch: int = 0,
) -> Buckets:
    """Returns the buckets that occur in the training data.

    `batching.bucket_shapes` and `batching.largest_batch` tell from it what the model
    will see. The arguments are those of `train_dataset`.
    """
    return training_split(
        problem,
        data_dir,
        batch_size=batch_size,
        max_length=max_length,
        examples_per_batch=examples_per_batch,
    ).buckets


def train_dataset(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    *,
    batch_size: int,
    seed: int,
    max_length: int = 0,
    examples_per_batch: int = 0,
    shard: tuple[int, int] = (0, 1),
    prefetch: int = 1,
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches.

    Every epoch shows every example once, in an order drawn from `seed` and the number
    of the epoch. The same arguments give the same batches.

    Args:
        problem: What to read.
        data_dir: Folder of the shards.
        batch_size: Tokens of a batch; see `batching.token_buckets`.
        seed: Decides the order, and how pictures are varied.
        max_length: Examples that cost more tokens are left out, with a message; 0
            means `batch_size`.
        examples_per_batch: If positive, examples of a batch, in place of tokens.
        shard: (index, count) of this reader among several that share the epochs.
        prefetch: Batches made ahead. They are part of a checkpoint of the iterator.

    Returns:
        Batches as `records.parse_batch` describes, and `example_id` `(B,)` int64: the
        number of each record, counted through the shards in order.

    Raises:
        UserError: If data is missing or broken, or no example is short enough.
    """
    split = training_split(
        problem,
        data_dir,
        batch_size=batch_size,
        max_length=max_length,
        examples_per_batch=examples_per_batch,
    )
    numbers = tf.constant(split.numbers)
    data_seed = tf.constant(seed, tf.int64)
    bucket_of = tf.constant(split.buckets.of(split.costs), tf.int64)
    batch_sizes = tf.constant(split.buckets.batch_sizes, tf.int64)
    count = len(split.numbers)

    @_as_written
    def position(turn: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        key = tf.stack([data_seed, turn // count])
        if count == 1:
            return turn, tf.zeros_like(turn)
        at = tf.random.experimental.index_shuffle(turn % count, key, count - 1)
        return turn, at

    first, step = shard
    positions = tf.data.Dataset.counter(first, step).map(position)

    @_as_written
    def together(bucket: tf.Tensor, window: tf.data.Dataset) -> tf.data.Dataset:
        @_as_written
        def numbered(turns: tf.Tensor, at: tf.Tensor):
            # A turn never comes again, and so no picture is varied twice alike.
            seeds = tf.stack([tf.fill(tf.shape(turns), data_seed), turns], axis=1)
            return bucket, tf.gather(numbers, at), seeds

        return window.batch(batch_sizes[bucket]).map(numbered)

    batches = positions.group_by_window(
        key_func=_as_written(lambda turn, at: bucket_of[at]),
        reduce_func=together,
        window_size_func=_as_written(lambda bucket: batch_sizes[bucket]),
    )
    return _finish(split, batches, prefetch)


def eval_dataset(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    split: str,
    *,
    batch_size: int,
    examples_per_batch: int = 0,
    image_ids: bool = False,
) -> "EvalDataset":
    """Returns every example of a split once, in the order of the shards.

    Nothing is left out: buckets go on up to the longest example. Neighbours share a
    batch, as many as the bucket of the longest of them takes, so that the shapes are
    those of the buckets, but for the last batch, which has fewer examples.

    Args:
        problem: What to read.
        data_dir: Folder of the shards.
        split: `"train"`, `"dev"` or `"test"`.
        batch_size: Tokens of a batch; see `batching.token_buckets`.
        examples_per_batch: If positive, examples of a batch, in place of tokens.
        image_ids: Whether to tell which examples are of the same picture.

    Returns:
        Batches as those of `train_dataset`, and `image_id` if wanted.

    Raises:
        UserError: If data is missing or broken.
    """
    data = _read_split(problem, data_dir, split)
    longest = max(batch_size, int(data.costs.max()))
    buckets = batching.problem_buckets(
        problem,
        batch_size=batch_size,
        max_length=longest,
        examples_per_batch=examples_per_batch,
    )
    data = dataclasses.replace(data, buckets=buckets)
    return EvalDataset(data, image_ids=image_ids)


class EvalDataset:
    """Every example of a split once; can be gone through again and again.

    Args:
        split: The examples.
        image_ids: Whether to tell which examples are of the same picture.
    """

    def __init__(self, split: Split, *, image_ids: bool) -> None:
        self._split = split
        self._batches = RecordBatches(
            split.problem, split.index, split.buckets, image_ids=image_ids
        )

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """What the batches are."""
        return self._batches.element_spec

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches.

        Raises:
            UserError: If a record is damaged.
        """
        planned = list(_consecutive(self._split.costs, self._split.buckets))
        done = 0
        try:
            for batch in self._batches.read(planned):
                yield batch
                done += 1
        except (*DAMAGE, *UNREADABLE):
            for number, words in self._batches.damaged(planned[done]).items():
                told = self._batches.told(number, words)
                raise UserError(f"{told}; {self._batches.remedy}") from None
            raise

    def as_numpy_iterator(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches as arrays; raises as iterating does."""
        for batch in self:
            yield {key: value.numpy() for key, value in batch.items()}


def _read_split(
    problem: Problem, data_dir: str | os.PathLike[str], split: str
) -> Split:
    index = shard_index.load_index(problem, data_dir, split)
    if not len(index):
        raise UserError(
            f"the {split} shards of problem {problem.name!r} in {data_dir} hold no "
            "examples"
        )
    lengths = index.lengths(problem)
    costs = np.maximum(
        *(
            batching.feature_costs(
                feature, lengths[name], problem.batch_size_multiplier
            )
            for name, feature in (
                ("inputs", problem.inputs),
                ("targets", problem.targets),
            )
        )
    )
    numbers = np.arange(len(index), dtype=np.int64)
    return Split(problem, index, numbers, costs, Buckets((), ()))


def training_split(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    *,
    batch_size: int,
    max_length: int = 0,
    examples_per_batch: int = 0,
) -> Split:
    """Returns the training examples that are short enough, and their buckets.

    Args:
        problem: What to read.
        data_dir: Folder of the shards.
        batch_size: Tokens of a batch; see `batching.token_buckets`.
        max_length: Examples that cost more tokens are left out, with a message; 0
            means `batch_size`.
        examples_per_batch: If positive, examples of a batch, in place of tokens.

    Raises:
        UserError: If data is missing or broken, or no example is short enough.
    """
    split = _read_split(problem, data_dir, "train")
    buckets = batching.problem_buckets(
        problem,
        batch_size=batch_size,
        max_length=max_length,
        examples_per_batch=examples_per_batch,
    )
    bucket_of = buckets.of(split.costs)
    fits = bucket_of < len(buckets.boundaries)
    dropped = int(np.sum(~fits))
    if dropped:
        said = (
            f"problem {problem.name!r}: {dropped} of {len(fits)} training examples "
            f"cost more than {buckets.boundaries[-1]} tokens (the longest "
            f"{split.costs.max()})"
        )
        if dropped == len(fits):
            raise UserError(f"{said}; raise batch_size or max_length")
        _log.warning("%s and are left out", said)
    counts = np.bincount(bucket_of[fits], minlength=len(buckets.boundaries))
    return dataclasses.replace(
        split,
        numbers=split.numbers[fits],
        costs=split.costs[fits],
        buckets=buckets.only(_filled(counts, buckets)),
    )


def _filled(counts: np.ndarray, buckets: Buckets) -> list[int]:
    """Returns the buckets to use, given how many examples are in each.

    One that an epoch does not fill gives its examples to the next longer one: they
    would wait there for epochs (ours; T2T lets them wait).
    """
    longest = int(np.flatnonzero(counts)[-1])
    used = []
    waiting = 0
    for index, count in enumerate(counts[: longest + 1]):
        waiting += count
        full = count and waiting >= buckets.batch_sizes[index]
        # The longest examples have no bucket to go on to.
        if full or index == longest:
            used.append(index)
            waiting = 0
    return used


def _consecutive(costs: np.ndarray, buckets: Buckets) -> Iterator[PlannedBatch]:
    """Yields batches of neighbours, each as big as can be.

    A batch of a bucket has the bucket's size, or is the last one.
    """
    bucket_of = buckets.of(costs)
    sizes = np.array(buckets.batch_sizes)
    start = 0
    while start < len(costs):
        # The longest of the next n examples, for every n.
        longest = np.maximum.accumulate(bucket_of[start : start + sizes.max()])
        size = np.minimum(sizes, len(costs) - start)
        holds = longest[size - 1] <= np.arange(len(sizes))
        bucket = max(np.flatnonzero(holds), key=lambda b: (size[b], -b))
        end = start + int(size[bucket])
        yield PlannedBatch(int(bucket), range(start, end), ())
        start = end


def _finish(
    split: Split, batches: tf.data.Dataset, prefetch: int, *, image_ids: bool = False
) -> tf.data.Dataset:
    """Turns (bucket, record numbers, perhaps seeds) into batches of tensors."""
    problem = split.problem
    multiplier = problem.batch_size_multiplier
    padded = {
        name: tf.constant(
            [
                batching.padded_length(feature, boundary, multiplier)
                for boundary in split.buckets.boundaries
            ],
            tf.int32,
        )
        for name, feature in (("inputs", problem.inputs), ("targets", problem.targets))
    }
    read = _reader(split.index)

    @_as_written
    def parse(serialized: tf.Tensor, bucket: tf.Tensor, numbers: tf.Tensor, *seeds):
        lengths = {name: table[bucket] for name, table in padded.items()}
        batch = records.parse_batch(
            problem,
            serialized,
            lengths,
            wav_bytes_inputs=split.index.wav_bytes_inputs,
            seeds=seeds[0] if seeds else None,
            image_ids=image_ids,
        )
        return batch | {"example_id": numbers}

    @_as_written
    def batch_of_records(bucket: tf.Tensor, numbers: tf.Tensor, *seeds):
        together = read(numbers).batch(tf.size(numbers, tf.int64))
        return together.map(_as_written(lambda read_: (read_, bucket, numbers, *seeds)))

    dataset = batches.flat_map(batch_of_records).map(parse)
    if prefetch:
        dataset = dataset.prefetch(prefetch)
    return dataset.with_options(_options())


def _reader(index: shard_index.ShardIndex):
    """Returns a function from record numbers to a dataset of their records."""
    paths = tf.constant([str(path) for path in index.paths])
    shard_of = tf.constant(index.shard_of, tf.int32)
    offsets = tf.constant(index.offsets)
    spec = tf.TensorSpec((), tf.string)
    mean_bytes = int(index.shard_bytes.sum() // max(1, len(index)))
    buffer_bytes = min(max(mean_bytes, 512), _LARGEST_READ_BYTES)

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

    return lambda numbers: tf.data.Dataset.from_tensor_slices(numbers).flat_map(
        read_one
    )


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # The model needs the cores; reading is a small part of a step.
    options.threading.private_threadpool_size = _THREADS
    options.threading.max_intra_op_parallelism = 1
    return options
