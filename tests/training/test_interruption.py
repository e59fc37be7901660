"""The first Ctrl-C or SIGTERM waits for what is held; the second waits for nothing."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from t2t_multimodel.signals import Terminated
from t2t_multimodel.training import interruption as module
from t2t_multimodel.training.interruption import Interruption

ROOT = pathlib.Path(__file__).parents[2]
BOTH = pytest.mark.parametrize(
    ("number", "kind", "status"),
    [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, Terminated, 143)],
)


@pytest.fixture(autouse=True)
def leave_the_signals():
    before = {number: signal.getsignal(number) for number in module.signals.ASK_TO_END}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)


class Exits:
    """Stands for the end of the process, which the listening thread decides."""

    def __init__(self):
        self.statuses = []
        self._called = threading.Event()

    def __call__(self, status):
        self.statuses.append(status)
        self._called.set()

    def wait(self):
        assert self._called.wait(10)
        return self.statuses


def send(number):
    os.kill(os.getpid(), number)


@BOTH
def test_a_signal_waits_for_what_is_held(number, kind, status, capfd):
    done = []
    with pytest.raises(kind) as raised, Interruption() as interruption:
        with interruption.held():
            send(number)
            done.append("to the end")
        done.append("no further")
    assert done == ["to the end"]
    assert type(raised.value) is kind
    assert interruption.requested == number
    notice = "stopping; a second Ctrl-C or SIGTERM stops at once"
    assert capfd.readouterr().err.count(notice) == 1


@BOTH
def test_a_signal_elsewhere_is_answered_where_it_comes(number, kind, status):
    done = []
    with pytest.raises(kind), Interruption() as interruption:
        with interruption.held():
            done.append("a step")
        send(number)
        done.append("no further")
    assert done == ["a step"]


@BOTH
def test_in_a_group_a_signal_is_only_noted(number, kind, status):
    done = []
    with Interruption(raises=False) as interruption:
        interruption.begin()
        send(number)
        done.append("between two steps")
        with interruption.held():
            done.append("the step that tells the others")
    assert done == ["between two steps", "the step that tells the others"]
    assert interruption.requested == number
    ending = interruption.ending("model.ckpt-3 is saved")
    assert type(ending) is kind
    word = {130: "interrupted", 143: "terminated"}[status]
    assert str(ending) == f"{word}; model.ckpt-3 is saved"


def test_an_evaluation_is_left_early_and_not_begun_again():
    done = []

    def evaluate():
        done.append("begun")
        send(signal.SIGTERM)
        done.append("no further")

    with Interruption(raises=False) as interruption:
        interruption.begin()
        assert interruption.run_abortable(lambda: done.append("whole"))
        assert not interruption.run_abortable(evaluate)
        assert not interruption.run_abortable(evaluate)
    assert done == ["whole", "begun"]
    assert interruption.requested == signal.SIGTERM


def test_what_an_evaluation_raises_itself_goes_on():
    def fail(error):
        raise error

    with Interruption(raises=False) as interruption:
        interruption.begin()
        for error in (ValueError("bad"), KeyboardInterrupt("not a signal")):
            with pytest.raises(type(error)):
                interruption.run_abortable(lambda error=error: fail(error))


@BOTH
def test_before_the_first_step_a_signal_raises_in_a_group_too(number, kind, status):
    with pytest.raises(kind), Interruption(raises=False):
        send(number)


@BOTH
def test_the_second_signal_of_either_kind_ends_the_process(number, kind, status):
    exits = Exits()
    with Interruption(raises=False, exit_at_once=exits) as interruption:
        with interruption.held():
            send(signal.SIGTERM)
            send(number)
            assert exits.wait() == [status]


def test_the_second_signal_ends_a_program_also_after_the_loop():
    exits = Exits()
    with pytest.raises(Terminated):
        with Interruption(program="t2t-mm-trainer", exit_at_once=exits) as interruption:
            with interruption.held():
                send(signal.SIGTERM)
    assert exits.statuses == []
    send(signal.SIGINT)
    assert exits.wait() == [130]


def test_without_a_signal_all_is_as_before():
    before = [signal.getsignal(number) for number in module.signals.ASK_TO_END]
    with Interruption(program="t2t-mm-trainer") as interruption, interruption.held():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    after = [signal.getsignal(number) for number in module.signals.ASK_TO_END]
    assert after == before
    assert not interruption._watch.is_alive()


def test_outside_of_a_program_all_is_as_before_even_after_a_signal():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interruption():
        send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_signals_are_taken_back_from_whoever_took_them():
    with Interruption(raises=False) as interruption:
        interruption.begin()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a strategy does when made
        interruption.take_signals()
        send(signal.SIGTERM)
        assert interruption.requested == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_IGN


def test_a_program_that_was_left_ends_though_a_thread_goes_on(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.3)
    exits = Exits()
    with pytest.raises(KeyboardInterrupt):
        with Interruption(program="t2t-mm-trainer", exit_at_once=exits):
            send(signal.SIGINT)
    began = time.monotonic()
    assert exits.wait() == [130]
    assert time.monotonic() - began < 5


# A call of a library in C that never returns, lets other threads run, and during which
# Python runs no handler: a lock is taken twice.
LONG_CALL = """
    import ctypes, sys, threading, time
    from t2t_multimodel import signals
    from t2t_multimodel.training import interruption

    lock, libc = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock)

    def long_call():
        # Says so when it has surely begun, which it cannot do itself.
        threading.Timer(0.5, print, ["now"], {"flush": True}).start()
        libc.pthread_mutex_lock(lock)

    interruption._PATIENCE_SECONDS = 0.5
"""


def ran(code, number, tmp_path):
    """Runs a script, signals it when it says so; returns status and what it printed."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(LONG_CALL) + textwrap.dedent(code))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout.readline() == "now\n"
        process.send_signal(number)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
        return process.returncode, said, time.monotonic() - began
    finally:
        process.kill()
        process.wait()


@BOTH
def test_nothing_is_waited_for_before_the_first_step(number, kind, status, tmp_path):
    code = """
        with interruption.Interruption(program="t2t-mm-trainer"):
            long_call()
    """
    ended, said, seconds = ran(code, number, tmp_path)
    assert ended == status
    assert said.splitlines()[-1] == (
        "t2t-mm-trainer: ended before the first step; there was nothing to save"
    )
    assert seconds < 10


@BOTH
def test_a_strategy_that_waits_for_workers_is_ended(number, kind, status, tmp_path):
    code = """
        import signal
        with signals.ending_at_once("t2t-mm-trainer"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the strategy does
            long_call()
    """
    ended, said, seconds = ran(code, number, tmp_path)
    assert ended == status
    assert said.endswith("ed before the first step\n")
    assert seconds < 5


def test_afterwards_signals_come_again(tmp_path):
    code = """
        import signal
        with signals.ending_at_once("t2t-mm-trainer"):
            pass
        try:
            with signals.sigterm_raises():
                print("now", flush=True)
                time.sleep(20)
        except KeyboardInterrupt as error:
            sys.exit(signals.said_of(error))
    """
    ended, said, _ = ran(code, signal.SIGTERM, tmp_path)
    assert (ended, said) == (1, "terminated\n")
