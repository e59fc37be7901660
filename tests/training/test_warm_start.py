"""A run that begins with another's: what is taken, what starts fresh, what is told."""

import contextlib
import dataclasses
import logging

import numpy as np
import pytest

from t2t_multimodel.data.features import ClassLabel
from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.training.checkpoint import Checkpoints, read_weights, write_weights
from t2t_multimodel.training.evaluation import Evaluator
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.problem_choice import FIRST_AVERAGE, ProblemChoice
from t2t_multimodel.training.run_config import RunConfig
from t2t_multimodel.training.run_directory import read_run, write_run
from t2t_multimodel.training.trainer import Trainer
from t2t_multimodel.training.warm_start import find_source, warm_start
from tests.decoding import tiny_run


class Again(tiny_run.Look):
    """The pictures of `look_tiny` as a problem of its own."""

    name = "again_tiny"
    data_name = "look_tiny"


class OtherColours(tiny_run.Look):
    """`look_tiny` with its classes in another order."""

    name = "look_tiny"
    targets = ClassLabel(names=tiny_run.COLOURS[::-1])


PROBLEMS = {p.name: p for p in (*tiny_run.problems(), Again())}
OLD = ("parse_tiny", "look_tiny")
NEW = ("again_tiny", "look_tiny", "parse_tiny")
STEP = 7


class Begun:
    """A run before its first step: folder, model, optimizer, choice of problems."""

    def __init__(self, folder, data_dir, names=NEW, hparams="", problems=PROBLEMS):
        chosen = [problems[name] for name in names]
        self.hparams = make_hparams("multimodel_tiny", tiny_run.HPARAMS)
        self.hparams = self.hparams.override(hparams)
        write_run(folder, chosen, self.hparams, data_dir=data_dir)
        self.folder, self.run = folder, read_run(folder)
        self.model = make_model(self.run.specs(), self.hparams, seed=len(names))
        self.variables = variables_by_path(self.model.trainable_variables)
        self.optimizer = Adam(self.variables)
        self.choice = ProblemChoice("adaptive", names)
        config = RunConfig(
            problems=chosen,
            hparams=self.hparams,
            data_dir=data_dir,
            output_dir=folder,
            eval_split="test",
        )
        self.evaluator = Evaluator(self.model, config)

    def warm_started(self, source):
        found = find_source(source, self.folder, self.hparams)
        return warm_start(
            found,
            model=self.model,
            optimizer=self.optimizer,
            run=self.run,
            choice=self.choice,
        )

    def values(self):
        return {path: v.numpy() for path, v in self.variables.items()}

    def slots(self):
        return {path: v.numpy() for path, v in self.optimizer.slots.items()}

    def update(self, seed):
        """Updates the variables, each with a gradient that its path decides."""
        gradients = [_noise(seed, path, v.shape) for path, v in self.variables.items()]
        self.optimizer.apply(gradients, 1.0)


def _noise(seed, path, shape):
    words = [seed, *path.encode()]
    return np.random.default_rng(words).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("warm") / "data"
    tiny_run.write_data(data_dir)
    return data_dir


@pytest.fixture(scope="module")
def old(data_dir, tmp_path_factory):
    """A run of a text and a picture problem, three updates old."""
    begun = Begun(tmp_path_factory.mktemp("old") / "run", data_dir, OLD)
    for seed in range(3):
        begun.update(seed)
    begun.choice.learn({"parse_tiny": 2.0, "look_tiny": 1.0})
    checkpoints = Checkpoints(
        begun.folder,
        model=begun.model,
        optimizer=begun.optimizer,
        states={"problem_choice": begun.choice},
    )
    checkpoints.save(STEP)
    checkpoints.wait()
    return begun


@pytest.fixture
def begin(data_dir, tmp_path):
    def begin(names=NEW, hparams="", **options):
        return Begun(
            tmp_path / "new", options.pop("data", data_dir), names, hparams, **options
        )

    return begin


def of_part(paths, part):
    return [path for path in paths if path.split("/")[1] == part]


@pytest.fixture(scope="module")
def warm(old, data_dir, tmp_path_factory):
    """A run with one more problem, begun with `old`; has what it was before."""
    new = Begun(tmp_path_factory.mktemp("warm") / "run", data_dir, NEW)
    new.first, new.first_slots = new.values(), new.slots()
    new.report = new.warm_started(old.folder)
    return new


