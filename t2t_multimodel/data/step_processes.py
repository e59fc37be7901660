"""Runs steps in processes of their own, and carries what they report."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from concurrent.futures import process as process_futures
from typing import Any, NamedTuple, Self

from t2t_multimodel.data.split_steps import Report, SplitJob, Step, Tell
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_SECONDS_BETWEEN_LOOKS = 0.1


class Task(NamedTuple):
    """A step of a split on some of its shards.

    Attributes:
        step: One of `split_steps`.
        job: The split.
        indices: Its shards.
        urgency: The larger, the sooner it runs.
    """

    step: Step
    job: SplitJob
    indices: tuple[int, ...]
    urgency: tuple[int, ...] = ()


class StepProcesses:
    """Runs tasks in up to `num_processes` processes; with one, in this one.

    Use as a context manager: leaving it by an error ends the processes at once. They
    also end when this process is killed. Problems that cannot be sent to another
    process, such as classes defined in a notebook, are worked on in this one.

    Args:
        num_processes: Processes that work at the same time.
        tell: Called in this process with what the steps report; if it raises, all
            is stopped.
    """

    def __init__(self, num_processes: int, tell: Tell) -> None:
        self.num_processes = num_processes
        self._tell = tell
        self._waiting: list[Task] = []
        self._running: dict[futures.Future, Task] = {}
        self._packed: dict[int, bytes | None] = {}
        self._pool: futures.ProcessPoolExecutor | None = None
        self._reports: Any = None
        self._others = set(multiprocessing.active_children())

    def shares(self, problem: Problem, indices: Sequence[int]) -> list[tuple[int, ...]]:
        """Returns the shards of a split, divided among as many as can work on it."""
        count = min(self.num_processes, len(indices)) if self._apart(problem) else 1
        return [tuple(indices[share::count]) for share in range(count) if indices]

    def add(self, *tasks: Task) -> None:
        """Adds tasks; may be called while results are taken."""
        self._waiting += tasks
        self._waiting.sort(key=lambda task: task.urgency)

    def results(self) -> Iterator[tuple[Task, Any]]:
        """Yields tasks with what they returned, until none is left.

        Raises:
            UserError: If a step does, or a process was killed.
        """
        while self._waiting or self._running:
            here = self._start_waiting()
            if here is not None:
                yield here, here.step(here.job, here.indices, self._tell)
                continue
            done, _ = futures.wait(
                self._running, _SECONDS_BETWEEN_LOOKS, futures.FIRST_COMPLETED
            )
            while not self._reports.empty():
                self._tell(self._reports.get())
            for future in done:
                task = self._running.pop(future)
                try:
                    result = future.result()
                except process_futures.BrokenProcessPool:
                    raise UserError(
                        "a process that wrote data was killed, perhaps for want of "
                        "memory; start the same command again, which goes on where it "
                        "stopped"
                    ) from None
                yield task, result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        if self._pool is None:
            return
        if kind is not None:
            # What they write has no final name yet: nothing is lost by stopping now.
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
        self._pool.shutdown()

    def _start_waiting(self) -> Task | None:
        """Starts what can run elsewhere; returns a task to be run here, if any."""
        for task in list(reversed(self._waiting)):
            packed = self._apart(task.job.problem)
            if not packed:
                if not self._running:
                    self._waiting.remove(task)
                    return task
            elif len(self._running) < self.num_processes:
                self._waiting.remove(task)
                self._running[self._submit(task, packed)] = task
        return None

    def _submit(self, task: Task, packed: bytes) -> futures.Future:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._reports = context.SimpleQueue()
            self._pool = futures.ProcessPoolExecutor(
                self.num_processes,
                mp_context=context,
                initializer=_begin_process,
                initargs=(self._reports,),
            )
        fields = {**vars(task.job)}
        del fields["problem"]
        with _environment(CUDA_VISIBLE_DEVICES="-1"):
            return self._pool.submit(_run, task.step, packed, fields, task.indices)

    def _apart(self, problem: Problem) -> bytes | None:
        """Returns the problem as another process can take it, `None` if none can."""
        if self.num_processes == 1:
            return None
        if id(problem) not in self._packed:
            self._packed[id(problem)] = _pickled(problem)
        return self._packed[id(problem)]


_reports: Any = None


def _begin_process(reports: Any) -> None:
    """Prepares a process that works for another one."""
    global _reports
    _reports = reports
    # Ctrl-C reaches all, and so may SIGTERM; the one that waits ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _run(step: Step, problem: bytes, fields: dict[str, Any], indices: Any) -> Any:
    def tell(report: Report) -> None:
        _reports.put(report)

    return step(SplitJob(problem=pickle.loads(problem), **fields), indices, tell)


def _pickled(problem: Problem) -> bytes | None:
    if type(problem).__module__ == "__main__":  # The other processes have another.
        return None
    try:
        return pickle.dumps(problem)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


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
