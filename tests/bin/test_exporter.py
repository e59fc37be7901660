"""The exporter program, from the command line to what it writes."""

import json
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

from t2t_multimodel.bin.t2t_mm_exporter import main


@pytest.fixture(scope="module")
def output_dir(shared_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "run"
    return shutil.copytree(shared_run.output_dir, folder)


def test_help_answers_without_tensorflow():
    code = (
        "import sys\n"
        "from t2t_multimodel.bin.t2t_mm_exporter import main\n"
        "status = main(['--help'])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--export_dir" in done.stdout


def test_chosen_problems_are_written_as_the_next_version(output_dir, capsys, tmp_path):
    status = main(
        [
            f"--output_dir={output_dir}",
            f"--export_dir={tmp_path}",
            "--problems=look_tiny",
            f"--checkpoint_path={output_dir / 'model.ckpt-7'}",
            "--decode_hparams=extra_length=20",
        ]
    )
    assert status == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / '1'}: look_tiny at step 7, ")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    described = json.loads((tmp_path / "1" / "assets" / "export.json").read_text())
    assert described["decode_hparams"]["extra_length"] == 20
    assert "batch_size" not in described["decode_hparams"]
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    assert set(loaded.signatures) == {"look_tiny", "serving_default"}


@pytest.mark.parametrize(
    "flags,message",
    [
        (["--problems=lok_tiny"], "did you mean 'look_tiny'"),
        (["--problems=look_tiny-look_tiny"], "names look_tiny more than once"),
        (["--decode_hparams=batch_size=3"], "batch_size is not of an export: req"),
        (["--decode_hparams=extra_length=-1"], "must not be negative"),
        (["--checkpoint_path=/no"], "/no is no checkpoint"),
        (["--export_dir=/dev/null"], "/dev/null is not a folder"),
        (["--dir=/x"], "Unknown command line flag 'dir'"),
    ],
)
def test_mistakes_are_answered_with_one_line(output_dir, capsys, flags, message):
    assert main([f"--output_dir={output_dir}", *flags]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("t2t-mm-exporter: ")
    assert message in last
    assert not (output_dir / "export").exists()


def test_the_run_must_be_given_and_be_there(tmp_path, capsys):
    assert main([]) == 2
    assert "--output_dir is missing" in capsys.readouterr().err
    assert main([f"--output_dir={tmp_path}"]) == 2
    assert "holds no run (there is no problems.json)" in capsys.readouterr().err
