"""Problems to shards: vocabularies, records, manifest; safe to break off.

Nothing has its final name before it is complete: shards are written under
`unfinished.*` and renamed, the manifest comes last. A run that was broken off keeps
its complete shards when it is started again with the same arguments.
"""

import contextlib
import multiprocessing
import os
import pathlib
import pickle
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any

from t2t_multimodel.data import manifest as manifests
from t2t_multimodel.data import quiet_tensorflow, shards, vocabularies
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import (
    SPLITS,
    Problem,
    RawExample,
    ReversedProblem,
)

DEFAULT_SEED = 429459
"""T2T's `--random_seed`."""

_SECONDS_BETWEEN_LINES = 10.0
_EXAMPLES_BETWEEN_LOOKS = 256


def generate(
    problems: Sequence[Problem],
    data_dir: str | os.PathLike[str],
    tmp_dir: str | os.PathLike[str],
    *,
    seed: int = DEFAULT_SEED,
    num_processes: int = 2,
    max_cases: int = 0,
    say: Callable[[str], None] = print,
) -> None:
    """Writes the vocabularies and shards of problems that are not there yet.

    Problems that share data are written once; complete data of equal description is
    left alone. Train examples are dealt round-robin to the shards and shuffled within
    each; other splits keep their order.

    Args:
        problems: What to generate.
        data_dir: Where vocabularies, shards and manifests go; made if missing.
        tmp_dir: Folder with the sources.
        seed: Decides what is generated or sampled, and the shuffling.
        num_processes: Processes that work on different splits at a time.
        max_cases: If positive, examples taken of each split.
        say: Prints a line of progress.

    Raises:
        UserError: If a source is missing, or an example is not what the problem
            declares.
    """
    if num_processes < 1 or max_cases < 0:
        raise UserError(
            f"the number of processes {num_processes} must be positive and "
            f"max_cases={max_cases} must not be negative"
        )
    data_dir, tmp_dir = pathlib.Path(data_dir), pathlib.Path(tmp_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    tmp_dir.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    bases = _bases(problems)
    vocabularies.build_missing(bases, data_dir, tmp_dir, say)
    described = {}
    for problem in bases:
        description = manifests.describe(
            problem, data_dir, seed=seed, max_cases=max_cases
        )
        if _is_complete(problem, data_dir, description):
            say(f"{problem.data_name}: complete in {data_dir}, nothing to do")
        else:
            described[problem.data_name] = description
    todo = [problem for problem in bases if problem.data_name in described]
    for problem in todo:
        _start(problem, data_dir, described[problem.data_name])
    # Sound takes the longest to make, and of each problem the training data.
    todo.sort(key=lambda problem: problem.inputs.kind != "audio")
    tasks = [
        (problem, split, data_dir, tmp_dir, seed, max_cases)
        for problem in todo
        for split in problem.num_shards
    ]
    tasks.sort(key=lambda task: task[1] != "train")
    splits: dict[str, dict[str, Any]] = {problem.data_name: {} for problem in todo}
    for problem, split, made in _run(tasks, num_processes):
        say(
            f"{problem.data_name} {split}: {made['examples']} examples in "
            f"{made.pop('seconds'):.1f} s"
        )
        done = splits[problem.data_name]
        done[split] = made
        if len(done) == len(problem.num_shards):
            finished = described[problem.data_name] | {"splits": done, "complete": True}
            manifests.write(data_dir, problem.data_name, finished)
    total = sum(made["examples"] for done in splits.values() for made in done.values())
    if total:
        seconds = time.monotonic() - began
        say(f"{total} examples in {seconds:.1f} s ({total / seconds:.0f} a second)")


def _bases(problems: Sequence[Problem]) -> list[Problem]:
    """Returns the problems that own the data, each once."""
    bases: dict[str, Problem] = {}
    for problem in problems:
        while isinstance(problem, ReversedProblem):
            problem = problem.base
        bases.setdefault(problem.data_name, problem)
    return list(bases.values())


def _is_complete(
    problem: Problem, data_dir: pathlib.Path, description: dict[str, Any]
) -> bool:
    manifest = manifests.read(data_dir, problem.data_name)
    if manifest is None or not manifest.get("complete"):
        return False
    if any(manifest.get(key) != value for key, value in description.items()):
        return False
    try:
        manifests.check_ready([problem], data_dir)
    except UserError:
        return False
    return True


def _start(
    problem: Problem, data_dir: pathlib.Path, description: dict[str, Any]
) -> None:
    """Clears what an earlier generation left, unless it is the same one's."""
    name = problem.data_name
    manifest = manifests.read(data_dir, name)
    same = manifest is not None and all(
        manifest.get(key) == value for key, value in description.items()
    )
    if manifest is None and shards.find_shards(data_dir, name, "train"):
        raise UserError(
            f"{data_dir} holds shards of {name!r} that this program did not write (no "
            f"{manifests.path(data_dir, name).name}); move them or give another folder"
        )
    for split in SPLITS:
        for pattern in (f"{name}-{split}-?????-of-?????", f"{name}.{split}.index.npz"):
            for file in data_dir.glob(f"unfinished.{pattern}*"):
                file.unlink()
            if not same:
                for file in data_dir.glob(pattern):
                    file.unlink()
    if same:
        _delete_damaged(data_dir, manifest)
    manifests.write(data_dir, name, description | {"complete": False})


def _delete_damaged(data_dir: pathlib.Path, manifest: dict[str, Any]) -> None:
    for split in manifest.get("splits", {}).values():
        for shard in split["shards"]:
            file = data_dir / shard["name"]
            if file.is_file() and file.stat().st_size != shard["bytes"]:
                file.unlink()


def _run(
    tasks: Sequence[tuple], num_processes: int
) -> Iterator[tuple[Problem, str, dict[str, Any]]]:
    """Yields (problem, split, what was made) as the tasks end."""
    packed = [_pickled(task[0]) for task in tasks]
    apart = [task for task, data in zip(tasks, packed, strict=True) if data]
    if num_processes == 1 or len(apart) < 2:
        for task in tasks:
            yield task[0], task[1], write_split(*task)
        return
    others = set(multiprocessing.active_children())
    with _environment(CUDA_VISIBLE_DEVICES="-1"):
        pool = futures.ProcessPoolExecutor(
            min(num_processes, len(apart)),
            mp_context=multiprocessing.get_context("spawn"),
        )
        try:
            waiting = {}
            for task, data in zip(tasks, packed, strict=True):
                if data:
                    waiting[pool.submit(_write_pickled, data, *task[1:])] = task
            for task, data in zip(tasks, packed, strict=True):
                if not data:  # For example a class defined in a notebook.
                    yield task[0], task[1], write_split(*task)
            for future in futures.as_completed(waiting):
                task = waiting[future]
                yield task[0], task[1], future.result()
        except BaseException:
            # What they write has no final name yet: nothing is lost by stopping now.
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        pool.shutdown()


def _pickled(problem: Problem) -> bytes | None:
    if type(problem).__module__ == "__main__":  # The other processes have another.
        return None
    try:
        return pickle.dumps(problem)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _write_pickled(problem: bytes, *args: Any) -> dict[str, Any]:
    return write_split(pickle.loads(problem), *args)


def write_split(
    problem: Problem,
    split: str,
    data_dir: pathlib.Path,
    tmp_dir: pathlib.Path,
    seed: int,
    max_cases: int,
) -> dict[str, Any]:
    """Writes the shards of one split that are not there, and the split's index.

    Returns:
        `{"examples": N, "shards": [{"name", "bytes"}, ...], "seconds": ...}`.

    Raises:
        UserError: If a source is missing, an example is not what the problem
            declares, or the split is empty.
    """
    # TensorFlow is loaded by the processes that write, not by the one that waits.
    quiet_tensorflow.load()
    from t2t_multimodel.data import shard_index

    began = time.monotonic()
    count = problem.num_shards[split]
    names = [
        shards.shard_name(problem.data_name, split, index, count)
        for index in range(count)
    ]
    missing = [i for i, name in enumerate(names) if not (data_dir / name).is_file()]
    if missing:
        examples = problem.examples(split, tmp_dir=tmp_dir, seed=seed)
        if max_cases:
            examples = _first(examples, max_cases)
        dealt = _deal(problem, split, examples, data_dir, names, missing)
        if not dealt:
            raise UserError(
                f"problem {problem.name!r} has no {split} examples; leave {split} out "
                "of num_shards if there is none"
            )
        for index in missing:
            _finish_shard(
                data_dir / names[index],
                shuffle_key=f"{seed} {names[index]}" if split == "train" else "",
            )
    paths = [data_dir / name for name in names]
    records = shard_index.build_index(problem, paths)
    records.save(shards.index_path(data_dir, problem.data_name, split))
    return {
        "examples": len(records),
        "shards": [{"name": p.name, "bytes": p.stat().st_size} for p in paths],
        "seconds": time.monotonic() - began,
    }


def _deal(
    problem: Problem,
    split: str,
    examples: Iterable[RawExample],
    data_dir: pathlib.Path,
    names: Sequence[str],
    missing: Sequence[int],
) -> int:
    """Writes example i to shard i mod the number of shards, if that is missing."""
    import tensorflow as tf

    from t2t_multimodel.data import records

    encoders = vocabularies.encoders_for(problem, data_dir)
    number = -1
    began = said = time.monotonic()
    with contextlib.ExitStack() as stack:
        writers = {
            index: stack.enter_context(
                tf.io.TFRecordWriter(str(_unfinished(data_dir / names[index])))
            )
            for index in missing
        }
        for number, example in enumerate(examples):
            writer = writers.get(number % len(names))
            if writer is None:
                continue
            try:
                record = records.serialize(problem, example, encoders)
            except UserError as error:
                raise UserError(f"{split} example {number}: {error}") from None
            writer.write(record)
            if number % _EXAMPLES_BETWEEN_LOOKS == 0:
                now = time.monotonic()
                if now - said > _SECONDS_BETWEEN_LINES:
                    said = now
                    speed = number / (now - began)
                    print(
                        f"{problem.data_name} {split}: {number} examples so far "
                        f"({speed:.0f} a second)",
                        flush=True,
                    )
    return number + 1


def _finish_shard(shard: pathlib.Path, shuffle_key: str) -> None:
    """Shuffles a dealt shard and gives it its final name."""
    import tensorflow as tf

    dealt = _unfinished(shard)
    if shuffle_key:
        read = tf.data.TFRecordDataset(str(dealt), buffer_size=1 << 20)
        kept = list(read.as_numpy_iterator())
        random.Random(shuffle_key).shuffle(kept)
        shuffled = dealt.with_name(f"{dealt.name}.shuffled")
        with tf.io.TFRecordWriter(str(shuffled)) as writer:
            for record in kept:
                writer.write(record)
        dealt.unlink()
        dealt = shuffled
    dealt.replace(shard)


def _unfinished(shard: pathlib.Path) -> pathlib.Path:
    return shard.with_name(f"unfinished.{shard.name}")


def _first(examples: Iterable[RawExample], count: int) -> Iterator[RawExample]:
    for number, example in enumerate(examples):
        if number == count:
            return
        yield example


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Sets variables that processes started meanwhile inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
