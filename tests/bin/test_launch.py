"""The launcher as a program: its processes, signals and what it refuses."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from t2t_multimodel.bin.t2t_mm_launch import main

ROOT = pathlib.Path(__file__).parents[2]
# By os.write: a handler that prints fails if the signal came while a print was flushed.
TRAINER = """
import os, signal, sys, time

def save(number, frame):
    os.write(1, b"saved\\n")
    sys.exit(128 + number)

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, save)
os.write(1, f"ready {os.getpid()} {os.getsid(0)}\\n".encode())
time.sleep(60)
"""


@pytest.fixture
def launched(tmp_path):
    """Starts the launcher with a script; ends all of it at the end."""
    started = []

    def launch(script, *flags):
        path = tmp_path / "worker.py"
        path.write_text(script)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_launch"),
                *flags,
                *("--", sys.executable, "-IS", str(path)),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # as a terminal gives it one
        )
        started.append(process)
        return process

    yield launch
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ready_workers(process, count):
    """Returns (process id, session) of every worker, by its number."""
    lines = sorted(process.stdout.readline().split() for _ in range(count))
    assert [line[:3] for line in lines] == [
        ["[worker", f"{worker}]", "ready"] for worker in range(count)
    ]
    return [(int(line[3]), int(line[4])) for line in lines]


def wait_until_gone(process_ids):
    over = time.monotonic() + 10
    while any(map(is_alive, process_ids)):
        assert time.monotonic() < over, f"of {process_ids} some live"
        time.sleep(0.02)


def is_alive(process_id):
    try:
        state = pathlib.Path(f"/proc/{process_id}/stat").read_text().split()[2]
    except FileNotFoundError:
        return False
    return state != "Z"  # which nobody has reaped yet


def run_main(tmp_path, script, *flags):
    path = tmp_path / "worker.py"
    path.write_text(script)
    return main([*flags, "--", sys.executable, "-IS", str(path)])


def test_workers_are_told_of_each_other_and_have_what_they_are_given(tmp_path, capfd):
    script = (
        "import json, os\n"
        "print(json.dumps([os.environ['TF_CONFIG'], os.environ['CUDA_VISIBLE_DEVICES'],"
        " sorted(os.sched_getaffinity(0))]))"
    )
    cpus = sorted(os.sched_getaffinity(0))
    each = len(cpus) // 2
    flags = ["--workers=2", f"--cpus_per_worker={each}", "--gpus_per_worker=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "7,5,3,1")
        assert run_main(tmp_path, script, *flags) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    lines = sorted(printed.out.splitlines())
    contents = [json.loads(line.partition("] ")[2]) for line in lines]
    configs = [json.loads(content[0]) for content in contents]
    assert [c["task"] for c in configs] == [
        {"type": "worker", "index": index} for index in range(2)
    ]
    assert configs[0]["cluster"] == configs[1]["cluster"]
    assert len(set(configs[0]["cluster"]["worker"])) == 2
    assert [content[1] for content in contents] == ["7,5", "3,1"]
    if each:  # with one CPU in all, 0 leaves it to all
        shares = [cpus[:each], cpus[each : 2 * each]]
        assert [content[2] for content in contents] == shares


def test_a_failed_group_is_started_again_once_and_its_status_passed_on(tmp_path, capfd):
    script = "import os, sys; sys.exit(7 * ('\"index\": 1' in os.environ['TF_CONFIG']))"
    assert run_main(tmp_path, script, "--max_restarts=1") == 7
    assert capfd.readouterr().err.splitlines() == [
        "t2t-mm-launch: worker 1 ended with status 7; the group starts again in 1 s "
        "(restart 1 of 1)",
        "t2t-mm-launch: worker 1 ended with status 7; given up after restart 1 of 1 "
        "(--max_restarts)",
    ]


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_saves_and_ends_with_its_status(launched, number, status, word):
    process = launched(TRAINER)
    workers = ready_workers(process, 2)
    # Ctrl-C comes to all processes of the terminal's session that are in front.
    os.killpg(process.pid, number)
    out, said = process.communicate(timeout=30)
    assert process.returncode == status
    assert sorted(out.splitlines()) == ["[worker 0] saved", "[worker 1] saved"]
    assert said == f"t2t-mm-launch: {word}; all workers have ended in order\n"
    wait_until_gone([process_id for process_id, _ in workers])
    assert all(session == process_id for process_id, session in workers)


def test_nothing_outlives_a_launcher_that_is_killed(launched):
    process = launched(TRAINER, "--workers=3")
    workers = ready_workers(process, 3)
    os.kill(workers[1][0], signal.SIGSTOP)  # not even one that hangs
    process.kill()
    process.wait()
    wait_until_gone([process_id for process_id, _ in workers])


def test_a_killed_worker_starts_the_group_again(launched):
    process = launched(TRAINER)
    first = ready_workers(process, 2)
    os.kill(first[1][0], signal.SIGKILL)
    saved = process.stdout.readline()  # SIGTERM reached it; a true one would be lost
    assert saved == "[worker 0] saved\n"
    again = ready_workers(process, 2)
    assert not {pid for pid, _ in first} & {pid for pid, _ in again}
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert said.splitlines()[0] == (
        "t2t-mm-launch: worker 1 was killed by SIGKILL; the group starts again in 1 s "
        "(restart 1 of 3)"
    )


def test_when_nobody_reads_the_group_is_ended(launched):
    script = "import time\nwhile True:\n    print('x', flush=True); time.sleep(0.05)"
    process = launched(script, "--workers=1")
    assert process.stdout.readline() == "[worker 0] x\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 2
    assert process.stderr.read() == (
        "t2t-mm-launch: nobody reads any more what the workers print; they were killed"
        "\n"
    )
    process.stdout = None  # for communicate


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            [],
            "the command is missing; give it after --, e.g. t2t-mm-launch --workers=2",
        ),
        (["--workers=3", "--"], "the command is missing; give it after --"),
        (
            ["--workers", "3", "t2t-mm-trainer", "--problems=x"],
            "the command is missing",
        ),
        (["--wrkers=3", "t2t-mm-trainer"], "Unknown command line flag 'wrkers'"),
        (["x", "--", "t2t-mm-trainer"], "unexpected argument 'x'"),
        (["--workers=0", "--", "true"], "flag --workers=0: "),
        (["--max_restarts=-1", "--", "true"], "flag --max_restarts=-1: "),
        (["--port=65536", "--", "true"], "flag --port=65536: "),
        (["--port=65535", "--", "true"], "--port=65535 leaves no 2 ports up to 65535"),
        (
            ["--", "t2t-mm-trianer"],
            "no program named 't2t-mm-trianer'; did you mean 't2t-mm-trainer'?; it was "
            "sought in PATH and ",
        ),
        (["--cpus_per_worker=100000", "--", "true"], "take 200000 CPUs, and there are"),
        (
            ["--workers=3", "--gpus_per_worker=1", "--", "true"],
            "--workers=3 --gpus_per_worker=1 take 3 GPUs, and there are 2; give",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(monkeypatch, capsys, argv, said):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("t2t-mm-launch: ") and said in line
