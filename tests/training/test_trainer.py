"""A run from its first step to its last: files, evaluations, refusals, resuming."""

import contextlib
import json
import shutil

import numpy as np
import pytest

from t2t_multimodel.data import manifest
from t2t_multimodel.data.features import ClassLabel
from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.training import trainer as trainer_module
from t2t_multimodel.training.bad_steps import NotFiniteError
from t2t_multimodel.training.checkpoint import checkpoint_steps
from t2t_multimodel.training.metrics_log import read_metrics
from t2t_multimodel.training.run_config import RunConfig
from t2t_multimodel.training.trainer import Trainer
from tests.decoding import tiny_run

HPARAMS = f"{tiny_run.HPARAMS},problem_choice=distributed,learning_rate=5.0"
METRICS = ("neg_log_perplexity", "accuracy", "accuracy_top5", "accuracy_per_sequence")


class Again(tiny_run.Look):
    """The pictures of `look_tiny` as a problem of its own."""

    name = "again_tiny"
    data_name = "look_tiny"


class Renamed(Again):
    """The same with another number of classes."""

    targets = ClassLabel(names=(*tiny_run.COLOURS, "black and white"))


def problems(*names):
    found = {p.name: p for p in (*tiny_run.problems(), Again())}
    return [found[name] for name in names]


BOTH = ("look_tiny", "again_tiny")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("trainer") / "data"
    tiny_run.write_data(data_dir)
    return data_dir


@pytest.fixture
def make(data_dir, tmp_path):
    """Returns a function that makes a trainer of a picture problem, without experts."""
    made = []

    def make(chosen=("look_tiny",), hparams="", **changes):
        config = {
            "problems": problems(*chosen),
            "hparams": make_hparams("multimodel_tiny", HPARAMS)
            .override("use_moe=false")
            .override(hparams),
            "data_dir": data_dir,
            "output_dir": tmp_path / "run",
            "train_steps": 4,
            "evaluate_at_end": False,
            "local_eval_frequency": 0,
            "eval_split": "test",
        }
        for trainer in made:  # which may hold the same folder
            trainer.close()
        made.append(Trainer(RunConfig(**config | changes)))
        return made[-1]

    yield make
    for trainer in made:
        trainer.close()


def weights(trainer):
    return [variable.numpy() for variable in trainer.model.trainable_variables]


def slots(trainer):
    return [slot.numpy() for slot in trainer.optimizer.slots.values()]


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def lines(trainer):
    return list(read_metrics(trainer.config.output_dir))


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """A run of a text and a picture problem, four steps, evaluated twice."""
    config = RunConfig(
        problems=problems("parse_tiny", "look_tiny"),
        hparams=make_hparams("multimodel_tiny", HPARAMS),
        data_dir=data_dir,
        output_dir=tmp_path_factory.mktemp("finished") / "run",
        train_steps=4,
        local_eval_frequency=3,
        save_checkpoints_steps=1,
        keep_checkpoint_max=2,
        eval_split="test",
        num_parallel_problems=2,
    )
    calls = []

    def decode_scores(model, run):
        calls.append((model, run))
        return {("parse_tiny", "correct_trees"): 0.5, ("look_tiny", "top1"): 0.25}

    with contextlib.closing(Trainer(config, decode_scores)) as trainer:
        trainer.train()
        assert calls == [(trainer.model, trainer.run)] * 2
        yield trainer


def test_every_step_and_evaluation_is_in_the_log(finished):
    records = lines(finished)
    trained = [r for r in records if r.split == "train"]
    assert [(r.step, r.problem) for r in trained] == [
        (step, name) for step in (1, 2, 3, 4) for name in ("parse_tiny", "look_tiny")
    ]
    assert {r.metric for r in trained} == {"loss"}
    assert all(0 < r.value < 20 for r in trained)
    evaluated = [r for r in records if r.split != "train"]
    assert {r.split for r in evaluated} == {"test"}
    wanted = {
        (step, name, metric + end)
        for step in (3, 4)
        for name in ("parse_tiny", "look_tiny")
        for metric in METRICS
        for end in ("", "_baseline")
    }
    for step in (3, 4):
        wanted |= {(step, "parse_tiny", "correct_trees"), (step, "look_tiny", "top1")}
    assert {(r.step, r.problem, r.metric) for r in evaluated} == wanted
    assert len(evaluated) == len(wanted)


