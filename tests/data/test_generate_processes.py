"""Several processes, kills, full disks, bad examples: the data comes out the same."""

import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc

import pytest

from t2t_multimodel.data import manifest, shard_state, split_steps, unfinished_shard
from t2t_multimodel.data.generate import generate
from t2t_multimodel.data.skipped import SkippedExample
from t2t_multimodel.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]

# Written to a file, so that other processes can import it too.
MODULE = """
    import os, pathlib, signal, time
    from t2t_multimodel.data import quiet_tensorflow
    quiet_tensorflow.load()  # before its modules do, which would say so
    from t2t_multimodel.data import split_steps, unfinished_shard
    from t2t_multimodel.data.features import BYTES, Text
    from t2t_multimodel.data.spaces import SpaceId
    from t2t_multimodel.errors import UserError
    from t2t_multimodel.data.raw_example import BadExample
    from t2t_multimodel.problems.problem import Problem
    from t2t_multimodel.registry import register_problem

    HERE = pathlib.Path(__file__).parent
    TEXT = Text(space=SpaceId.GENERIC, vocabulary=BYTES)

    class Numbers(Problem):
        inputs = targets = TEXT
        num_shards = {"train": 5, "dev": 1}

        def __init__(self, name="numbers", count=47, bad=(), unreadable=()):
            self.name, self.count = name, count
            self.bad, self.unreadable = bad, unreadable

        def count_examples(self, split, tmp_dir):
            return self.count if split == "train" else 5

        def examples(self, split, *, tmp_dir, seed):
            for number in range(self.count_examples(split, tmp_dir)):
                if split == "train" and number in self.bad:
                    yield BadExample(f"numbers.txt:{number + 1}", "is bad")
                    continue
                yield {
                    "inputs": lambda n=number: self.make(split, n),
                    "targets": str(number),
                    "place": f"numbers.txt:{number + 1}",
                }

        def make(self, split, number):
            with open(HERE / "made.txt", "a") as log:
                log.write(f"{self.name} {split} {number} {os.getpid()}\\n")
            if split == "train" and number in self.unreadable:
                raise UserError("cannot be read")
            block = HERE / f"{self.name}.{split}.{number}"
            if block.exists():
                if block.read_text() == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                block.with_name("reached").touch()
                time.sleep(600)
            return f"number {number}"

    if (HERE / "keep_often").exists():
        split_steps._SECONDS_BETWEEN_KEEPS = split_steps._SHARE_BETWEEN_KEEPS = 0

    finish = unfinished_shard.UnfinishedShard.finish

    def blocking_finish(self, key):
        block = HERE / f"finish.{self.shard.name}"
        if block.exists():
            block.with_name("reached").touch()
            time.sleep(600)
        finish(self, key)

    unfinished_shard.UnfinishedShard.finish = blocking_finish
    register_problem("numbers_one")(lambda: Numbers("numbers_one"))
    register_problem("numbers_two")(lambda: Numbers("numbers_two"))
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Returns a folder with a package of problems; `numbers_of` imports it."""
    folder = tmp_path / f"numbers_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").write_text(textwrap.dedent(MODULE))
    return folder


@pytest.fixture
def numbers(package, monkeypatch):
    """Returns the class of the problem, as other processes can import it."""
    from t2t_multimodel.registry import PROBLEMS

    finish = unfinished_shard.UnfinishedShard.finish
    monkeypatch.syspath_prepend(str(package.parent))
    module = __import__(package.name)
    monkeypatch.setattr(unfinished_shard.UnfinishedShard, "finish", finish)
    yield module.Numbers
    for name in ("numbers_one", "numbers_two"):
        PROBLEMS.remove(name)


def run(problem, data_dir, **kwargs):
    said = []
    arguments = {"num_processes": 1, "seed": 7} | kwargs
    generate([problem], data_dir, data_dir / "tmp", say=said.append, **arguments)
    return said


def files(data_dir):
    return {p.name: p.read_bytes() for p in data_dir.iterdir() if p.is_file()}


def finished(data_dir, pattern="*-of-?????"):
    """Returns time and content of the shards that have their final name."""
    found = [p for p in data_dir.glob(pattern) if not p.name.startswith("unfinished")]
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in found}


