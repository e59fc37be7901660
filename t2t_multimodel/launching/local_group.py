"""The processes of a group of workers on this machine, for one life of the group."""

import contextlib
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import BinaryIO, Self

from t2t_multimodel.errors import UserError
from t2t_multimodel.launching.worker_lines import WorkerLines

_START_WORKER = pathlib.Path(__file__).parent / "start_worker.py"
_SECONDS_BETWEEN_LOOKS = 0.05
_LAST_OUTPUT_SECONDS = 1.0
_SECONDS_TO_DIE = 10.0
_CHUNK_BYTES = 1 << 16


class LocalGroup:
    """Workers that run one command, each with variables of its own.

    Use as a context manager: leaving it kills what still runs, and what the workers
    have started. On Linux the workers are killed too when this process is, by the
    kernel. Each is the leader of a session, so that Ctrl-C in a terminal comes to
    this process alone.

    Args:
        command: Program and arguments, the same for all.
        environments: Variables of every worker, beside those of this process.
        cpus: CPUs that every worker may use; `None` leaves them all.
        stdout, stderr: Where the lines go that the workers print, with their numbers.
    """

    def __init__(
        self,
        command: Sequence[str],
        environments: Sequence[Mapping[str, str]],
        *,
        cpus: Sequence[Sequence[int]] | None = None,
        stdout: BinaryIO,
        stderr: BinaryIO,
    ) -> None:
        self._command = list(command)
        self._environments = environments
        self._cpus = cpus or [()] * len(environments)
        self._outputs = (stdout, stderr)
        self._processes: list[subprocess.Popen] = []
        self._ended: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()

    @property
    def process_ids(self) -> list[int]:
        """Process id of every worker."""
        return [process.pid for process in self._processes]

    @property
    def ended(self) -> dict[int, int]:
        """Number of each worker that has ended to its status, minus a signal's number
        if that ended it; in the order in which they were seen to end."""
        return dict(self._ended)

    @property
    def running(self) -> list[int]:
        """Numbers of the workers that have not ended, stopped ones among them."""
        return [w for w in range(len(self._processes)) if w not in self._ended]

    def watch(self) -> None:
        """Passes on what the workers print, and looks who has ended; returns soon."""
        self._pass_on(_SECONDS_BETWEEN_LOOKS)
        for worker in self.running:
            # It is left unreaped: until then its session's number is nobody else's.
            found = os.waitid(
                os.P_PID,
                self._processes[worker].pid,
                os.WEXITED | os.WNOHANG | os.WNOWAIT,
            )
            if found is not None:
                by_signal = found.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
                self._ended[worker] = -found.si_status if by_signal else found.si_status

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to every worker that has not ended."""
        for worker in self.running:
            os.kill(self._processes[worker].pid, number)

    def __enter__(self) -> Self:
        try:
            for worker, (environment, cpus) in enumerate(
                zip(self._environments, self._cpus, strict=True)
            ):
                self._start(worker, environment, cpus)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _start(
        self, worker: int, environment: Mapping[str, str], cpus: Sequence[int]
    ) -> None:
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(_START_WORKER)),
                str(os.getpid()),
                ",".join(map(str, cpus)),
                *self._command,
            ],
            # Python would keep lines back, as nobody seems to be watching.
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._processes.append(process)
        for stream, output in zip(
            (process.stdout, process.stderr), self._outputs, strict=True
        ):
            os.set_blocking(stream.fileno(), False)
            lines = WorkerLines(worker, output)
            self._selector.register(stream, selectors.EVENT_READ, lines)

    def _pass_on(self, seconds: float) -> None:
        if not self._selector.get_map():  # then it would return at once
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, _CHUNK_BYTES)
            key.data.take(data)
            if not data:
                key.data.finish()
                self._selector.unregister(key.fileobj)

    def _close(self) -> None:
        for process in self._processes:
            # Each leads a session of its own: whatever it started goes with it. macOS
            # finds nobody to kill where Linux finds the dead leader.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        try:
            deadline = time.monotonic() + _LAST_OUTPUT_SECONDS
            while self._selector.get_map() and time.monotonic() < deadline:
                self._pass_on(_SECONDS_BETWEEN_LOOKS)
            for key in self._selector.get_map().values():
                key.data.finish()
        finally:
            self._selector.close()
            self._reap()

    def _reap(self) -> None:
        for worker, process in enumerate(self._processes):
            process.stdout.close()
            process.stderr.close()
            try:
                process.wait(_SECONDS_TO_DIE)
            except subprocess.TimeoutExpired:
                raise UserError(
                    f"worker {worker} (process {process.pid}) cannot be killed: it "
                    "hangs within the system, as over a file system that does not "
                    "answer; see to that, then start again"
                ) from None
