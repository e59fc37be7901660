"""Runs that are killed, stopped or short of something end as if they had not been."""

import json
import random
import shutil
import signal
import subprocess
import time

import pytest

from t2t_multimodel.training.checkpoint import checkpoint_path, checkpoint_steps
from tests.bin.small_runs import NUM_STEPS, Runs, assert_same_end


@pytest.fixture(scope="module")
def whole(with_data, tmp_path_factory):
    """A run that nothing disturbed, and its seconds after the first checkpoint."""
    output_dir = tmp_path_factory.mktemp("whole") / "run"
    seconds = Runs(with_data).finish(output_dir)
    return output_dir, seconds


def test_a_run_logs_losses_baselines_and_decoded_scores(whole):
    lines = (whole[0] / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for step in (15, 30, NUM_STEPS):
        found = {
            (r["problem"], r["metric"])
            for r in records
            if (r["step"], r["split"]) == (step, "dev")
        }
        assert {("tiny_text", "bleu"), ("tiny_text", "bleu_baseline")} <= found
        assert ("tiny_look", "top1") in found
        assert ("tiny_look", "accuracy_baseline") in found
    assert sum(r["split"] == "train" for r in records) == 2 * NUM_STEPS
    said = (whole[0].parent / "run.err").read_text()
    assert f"step {NUM_STEPS} dev tiny_text: neg_log_perplexity -" in said
    assert "(unigram -" in said and "bleu" in said and "(constant " in said


def test_a_killed_run_ends_as_one_that_was_not(with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    process = runs.start(output_dir)
    runs.await_checkpoint(process, output_dir)
    time.sleep(random.Random(3).uniform(0, 0.6 * whole[1]))
    process.send_signal(signal.SIGKILL)
    runs.expect(process, output_dir, -signal.SIGKILL)
    runs.finish(output_dir)
    assert_same_end(output_dir, whole[0])


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_as_one_that_was_not(with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    generator = random.Random(4)
    for _ in range(20):
        process = runs.start(output_dir)
        if generator.random() < 0.6:  # in a step, a save, an evaluation
            runs.await_checkpoint(process, output_dir)
            time.sleep(generator.uniform(0, 0.2 * whole[1]))
        else:  # in the middle of starting, or of restoring
            time.sleep(generator.uniform(0, 15))
        process.send_signal(signal.SIGKILL)
        process.wait()
    runs.finish(output_dir)
    assert_same_end(output_dir, whole[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_saves_and_the_run_goes_on(
    with_data, whole, tmp_path, number, status, word
):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    process = runs.start(output_dir)
    runs.await_checkpoint(process, output_dir)
    process.send_signal(number)
    began = time.monotonic()
    text = runs.expect(process, output_dir, status)
    assert time.monotonic() - began < 10
    last = checkpoint_steps(output_dir)[-1]
    assert text.splitlines()[-1] == (
        f"t2t-mm-trainer: {word}; {checkpoint_path(output_dir, last)} is saved, "
        "and the same command goes on from it"
    )
    runs.finish(output_dir)
    if last % 5:
        checkpoint_path(output_dir, last).rename(tmp_path / "besides")
    assert_same_end(output_dir, whole[0])


def broken_copy(whole_dir, output_dir, step):
    """Copies a run as it was at a step."""
    shutil.copytree(whole_dir, output_dir)
    for later in checkpoint_steps(output_dir):
        if later > step:
            shutil.rmtree(checkpoint_path(output_dir, later))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_checkpoint_is_passed_over(with_data, whole, tmp_path, damage):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    broken_copy(whole[0], output_dir, 20)
    file = max(
        checkpoint_path(output_dir, 20).glob("variables.data*"),
        key=lambda path: path.stat().st_size,
    )
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[-1000:]
    else:
        content[len(content) // 2] ^= 1
    file.write_bytes(content)
    process = runs.start(output_dir)
    text = runs.expect(process, output_dir, 0)
    assert f"{file.parent} is damaged: its file {file.name}" in text
    assert "step 15 is used in place of step 20" in text
    (output_dir / "model.ckpt-20.damaged").rename(tmp_path / "besides")
    assert_same_end(output_dir, whole[0])


@pytest.mark.slow
def test_a_damaged_record_is_named_or_left_out(with_data, tmp_path):
    copy = shutil.copytree(with_data, tmp_path / "copy")
    (shard,) = (copy / "data").glob("tiny_text-train-*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    runs, output_dir = Runs(copy), tmp_path / "run"
    text = runs.expect(runs.start(output_dir), output_dir, 2)
    said = text.splitlines()[-1]
    assert shard.name in said and "record" in said and "byte" in said
    assert "--skip_bad_examples=N" in said and "Traceback" not in text
    text = runs.expect(runs.start(output_dir, skip_bad_examples=1), output_dir, 0)
    assert "it is left out, the 1. of at most 1" in text


@pytest.mark.slow
def test_a_second_trainer_is_refused(with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    first = runs.start(output_dir)
    runs.await_checkpoint(first, output_dir)
    second = runs.start(output_dir)
    assert second.wait(timeout=300) == 2
    text = runs.expect(first, output_dir, 0)
    assert f"process {first.pid} on" in text and "is training in" in text
    assert_same_end(output_dir, whole[0])


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 700 KB that can be made larger; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    made = subprocess.run(
        [*mount, "size=700k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no right to mount a disk")

    def change(options):
        command = [*mount, f"remount,{options}", "tmpfs", str(disk)]
        subprocess.run(command, check=True)

    yield disk, change
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_training_with_the_last_checkpoint_whole(
    with_data, whole, small_disk, tmp_path
):
    disk, change = small_disk
    runs, output_dir = Runs(with_data), tmp_path / "run"
    output_dir.symlink_to(disk, target_is_directory=True)
    text = runs.expect(runs.start(output_dir), output_dir, 2)
    said = text.splitlines()[-1]
    assert "No space left on device; make room and start the same command" in said
    assert "Traceback" not in text and not list(disk.glob("*.partial"))
    assert checkpoint_steps(disk)
    change("size=100m")
    runs.finish(output_dir)
    assert_same_end(output_dir, whole[0])


@pytest.mark.slow
def test_a_directory_that_cannot_be_written_is_told(with_data, small_disk):
    disk, change = small_disk
    change("ro")
    runs, output_dir = Runs(with_data), disk / "run"
    errors = subprocess.run(
        runs.command(output_dir), capture_output=True, text=True, check=False
    )
    assert errors.returncode == 2 and "Traceback" not in errors.stderr
    assert "Read-only file system" in errors.stderr.splitlines()[-1]