def made(package):
    log = package / "made.txt"
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.slow  # test_generate.py has two processes on two shards
@pytest.mark.parametrize("processes", [2, 3])
def test_the_number_of_processes_does_not_show(numbers, package, tmp_path, processes):
    problem = numbers(bad=(3, 20), unreadable=(4, 31))
    for count in (1, processes):
        folder = tmp_path / str(count)
        run(problem, folder, num_processes=count, skip_bad_examples=4)
        # Every value is made by one process alone, and bad ones never.
        lines = made(package)
        assert len(lines) == 47 - 2 + 5
        assert len({line.split()[-1] for line in lines if "train" in line}) == count
        (package / "made.txt").unlink()
    assert files(tmp_path / "1") == files(tmp_path / str(processes))
    splits = manifest.read(tmp_path / "1", "numbers")["splits"]
    assert splits["train"]["examples"] == 43
    assert splits["dev"]["skipped"] == []
    assert splits["train"]["skipped"] == [
        {"example": 3, "told": "numbers.txt:4: is bad"},
        {
            "example": 4,
            "told": "numbers.txt:5: problem 'numbers', inputs: cannot be read",
        },
        {"example": 20, "told": "numbers.txt:21: is bad"},
        {
            "example": 31,
            "told": "numbers.txt:32: problem 'numbers', inputs: cannot be read",
        },
    ]


def test_good_examples_are_where_they_are_without_the_bad_ones(numbers, tmp_path):
    run(numbers(), tmp_path / "good")
    run(numbers(bad=(7,)), tmp_path / "bad", skip_bad_examples=1)
    good, bad = (finished(tmp_path / name) for name in ("good", "bad"))
    differing = {name for name in good if good[name][1] != bad[name][1]}
    assert differing == {"numbers-train-00002-of-00005"}  # 7 mod 5


def test_skipped_examples_are_told(numbers, tmp_path):
    said = run(numbers(bad=(3,), unreadable=(8,)), tmp_path, skip_bad_examples=5)
    assert "numbers train: skipped example 3: numbers.txt:4: is bad" in said
    assert any(line.startswith("numbers train: 45 examples") for line in said)
    assert any(line.endswith(", 2 bad ones skipped") for line in said)
    # Complete data is left alone, whatever may be skipped now.
    assert run(numbers(bad=(3,), unreadable=(8,)), tmp_path) == [
        f"numbers: complete but for 2 bad examples in {tmp_path}, nothing to do"
    ]


@pytest.fixture(params=["one share", "three shares"])
def shared_out(request, monkeypatch):
    """Gives out the shards as to one process, or to three."""
    if request.param == "three shares":
        monkeypatch.setattr(
            "t2t_multimodel.data.step_processes.StepProcesses.shares",
            lambda self, problem, shards: [tuple(shards[i::3]) for i in range(3)],
        )


@pytest.mark.parametrize(
    "limit, message",
    [
        (0, r"train example \d+: numbers.txt:\d+: .*--skip_bad_examples=N skips up to"),
        (
            2,
            r"more bad examples than --skip_bad_examples=2 .* example \d+: numbers.txt",
        ),
    ],
)
def test_one_bad_example_too_many_stops_all(
    numbers, tmp_path, limit, message, shared_out
):
    problem = numbers(bad=(1, 2), unreadable=(8,))
    for _ in range(2):  # What was left is no way round it.
        with pytest.raises(UserError, match=message):
            run(problem, tmp_path, skip_bad_examples=limit)
        assert not finished(tmp_path)
        assert manifest.read(tmp_path, "numbers")["complete"] is False
    run(problem, tmp_path, skip_bad_examples=3)
    run(problem, tmp_path / "again", skip_bad_examples=3)
    assert files(tmp_path) == files(tmp_path / "again")


def test_the_limit_holds_for_each_split(numbers, tmp_path):
    problem = numbers(bad=range(47))
    with pytest.raises(UserError, match="'numbers' has no good train examples"):
        run(problem, tmp_path, skip_bad_examples=47)


def test_a_source_that_cannot_be_read_is_one_line(numbers, tmp_path):
    problem = numbers()
    folder = tmp_path / "locked"
    problem.examples = lambda split, **kwargs: (_ for _ in os.scandir(folder))
    with pytest.raises(UserError, match=f"train: cannot read {folder}: No such file"):
        run(problem, tmp_path / "data")


