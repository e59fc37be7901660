"""Groups of workers that lose one end as groups that did not; takes minutes."""

import json
import os
import pathlib
import random
import re
import signal
import socket
import sys
import time

import pytest

from t2t_multimodel.training.checkpoint import checkpoint_steps
from tests.bin.small_runs import NUM_STEPS, Runs, assert_same_end

pytestmark = pytest.mark.slow
LAUNCH = (sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_launch", "--workers=2")


def workers(launcher):
    """Returns number to process id of the workers that live."""
    found = {}
    children = pathlib.Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    for child in children.read_text().split():
        try:
            environment = pathlib.Path(f"/proc/{child}/environ").read_text()
        except OSError:
            continue  # it has just ended
        index = re.search(r'"index": (\d+)', environment)
        if index:
            found[int(index[1])] = int(child)
    return found


@pytest.fixture(scope="module")
def whole(with_data, tmp_path_factory):
    """A group that nothing disturbed, and its seconds after the first checkpoint."""
    output_dir = tmp_path_factory.mktemp("group") / "run"
    seconds = Runs(with_data).finish(output_dir, launcher=(*LAUNCH, "--"))
    return output_dir, seconds


@pytest.fixture
def start(with_data, tmp_path):
    """Starts groups in one folder, and ends what is left of them."""
    started = []

    def start(max_restarts):
        launcher = (*LAUNCH, f"--max_restarts={max_restarts}", "--")
        runs = Runs(with_data)
        started.append(runs.start(tmp_path / "run", launcher=launcher))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def kill_one(launcher, generator, number):
    """Sends a signal to a worker, if there is one; returns whether."""
    alive = workers(launcher)
    if not alive:
        return False
    os.kill(alive[generator.choice(sorted(alive))], number)
    return True


def test_workers_killed_at_twenty_moments(start, with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    generator, kills, finished = random.Random(5), 0, 0
    while kills < 20:
        launcher = start(max_restarts=1)
        for _ in range(2):
            if generator.random() < 0.6:  # in a step, a save, an evaluation
                runs.await_checkpoint(launcher, output_dir)
                time.sleep(generator.uniform(0, 0.3 * whole[1]))
            else:  # at the start
                time.sleep(generator.uniform(0, 20))
            if launcher.poll() is None:
                kills += kill_one(launcher, generator, signal.SIGKILL)
                while launcher.poll() is None and len(workers(launcher)) == 2:
                    time.sleep(0.1)
        launcher.wait(timeout=120)
        if checkpoint_steps(output_dir)[-1:] == [NUM_STEPS]:
            # It got through in spite of them: the next are for another run.
            runs.expect(start(max_restarts=0), output_dir, 0)
            assert_same_end(output_dir, whole[0])
            output_dir.rename(tmp_path / f"finished-{finished}")
            finished += 1
    runs.expect(start(max_restarts=0), output_dir, 0)
    assert_same_end(output_dir, whole[0])


def test_a_stopped_worker_is_found_and_the_group_restarted(
    start, with_data, whole, tmp_path
):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    launcher = start(max_restarts=1)
    runs.await_checkpoint(launcher, output_dir)
    began = time.monotonic()
    assert kill_one(launcher, random.Random(1), signal.SIGSTOP)
    before = checkpoint_steps(output_dir)
    while launcher.poll() is None and len(workers(launcher)) == 2:
        time.sleep(0.1)
    assert time.monotonic() - began < 60
    text = runs.expect(launcher, output_dir, 0)
    assert "restart" in text and before
    assert_same_end(output_dir, whole[0])


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_to_the_launcher_saves_and_the_group_goes_on(
    start, with_data, whole, tmp_path, number, status
):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    launcher = start(max_restarts=1)
    runs.await_checkpoint(launcher, output_dir)
    launcher.send_signal(number)
    began = time.monotonic()
    text = runs.expect(launcher, output_dir, status)
    assert time.monotonic() - began < 10
    last = checkpoint_steps(output_dir)[-1]
    assert f"model.ckpt-{last} is saved" in text
    runs.expect(start(max_restarts=0), output_dir, 0)
    if last % 5:
        (output_dir / f"model.ckpt-{last}").rename(tmp_path / "besides")
    assert_same_end(output_dir, whole[0])


def test_a_worker_that_starts_late_is_waited_for(with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    sockets = [socket.socket() for _ in range(2)]
    for free in sockets:
        free.bind(("localhost", 0))
    addresses = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    processes = []
    try:
        for index in range(2):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            environment = {"TF_CONFIG": config}
            processes.append(runs.start(output_dir, environment=environment))
            if not index:
                time.sleep(30)
        for process in processes:
            runs.expect(process, output_dir, 0)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert_same_end(output_dir, whole[0])
