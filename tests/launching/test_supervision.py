"""A group fails, is restarted and ends as a whole; workers are small scripts."""

import contextlib
import io
import os
import signal
import sys
import textwrap
import time

import pytest

from t2t_multimodel.launching.local_group import LocalGroup
from t2t_multimodel.launching.restarts import Restarts
from t2t_multimodel.launching.supervision import Patience, Supervision, failure_of
from t2t_multimodel.signals import Terminated

SCRIPT = """
import os, pathlib, signal, subprocess, sys, time

worker = int(os.environ["WORKER"])
lives = pathlib.Path(sys.argv[1], f"lives-{worker}")
life = len(lives.read_text()) if lives.exists() else 0
lives.write_text("x" * (life + 1))

def wait_for(other):
    path = pathlib.Path(sys.argv[1], f"lives-{other}")
    while not path.exists() or len(path.read_text()) < life + 1:
        time.sleep(0.01)

def signalled(number):
    os.kill(os.getpid(), number)
    time.sleep(60)

def ignore(*numbers):
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
"""


class Output(io.BytesIO):
    """Calls `heard` with every line."""

    def __init__(self, heard=lambda line: None):
        super().__init__()
        self.heard = heard

    def write(self, data):
        self.heard(data.decode())
        return super().write(data)


class Run:
    """A supervised group of a script; what was said, waited and printed."""

    def __init__(self, folder):
        self.folder = folder
        self.noted, self.said, self.waits = [], [], []
        self.stdout, self.stderr = Output(), io.BytesIO()
        self.process_ids = []

    def __call__(self, script, num_workers=2, max_restarts=3, **patience):
        path = self.folder / "worker.py"
        path.write_text(SCRIPT + textwrap.dedent(script))
        command = [sys.executable, "-uIS", str(path), str(self.folder)]
        run = self

        class Group(LocalGroup):
            def __enter__(self):
                super().__enter__()
                run.process_ids = self.process_ids
                return self

        def start():
            self.waits.append(0.0)
            return Group(
                command,
                [{"WORKER": str(worker)} for worker in range(num_workers)],
                stdout=self.stdout,
                stderr=self.stderr,
            )

        def pause(seconds):
            self.waits[-1] += seconds

        return Supervision(
            start,
            Restarts(max_restarts),
            self.noted,
            self.said.append,
            Patience(**{"failure": 20.0} | patience),
            pause,
        ).run()

    def lives(self, worker):
        return len((self.folder / f"lives-{worker}").read_text())

    def are_gone(self):
        return not any(map(is_alive, self.process_ids))


def is_alive(process_id):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, 0)
        return True
    return False


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_group_that_ends_well_runs_once(run):
    assert run("print('out'); print('err', file=sys.stderr)") == 0
    assert sorted(run.stdout.getvalue().splitlines()) == [
        b"[worker 0] out",
        b"[worker 1] out",
    ]
    assert sorted(run.stderr.getvalue().splitlines()) == [
        b"[worker 0] err",
        b"[worker 1] err",
    ]
    assert run.said == []
    assert [run.lives(0), run.lives(1)] == [1, 1]


def test_a_failure_ends_all_and_all_start_again(run):
    script = """
        if life == 0:
            wait_for(0)
            sys.exit(3) if worker == 1 else time.sleep(60)
    """
    assert run(script, failure=0.3) == 0
    assert run.said == [
        "worker 1 ended with status 3; the group starts again in 1 s (restart 1 of 3)"
    ]
    assert [run.lives(0), run.lives(1)] == [2, 2]


def test_restarts_are_counted_and_wait_longer_each_time(run):
    assert run("if worker == 0: signalled(signal.SIGKILL)\nsys.exit(75)") == 137
    assert run.said == [
        f"worker 0 was killed by SIGKILL; {then}"
        for then in (
            "the group starts again in 1 s (restart 1 of 3)",
            "the group starts again in 2 s (restart 2 of 3)",
            "the group starts again in 4 s (restart 3 of 3)",
            "given up after restart 3 of 3 (--max_restarts)",
        )
    ]
    assert run.waits == pytest.approx([1, 2, 4, 0])
    assert run.are_gone()