@pytest.mark.parametrize("shared_out", ["three shares"], indirect=True)
def test_examples_that_change_between_looks_are_told(numbers, tmp_path, shared_out):
    problem = numbers()
    looks = []

    def examples(split, **kwargs):
        looks.append(split)
        for number in range(9 + len(looks)):
            yield {"inputs": "x", "targets": str(number)}

    problem.examples = examples
    with pytest.raises(UserError, match="gave 10 and 11 and .* must yield the same"):
        run(problem, tmp_path)


def datagen(package, data_dir, problems, *flags):
    """Starts the program in a process of its own, and its session."""
    command = [
        *(sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_datagen"),
        *(f"--t2t_usr_dir={package}", f"--data_dir={data_dir}"),
        *(f"--problems={problems}", f"--tmp_dir={data_dir / 'tmp'}", *flags),
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        start_new_session=True,
    )


def wait_for(path, process, seconds=300):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < end
        time.sleep(0.02)


def kill_at(block, package, data_dir, *flags, content=""):
    """Runs the program until it reaches `block`, and kills it there."""
    (package / block).write_text(content)
    process = datagen(package, data_dir, "numbers_one-numbers_two", *flags)
    wait_for(package / "reached", process)
    process.kill()
    process.wait()
    process.stderr.close()
    (package / block).unlink()
    (package / "reached").unlink()


def finish_run(numbers, data_dir):
    """Does here what the program does."""
    problems = [numbers("numbers_one"), numbers("numbers_two")]
    generate(problems, data_dir, data_dir / "tmp", num_processes=1, say=lambda _: None)


def wait_for_end_of(processes, seconds=20):
    end = time.monotonic() + seconds
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in processes):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(
    numbers, package, tmp_path
):
    finish_run(numbers, tmp_path / "whole")
    (package / "made.txt").unlink()
    (package / "keep_often").touch()
    killed = tmp_path / "killed"
    one, two = "--num_concurrent_processes=1", "--num_concurrent_processes=2"

    # In the midst of the second train split: the pieces so far are kept.
    kill_at("numbers_two.train.23", package, killed, one)
    assert not [name for name in finished(killed) if "two" in name]
    already = {tuple(line.split()[:3]) for line in made(package)}
    (package / "made.txt").unlink()

    # Between two shards of a split that is dealt. The other processes end, too.
    kill_at("finish.numbers_two-train-00002-of-00005", package, killed, two)
    wait_for_end_of({int(line.split()[-1]) for line in made(package)})
    kept = finished(killed)
    assert 2 <= len([name for name in kept if "two-train" in name]) < 5
    again = [tuple(line.split()[:3]) for line in made(package)]
    # Of the example that was being made when the process was killed.
    assert set(again) & already == {("numbers_two", "train", "23")}
    (package / "made.txt").unlink()

    finish_run(numbers, killed)
    assert not [line for line in made(package) if "numbers_two train" in line]
    after = finished(killed)
    assert {name: after[name] for name in kept} == kept
    assert files(killed) == files(tmp_path / "whole")


