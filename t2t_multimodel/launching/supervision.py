"""Watches a group: ends it as a whole, starts it again, passes signals on."""

import dataclasses
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from t2t_multimodel import exit_status, signals
from t2t_multimodel.launching.local_group import LocalGroup
from t2t_multimodel.launching.restarts import Restarts

_SECONDS_BETWEEN_LOOKS = 0.05
_DEFECT = 1
_ENDED_AS_ASKED = (0, exit_status.INTERRUPTED, exit_status.TERMINATED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long workers are waited for, in seconds.

    Attributes:
        grace: For all to save and end, after SIGINT or SIGTERM.
        finish: For the others, after a worker ended with status 0.
        failure: For the others to end by themselves after a failure; then as long
            again after SIGTERM.
    """

    grace: float = 10.0
    finish: float = 600.0
    failure: float = 3.0


@dataclasses.dataclass(frozen=True)
class GroupEnd:
    """How a life of the group ended.

    Attributes:
        status: Exit status that tells of it: 0, that of the worker whose failure was
            the cause, or 128 and the signal that ended that worker.
        why: The failure in words; `""` if there was none.
    """

    status: int
    why: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether a restart may help: not with a mistake of the user."""
        return self.status not in (0, exit_status.USER_ERROR)


class Supervision:
    """Keeps a group running until it is done, fails for good or is asked to end.

    Args:
        start: Returns the workers of a new life of the group, not started yet.
        restarts: Says how often.
        noted: The list of signals that came to this process; it grows.
        say: Told of every failure and restart, a line each.
        patience: How long to wait for workers.
        pause: Waits for a part of the time before a restart, in seconds; for tests.
    """

    def __init__(
        self,
        start: Callable[[], LocalGroup],
        restarts: Restarts,
        noted: Sequence[signal.Signals],
        say: Callable[[str], None],
        patience: Patience | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._start = start
        self._restarts = restarts
        self._noted = noted
        self._say = say
        self._patience = patience or Patience()
        self._pause = pause

    def run(self) -> int:
        """Runs the group; returns the exit status that tells how it ended.

        Raises:
            KeyboardInterrupt: After SIGINT; `signals.Terminated` after SIGTERM.
        """
        while True:
            began = time.monotonic()
            with self._start() as group:
                end = self._watch(group)
            ran_seconds = time.monotonic() - began
            if not end.status:
                return 0
            if not end.may_pass:
                self._say(f"{end.why}; a restart would end the same way")
                return end.status
            if self._noted:
                raise self._ending("no worker is left")
            if not self._restart_follows(end, ran_seconds):
                return end.status

    def _restart_follows(self, end: GroupEnd, ran_seconds: float) -> bool:
        restarts = self._restarts
        wait = restarts.next_wait(ran_seconds)
        if wait is None:
            self._say(
                f"{end.why}; given up after restart {restarts.count} of "
                f"{restarts.max_restarts} (--max_restarts)"
            )
            return False
        self._say(
            f"{end.why}; the group starts again in {wait:g} s (restart "
            f"{restarts.count} of {restarts.max_restarts})"
        )
        for _ in range(round(wait / _SECONDS_BETWEEN_LOOKS)):
            if self._noted:
                raise self._ending("no worker was running")
            self._pause(_SECONDS_BETWEEN_LOOKS)
        return True

    def _watch(self, group: LocalGroup) -> GroupEnd:
        """Watches a life of the group to its end."""
        over = None
        while True:
            group.watch()
            has_failed = any(group.ended.values())
            if not (group.running or has_failed):
                return GroupEnd(0)
            if self._noted:
                raise self._end_as_asked(group)
            if has_failed:
                return self._end_after_failure(group)
            if group.ended:
                over = over or time.monotonic() + self._patience.finish
                if time.monotonic() > over:
                    return self._end_unfinished(group)

    def _end_unfinished(self, group: LocalGroup) -> GroupEnd:
        done, running = _workers(group.ended), _workers(group.running)
        self._end_rest(group)
        return GroupEnd(
            _DEFECT,
            f"{done} had ended with status 0, and {running} went on for more than "
            f"{self._patience.finish:g} s",
        )

    def _end_after_failure(self, group: LocalGroup) -> GroupEnd:
        # That a peer is lost is often seen before the end of that peer, which is why.
        self._wait(group, self._patience.failure)
        if self._noted:
            raise self._end_as_asked(group)
        failures = {w: status for w, status in group.ended.items() if status}
        silent = group.running
        self._end_rest(group)
        return failure_of(failures, silent)

    def _end_rest(self, group: LocalGroup) -> None:
        """Has the others end by SIGTERM, if they can; the group's close kills them."""
        group.send(signal.SIGTERM)
        self._wait(group, self._patience.failure)

    def _wait(self, group: LocalGroup, seconds: float, signals_heard: int = 0) -> None:
        """Waits until all workers have ended, another signal comes or time is up."""
        over = time.monotonic() + seconds
        while (
            group.running
            and time.monotonic() < over
            and len(self._noted) <= signals_heard
        ):
            group.watch()

    def _end_as_asked(self, group: LocalGroup) -> KeyboardInterrupt:
        """Passes the signal on, waits; returns what to raise."""
        group.send(self._noted[0])
        self._wait(group, self._patience.grace, signals_heard=1)
        if group.running:
            why = "at once, by a second signal"
            if len(self._noted) == 1:
                why = f"as {self._patience.grace:g} s were over (--grace_seconds)"
            return self._ending(
                f"{_workers(group.running)} killed {why}; the last complete checkpoint "
                "stays"
            )
        others = [
            f"worker {worker} {_described(status)}"
            for worker, status in sorted(group.ended.items())
            if status not in _ENDED_AS_ASKED
        ]
        return self._ending("; ".join(others) or "all workers have ended in order")

    def _ending(self, what_is_left: str) -> KeyboardInterrupt:
        return signals.ending(self._noted[0], what_is_left)


def failure_of(failures: Mapping[int, int], silent: Sequence[int]) -> GroupEnd:
    """Returns what was the cause of a group's failure.

    A mistake of the user comes first, as a restart would not mend it; workers that
    only say that they lost another one come last.

    Args:
        failures: Worker to its status, as in `LocalGroup.ended`.
        silent: Workers that did not end.
    """
    ranks = {exit_status.USER_ERROR: 0, exit_status.PEER_LOST: 2}
    worker = min(failures, key=lambda worker: ranks.get(failures[worker], 1))
    status = failures[worker]
    why = f"worker {worker} {_described(status)}"
    if status == exit_status.PEER_LOST and silent:
        why += f", and {_workers(silent)} did not end: stopped, or hanging"
    return GroupEnd(128 - status if status < 0 else status, why)


def _described(status: int) -> str:
    if status < 0:
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:  # a real-time signal has no name
            return f"was killed by signal {-status}"
    if status == exit_status.PEER_LOST:
        return f"lost another worker (status {status})"
    return f"ended with status {status}"


def _workers(numbers: Sequence[int] | Mapping[int, int]) -> str:
    listed = ", ".join(map(str, sorted(numbers)))
    return f"worker {listed}" if len(numbers) == 1 else f"workers {listed}"
