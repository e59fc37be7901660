"""A checkpoint that is not what was written is noticed, and the one before it used."""

import logging

import numpy as np
import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.checkpoint import (
    checkpoint_path,
    checkpoint_steps,
    load_weights,
    read_weights,
)
from t2t_multimodel.training.checksums import DamagedError
from tests.training.small_run import Net, Run, assert_same_state


def flip_bit(file, position=None, bit=3):
    content = bytearray(file.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1 << bit
    file.write_bytes(content)


def cut(file):
    with file.open("r+b") as content:
        content.truncate(file.stat().st_size - 1)


def unlink(file):
    file.unlink()


def garble(file):
    file.write_bytes(b"{\xff")


DAMAGES = [
    (cut, "variables.data-00000-of-00001", "has 359 bytes instead of 360"),
    (flip_bit, "variables.data-00000-of-00001", "has other content than was written"),
    (unlink, "variables.data-00000-of-00001", "is missing"),
    (flip_bit, "variables.index", "has other content than was written"),
    (flip_bit, "checkpoint.json", "has other content than was written"),
    (cut, "checkpoint.json", "instead of"),
    (unlink, "checkpoint.json", "is missing"),
    (flip_bit, "data-a.0-of-1.json", "has other content than was written"),
    (unlink, "data-b.0-of-1.json", "is missing"),
    (garble, "checksums.json", "is unreadable"),
    (unlink, "checksums.json", "is missing"),
]


@pytest.fixture
def saved(tmp_path):
    """Two checkpoints, of the steps 2 and 3."""
    run = Run(tmp_path).train(2)
    run.save()
    run.train(1).save()
    return tmp_path


@pytest.mark.parametrize(("damage", "name", "what"), DAMAGES)
def test_the_checkpoint_before_a_damaged_one_is_used(saved, caplog, damage, name, what):
    damage(saved / "model.ckpt-3" / name)
    run = Run(saved)
    with caplog.at_level(logging.WARNING):
        assert run.restored().step == 2
    assert_same_state(run, Run(saved / "reference").train(2))
    assert f"model.ckpt-3 is damaged: its file {name} " in caplog.text
    assert what in caplog.text
    assert "step 2 is used in place of step 3" in caplog.text
    # Kept to be looked at; and the step is saved again when training comes there.
    assert (saved / "model.ckpt-3.damaged").is_dir()
    assert checkpoint_steps(saved) == [2]
    run.train(1).save()
    assert_same_state(Run(saved).restored(), Run(saved / "reference").train(3))


def test_every_flipped_bit_is_noticed(saved):
    """In places all over the files."""
    path = saved / "model.ckpt-3"
    random = np.random.default_rng(0)
    for file in sorted(path.iterdir()):
        content = file.read_bytes()
        for position in random.integers(len(content), size=30):
            flip_bit(file, position, bit=int(random.integers(8)))
            if not content[position : position + 1].strip():
                file.write_bytes(content)
                continue  # another blank between two words of JSON may be as good
            with pytest.raises(DamagedError):
                read_weights(path)
            file.write_bytes(content)
    assert read_weights(path)[0] == 3


def test_without_a_whole_checkpoint_nothing_is_begun_anew(saved, caplog):
    for step in (2, 3):
        flip_bit(checkpoint_path(saved, step) / "variables.index")
    for _ in range(2):  # the second start must not find an empty directory
        run = Run(saved)
        before = run.state()
        with pytest.raises(
            UserError, match=r"no checkpoint in .* is whole \(steps 3, 2\)"
        ):
            run.restored()
        assert_same_state(run, Run(saved / "reference"))
        assert len(before) == len(run.state())
        assert checkpoint_steps(saved) == [2, 3]


def test_a_second_damage_of_a_step_replaces_the_first(saved):
    for _ in range(2):
        flip_bit(saved / "model.ckpt-3" / "checkpoint.json")
        Run(saved).restored().train(1).save()
    left = sorted(path.name for path in saved.iterdir())
    assert left == ["model.ckpt-2", "model.ckpt-3", "model.ckpt-3.damaged"]


def test_decoding_takes_the_one_before_and_changes_nothing(saved, caplog):
    flip_bit(saved / "model.ckpt-3" / "variables.data-00000-of-00001")
    net = Net()
    assert load_weights(saved, net) == 2
    want = Run(saved / "reference").train(2).variables["head_a/kernel"]
    np.testing.assert_array_equal(net.heads[0].kernel, want)
    assert "step 2 is used in place of step 3" in caplog.text
    assert checkpoint_steps(saved) == [2, 3]
    with pytest.raises(UserError, match="model.ckpt-3 is damaged: its file variables"):
        load_weights(saved / "model.ckpt-3", net)


def test_another_worker_leaves_the_damaged_one_to_the_chief(saved):
    flip_bit(saved / "model.ckpt-3" / "checkpoint.json")
    assert Run(saved, worker=1, num_workers=2).restored().step == 2
    assert checkpoint_steps(saved) == [2, 3]
    assert Run(saved, worker=0, num_workers=2).restored().step == 2
    assert checkpoint_steps(saved) == [2]


def test_only_whole_ones_count_as_kept(tmp_path):
    run = Run(tmp_path, keep_max=2)
    for step in (1, 2, 3):
        run.train(1).save()
        if step == 2:
            cut(tmp_path / "model.ckpt-2" / "variables.index")
    assert checkpoint_steps(tmp_path) == [1, 2, 3]
    run.train(1).save()
    assert checkpoint_steps(tmp_path) == [3, 4]


def test_the_last_one_written_is_kept_whatever_else_there_is(tmp_path):
    run = Run(tmp_path, keep_max=1)
    run.step = 7
    run.save()
    run.step = 5
    run.save()
    assert checkpoint_steps(tmp_path) == [5, 7]