def test_shared_variables_are_taken_with_their_moments_and_the_rest_is_new(old, warm):
    fresh = set(of_part(warm.first, "label_again_tiny"))
    assert len(fresh) == 2 and set(warm.report.new) == fresh
    assert set(warm.report.kept) == set(warm.first) - fresh == set(old.variables)
    for path, value in warm.values().items():
        wanted = warm.first[path] if path in fresh else old.variables[path].numpy()
        np.testing.assert_array_equal(value, wanted, err_msg=path)
    their_slots = old.slots()
    for path, slot in warm.slots().items():
        is_new = path.rpartition("/")[0] in fresh
        wanted = warm.first_slots if is_new else their_slots
        np.testing.assert_array_equal(slot, wanted[path], err_msg=path)
        assert is_new or np.abs(slot).max() > 0
    counts = warm.optimizer.get_state()
    updated = {path: count for path, count in counts.items() if count}
    assert updated == dict.fromkeys(warm.report.kept, 3)


def test_the_evaluation_of_shared_problems_is_unchanged_at_step_0(old, warm):
    look, runs = PROBLEMS["look_tiny"], (old, warm)
    values = [run.evaluator.evaluate_problem(look) for run in runs]
    assert values[0] == values[1]  # to the last digit
    ids = np.random.default_rng(0).integers(2, 50, (2, 2, 7)).astype("int32")
    batch = {"inputs": ids[0], "targets": ids[1]}
    logits = [run.model(batch, problem="parse_tiny").logits for run in runs]
    np.testing.assert_array_equal(*logits)


def test_the_next_update_is_the_one_that_the_other_run_would_have_made(old, begin):
    new = begin()
    new.warm_started(old.folder)
    new.update(99)
    before, slots = old.values(), old.slots()
    # T2T's Adam by hand; the bias correction is that of a fourth update.
    rate = 1.0 / 500 * np.sqrt(1 - 0.997**4) / (1 - 0.85**4)
    for path, value in before.items():
        gradient = _noise(99, path, value.shape)
        m = slots[f"{path}/m"] * 0.85 + gradient * 0.15
        v = slots[f"{path}/v"] * 0.997 + gradient**2 * 0.003
        wanted = value - rate * m / (np.sqrt(v) + 1e-6)
        got = new.variables[path].numpy()
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5, err_msg=path)


def test_fewer_or_other_problems_leave_out_what_only_the_old_ones_had(old, begin):
    new = begin(("look_tiny", "again_tiny"))
    report = new.warm_started(old.folder)
    assert set(map(_part, report.unread)) == {
        *("command_table", "decoder", "language_words", "mixer")
    }
    assert set(map(_part, report.new)) == {"label_again_tiny"}
    for path in report.kept:
        np.testing.assert_array_equal(new.variables[path], old.variables[path])
    lines = report.lines()
    assert "problems: 1 of both runs; new: again_tiny; left out: parse_tiny" in lines
    assert [line for line in lines if "only the other run has" in line]


def _part(path):
    return path.split("/")[1]


@pytest.fixture(scope="module")
def wider(old, data_dir, tmp_path_factory):
    """A run begun with `old` that has more experts and another dropout."""
    hparams = "moe_num_experts=6,dropout=0.3"
    new = Begun(tmp_path_factory.mktemp("wider") / "run", data_dir, NEW, hparams)
    new.first = new.values()
    new.report = new.warm_started(old.folder)
    return new


def test_a_line_a_part_says_which_is_which(old, wider):
    report, lines = wider.report, wider.report.lines()
    assert lines[0] == (
        f"warm start from {old.folder / f'model.ckpt-{STEP}'} (its step {STEP})"
    )
    rows = [line.split() for line in lines if line.startswith("  ")]
    said = {row[0]: " ".join(row[1:]) for row in rows}
    assert list(said) == sorted(set(map(_part, wider.variables)))
    # 6 classes of 16 features: a matrix and its bias.
    assert said["label_again_tiny"] == "2 new 102 parameters"
    assert said["label_look_tiny"] == "2 kept 102 parameters"
    num_encoder = len(of_part(report.kept, "encoder"))
    # 2 matrices of the gate, 2 of the experts.
    assert said["encoder"].startswith(f"{num_encoder} kept, 4 fresh ")
    sizes = {path: v.size for path, v in wider.first.items()}
    num_kept = sum(sizes[path] for path in report.kept)
    assert (
        f"kept: {len(report.kept)} variables with {num_kept:,} parameters; "
        "their moments too"
    ) in lines
    assert "new: 2 variables with 102 parameters: label_again_tiny" in lines
    num_fresh = sum(sizes[path] for path in report.fresh)
    assert (
        f"started fresh: 8 variables with {num_fresh:,} parameters: decoder, encoder"
    ) in lines
    assert "problems: 2 of both runs; new: again_tiny" in lines
    assert lines[-1] == (
        "hyperparameters that differ: dropout: 0.1 -> 0.3, moe_num_experts: 4 -> 6"
    )


