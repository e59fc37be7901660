import os

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data.train_reader import ReaderGroup
from t2t_multimodel.errors import UserError
from t2t_multimodel.training import checkpoint
from t2t_multimodel.training.checkpoint import Checkpoints, load_weights
from t2t_multimodel.training.problem_choice import ProblemChoice
from tests.training.small_run import Net, Run, assert_same_state, plan, rewrite


def test_a_continued_run_equals_one_that_never_stopped(tmp_path):
    whole = Run(tmp_path / "whole").train(9)

    stopped = Run(tmp_path / "stopped").train(5)
    assert stopped.save() == tmp_path / "stopped" / "model.ckpt-5"
    continued = Run(tmp_path / "stopped")
    assert continued.restored().step == 5
    continued.train(4)

    assert_same_state(whole, continued)


def test_an_empty_directory_has_nothing_to_restore(tmp_path):
    run = Run(tmp_path / "new")
    assert run.checkpoints.latest_step() is None
    assert run.checkpoints.restore_latest() == 0
    with pytest.raises(UserError, match="no checkpoint .*; steps there are: none"):
        run.checkpoints.restore(7)


def test_keeps_the_newest_and_restores_any_of_them(tmp_path):
    run = Run(tmp_path, keep_max=2)
    for _ in range(4):
        run.train(3).save()
    assert checkpoint.checkpoint_steps(tmp_path) == [9, 12]
    assert run.checkpoints.latest_step() == 12
    run.checkpoints.restore(9)
    assert_same_state(run, Run(tmp_path / "other").train(9))
    with pytest.raises(UserError, match="steps there are: 9, 12"):
        run.checkpoints.restore(3)


def test_keep_max_zero_keeps_all(tmp_path):
    run = Run(tmp_path, keep_max=0)
    for _ in range(3):
        run.train(1).save()
    assert checkpoint.checkpoint_steps(tmp_path) == [1, 2, 3]


def test_every_variable_is_in_the_file_under_its_path(tmp_path):
    run = Run(tmp_path).train(1)
    path = run.save()
    stored = dict(tf.train.list_variables(str(path / "variables")))
    want = {f"weights/{p}": list(v.shape) for p, v in run.variables.items()}
    want |= {f"optimizer/{p}": list(v.shape) for p, v in run.adam.slots.items()}
    assert stored == want


class Killed(BaseException):
    """The process ends here."""