@pytest.mark.parametrize(
    "whole_group", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_sigterm_ends_all_processes_with_one_line(
    numbers, package, tmp_path, whole_group
):
    """It may be sent to the program alone, or to all processes of its group."""
    (package / "numbers_one.train.23").write_text("")
    two = "--num_concurrent_processes=2"
    process = datagen(package, tmp_path, "numbers_one", two)
    try:
        wait_for(package / "reached", process)
        if whole_group:
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143
    assert said.decode() == "t2t-mm-datagen: terminated\n"
    wait_for_end_of({int(line.split()[-1]) for line in made(package)})
    (package / "numbers_one.train.23").unlink()
    run(numbers("numbers_one"), tmp_path)
    run(numbers("numbers_one"), tmp_path / "whole")
    assert files(tmp_path) == files(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_worker_is_one_line(numbers, package, tmp_path):
    (package / "numbers.train.23").write_text("die")
    with pytest.raises(UserError, match="a process that wrote data was killed"):
        run(numbers(), tmp_path, num_processes=2)
    assert not finished(tmp_path)
    (package / "numbers.train.23").unlink()
    run(numbers(), tmp_path, num_processes=2)
    run(numbers(), tmp_path / "whole")
    assert files(tmp_path) == files(tmp_path / "whole")


class Breaks(Exception):
    """Stands for a power cut."""


def test_what_a_broken_run_skipped_counts(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(split_steps, "_SECONDS_BETWEEN_KEEPS", 0)
    monkeypatch.setattr(split_steps, "_SHARE_BETWEEN_KEEPS", 0)
    problem = numbers(bad=(1, 2, 30))
    whole = problem.examples

    def breaking(split, **kwargs):
        for number, example in enumerate(whole(split, **kwargs)):
            if number == 17:
                raise Breaks
            yield example

    problem.examples = breaking
    with pytest.raises(Breaks):
        run(problem, tmp_path, skip_bad_examples=3)
    problem.examples = whole
    with pytest.raises(UserError, match="one too many is train example 2: numbers.txt"):
        run(problem, tmp_path, skip_bad_examples=1)
    run(problem, tmp_path, skip_bad_examples=3)
    run(problem, tmp_path / "whole", skip_bad_examples=3)
    assert files(tmp_path) == files(tmp_path / "whole")
    # A shard that is lost later brings its bad examples back, the others stay.
    (tmp_path / "numbers-train-00001-of-00005").unlink()
    run(problem, tmp_path, skip_bad_examples=3)
    assert files(tmp_path) == files(tmp_path / "whole")


def test_pieces_that_were_damaged_are_made_again(numbers, tmp_path, monkeypatch):
    problem = numbers()
    monkeypatch.setattr(
        unfinished_shard.UnfinishedShard, "finish", lambda self, key: 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        run(problem, tmp_path)
    monkeypatch.undo()
    piece = tmp_path / "unfinished.numbers-train-00003-of-00005.000"
    piece.write_bytes(piece.read_bytes()[:-5])
    run(problem, tmp_path)
    run(problem, tmp_path / "whole")
    assert files(tmp_path) == files(tmp_path / "whole")


@pytest.mark.parametrize("full", ["piece", "joined", "json"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_line_and_no_half_shard(
    numbers, tmp_path, monkeypatch, full
):
    working_path = shard_state.working_path

    def on_a_full_disk(shard, ending):
        path = working_path(shard, ending)
        if ending == {"piece": "000", "joined": "joined", "json": "writing"}[full]:
            path.unlink(missing_ok=True)
            path.symlink_to("/dev/full")
        return path

    with monkeypatch.context() as patched:
        patched.setattr(shard_state, "working_path", on_a_full_disk)
        with pytest.raises(UserError) as told:
            run(numbers(), tmp_path)
    assert str(told.value) == (
        f"cannot write {tmp_path}: No space left on device; make room and start the "
        "same command again, which goes on where it stopped"
    )
    assert not finished(tmp_path)
    for path in tmp_path.iterdir():
        if path.is_symlink():
            path.unlink()
    run(numbers(), tmp_path)
    run(numbers(), tmp_path / "whole")
    assert files(tmp_path) == files(tmp_path / "whole")


def test_two_runs_do_not_write_the_same_data(numbers, tmp_path):
    with open(tmp_path / "unfinished.numbers.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is writing numbers in"):
            run(numbers(), tmp_path)
    run(numbers(), tmp_path)


def test_shuffling_takes_memory_by_the_record_and_not_by_the_byte(tmp_path):
    shard = unfinished_shard.UnfinishedShard(tmp_path / "x-train-00000-of-00001")
    count, size = 4000, 8000
    for number in range(count):
        if number == count // 2:
            shard.keep(number)
        shard.add(number.to_bytes(4) * (size // 4))
    shard.skip(SkippedExample(count, "bad"))
    shard.keep(count + 1, num_examples=count + 1)
    tracemalloc.start()
    unfinished_shard.UnfinishedShard(shard.shard).finish("key")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shard.shard.stat().st_size == count * (size + 16)
    assert peak < 4_000_000  # a buffer of 1 MiB, and what belongs to a record
    numbers = [
        int.from_bytes(frame[12:16])
        for frame in iter_frames(shard.shard.read_bytes(), size + 16)
    ]
    assert sorted(numbers) == list(range(count))
    assert numbers != list(range(count))
    left = json.loads(shard_state.working_path(shard.shard, "json").read_text())
    assert left["skipped"] == [{"example": count, "told": "bad"}]


def iter_frames(data, size):
    return (data[first : first + size] for first in range(0, len(data), size))
