"""The examples of a split, their buckets, and the batches of an evaluation.

Who stands in which batch is decided on record numbers, before any record is read; for
training, which is endless and shuffled, see `train_reader`.
"""

import dataclasses
import logging
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import batching, shard_index
from t2t_multimodel.data.batch_plan import PlannedBatch
from t2t_multimodel.data.batching import Buckets
from t2t_multimodel.data.damage import DAMAGE, UNREADABLE
from t2t_multimodel.data.record_batches import Batch, RecordBatches
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The records of a split that are used.

    Args:
        problem: What they are.
        index: Where all records of the split stand.
        numbers: `(n,)` int64, those that are used.
        costs: `(n,)` of each of them, in tokens.
        buckets: What they fall into.
    """

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
    will see. The arguments are those of `training_split`.
    """
    return training_split(
        problem,
        data_dir,
        batch_size=batch_size,
        max_length=max_length,
        examples_per_batch=examples_per_batch,
    ).buckets


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
        Batches as `RecordBatches` makes them, with `image_id` if wanted.

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
