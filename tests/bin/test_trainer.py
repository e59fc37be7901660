"""The trainer program: flags, messages, data first, and a run that was killed."""

import functools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.bin.t2t_mm_trainer import main
from t2t_multimodel.data import generate, manifest
from t2t_multimodel.problems import make_problem
from t2t_multimodel.training.checkpoint import checkpoint_path, checkpoint_steps
from tests.registered_problems import new_ones_forgotten

ROOT = pathlib.Path(__file__).parents[2]
PROBLEM_FILE = """
[[problem]]
name = "tiny_text"
kind = "text_pairs"
inputs_space = "english_tokens"
targets_space = "german_tokens"
vocabulary = {name = "tiny", size = 60}
train = {inputs = "in.txt", targets = "out.txt"}
dev = {from = "train", every = 5}
num_shards = 1
also_reversed = true

[[problem]]
name = "tiny_look"
kind = "image_folder"
image_size = [16, 16]
train = "pictures"
dev = {from = "train", every = 4}
num_shards = 1
"""
HPARAMS = (
    "batch_size=32,hidden_size=16,num_heads=4,num_encoder_blocks=1,"
    "num_mixer_blocks=1,num_decoder_blocks=1,moe_num_experts=4,moe_hidden_size=8,"
    "large_kernel_size=3,large_kernel_dilation=2,image_stem_filters=(4,4),"
    "image_filters=(6,),categorical_filters=(8,12,16),dropout=0.3,"
    "attention_dropout=0.2,problem_choice=distributed,learning_rate=5.0"
)
NUM_STEPS = 40


