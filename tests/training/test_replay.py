"""A bad step ends a run, and can be computed again from its file."""

import json
import math
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.bin import replayed_step
from t2t_multimodel.data.train_reader import ReaderGroup, TrainReader
from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.training.bad_steps import BadSteps, NotFiniteError
from t2t_multimodel.training.checkpoint import write_weights
from t2t_multimodel.training.metrics_log import MetricsLog, read_metrics
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.problem_gradients import ProblemGradients
from t2t_multimodel.training.replay import replay, replay_lines
from t2t_multimodel.training.replay_file import ReplayWriter, read_bad_step
from t2t_multimodel.training.run_directory import read_run, write_run
from t2t_multimodel.training.step import TrainStep
from tests.decoding import tiny_run

NAMES = ["hum_tiny", "listen_tiny"]
SEED = 5
POISONED = 1  # record number of the sound that is not finite
HPARAMS = (
    f"{tiny_run.HPARAMS},use_moe=false,learning_rate=1.0,batch_size=512,"
    "problem_choice=distributed"
)


class Hum(tiny_run.Listen):
    """The same sounds as a problem of its own."""

    name = "hum_tiny"


def write_data(data_dir):
    """Makes a sample of one sound infinite, as broken preparation may."""
    tiny_run.write_data(data_dir)
    for path in data_dir.glob("listen_tiny-*"):
        shutil.copy(path, data_dir / path.name.replace("listen", "hum"))
    path = next(data_dir.glob("listen_tiny-train-*"))
    examples = [
        tf.train.Example.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    examples[POISONED].features.feature["inputs"].float_list.value[3] = math.inf
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())