def test_a_mistake_of_the_user_is_not_tried_again_even_if_it_is_seen_last(run):
    assert run("time.sleep(0.2 * worker)\nsys.exit(2 if worker else 75)") == 2
    assert run.said == [
        "worker 1 ended with status 2; a restart would end the same way"
    ]
    assert run.lives(0) == 1


def test_a_stopped_worker_is_killed_and_the_group_starts_again(run):
    # Its peers are told by TensorFlow after about 10 s, and end with 75.
    script = """
        if life == 0 and worker == 1:
            signalled(signal.SIGSTOP)
        if life == 0:
            wait_for(1)
            sys.exit(75)
    """
    assert run(script, failure=0.3) == 0
    assert run.said == [
        "worker 0 lost another worker (status 75), and worker 1 did not end: stopped, "
        "or hanging; the group starts again in 1 s (restart 1 of 3)"
    ]
    assert run.are_gone()


def test_what_ignores_sigterm_is_killed(run):
    script = """
        if life == 0 and worker == 1:
            ignore(signal.SIGTERM)
            open(sys.argv[1] + "/ignores", "x").close()
            time.sleep(60)
        while life == 0:
            time.sleep(0.01)
            if os.path.exists(sys.argv[1] + "/ignores"):
                sys.exit(75)
    """
    began = time.monotonic()
    assert run(script, failure=0.3) == 0
    assert time.monotonic() - began < 30
    assert run.are_gone()


def test_the_others_are_asked_to_end_before_they_are_killed(run):
    script = """
        signal.signal(signal.SIGTERM, lambda *a: (print("asked"), sys.exit(0)))
        time.sleep(0.3) if worker == 0 else time.sleep(60)
        sys.exit(1)
    """
    assert run(script, max_restarts=0, failure=2.0) == 1
    assert run.stdout.getvalue() == b"[worker 1] asked\n"
    assert run.said == [
        "worker 0 ended with status 1; given up after restart 0 of 0 (--max_restarts)"
    ]


def test_who_goes_on_long_after_the_first_is_done_has_failed(run):
    script = "wait_for(1)\ntime.sleep(60 * worker * (life == 0))"
    assert run(script, finish=0.3) == 0
    assert run.said == [
        "worker 0 had ended with status 0, and worker 1 went on for more than 0.3 s; "
        "the group starts again in 1 s (restart 1 of 3)"
    ]
    assert run("time.sleep(60 * worker)", max_restarts=0, finish=0.3) == 1


def test_workers_may_end_one_after_the_other(run):
    assert run("time.sleep(0.4 * worker)", finish=30.0) == 0
    assert run.said == []


def test_what_a_worker_started_goes_with_it(run):
    script = """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(child.pid)
    """
    assert run(script, num_workers=1) == 0
    child = int(run.stdout.getvalue().split()[-1])
    over = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < over:
        time.sleep(0.01)
    assert not is_alive(child)


def test_a_command_that_cannot_be_run_is_a_mistake_of_the_user(tmp_path):
    file = tmp_path / "no_program"
    file.write_bytes(b"\x00\x01")
    file.chmod(0o755)
    stderr = io.BytesIO()
    start = [str(file)], [{}]
    supervision = Supervision(
        lambda: LocalGroup(*start, stdout=io.BytesIO(), stderr=stderr),
        Restarts(3),
        [],
        [].append,
    )
    assert supervision.run() == 2
    assert stderr.getvalue().startswith(f"[worker 0] cannot run {file}: ".encode())


SAVES = """
    def save(number, frame):
        print("asked by", signal.Signals(number).name)
        time.sleep(0.2)
        print("saved")
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, save)
    print("ready")
    time.sleep(60)
"""