pytestmark = pytest.mark.usefixtures("forget_new_problems")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A problem file and what it is about."""
    folder = tmp_path_factory.mktemp("trainer")
    (folder / "tiny.toml").write_text(PROBLEM_FILE)
    words = "red green blue cat dog mat sat ran saw the".split()
    generator = random.Random(1)
    sentences = [generator.choices(words, k=generator.randint(2, 6)) for _ in range(40)]
    for name, order in (("in.txt", 1), ("out.txt", -1)):
        lines = "".join(f"{' '.join(words[::order])}\n" for words in sentences)
        (folder / name).write_text(lines)
    pixels = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            picture = pixels.integers(0, 256, (16, 16, 3)).astype("uint8")
            file = folder / "pictures" / name / f"{number}.png"
            file.write_bytes(tf.io.encode_png(picture).numpy())
    return folder


def flags(folder, output_dir):
    return [
        "--problems=tiny_text-tiny_look",
        f"--problem_file={folder / 'tiny.toml'}",
        f"--data_dir={folder / 'data'}",
        f"--output_dir={output_dir}",
        "--hparams_set=multimodel_tiny",
        f"--hparams={HPARAMS}",
    ]


@pytest.fixture(scope="module")
def with_data(folder):
    """The folder, after the trainer was told to generate the data itself."""
    one_process = functools.partial(generate.generate, num_processes=1)
    with pytest.MonkeyPatch.context() as patch, new_ones_forgotten():
        patch.setattr(generate, "generate", one_process)
        status = main(
            [*flags(folder, folder / "no"), "--generate_data", "--schedule=evaluate"]
        )
    assert status == 2  # there is nothing to evaluate
    return folder


def test_help_answers_without_tensorflow():
    code = (
        "import sys\n"
        "from t2t_multimodel.bin.t2t_mm_trainer import main\n"
        "status = main(['--help'])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--decode_eval_examples" in done.stdout
    assert "A run that was stopped or killed goes on" in done.stdout


@pytest.mark.parametrize("missing", ["problems", "hparams_set", "data_dir"])
def test_a_missing_flag_is_named(folder, capsys, missing):
    given = [f for f in flags(folder, "run") if not f.startswith(f"--{missing}=")]
    assert main(given) == 2
    message = f"t2t-mm-trainer: --{missing} is missing; see --help, and --registry_help"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags,message",
    [
        (["--problems=tiny_txt"], "did you mean 'tiny_text'"),
        (["--problems=mini9"], "did you mean 'mini8'"),
        (["--problems=tiny_look-tiny_look"], "tiny_look"),
        (["--hparams_set=multimodel_tin"], "did you mean 'multimodel_tiny"),
        (["--hparams=hiden_size=8"], "did you mean 'hidden_size'?"),
        (["--hparams=dropout=1.5"], "dropout=1.5 must be in [0, 1)"),
        (["--hparams=moe_k"], "does not read as name=value"),
        (["--train_steps=0"], "--train_steps=0 must be positive"),
        (["--eval_steps=-1"], "--eval_steps=-1 must not be negative"),
        (["--decode_eval_examples=-1"], "decode_eval_examples"),
        (["--schedule=local_run"], "T2T's local_run is now train_and_evaluate"),
        (["--problem_file=no.toml"], "no.toml"),
        (["--model=multi_model"], "T2T's --model is left out: there is one model"),
        (["train"], "unexpected argument 'train'"),
    ],
)
def test_mistakes_are_answered_with_one_line(capsys, flags_of, flags, message):
    assert main([*flags_of, *flags]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("t2t-mm-trainer: ")
    assert message in line


@pytest.fixture
def flags_of(folder, tmp_path):
    return flags(folder, tmp_path / "run")


def test_data_is_generated_first_when_asked(with_data):
    for name in ("tiny_text", "tiny_look"):
        described = json.loads(
            (with_data / "data" / f"{name}.manifest.json").read_text()
        )
        assert described["complete"] and set(described["splits"]) == {"train", "dev"}
    assert not (with_data / "no").exists()


def test_to_evaluate_there_must_be_a_checkpoint(with_data, capsys, tmp_path):
    assert main([*flags(with_data, tmp_path / "run"), "--schedule=evaluate"]) == 2
    assert f"{tmp_path / 'run'} has no checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_missing_data_is_told_with_the_command_to_make_it(folder, capsys, tmp_path):
    given = flags(folder, tmp_path / "run")
    given[2] = f"--data_dir={tmp_path}"
    assert main([*given, "--schedule=train"]) == 2
    error = capsys.readouterr().err
    assert "no data of problem 'tiny_text'" in error and "t2t-mm-datagen" in error


class Runs:
    """Training runs in processes of their own."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, output_dir, **changes):
        changes = {"decode_eval_examples": 1, **changes}
        program = [sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_trainer"]
        given = [
            *flags(self.folder, output_dir),
            f"--train_steps={NUM_STEPS}",
            "--save_checkpoints_steps=5",
            "--local_eval_frequency=15",
            "--eval_steps=1",
            *(f"--{name}={value}" for name, value in changes.items()),
        ]
        with (output_dir.parent / f"{output_dir.name}.err").open("ab") as errors:
            return subprocess.Popen(
                [*program, *given],
                cwd=ROOT,
                stdout=errors,
                stderr=errors,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )

    def finish(self, output_dir, **changes):
        """Runs to the end; returns the seconds since the first checkpoint."""
        process = self.start(output_dir, **changes)
        self.await_checkpoint(process, output_dir)
        began = time.monotonic()
        self.expect(process, output_dir, 0)
        return time.monotonic() - began

    def await_checkpoint(self, process, output_dir):
        before = checkpoint_steps(output_dir)
        while process.poll() is None and checkpoint_steps(output_dir) == before:
            time.sleep(0.01)

    def expect(self, process, output_dir, status):
        found = process.wait(timeout=300)
        text = (output_dir.parent / f"{output_dir.name}.err").read_text()
        assert found == status, text[-3000:]
        return text


def assert_same_end(output_dir, whole_dir):
    """Holds all that a run leaves against that of a run that was not disturbed."""
    assert checkpoint_steps(output_dir) == checkpoint_steps(whole_dir)
    got, want = (checkpoint_path(d, NUM_STEPS) for d in (output_dir, whole_dir))
    readers = [
        tf.train.load_checkpoint(str(path / "variables")) for path in (got, want)
    ]
    shapes = readers[1].get_variable_to_shape_map()
    assert readers[0].get_variable_to_shape_map() == shapes
    assert any(name.startswith("optimizer/") for name in shapes)
    for name in shapes:
        values = [reader.get_tensor(name) for reader in readers]
        np.testing.assert_array_equal(*values, name)
    states = [(path / "checkpoint.json").read_text() for path in (got, want)]
    assert states[0] == states[1]
    logs = [(d / "metrics.jsonl").read_text() for d in (output_dir, whole_dir)]
    assert logs[0] == logs[1]


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
def test_a_run_killed_ten_times_ends_as_one_that_was_not(with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    generator = random.Random(4)
    for _ in range(10):
        process = runs.start(output_dir)
        if generator.random() < 0.6:
            runs.await_checkpoint(process, output_dir)
            time.sleep(generator.uniform(0, 0.2 * whole[1]))
        else:  # in the middle of starting, or of restoring
            time.sleep(generator.uniform(0, 15))
        process.send_signal(signal.SIGKILL)
        process.wait()
    runs.finish(output_dir)
    assert_same_end(output_dir, whole[0])


@pytest.mark.slow
def test_ctrl_c_saves_and_the_run_goes_on(with_data, whole, tmp_path):
    runs, output_dir = Runs(with_data), tmp_path / "run"
    process = runs.start(output_dir)
    runs.await_checkpoint(process, output_dir)
    process.send_signal(signal.SIGINT)
    text = runs.expect(process, output_dir, 130)
    last = checkpoint_steps(output_dir)[-1]
    assert text.splitlines()[-1] == (
        f"t2t-mm-trainer: interrupted; {checkpoint_path(output_dir, last)} is saved, "
        "and the same command goes on from it"
    )
    runs.finish(output_dir)
    if last % 5:
        (checkpoint_path(output_dir, last)).rename(tmp_path / "besides")
    assert_same_end(output_dir, whole[0])


def test_the_problems_of_the_file_are_registered(with_data, capsys):
    assert main([f"--problem_file={with_data / 'tiny.toml'}", "--registry_help"]) == 0
    assert "tiny_text_rev" in capsys.readouterr().out
    manifest.check_ready([make_problem("tiny_look")], with_data / "data")