def test_the_run_describes_itself(finished):
    folder = finished.config.output_dir
    hparams = json.loads((folder / "hparams.json").read_text())
    assert hparams["hidden_size"] == 16 and hparams["learning_rate"] == 5.0
    described = json.loads((folder / "problems.json").read_text())
    assert [p["name"] for p in described["problems"]] == ["parse_tiny", "look_tiny"]
    assert described["data_dir"] == str(finished.config.data_dir)
    assert (folder / tiny_run.WORDS.file_name).is_file()


def test_the_newest_checkpoints_are_kept(finished):
    assert checkpoint_steps(finished.config.output_dir) == [3, 4]
    assert not list(finished.config.output_dir.glob("*.partial"))


def wanted_metrics(trainer, problem):
    """Computes a problem's metrics from logits with NumPy."""
    sums, counts = np.zeros(3), 0
    whole = []
    dataset = eval_dataset(problem, trainer.config.data_dir, "test", batch_size=1024)
    for batch in dataset:
        output = trainer.model(batch, problem=problem.name, training=False)
        logits = output.logits.numpy().astype(np.float64)
        targets = batch["targets"].numpy()
        logits -= logits.max(-1, keepdims=True)
        log_probability = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        of_target = np.take_along_axis(log_probability, targets[..., None], -1)[..., 0]
        rank = (logits > np.take_along_axis(logits, targets[..., None], -1)).sum(-1)
        counted = np.ones_like(targets) if targets.ndim == 1 else targets != 0
        sums += [(value * counted).sum() for value in (of_target, rank == 0, rank < 5)]
        counts += counted.sum()
        wrong = ((rank > 0) & (counted > 0)).reshape(len(targets), -1)
        whole.extend(~wrong.any(-1))
    return dict(zip(METRICS, [*(sums / counts), np.mean(whole)], strict=True))


@pytest.mark.parametrize("name", ["parse_tiny", "look_tiny"])
def test_evaluation_is_what_the_logits_say(finished, name):
    problem = finished.run.problem(name)
    wanted = wanted_metrics(finished, problem)
    logged = {
        r.metric: r.value
        for r in lines(finished)
        if (r.step, r.problem, r.split) == (4, name, "test")
    }
    for metric, value in wanted.items():
        assert logged[metric] == pytest.approx(value, rel=1e-4, abs=1e-6), metric


def test_baselines_are_those_of_the_training_targets(finished):
    # Train and test are the same here: labels 0, 3, 3, 5 of six.
    logged = {
        r.metric: r.value
        for r in lines(finished)
        if (r.step, r.problem) == (4, "look_tiny")
    }
    assert logged["accuracy_baseline"] == 0.5
    counts = {0: 2, 3: 3, 5: 2}  # each and one more
    wanted = np.mean([np.log(counts[label] / 10) for label in (0, 3, 3, 5)])
    assert logged["neg_log_perplexity_baseline"] == pytest.approx(wanted)


def test_what_is_said_has_the_baselines_beside(finished):
    said = []
    before = lines(finished)
    finished.evaluate(said.append)
    assert len(said) == 2
    assert said[0].startswith("step 4 test parse_tiny: neg_log_perplexity -")
    assert " (unigram -" in said[0] and "correct_trees 0.5" in said[0]
    assert ", accuracy 0" in said[1] and "(unigram 0.5)" in said[1]
    # The log has it once, however often it is evaluated.
    assert sorted(lines(finished)) == sorted(before)


def test_the_dry_run_updates_nothing(make):
    trainer = make()
    before = weights(trainer), slots(trainer), trainer.choice.get_state()
    reader = trainer.data.readers["look_tiny"].own[0]
    position = reader.get_state()
    trainer.dry_run()
    assert same(weights(trainer), before[0]) and same(slots(trainer), before[1])
    assert trainer.choice.get_state() == before[2]
    assert not any(trainer.optimizer.get_state().values())
    assert reader.get_state() == position
    assert lines(trainer) == []


