"""Problems to shards: vocabularies, records, manifest; safe to break off.

Nothing has its final name before it is complete: what is not is called
`unfinished.*`, shards get their names when their whole split has been dealt, and the
manifest comes last. A run that was broken off is continued by the same arguments.
"""

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from t2t_multimodel.data import disk, shards, split_progress, vocabularies
from t2t_multimodel.data import manifest as manifests
from t2t_multimodel.data.split_steps import Report, SplitJob
from t2t_multimodel.data.split_work import SplitWork
from t2t_multimodel.data.step_processes import StepProcesses
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import SPLITS, Problem, ReversedProblem

DEFAULT_SEED = 429459
"""T2T's `--random_seed`."""


def generate(
    problems: Sequence[Problem],
    data_dir: str | os.PathLike[str],
    tmp_dir: str | os.PathLike[str],
    *,
    seed: int = DEFAULT_SEED,
    num_processes: int = 2,
    max_cases: int = 0,
    skip_bad_examples: int = 0,
    keep_vocabulary: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Writes the vocabularies and shards of problems that are not there yet.

    Problems that share data are written once; complete data of equal description is
    left alone. Train examples are dealt round-robin to the shards and shuffled within
    each; other splits keep their order. What is written does not depend on the number
    of processes, nor on whether the run was broken off in between.

    Args:
        problems: What to generate.
        data_dir: Where vocabularies, shards and manifests go; made if missing.
        tmp_dir: Folder with the sources.
        seed: Decides what is generated or sampled, and the shuffling.
        num_processes: Processes that work at the same time, also on one split.
        max_cases: If positive, examples taken of each split, bad ones included.
        skip_bad_examples: Examples of each split that may be bad: they are left out,
            told, and listed in the manifest.
        keep_vocabulary: Whether a vocabulary of `data_dir` also serves problems
            without whose text it was built.
        say: Prints a line of progress.

    Raises:
        UserError: If a source is missing, the disk is full, a vocabulary was built
            without a problem, or there are more bad examples than may be skipped.
    """
    if num_processes < 1 or max_cases < 0 or skip_bad_examples < 0:
        raise UserError(
            f"the number of processes {num_processes} must be positive, and "
            f"max_cases={max_cases} and skip_bad_examples={skip_bad_examples} must "
            "not be negative"
        )
    data_dir, tmp_dir = pathlib.Path(data_dir), pathlib.Path(tmp_dir)
    for folder in (data_dir, tmp_dir):
        with disk.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    say = split_progress.above_bars(say)
    began = time.monotonic()
    bases = _bases(problems)
    vocabularies.build_missing(bases, data_dir, tmp_dir, say, keep=keep_vocabulary)
    with contextlib.ExitStack() as stack:
        todo: dict[str, dict[str, Any]] = {}
        works: list[SplitWork] = []
        for problem in bases:
            name = problem.data_name
            described = manifests.describe(
                problem, data_dir, tmp_dir, seed=seed, max_cases=max_cases
            )
            if _is_complete(problem, data_dir, described):
                say(_nothing_to_do(name, data_dir))
                # Of a run that was killed while it wrote other problems.
                _lock_path(data_dir, name).unlink(missing_ok=True)
                continue
            stack.enter_context(_locked(data_dir, name))
            todo[name] = described
            stored = _start(problem, data_dir, described)
            for split in problem.num_shards:
                job = SplitJob(problem, split, data_dir, tmp_dir, seed, max_cases)
                before = stored.get(split, {})
                works.append(SplitWork(job, before, skip_bad_examples, say))
                stack.callback(works[-1].progress.close)
        _write(works, todo, data_dir, num_processes, say)
    written = sum(work.progress.written for work in works)
    if works:
        seconds = time.monotonic() - began
        say(f"{written} examples in {seconds:.1f} s ({written / seconds:.0f} a second)")


def _write(
    works: Sequence[SplitWork],
    descriptions: dict[str, dict[str, Any]],
    data_dir: pathlib.Path,
    num_processes: int,
    say: Callable[[str], None],
) -> None:
    """Writes splits, and the manifest of each problem that has all of its own."""
    of_name = {work.job.name: work for work in works}

    def report(told: Report) -> None:
        of_name[told.name].report(told)

    with StepProcesses(num_processes, report) as processes:
        for work in works:
            processes.add(*work.begin(processes.shares))
        for task, result in processes.results():
            work = of_name[task.job.name]
            processes.add(*work.advance(task, result))
            if work.num_records is None:
                continue
            say(work.line())
            name = work.job.problem.data_name
            own = [w for w in works if w.job.problem.data_name == name]
            if all(w.num_records is not None for w in own):
                splits = {w.job.split: w.made() for w in own}
                finished = descriptions[name] | {"splits": splits, "complete": True}
                with disk.writing(data_dir):
                    manifests.write(data_dir, name, finished)
                _delete_unfinished(data_dir, name)


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
    # What was made of sources that are put away since is as good as it was.
    gone = description.get("source_state") == ""
    for key, value in description.items():
        if manifest.get(key) != value and not (gone and key == "source_state"):
            return False
    try:
        manifests.check_ready([problem], data_dir)
    except UserError:
        return False
    return True


def _nothing_to_do(name: str, data_dir: pathlib.Path) -> str:
    splits = (manifests.read(data_dir, name) or {})["splits"].values()
    skipped = sum(len(split.get("skipped", ())) for split in splits)
    bad = f" but for {skipped} bad examples" if skipped else ""
    return f"{name}: complete{bad} in {data_dir}, nothing to do"


def _lock_path(data_dir: pathlib.Path, name: str) -> pathlib.Path:
    return data_dir / f"unfinished.{name}.lock"


@contextlib.contextmanager
def _locked(data_dir: pathlib.Path, name: str) -> Iterator[None]:
    """Keeps others from writing the same data at the same time."""
    path = _lock_path(data_dir, name)
    with contextlib.ExitStack() as stack:
        with disk.writing(path):
            file = stack.enter_context(open(path, "w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is writing {name} in {data_dir}; wait until it is "
                "done, or end it"
            ) from None
        stack.callback(path.unlink, missing_ok=True)
        yield


def _start(
    problem: Problem, data_dir: pathlib.Path, description: dict[str, Any]
) -> dict[str, Any]:
    """Clears what an earlier generation left, unless it is the same one's.

    Returns:
        What the manifest says of the splits of the same one, if it does.
    """
    name = problem.data_name
    manifest = manifests.read(data_dir, name)
    if manifest is None and shards.find_shards(data_dir, name, "train"):
        raise UserError(
            f"{data_dir} holds shards of {name!r} that this program did not write (no "
            f"{manifests.path(data_dir, name).name}); move them or give another folder"
        )
    splits: dict[str, Any] = {}
    if manifest is not None and all(
        manifest.get(key) == value for key, value in description.items()
    ):
        splits = manifest.get("splits", {})
        _delete_damaged(data_dir, splits)
    else:
        _delete_unfinished(data_dir, name)
        for split in SPLITS:
            for file in data_dir.glob(f"{name}-{split}-?????-of-?????"):
                file.unlink()
            shards.index_path(data_dir, name, split).unlink(missing_ok=True)
    with disk.writing(data_dir):
        begun = description | {"splits": splits, "complete": False}
        manifests.write(data_dir, name, begun)
    return splits


def _delete_unfinished(data_dir: pathlib.Path, name: str) -> None:
    for split in SPLITS:
        for pattern in (f"{name}-{split}-?????-of-?????*", f"{name}.{split}.index.npz"):
            for file in data_dir.glob(f"unfinished.{pattern}"):
                file.unlink()


def _delete_damaged(data_dir: pathlib.Path, splits: dict[str, Any]) -> None:
    for split in splits.values():
        for shard in split["shards"]:
            file = data_dir / shard["name"]
            if file.is_file() and file.stat().st_size != shard["bytes"]:
                file.unlink()
