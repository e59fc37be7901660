"""The steps in which a split is written: dealing, finishing shards, the index.

Each step can run in a process of its own, on some of the split's shards, and what it
writes does not depend on which process runs it or on what the others do.
"""

import dataclasses
import itertools
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from t2t_multimodel.data import quiet_tensorflow, shards, vocabularies
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.skipped import SkippedExample
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_SECONDS_BETWEEN_REPORTS = 0.25
# A kill loses what was dealt since the pieces were last closed. Later on they are
# closed less often, so that no shard gets more than some dozens of them.
_SECONDS_BETWEEN_KEEPS = 30.0
_SHARE_BETWEEN_KEEPS = 0.1


@dataclasses.dataclass(frozen=True)
class SplitJob:
    """A split to be written.

    Args:
        problem: The problem that owns the data.
        split: One of its splits.
        data_dir: Where the shards go.
        tmp_dir: Folder with the sources.
        seed: Decides what is generated or sampled, and the shuffling.
        max_cases: If positive, examples taken of the split.
    """

    problem: Problem
    split: str
    data_dir: pathlib.Path
    tmp_dir: pathlib.Path
    seed: int
    max_cases: int = 0

    @property
    def name(self) -> str:
        """As lines of progress name it."""
        return f"{self.problem.data_name} {self.split}"

    @property
    def paths(self) -> list[pathlib.Path]:
        """The shards, in order."""
        count = self.problem.num_shards[self.split]
        name = self.problem.data_name
        return [
            self.data_dir / shards.shard_name(name, self.split, index, count)
            for index in range(count)
        ]


@dataclasses.dataclass(frozen=True)
class Report:
    """What a step has done since its last report.

    Args:
        name: The job's.
        written: Examples made and written.
        passed: Examples that an earlier, broken run had written already.
        total: Examples of the split, if the problem can tell beforehand.
        skipped: A bad example that was met.
    """

    name: str
    written: int = 0
    passed: int = 0
    total: int | None = None
    skipped: SkippedExample | None = None


Tell = Callable[[Report], None]


def deal(job: SplitJob, indices: Sequence[int], tell: Tell) -> int:
    """Deals a split to some of its shards; example i goes to shard i mod their number.

    All examples count, also the bad ones, so that a shard's content does not depend
    on what else is bad. Those of other shards are passed over without being made.

    Args:
        job: The split.
        indices: The shards to deal to; none of them is finished.
        tell: Called with what was done, now and then and with every bad example.

    Returns:
        The number of examples of the split.

    Raises:
        UserError: If a source is missing, or the disk is full.
    """
    # TensorFlow is loaded by the processes that write, not by the one that waits.
    quiet_tensorflow.load()
    from t2t_multimodel.data import serialization, unfinished_shard

    tell(Report(job.name))
    if 0 in indices:
        tell(Report(job.name, total=_total(job)))
    encoders = vocabularies.encoders_for(job.problem, job.data_dir)
    paths = job.paths
    taken = {i: unfinished_shard.UnfinishedShard(paths[i]) for i in indices}
    reporter = _Reporter(job.name, tell)
    kept = began = time.monotonic()
    number = 0
    for number, example in enumerate(_examples(job), start=1):
        shard = taken.get((number - 1) % len(paths))
        if shard is None:
            continue
        if number <= shard.state.next_example:
            reporter.count(passed=1)
            continue
        try:
            record = serialization.serialize(job.problem, example, encoders)
        except UserError as error:
            skipped = SkippedExample(number - 1, str(error))
            tell(Report(job.name, skipped=skipped))
            shard.skip(skipped)
        else:
            shard.add(record)
        reporter.count(written=1)
        pause = max(_SECONDS_BETWEEN_KEEPS, _SHARE_BETWEEN_KEEPS * (kept - began))
        if reporter.now - kept > pause:
            for shard in taken.values():
                shard.keep(number)
            kept = time.monotonic()
    reporter.tell()
    for shard in taken.values():
        shard.keep(number, num_examples=number)
    return number


def finish(job: SplitJob, indices: Sequence[int], tell: Tell) -> None:
    """Gives dealt shards their names, those for training shuffled.

    Raises:
        UserError: If the disk is full.
    """
    del tell
    quiet_tensorflow.load()
    from t2t_multimodel.data import unfinished_shard

    for index in indices:
        path = job.paths[index]
        key = f"{job.seed} {path.name}" if job.split == "train" else ""
        unfinished_shard.UnfinishedShard(path).finish(key)


def index(job: SplitJob, indices: Sequence[int], tell: Tell) -> int:
    """Writes the index of a split whose shards are all finished.

    Returns:
        The number of records.

    Raises:
        UserError: If the disk is full.
    """
    del indices, tell
    quiet_tensorflow.load()
    from t2t_multimodel.data import disk, shard_index

    built = shard_index.build_index(job.problem, job.paths)
    path = shards.index_path(job.data_dir, job.problem.data_name, job.split)
    with disk.writing(job.data_dir):
        built.save(path)
    return len(built)


def _examples(job: SplitJob) -> Iterator[RawExample | BadExample]:
    try:
        examples = job.problem.examples(job.split, tmp_dir=job.tmp_dir, seed=job.seed)
        yield from itertools.islice(examples, job.max_cases or None)
    except OSError as error:
        named = f" {error.filename}" if error.filename else ""
        raise UserError(
            f"{job.name}: cannot read{named}: {error.strerror or error}"
        ) from None


def _total(job: SplitJob) -> int | None:
    total = job.problem.count_examples(job.split, job.tmp_dir)
    if total is None or not job.max_cases:
        return total
    return min(total, job.max_cases)


class _Reporter:
    """Tells what was done, but not more often than anybody looks.

    Attributes:
        now: Seconds of a clock, as of the last example that was counted.
    """

    def __init__(self, name: str, tell: Tell) -> None:
        self.now = time.monotonic()
        self._name = name
        self._tell = tell
        self._counts: dict[str, int] = {"written": 0, "passed": 0}
        self._told = self.now

    def count(self, **counts: int) -> None:
        """Adds to the counts."""
        for name, count in counts.items():
            self._counts[name] += count
        self.now = time.monotonic()
        if self.now - self._told > _SECONDS_BETWEEN_REPORTS:
            self.tell()

    def tell(self) -> None:
        """Tells the counts and begins anew."""
        self._told = self.now
        self._tell(Report(self._name, **self._counts))
        self._counts = dict.fromkeys(self._counts, 0)


Step = Callable[[SplitJob, Sequence[int], Tell], Any]