def test_another_shape_starts_fresh_and_is_told(wider):
    report = wider.report
    gates = [path for path in report.fresh if path.endswith("/gate")]
    assert len(gates) == 2
    for path in gates:
        assert report.fresh[path] == "shape (16, 4) there, (16, 6) here"
        np.testing.assert_array_equal(wider.variables[path], wider.first[path])
        assert wider.optimizer.get_state()[path] == 0
        assert any(path in line for line in report.warnings())


def test_tables_of_other_sub_words_start_fresh_and_are_told(
    old, begin, data_dir, tmp_path
):
    other = tmp_path / "other_data"
    tiny_run.write_data(other)
    file = other / tiny_run.WORDS.file_name
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:2], *reversed(lines[2:])]))  # as many as before
    new = begin(data=other)
    first = new.values()
    report = new.warm_started(old.folder)

    tables = of_part(first, "language_words")
    assert tables and set(tables) == set(report.fresh)
    for path in tables:
        np.testing.assert_array_equal(new.variables[path].numpy(), first[path])
        assert not new.optimizer.slots[f"{path}/m"].numpy().any()
    (warning,) = report.warnings()
    assert "sub-words of vocabulary 'words' are not those of" in warning
    assert f"copy its {tiny_run.WORDS.file_name}" in warning
    averages = new.choice.get_state()
    assert averages["parse_tiny"] == FIRST_AVERAGE
    assert averages["look_tiny"] < FIRST_AVERAGE


def test_label_matrices_of_other_classes_start_fresh_and_are_told(old, begin):
    new = begin(("look_tiny",), problems=PROBLEMS | {"look_tiny": OtherColours()})
    report = new.warm_started(old.folder)
    assert set(map(_part, report.fresh)) == {"label_look_tiny"}
    (warning,) = report.warnings()
    assert "the classes of look_tiny are not those of" in warning


def test_averages_of_losses_are_kept_for_the_problems_of_both_runs(old, warm):
    averages = warm.choice.get_state()
    assert averages.pop("again_tiny") == FIRST_AVERAGE
    assert averages == old.choice.get_state()


def test_a_checkpoint_without_moments_gives_its_weights(old, begin):
    folder = old.folder / "averaged"
    write_run(
        folder,
        old.run.problems,
        old.run.hparams,
        data_dir=old.evaluator.config.data_dir,
    )
    write_weights(folder, STEP, read_weights(old.folder / f"model.ckpt-{STEP}")[1])
    new = begin(("look_tiny",))
    report = new.warm_started(folder)
    assert set(report.without_moments) == set(report.kept) == set(new.variables)
    assert not any(new.optimizer.get_state().values())
    assert any(
        f"; {len(report.kept)} of them without moments" in line
        for line in report.lines()
    )


def test_one_of_its_checkpoints_can_be_named(old, tmp_path):
    checkpoint = old.folder / f"model.ckpt-{STEP}"
    named = find_source(checkpoint, tmp_path, old.hparams)
    assert (named.checkpoint, named.step) == (checkpoint, STEP)
    assert find_source(old.folder, tmp_path, old.hparams).checkpoint == checkpoint


def test_a_damaged_checkpoint_is_passed_over_and_refused_by_name(old, tmp_path, caplog):
    data_dir = old.evaluator.config.data_dir
    write_run(tmp_path / "hurt", old.run.problems, old.hparams, data_dir=data_dir)
    for step in (1, 2):
        path = write_weights(tmp_path / "hurt", step, {"net/a": np.zeros(2, "float32")})
    (path / "checkpoint.json").write_text("{}")
    with caplog.at_level(logging.WARNING):
        source = find_source(tmp_path / "hurt", tmp_path / "new", old.hparams)
    assert source.step == 1
    assert "step 1 is used in place of step 2" in caplog.text
    with pytest.raises(UserError, match="model.ckpt-2 is damaged"):
        find_source(path, tmp_path / "new", old.hparams)