def _die_at(monkeypatch, function, call):
    """Lets the `call`-th call of an `os` function end the process."""
    real, calls = getattr(os, function), []

    def mortal(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(os, function, mortal)


@pytest.mark.parametrize(
    ("function", "call"),
    [("fsync", n) for n in range(1, 10)] + [("rename", 1), ("rename", 2)],
)
def test_a_kill_at_any_moment_leaves_a_usable_checkpoint(
    tmp_path, monkeypatch, function, call
):
    run = Run(tmp_path, keep_max=1).train(2)
    run.save()
    run.train(3)
    with monkeypatch.context() as patch:
        _die_at(patch, function, call)
        with pytest.raises(Killed):
            run.save()

    again = Run(tmp_path, keep_max=1)
    step = again.restored().step
    assert step in (2, 5)
    assert_same_state(again, Run(tmp_path / "reference").train(step))
    again.train(5 - step).save()
    left = {path.name for path in tmp_path.iterdir()} - {"reference"}
    assert "model.ckpt-5" in left
    assert not [name for name in left if "partial" in name]


def test_a_checkpoint_that_was_just_written_is_not_written_again(tmp_path):
    run = Run(tmp_path).train(1)
    first = run.save()
    before = (first / "checkpoint.json").stat().st_mtime_ns
    assert run.save() == first
    assert Run(tmp_path).restored().save() == first
    assert (first / "checkpoint.json").stat().st_mtime_ns == before


def test_a_run_that_went_back_replaces_what_came_later(tmp_path):
    run = Run(tmp_path).train(2)
    run.save()
    run.train(1).save()
    run.checkpoints.restore(2)
    run.step = 2
    next(run.readers["a"].own[0])
    run.train(1).save()
    assert_same_state(Run(tmp_path).restored(), run)


def test_other_objects_keep_their_state(tmp_path):
    choices = [ProblemChoice("adaptive", ["a", "b"]) for _ in range(2)]
    choices[0].learn({"a": 3.0})
    Run(tmp_path, states={"choice": choices[0]}).train(1).save()
    Run(tmp_path, states={"choice": choices[1]}).restored()
    assert choices[1].get_state() == choices[0].get_state()


def test_other_variables_are_refused_and_named(tmp_path):
    Run(tmp_path).train(1).save()
    other = Run(tmp_path, problems=("a", "c"))
    with pytest.raises(UserError) as error:
        other.restored()
    message = str(error.value)
    assert "has 12 variables, this run 12" in message
    assert "lacks weights/head_c/kernel, weights/head_c/bias" in message
    assert "has besides weights/head_b/kernel" in message
    assert "and 1 more" in message


def test_other_shapes_are_refused_and_named(tmp_path):
    Run(tmp_path).train(1).save()
    other = Run(tmp_path, units=5)
    with pytest.raises(UserError, match=r"head_a/kernel \(4, 3\) instead of \(4, 5\)"):
        other.restored(strict=False)


def test_a_run_goes_on_with_more_problems(tmp_path):
    two = Run(tmp_path, problems=("a", "b")).train(3)
    two.save()
    three = Run(tmp_path, problems=("new", "a", "b"))
    fresh = {path: v.numpy() for path, v in three.variables.items()}

    assert three.restored(strict=False).step == 3

    for path, variable in three.variables.items():
        want = fresh[path] if path.startswith("head_new") else two.variables[path]
        np.testing.assert_array_equal(variable, want)
    for path, slot in two.adam.slots.items():
        np.testing.assert_array_equal(three.adam.slots[path], slot)
    assert three.adam.get_state()["head_new/kernel"] == 0
    for name in ("a", "b"):
        got, want = (next(run.readers[name].own[0]) for run in (three, two))
        assert got == want


def test_a_missing_position_is_refused(tmp_path):
    Run(tmp_path).train(1).save()
    other = Run(tmp_path)
    before = other.state()
    more = Checkpoints(
        tmp_path,
        model=other.net,
        optimizer=other.adam,
        readers={"c": ReaderGroup(1, {0: plan(0)})},
    )
    with pytest.raises(UserError, match="no position in the data of 'c'"):
        more.restore_latest()
    for a, b in zip(before, other.state(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_loads_weights_from_a_run_with_more_problems(tmp_path):
    run = Run(tmp_path, problems=("a", "b")).train(2)
    run.save()
    run.train(1).save()
    net = Net(problems=("b",))

    assert load_weights(tmp_path, net) == 3
    np.testing.assert_array_equal(net.heads[0].kernel, run.variables["head_b/kernel"])
    assert load_weights(tmp_path / "model.ckpt-2", net) == 2


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(UserError, match="is no checkpoint, and there is none in it"):
        load_weights(tmp_path, Net())
    Run(tmp_path, problems=("a",)).save()
    with pytest.raises(UserError, match="lacks weights/head_b/kernel"):
        load_weights(tmp_path, Net(problems=("a", "b")))


def test_another_version_is_refused_with_and_without_check_sums(tmp_path):
    run = Run(tmp_path).train(1)
    path = run.save()
    rewrite(path, format_version=99)
    with pytest.raises(UserError, match="format version 99, this program reads 2"):
        run.checkpoints.restore_latest()
    # The first version had no check sums; it is not damaged, either.
    rewrite(path, format_version=1)
    (path / "checksums.json").unlink()
    with pytest.raises(UserError, match="format version 1, this program reads 2"):
        run.checkpoints.restore_latest()


def test_mirrored_variables_are_restored_on_every_replica(tmp_path, two):
    strategy = two.strategy
    saved = Run(tmp_path).train(3)
    saved.save()
    with strategy.scope():
        run = Run(tmp_path)
        run.restored()
        assert run.adam.get_state() == saved.adam.get_state()
        for path, variable in run.variables.items():
            for copy in strategy.experimental_local_results(variable):
                np.testing.assert_array_equal(copy, saved.variables[path])
    run.checkpoints.save(4)
    run.checkpoints.wait()
    assert Run(tmp_path).restored().step == 4
