"""Where the writing of a split stands, as the process sees it that waits."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from t2t_multimodel.data import shard_state, split_steps
from t2t_multimodel.data.skipped import SkippedExample, SkippedExamples
from t2t_multimodel.data.split_progress import SplitProgress
from t2t_multimodel.data.split_steps import Report, SplitJob
from t2t_multimodel.data.step_processes import Task
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

Shares = Callable[[Problem, Sequence[int]], list[tuple[int, ...]]]

# Of all that waits, what is furthest on goes first.
_URGENCY: dict[split_steps.Step, int] = {
    split_steps.deal: 0,
    split_steps.finish: 1,
    split_steps.index: 2,
}


class SplitWork:
    """Gives out the tasks of a split, and collects what becomes of them.

    A shard is finished only when all shards are dealt: until then nothing has its
    final name, and a split with too many bad examples leaves nothing behind.

    Args:
        job: The split.
        stored: What a manifest says of shards that are there already.
        skip_bad_examples: How many bad examples may be skipped.
        say: Prints a line.

    Raises:
        UserError: If more than that are known from an earlier, broken run.
    """

    def __init__(
        self,
        job: SplitJob,
        stored: dict[str, Any],
        skip_bad_examples: int,
        say: Callable[[str], None],
    ) -> None:
        self.job = job
        self.num_records: int | None = None
        self._say = say
        paths = job.paths
        states = [shard_state.load(path) for path in paths]
        self._to_finish = {i for i, path in enumerate(paths) if not path.is_file()}
        self._to_deal = {i for i in self._to_finish if states[i].num_examples is None}
        self._counts = {
            state.num_examples for state in states if state.num_examples is not None
        }
        known = [skipped for state in states for skipped in state.skipped]
        for fields in stored.get("skipped", ()):
            if fields["example"] % len(paths) not in self._to_finish:
                known.append(SkippedExample(**fields))
        self.skipped = SkippedExamples(job.name, job.split, skip_bad_examples, known)
        share = len(self._to_finish) / len(paths)
        self.progress = SplitProgress(job.name, share, say)

    def begin(self, shares: Shares) -> list[Task]:
        """Returns the tasks to begin with.

        Args:
            shares: Divides shards among processes.
        """
        if self._to_deal:
            divided = shares(self.job.problem, sorted(self._to_deal))
            return self._tasks(split_steps.deal, divided)
        return self._tasks_after_dealing()

    def report(self, report: Report) -> None:
        """Takes note of what a step has done.

        Raises:
            UserError: If there is one bad example too many.
        """
        if report.skipped is not None:
            self.skipped.add(report.skipped, self._say)
        self.progress.update(report)

    def advance(self, task: Task, result: Any) -> list[Task]:
        """Takes note of a task that is done; returns those that are next.

        Raises:
            UserError: If the split is empty, or changes from one look to the next.
        """
        if task.step is split_steps.deal:
            self._counts.add(result)
            self._to_deal -= set(task.indices)
            return [] if self._to_deal else self._tasks_after_dealing()
        if task.step is split_steps.finish:
            self._to_finish -= set(task.indices)
            return [] if self._to_finish else self._tasks(split_steps.index, [()])
        self.num_records = result
        self.progress.close()
        return []

    def made(self) -> dict[str, Any]:
        """Returns what the manifest says of the split once it is written."""
        shards = [{"name": p.name, "bytes": p.stat().st_size} for p in self.job.paths]
        return {
            "examples": self.num_records,
            "shards": shards,
            "skipped": self.skipped.as_json(),
        }

    def line(self) -> str:
        """Returns a line about the split once it is written."""
        seconds = self.progress.seconds
        rate = self.progress.written / max(seconds, 1e-9)
        bad = f", {len(self.skipped)} bad ones skipped" if len(self.skipped) else ""
        return (
            f"{self.job.name}: {self.num_records} examples in {seconds:.1f} s "
            f"({rate:.0f} a second){bad}"
        )

    def _tasks_after_dealing(self) -> list[Task]:
        if not self._to_finish:
            return self._tasks(split_steps.index, [()])
        name, split = self.job.problem.name, self.job.split
        if len(self._counts) != 1:
            raise UserError(
                f"problem {name!r} gave {' and '.join(map(str, sorted(self._counts)))} "
                f"{split} examples to processes that asked for the same; examples() "
                "must yield the same ones for the same seed"
            )
        [count] = self._counts
        if count == len(self.skipped):
            good = "good " if count else ""
            raise UserError(
                f"problem {name!r} has no {good}{split} examples; leave {split} out "
                "of num_shards if there is none"
            )
        return self._tasks(split_steps.finish, [(i,) for i in sorted(self._to_finish)])

    def _tasks(
        self, step: split_steps.Step, divided: Iterable[tuple[int, ...]]
    ) -> list[Task]:
        # Sound takes the longest to make, and of each problem the training data.
        is_long = (self.job.split == "train", self.job.problem.inputs.kind == "audio")
        urgency = (_URGENCY[step], *is_long)
        return [Task(step, self.job, indices, urgency) for indices in divided]
