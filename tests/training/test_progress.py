import io

import pytest

from t2t_multimodel.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def _run(stream, num_steps, first_step=0, total_steps=100):
    clock = Clock()
    with Progress(
        first_step,
        total_steps,
        stream=stream,
        interval_seconds=10.0,
        clock=clock,
    ) as progress:
        for step in range(first_step + 1, first_step + num_steps + 1):
            clock.seconds += 2.0
            progress.update(step, {"image_mini": 4.0}, {"image_mini": 100})
    return stream.getvalue()


def test_plain_lines_now_and_then():
    lines = _run(io.StringIO(), 12).splitlines()
    assert lines == [
        "step 1/100 image_mini=4.000 50 targets/s, 3:18 left",
        "step 6/100 image_mini=4.000 50 targets/s, 3:08 left",
        "step 11/100 image_mini=4.000 50 targets/s, 2:58 left",
    ]


def test_the_last_step_has_a_line():
    lines = _run(io.StringIO(), 3, first_step=97).splitlines()
    assert lines[-1] == "step 100/100 image_mini=4.000 50 targets/s, 0:00 left"


def test_hours_are_told():
    assert "left" in _run(io.StringIO(), 1, total_steps=10_000)
    assert "5:33:18 left" in _run(io.StringIO(), 1, total_steps=10_000)


def test_a_terminal_gets_a_bar():
    text = _run(Terminal(), 3, first_step=10)
    assert "10/100" in text
    assert "13/100" in text
    assert "image_mini=4.000" in text


def test_losses_are_smoothed_and_kept():
    stream = io.StringIO()
    progress = Progress(0, 3, stream=stream, clock=Clock())
    progress.update(1, {"a": 10.0, "b": 2.0}, {"a": 1, "b": 1})
    progress.update(2, {"a": 0.0}, {"a": 1})
    progress.update(3, {"a": 0.0}, {"a": 1})
    assert "a=8.100 b=2.000" in stream.getvalue().splitlines()[-1]


def test_the_bar_ends_after_an_error():
    stream = Terminal()
    with pytest.raises(KeyError):
        with Progress(0, 3, stream=stream) as progress:
            progress.write("a line of its own")
            raise KeyError
    assert "a line of its own\n" in stream.getvalue()
    assert stream.getvalue().endswith("\n")