class Loop:
    """What the trainer does with bad steps, and no more."""

    def __init__(self, data_dir, output_dir, limit=1):
        problems = [Hum(), *(p for p in tiny_run.problems() if p.name in NAMES)]
        self.hparams = make_hparams("multimodel_tiny", HPARAMS)
        write_run(output_dir, problems, self.hparams, data_dir=data_dir)
        self.run = read_run(output_dir)
        self.model = make_model(self.run.specs(), self.hparams, seed=SEED)
        self.readers = {
            p.name: TrainReader(
                p,
                data_dir,
                batch_size=self.hparams.batch_size,
                max_length=self.hparams.max_length,
                seed=SEED,
            )
            for p in problems
        }
        gradients = ProblemGradients(
            self.model,
            self.hparams,
            element_specs={n: r.element_spec for n, r in self.readers.items()},
            loss_multipliers={p.name: p.loss_multiplier for p in problems},
        )
        optimizer = Adam(variables_by_path(self.model.trainable_variables))
        self.train_step = TrainStep(gradients, optimizer, seed=SEED)
        self.log = MetricsLog(output_dir / "metrics.jsonl")
        self.bad_steps = BadSteps(
            limit,
            log=self.log,
            replay=ReplayWriter(
                output_dir,
                data_dir=data_dir,
                model=self.model,
                readers={n: ReaderGroup(1, {0: r}) for n, r in self.readers.items()},
                random_seed=SEED,
            ),
            last_checkpoint=lambda: None,
        )
        self.said, self.outcomes = [], []

    def run_steps(self, count):
        for step in range(1, count + 1):
            batches = {name: next(reader) for name, reader in self.readers.items()}
            outcome = self.train_step.run(NAMES, [batches], step - 1, 1e-3)
            self.outcomes.append(outcome)
            self.bad_steps.record(step, outcome, self.said.append)

    def close(self):
        self.log.close()
        self.train_step.close()
        for reader in self.readers.values():
            reader.close()


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A loop that a poisoned sound has ended at its third step."""
    folder = tmp_path_factory.mktemp("replay")
    write_data(folder / "data")
    loop = Loop(folder / "data", folder / "run")
    try:
        with pytest.raises(NotFiniteError) as error:
            loop.run_steps(3)
        loop.folder, loop.message = folder, str(error.value)
        yield loop
    finally:
        loop.close()


@pytest.fixture
def copied(ended, tmp_path):
    """Returns a copy of the run and its data, and the file of its bad step."""
    shutil.copytree(ended.folder / "data", tmp_path / "moved")
    shutil.copytree(ended.folder / "run", tmp_path / "run")
    return tmp_path, tmp_path / "run" / "bad_step-3.json"


def only(path, problem):
    """Leaves the batch of one problem alone in a file, which is then faster."""
    content = json.loads(path.read_text())
    content["batches"] = [b for b in content["batches"] if b["problem"] == problem]
    path.write_text(json.dumps(content))


def test_the_end_names_problem_step_records_and_file(ended):
    run = ended.folder / "run"
    assert ended.message.startswith(
        f"the loss of listen_tiny is not finite at step 3 in {run}; listen_tiny read "
        "records 1, 1 of listen_tiny-train-00000-of-00001; t2t-mm-trainer "
        f"--replay={run}/bad_step-3.json computes it again; no checkpoint was "
        "saved. A lower"
    )
    assert ended.said == [
        "step 3 is skipped: the loss of listen_tiny is not finite (1 in a row, "
        "training ends after 1)"
    ]
    assert [line[:4] for line in read_metrics(run)] == [
        (3, "", "train", "skipped_updates")
    ]


def test_the_file_has_the_batches_by_their_records(ended):
    bad_step = read_bad_step(ended.folder / "run" / "bad_step-3.json")
    assert bad_step.not_finite == {"listen_tiny": "loss"}
    assert math.isnan(bad_step.losses["listen_tiny"])
    (hum, listen) = bad_step.batches
    assert (hum.problem, listen.problem) == tuple(NAMES)
    assert set(listen.planned.numbers) == {POISONED}
    place = listen.places[0]
    # The length of a record stands where the record begins.
    with place.path.open("rb") as file:
        file.seek(place.byte_offset)
        length = int.from_bytes(file.read(8), "little")
    records = list(tf.data.TFRecordDataset(str(place.path)).as_numpy_iterator())
    assert length == len(records[place.record]) and place.record == POISONED


def test_the_step_is_computed_again_to_the_last_digit(ended, copied):
    folder, file = copied
    replayed = replay(file, folder / "moved")
    assert [result.batch.problem for result in replayed.batches] == NAMES
    hum, listen = replayed.batches
    assert hum.loss == ended.outcomes[2].losses["hum_tiny"]
    assert (hum.is_finite, listen.is_finite) == (True, False)
    assert (hum.bad_gradients, hum.bad_inputs, hum.origin) == ([], [], "")
    assert listen.bad_inputs == ["inputs"]
    said = replay_lines(replayed)
    assert [line.split()[0] for line in said[:3]] == ["problem", *NAMES]
    assert said[1].endswith("finite  -")
    assert "  the batch itself (inputs); the loss; the gradients of " in said[2]
    assert said[3] == "step 3: not finite again in listen_tiny"
    assert "step 3: not reproduced" in replay_lines(replayed._replace(batches=[hum]))[2]


@pytest.mark.slow
def test_what_is_finite_now_is_not_reproduced(copied, capsys):
    folder, file = copied
    only(file, "hum_tiny")
    assert replayed_step.show(str(file), str(folder / "moved")) == 0
    said = capsys.readouterr().out
    assert "step 3: not reproduced, every loss and gradient is finite" in said


def test_the_layer_where_it_begins_is_named(ended, copied, capsys):
    folder, file = copied
    only(file, "hum_tiny")
    weights = {p: w.numpy() for p, w in variables_by_path(ended.model.weights).items()}
    name = "multimodel/encoder/block_0/step_1/conv"
    weights[f"{name}/pointwise"][2, 3] = np.nan
    write_weights(file.with_suffix(""), 3, weights)
    assert replayed_step.show(str(file), str(folder / "moved")) == 1
    line = capsys.readouterr().out.splitlines()[1]
    assert f"the loss; first in {name} (" in line
    assert "; the gradients of multimodel/" in line and line.endswith(" more")


def test_other_data_is_refused(copied):
    folder, file = copied
    content = json.loads(file.read_text())
    content["batches"][0]["places"][0][2] += 1
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="hum_tiny is not what .* give the --data_dir"):
        replay(file, folder / "moved")
    with pytest.raises(UserError, match="no train data of problem 'hum_tiny' in /no"):
        replay(file, "/no")


def test_a_file_that_is_none_is_refused(copied, tmp_path):
    _, file = copied
    with pytest.raises(UserError, match="expected bad_step-<step>.json"):
        replay(tmp_path / "run" / "metrics.jsonl")
    with pytest.raises(UserError, match="bad_step-4.json is missing"):
        replay(file.with_name("bad_step-4.json"))
    for text, told in (("{", "is not JSON"), ('{"format_version": 7}', "version 7")):
        file.write_text(text)
        with pytest.raises(UserError, match=told):
            replay(file)


def test_every_worker_tells_of_its_own_batches(ended, tmp_path):
    outcome, kinds = ended.outcomes[2], {"listen_tiny": "loss"}
    written = []
    for worker, name in enumerate(NAMES):
        readers = dict.fromkeys(NAMES, ReaderGroup(1, {}))
        readers[name] = ReaderGroup(2, {worker: ended.readers[name]})
        writer = ReplayWriter(
            tmp_path,
            data_dir=ended.folder / "data",
            model=ended.model,
            readers=readers,
            random_seed=SEED,
            frozen=frozenset({"multimodel/command_table"}),
            worker=worker,
            num_workers=2,
        )
        written.append(writer.write(3, outcome, kinds))
        if worker == 0:
            with pytest.raises(UserError, match="bad_step-3.worker-1.json is missing"):
                read_bad_step(tmp_path / "bad_step-3.json")
    assert [[batch.problem for batch in w.batches] for w in written] == [
        ["hum_tiny"],
        ["listen_tiny"],
    ]
    file = tmp_path / "bad_step-3.json"
    told = f"t2t-mm-trainer --replay={file} computes it again"
    assert {w.told for w in written} == {told}
    for path in (file, tmp_path / "bad_step-3.worker-1.json"):
        bad_step = read_bad_step(path)
        assert [(b.problem, b.reader) for b in bad_step.batches] == [
            ("hum_tiny", 0),
            ("listen_tiny", 1),
        ]
        assert bad_step.frozen == {"multimodel/command_table"}
        assert (bad_step.weights / "checkpoint.json").exists()
    assert sorted(p.name for p in tmp_path.glob("bad_step*")) == [
        "bad_step-3",
        "bad_step-3.json",
        "bad_step-3.worker-1.json",
    ]


def test_a_disk_that_is_full_does_not_hide_the_step(ended, tmp_path):
    writer = ReplayWriter(
        tmp_path / "a file",
        data_dir=ended.folder / "data",
        model=ended.model,
        readers={name: ReaderGroup(1, {}) for name in NAMES},
        random_seed=SEED,
    )
    (tmp_path / "a file").touch()
    told = writer.write(3, ended.outcomes[2], {}).told
    assert "bad_step-3.json could not be written (" in told