class WhenReady:
    """Notes a signal when so many workers are ready; `more` follow when asked."""

    def __init__(self, run, number, num_workers=2, more=()):
        self.run, self.number, self.missing = run, number, num_workers
        self.more = list(more)

    def __call__(self, line):
        if line.endswith("ready\n"):
            self.missing -= 1
            if not self.missing:
                self.run.noted.append(self.number)
        if "asked" in line:
            self.run.noted.extend(self.more)


@pytest.mark.parametrize(
    ("number", "kind", "word"),
    [
        (signal.SIGTERM, Terminated, "terminated"),
        (signal.SIGINT, KeyboardInterrupt, "interrupted"),
    ],
)
def test_a_signal_is_passed_on_once_and_waited_for(run, number, kind, word):
    run.stdout.heard = WhenReady(run, number)
    with pytest.raises(kind) as raised:
        run(SAVES)
    assert type(raised.value) is kind
    assert str(raised.value) == f"{word}; all workers have ended in order"
    printed = run.stdout.getvalue().decode()
    for worker in (0, 1):
        assert printed.count(f"[worker {worker}] asked by {number.name}\n") == 1
        assert printed.count(f"[worker {worker}] saved\n") == 1
    assert run.said == [] and run.lives(0) == 1


def test_a_worker_that_could_not_save_is_told_of(run):
    run.stdout.heard = WhenReady(run, signal.SIGTERM)
    with pytest.raises(Terminated, match="^terminated; worker 1 ended with status 2$"):
        run(SAVES.replace("128 + number", "2 if worker else 143"))


def test_who_does_not_end_in_time_is_killed(run):
    script = "ignore(signal.SIGTERM); print('ready'); time.sleep(60)"
    run.stdout.heard = WhenReady(run, signal.SIGTERM)
    with pytest.raises(Terminated) as raised:
        run(script, grace=0.3)
    assert str(raised.value) == (
        "terminated; workers 0, 1 killed as 0.3 s were over (--grace_seconds); the "
        "last complete checkpoint stays"
    )
    assert run.are_gone()


def test_a_second_signal_kills_at_once(run):
    run.stdout.heard = WhenReady(run, signal.SIGINT, more=[signal.SIGINT])
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="killed at once, by a second signal"):
        run(SAVES.replace("0.2", "30"))
    assert time.monotonic() - began < 25
    assert b"saved" not in run.stdout.getvalue()
    assert run.are_gone()


def test_a_signal_between_two_lives_ends_the_wait(run):
    def say(line):
        run.noted.append(signal.SIGTERM)

    run.said = type("Said", (), {"append": staticmethod(say)})
    with pytest.raises(Terminated, match="terminated; no worker was running"):
        run("sys.exit(3)")
    assert run.lives(0) == 1


def test_the_count_of_restarts_begins_anew_after_ten_minutes():
    restarts = Restarts(8)
    waits = [restarts.next_wait(599.0) for _ in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, None]
    assert restarts.next_wait(600.0) == 1
    assert restarts.next_wait(5.0) == 2
    assert Restarts(0).next_wait(5.0) is None


@pytest.mark.parametrize(
    ("failures", "silent", "status", "why"),
    [
        ({1: -9, 0: 75}, [], 137, "worker 1 was killed by SIGKILL"),
        ({0: 75, 1: 1, 2: 75}, [], 1, "worker 1 ended with status 1"),
        ({0: 1, 1: 2}, [], 2, "worker 1 ended with status 2"),
        ({2: -11, 1: 3}, [0], 139, "worker 2 was killed by SIGSEGV"),
        ({0: -40}, [], 168, "worker 0 was killed by signal 40"),
        ({0: 75, 1: 75}, [], 75, "worker 0 lost another worker (status 75)"),
        (
            {0: 75},
            [1, 2],
            75,
            "worker 0 lost another worker (status 75), and workers 1, 2 did not end: "
            "stopped, or hanging",
        ),
    ],
)
def test_the_cause_is_told_and_not_what_followed(failures, silent, status, why):
    end = failure_of(failures, silent)
    assert (end.status, end.why) == (status, why)
