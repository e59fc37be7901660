"""Saving while training goes on, by several workers, and when it fails."""

import os
import pathlib
import subprocess
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.training import staging
from t2t_multimodel.training.checkpoint import checkpoint_steps
from tests.training.small_run import NUM_EXAMPLES, Run, assert_same_state, plan


@pytest.fixture
def held(monkeypatch):
    """Holds whatever writes a checkpoint until the event is set."""
    event = threading.Event()
    real = pathlib.Path.mkdir

    def mkdir(path, *args, **kwargs):
        if path.name.endswith(".partial"):
            assert event.wait(60)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, "mkdir", mkdir)
    yield event
    event.set()


def test_what_is_written_is_the_state_at_the_call(tmp_path, held):
    run = Run(tmp_path).train(3)
    before = run.state()
    run.checkpoints.save(run.step)
    update = tf.function(run.adam.apply)
    update([tf.ones(v.shape) for v in run.variables.values()], 5.0)
    run.train(2)
    assert not checkpoint_steps(tmp_path)  # save did not wait for the writing
    held.set()
    run.checkpoints.wait()
    for a, b in zip(before, Run(tmp_path).restored().state(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(before[0], run.state()[0])


def test_the_next_save_waits_for_the_last(tmp_path, held):
    run = Run(tmp_path).train(1)
    run.checkpoints.save(1)
    run.train(1)
    threading.Timer(0.1, held.set).start()
    run.checkpoints.save(2)
    assert 1 in checkpoint_steps(tmp_path)
    run.checkpoints.wait()
    assert checkpoint_steps(tmp_path) == [1, 2]


def test_the_latest_step_is_known_when_it_is_written(tmp_path, held):
    run = Run(tmp_path).train(1)
    run.checkpoints.save(1)
    threading.Timer(0.1, held.set).start()
    assert run.checkpoints.latest_step() == 1


def group(directory, number, **options):
    return [
        Run(directory, own=(w,), count=number, worker=w, num_workers=number, **options)
        for w in range(number)
    ]


def test_the_chief_commits_when_every_worker_has_written(tmp_path):
    chief, second, third = group(tmp_path, 3)
    for run in (third, chief):
        run.train(2).checkpoints.save(2)
    third.checkpoints.wait()  # for its own part alone
    time.sleep(0.2)
    assert not checkpoint_steps(tmp_path)
    second.train(2).checkpoints.save(2)
    chief.checkpoints.wait()
    assert checkpoint_steps(tmp_path) == [2]
    for run, again in zip((chief, second, third), group(tmp_path, 3), strict=True):
        want = [
            r.own[0 if run is chief else 1 if run is second else 2].get_state()
            for r in run.readers.values()
        ]
        again.restored()
        got = [next(iter(r.own.values())).get_state() for r in again.readers.values()]
        assert got == want


def test_what_a_killed_group_left_counts_for_nothing(tmp_path):
    chief, second = group(tmp_path, 2)
    second.train(2).save()  # and the chief is killed before it does
    (left,) = tmp_path.iterdir()
    assert (left / "worker-1-of-2.done").exists()

    chief, second = group(tmp_path, 2)
    chief.train(2).checkpoints.save(2)
    time.sleep(0.2)
    assert not checkpoint_steps(tmp_path)
    second.train(2).save()
    chief.checkpoints.wait()
    assert checkpoint_steps(tmp_path) == [2]
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob("*/*.done"))


def test_a_worker_that_does_not_write_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "_PATIENCE_SECONDS", 0.1)
    chief, _ = group(tmp_path, 2)
    chief.checkpoints.save(2)
    with pytest.raises(UserError, match="worker 1 of 2 has not written its part"):
        chief.checkpoints.wait()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [1, 3])
def test_positions_are_dealt_to_another_number_of_readers(tmp_path, number):
    runs = group(tmp_path, 2)
    given = []
    for run, num_batches in zip(runs, (3, 1), strict=True):
        reader = run.readers["a"].own[run is not runs[0]]
        for _ in range(num_batches):
            given += next(reader).turns
    for run in reversed(runs):
        run.checkpoints.save(1)
    runs[0].checkpoints.wait()

    again = Run(tmp_path, own=range(number), count=number).restored()
    for reader in again.readers["a"].own.values():
        for _ in range(12 // number):
            given += next(reader).turns
    assert len(set(given)) == len(given)
    assert set(range(2 * NUM_EXAMPLES)) <= set(given)
    numbers = plan(ord("a")).numbers_of(sorted(given)[:NUM_EXAMPLES])
    assert sorted(numbers) == list(range(NUM_EXAMPLES))


FULL = ["data-a.0-of-1.json", "checkpoint.json", "checksums.json.unfinished"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("find_out", ["save", "wait", "raise_failure"])
def test_a_full_disk_is_one_line_at_the_next_call(tmp_path, name, find_out):
    run = Run(tmp_path).train(1)
    run.save()
    run.train(1)
    partial = tmp_path / "model.ckpt-2.partial"
    partial.mkdir()
    (partial / name).symlink_to("/dev/full")
    run.checkpoints.save(2)
    deadline = time.monotonic() + 30
    while partial.exists():  # until the thread has given up
        assert time.monotonic() < deadline
        time.sleep(0.01)
    arguments = {"save": [3]}.get(find_out, [])
    with pytest.raises(UserError) as error:
        while True:
            getattr(run.checkpoints, find_out)(*arguments)
    message = str(error.value)
    assert "\n" not in message
    assert (
        f"cannot write {partial / name.removesuffix('.unfinished')}: No space left"
        in message
    )
    assert "make room and start the same command again" in message
    assert "the last checkpoint, of step 1, is whole" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt-1"]
    # With room again, the same step can be saved.
    run.save()
    assert_same_state(Run(tmp_path).restored(), run)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("room", [0, 4, 8, 12, 24, 28, 32])
def test_a_disk_that_fills_up_at_any_file_leaves_the_last_one(small_disk, room):
    """`room` in KiB is what is left for the second checkpoint, which needs 32."""
    run = Run(small_disk, units=100).train(1)
    run.save()
    run.train(1)
    statistics = os.statvfs(small_disk)
    free = statistics.f_bavail * statistics.f_frsize
    (small_disk / "filling").write_bytes(b"x" * max(0, free - room * 1024))
    failed = False
    try:
        run.save()
    except UserError as error:
        failed = True
        assert "No space left on device; make room" in str(error)
        assert "the last checkpoint, of step 1, is whole" in str(error)
    names = sorted(path.name for path in small_disk.iterdir())
    assert failed == (room < 32)
    assert names == ["filling", "model.ckpt-1"] + ["model.ckpt-2"] * (not failed)
    again = Run(small_disk, units=100).restored()
    assert again.step == (1 if failed else 2)


@pytest.mark.parametrize("options", [{}, {"worker": 1, "num_workers": 2}])
def test_a_directory_that_cannot_be_written_is_one_line(tmp_path, options):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write .*file/run.*: Not a directory"):
        Run(tmp_path / "file" / "run", **options).train(1).save()