def test_progress_counts_the_steps_done(make, capsys):
    make(train_steps=3).train()
    steps = [
        line.split()[1]
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("step ")
    ]
    assert (steps[0], steps[-1]) == ("1/3", "3/3")


@pytest.mark.parametrize("mode", ["uniform", "adaptive", "proportional"])
def test_a_run_goes_on_as_if_it_had_not_stopped(make, mode):
    hparams = f"problem_choice={mode}"
    whole = make(BOTH, hparams, train_steps=6, save_checkpoints_steps=3)
    whole.train()
    log = (whole.config.output_dir / "metrics.jsonl").read_bytes()
    assert len(log.splitlines()) == 6  # one problem a step
    shutil.rmtree(whole.config.output_dir / "model.ckpt-6")
    resumed = make(BOTH, hparams, train_steps=6, save_checkpoints_steps=3)
    assert resumed.step == 3
    resumed.train()
    assert same(weights(resumed), weights(whole))
    assert same(slots(resumed), slots(whole))
    assert resumed.choice.get_state() == whole.choice.get_state()
    assert (whole.config.output_dir / "metrics.jsonl").read_bytes() == log


def test_adaptive_choice_learns_the_total_loss(make):
    trainer = make(hparams="problem_choice=adaptive,use_moe=true,moe_loss_coef=1000.0")
    trainer.train()
    averages = {"look_tiny": 100.0}
    for record in lines(trainer):
        averages[record.problem] = 0.9 * averages[record.problem] + 0.1 * record.value
    # The balance loss, a thousand times as heavy, is no part of what is logged.
    learned = trainer.choice.get_state()
    assert sum(learned.values()) > sum(averages.values()) + 1


def test_an_evaluation_that_was_missed_is_made_up_for(make):
    arguments = {"train_steps": 2, "local_eval_frequency": 2, "evaluate_at_end": True}
    whole = make(**arguments)
    whole.train()
    file = whole.config.output_dir / "metrics.jsonl"
    log = file.read_bytes()
    # Killed after the checkpoint, before the evaluation was on the disk.
    kept = [line for line in log.splitlines(True) if b'"train"' in line]
    file.write_bytes(b"".join(kept))
    make(**arguments).train()
    assert file.read_bytes() == log
    make(**arguments).train()
    assert file.read_bytes() == log


def test_a_loss_that_is_not_finite_stops_the_run(make):
    trainer = make(train_steps=3, save_checkpoints_steps=2)
    trainer.train()
    poisoned = make(train_steps=5, max_bad_steps=1)
    (variable,) = (
        v for v in poisoned.model.trainable_variables if "look_tiny/kernel" in v.path
    )
    variable.assign(np.full(variable.shape, np.nan))
    before = weights(poisoned)
    with pytest.raises(NotFiniteError) as error:
        poisoned.train()
    message = str(error.value)
    assert message.startswith("the loss of look_tiny is not finite at step 4 in ")
    assert "; look_tiny read record" in message and "--replay=" in message
    assert "the last good checkpoint is step 3. A lower learning_rate" in message
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(weights(poisoned), before, strict=True)
    )
    assert checkpoint_steps(poisoned.config.output_dir) == [2, 3]


def test_an_absurd_learning_rate_leaves_no_bad_checkpoint(make):
    trainer = make(
        hparams="learning_rate=1e38,learning_rate_schedule=none,"
        "learning_rate_warmup_steps=1",
        save_checkpoints_steps=1,
        train_steps=10,
    )
    with pytest.raises(
        NotFiniteError, match="not finite at step .*no checkpoint was saved"
    ):
        trainer.train()
    assert checkpoint_steps(trainer.config.output_dir) == []


def test_a_gradient_that_is_not_finite_names_its_problem(make, monkeypatch):
    trainer = make(BOTH, max_bad_steps=1)
    gradients = trainer.train_step.gradients

    def broken(batches, step):
        result = gradients(batches, step)
        if "again_tiny" in batches and step == 1:
            vector = result.packed[0] * np.inf
            return result._replace(packed=[vector, *result.packed[1:]])
        return result

    monkeypatch.setattr(trainer.train_step, "gradients", broken)
    message = (
        "the gradient of again_tiny is not finite at step 2 .* no checkpoint was saved"
    )
    with pytest.raises(NotFiniteError, match=message):
        trainer.train()
    assert trainer.step == 2 and trainer.bad_steps.skipped == 1


