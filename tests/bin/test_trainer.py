"""The trainer program: flags, messages, data first, and a run that was killed."""

import json
import subprocess
import sys

import pytest

from t2t_multimodel.bin.t2t_mm_trainer import main
from t2t_multimodel.data import manifest
from t2t_multimodel.problems import make_problem
from tests.bin.small_runs import ROOT, flags

pytestmark = pytest.mark.usefixtures("forget_new_problems")


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


def test_the_problems_of_the_file_are_registered(with_data, capsys):
    assert main([f"--problem_file={with_data / 'tiny.toml'}", "--registry_help"]) == 0
    assert "tiny_text_rev" in capsys.readouterr().out
    manifest.check_ready([make_problem("tiny_look")], with_data / "data")
