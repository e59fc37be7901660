"""Ctrl-C waits for the end of what is held, once."""

import os
import signal

import pytest

from t2t_multimodel.training.interruption import Interruption


@pytest.fixture(autouse=True)
def leave_the_signal():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_what_is_held(capfd):
    done = []
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        with interruption.held():
            press_ctrl_c()
            done.append("to the end")
        done.append("no further")
    assert done == ["to the end"]
    assert "stopping; Ctrl-C again stops at once" in capfd.readouterr().err


def test_ctrl_c_elsewhere_is_answered_where_it_comes():
    done = []
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        with interruption.held():
            done.append("a step")
        press_ctrl_c()
        done.append("no further")
    assert done == ["a step"]


def test_the_second_ctrl_c_ends_the_process_also_after_the_loop():
    statuses = []
    with Interruption(statuses.append) as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.held():
            press_ctrl_c()
    with pytest.raises(KeyboardInterrupt):  # as the fake does not end anything
        press_ctrl_c()
    assert statuses == [130]


def test_without_ctrl_c_all_is_as_before():
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption, interruption.held():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
