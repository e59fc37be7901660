"""Lines of workers stay whole, however their bytes come."""

import io

import pytest

from t2t_multimodel.launching.worker_lines import WorkerLines

TEXT = b"one\ntwo\r\n\n\xff \xc3\xa4\n10%\r90%\r100%\nend\n"
SHOWN = (
    b"[worker 3] one\n[worker 3] two\n[worker 3] \n[worker 3] \xff \xc3\xa4\n"
    b"[worker 3] 100%\n[worker 3] end\n"
)


@pytest.fixture
def output():
    return io.BytesIO()


@pytest.mark.parametrize("num_bytes", [1, 2, 3, 5, len(TEXT)])
def test_lines_are_the_same_however_they_come(output, num_bytes):
    lines = WorkerLines(3, output, now=lambda: -1.0)  # no state of a bar is due
    for start in range(0, len(TEXT), num_bytes):
        lines.take(TEXT[start : start + num_bytes])
    lines.finish()
    assert output.getvalue() == SHOWN


def test_lines_of_two_workers_are_never_mixed(output):
    one, two = WorkerLines(0, output), WorkerLines(1, output)
    for letter in b"ab\ncd\n":
        one.take(bytes([letter]))
        two.take(bytes([letter]).upper())
    assert output.getvalue().splitlines() == [
        b"[worker 0] ab",
        b"[worker 1] AB",
        b"[worker 0] cd",
        b"[worker 1] CD",
    ]


def test_a_line_that_never_ends_is_shown_when_the_worker_does(output):
    lines = WorkerLines(0, output)
    lines.take(b"Segmentation ")
    lines.take(b"fault")
    assert output.getvalue() == b""
    lines.finish()
    lines.finish()
    assert output.getvalue() == b"[worker 0] Segmentation fault\n"


def test_the_state_of_a_bar_is_shown_now_and_then(output):
    time = [0.0]
    lines = WorkerLines(0, output, now=lambda: time[0])
    for second in range(25):
        time[0] = float(second)
        lines.take(b"\rstep %d" % second)
    lines.take(b"\r         \rdone\n")
    # A state is whole when the next one begins.
    assert output.getvalue().splitlines() == [
        b"[worker 0] step 0",
        b"[worker 0] step 10",
        b"[worker 0] step 20",
        b"[worker 0] done",
    ]


def test_memory_is_bounded_without_any_newline(output):
    lines = WorkerLines(0, output)
    for _ in range(300):
        lines.take(b"x" * 10_000)
    assert len(output.getvalue()) > 2_000_000