def test_a_run_with_a_checkpoint_of_its_own_goes_on_from_that(old, tmp_path, caplog):
    write_weights(tmp_path / "mine", 3, {"net/a": np.zeros(2, "float32")})
    with caplog.at_level(logging.WARNING):
        assert find_source(old.folder, tmp_path / "mine", old.hparams) is None
    (said,) = caplog.messages
    assert "the run goes on from step 3, and --warm_start_from=" in said
    # The other run may be gone by then.
    assert find_source("nowhere", tmp_path / "mine", old.hparams) is None


@pytest.mark.parametrize("inside", ["", f"model.ckpt-{STEP}"])
def test_a_run_is_not_begun_with_itself(old, inside):
    with pytest.raises(UserError, match="itself; .* leave --warm_start_from out"):
        find_source(old.folder / inside, old.folder, old.hparams)


def test_a_folder_without_a_checkpoint_is_refused(old, tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match="is no checkpoint, and there is none in"):
            find_source(folder, tmp_path / "new", old.hparams)
    with pytest.raises(UserError, match=f"no checkpoint .*; steps there are: {STEP}"):
        find_source(old.folder / "model.ckpt-9", tmp_path / "new", old.hparams)


def test_another_hidden_size_is_refused_and_what_differs_is_listed(old, tmp_path):
    hparams = old.hparams.override("hidden_size=32,dropout=0.3")
    with pytest.raises(UserError) as error:
        find_source(old.folder, tmp_path / "new", hparams)
    assert "is of another model" in str(error.value)
    assert "hidden_size: 16 -> 32, dropout: 0.1 -> 0.3" in str(error.value)
    assert "give hidden_size=16" in str(error.value)
    assert not (tmp_path / "new").exists()


def test_nothing_in_common_is_refused_and_nothing_changed(old, begin, tmp_path):
    stranger = tmp_path / "stranger"
    write_run(
        stranger,
        old.run.problems,
        old.hparams,
        data_dir=old.evaluator.config.data_dir,
    )
    write_weights(stranger, 1, {"net/encoder/kernel": np.zeros(2, "float32")})
    new = begin(("look_tiny",))
    first = new.values()
    with pytest.raises(UserError, match="has no variable in common with this run"):
        new.warm_started(stranger)
    for path, value in new.values().items():
        np.testing.assert_array_equal(value, first[path])


def test_mirrored_variables_are_given_on_every_replica(old, begin, data_dir, two):
    strategy = two.strategy
    with strategy.scope():
        new = begin(("look_tiny",))
        new.warm_started(old.folder)
    for path, variable in new.variables.items():
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_array_equal(copy, old.variables[path])
    assert set(new.optimizer.get_state().values()) == {3}


def test_a_trainer_begins_with_another_run_and_leaves_frozen_parts_as_they_are(
    old, tmp_path, caplog
):
    config = dataclasses.replace(
        old.evaluator.config,
        problems=[PROBLEMS["again_tiny"]],
        output_dir=tmp_path / "run",
        train_steps=2,
        evaluate_at_end=False,
        local_eval_frequency=0,
        warm_start_from=old.folder,
        freeze=("encoder/*,image_3",),
    )
    their_slots = old.slots()
    with caplog.at_level(logging.INFO), contextlib.closing(Trainer(config)) as trainer:
        assert trainer.step == 0
        trainer.train()
        variables = variables_by_path(trainer.model.trainable_variables)
        trained = set()
        for path, variable in variables.items():
            count = trainer.optimizer.get_state()[path]
            if _part(path) in ("encoder", "image_3"):
                np.testing.assert_array_equal(variable, old.variables[path])
                for slot in (f"{path}/m", f"{path}/v"):
                    np.testing.assert_array_equal(
                        trainer.optimizer.slots[slot], their_slots[slot]
                    )
                assert count == 3
            else:
                assert count == (2 if _part(path) == "label_again_tiny" else 5), path
                trained.add(_part(path))
    assert trained == {"categorical", "label_again_tiny"}
    said = caplog.text
    assert f"warm start from {old.folder}" in said
    assert "frozen: " in said and "trained: " in said
    caplog.clear()
    # Once more: the run has a checkpoint of its own.
    with caplog.at_level(logging.INFO), contextlib.closing(Trainer(config)) as trainer:
        assert trainer.step == 2
    assert "the run goes on from step 2" in caplog.text
    assert "warm start from" not in caplog.text