def test_a_bad_step_is_passed_over(make, monkeypatch):
    trainer = make(hparams="problem_choice=adaptive", train_steps=3)
    gradients, seen = trainer.train_step.gradients, []

    def broken(batches, step):
        seen.append(weights(trainer))
        result = gradients(batches, step)
        return result._replace(losses={"look_tiny": np.nan}) if step == 1 else result

    monkeypatch.setattr(trainer.train_step, "gradients", broken)
    trainer.train()
    _, *seen = seen  # without the dry run
    assert not same(seen[0], seen[1]) and same(seen[1], seen[2])
    assert not same(seen[2], weights(trainer))
    assert trainer.step == 3 and np.isfinite(trainer.choice.averages["look_tiny"])
    assert trainer.bad_steps.get_state() == {"skipped": 1, "in_a_row": 0}
    skipped = [r for r in lines(trainer) if r.metric == "skipped_updates"]
    assert [(r.step, r.value) for r in skipped] == [(2, 1)]


def test_another_run_in_the_folder_is_refused(make, finished, tmp_path):
    here = {"output_dir": tmp_path / "copy"}
    shutil.copytree(finished.config.output_dir, here["output_dir"])
    both, moe = ("parse_tiny", "look_tiny"), "use_moe=true"
    with pytest.raises(UserError, match=r"dropout: 0\.1 -> 0\.2.*--output_dir"):
        make(both, f"{moe},dropout=0.2", **here)
    with pytest.raises(UserError, match="parse_tiny-look_tiny -> look_tiny"):
        make(hparams=moe, **here)
    renamed = Renamed()
    renamed.name = "look_tiny"
    with pytest.raises(UserError, match="targets of look_tiny: "):
        make(hparams=moe, **here | {"problems": [problems("parse_tiny")[0], renamed]})
    make(both, moe, **here)


def test_data_is_looked_at_before_the_first_step(make, data_dir, tmp_path):
    with pytest.raises(UserError, match="no dev data of problem 'look_tiny'"):
        make(eval_split="dev", local_eval_frequency=1000)
    with pytest.raises(UserError, match="no data of problem 'look_tiny' in /no"):
        make(data_dir="/no")
    copy = tmp_path / "copy"
    shutil.copytree(data_dir, copy)
    (look,) = problems("look_tiny")
    described = manifest.describe(look, copy, copy, seed=1)
    shard = {"name": "look_tiny-train-00000-of-00001", "bytes": 7}
    splits = {"train": {"shards": [shard], "examples": 4}}
    manifest.write(copy, "look_tiny", described | {"splits": splits, "complete": True})
    with pytest.raises(UserError, match="bytes, it was written with 7; make it again"):
        make(data_dir=copy, output_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_ctrl_c_waits_for_the_step_and_saves(make, monkeypatch):
    class CtrlC(trainer_module.Interruption):
        """Ctrl-C comes in the middle of the third step."""

        def press(self):
            self._interrupt(2, None)

    made = []
    monkeypatch.setattr(
        trainer_module,
        "Interruption",
        lambda **arguments: made.append(CtrlC(**arguments)) or made[0],
    )
    trainer = make(save_checkpoints_steps=100)
    update = trainer.train_step.update

    def update_and_press(result, learning_rate):
        if trainer.step == 2:
            made[0].press()
        return update(result, learning_rate)

    monkeypatch.setattr(trainer.train_step, "update", update_and_press)
    with pytest.raises(KeyboardInterrupt, match="interrupted; .*model.ckpt-3 is saved"):
        trainer.train()
    assert trainer.step == 3
    assert checkpoint_steps(trainer.config.output_dir) == [3]


def test_run_config_refuses_numbers_that_make_no_sense():
    for name, value in (("train_steps", 0), ("eval_steps", -1)):
        with pytest.raises(UserError, match=f"--{name}={value} must"):
            RunConfig(
                problems=[],
                hparams=make_hparams("multimodel_tiny"),
                data_dir="",
                output_dir="",
                **{name: value},
            )
