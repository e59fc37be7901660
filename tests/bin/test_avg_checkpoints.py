"""The averaging program, from the command line to what decodes with its result."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from t2t_multimodel.bin import t2t_mm_decoder
from t2t_multimodel.bin.t2t_mm_avg_checkpoints import main
from t2t_multimodel.training.checkpoint import checkpoint_path, read_weights
from t2t_multimodel.training.checkpoint import write_weights as write


@pytest.fixture(scope="module")
def output_dir(shared_run, tmp_path_factory):
    """A run with checkpoints of the steps 7, 8 and 9; each has other weights."""
    output_dir = tmp_path_factory.mktemp("tiny") / "run"
    shutil.copytree(shared_run.output_dir, output_dir)
    _, weights = read_weights(checkpoint_path(output_dir, 7))
    for step in (8, 9):
        changed = {name: value * step / 7 for name, value in weights.items()}
        write(output_dir, step, changed)
    return output_dir


def averaged(output_dir, folder, *flags):
    """Returns the exit status and the weights of step 9 in the folder."""
    status = main([f"--output_dir={output_dir}", f"--averaged_dir={folder}", *flags])
    return status, read_weights(checkpoint_path(folder, 9))[1]


def test_the_mean_of_the_newest_is_written(output_dir, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    status, mean = averaged(output_dir, folder, "--num_last_checkpoints=2")
    assert status == 0
    assert "the mean of 2 checkpoints (model.ckpt-8, model.ckpt-9)" in (
        capsys.readouterr().out
    )
    _, first = read_weights(checkpoint_path(output_dir, 7))
    assert mean.keys() == first.keys()
    for name, value in mean.items():
        np.testing.assert_allclose(value, first[name] * 8.5 / 7, rtol=1e-6)
        assert value.dtype == first[name].dtype
    assert not list(folder.glob("*.partial"))


def test_checkpoints_may_be_named_by_step_and_by_folder(output_dir, tmp_path):
    named = f"--checkpoints=9, {checkpoint_path(output_dir, 7)}"
    status, mean = averaged(output_dir, tmp_path, named)
    assert status == 0
    _, first = read_weights(checkpoint_path(output_dir, 7))
    for name, value in mean.items():
        np.testing.assert_allclose(value, first[name] * 8 / 7, rtol=1e-6)
    # Again, over what is there.
    status, mean = averaged(output_dir, tmp_path, "--checkpoints=9")
    np.testing.assert_allclose(mean[name], first[name] * 9 / 7, rtol=1e-6)


def test_the_result_is_decoded_as_a_run_or_as_a_checkpoint(
    output_dir, tmp_path, capsys
):
    averaged(output_dir, tmp_path / "avg", "--num_last_checkpoints=3")
    lines = tmp_path / "in"
    lines.write_text("a dog\n")
    decoded = []
    for number, flags in enumerate(
        (
            [f"--output_dir={tmp_path / 'avg'}"],
            [
                f"--output_dir={output_dir}",
                f"--checkpoint_path={tmp_path / 'avg' / 'model.ckpt-9'}",
            ],
        )
    ):
        target = tmp_path / f"out{number}"
        flags += [
            "--problems=translate_tiny",
            f"--decode_from_file={lines}",
            f"--decode_to_file={target}",
        ]
        assert t2t_mm_decoder.main(flags) == 0, capsys.readouterr().err
        decoded.append(target.read_text())
    assert decoded[0] == decoded[1]


@pytest.mark.parametrize(
    "flags,message",
    [
        (["--num_last_checkpoints=4"], "has 3 checkpoints (steps: 7, 8, 9), not 4"),
        ([], "has 3 checkpoints (steps: 7, 8, 9), not 8"),
        (["--num_last_checkpoints=0"], "num_last_checkpoints"),
        (["--checkpoints=7,10"], "model.ckpt-10; steps there are: 7, 8, 9"),
        (["--checkpoints=7,7"], "names 7 twice"),
        (["--checkpoints=,"], "names none"),
        (["--checkpoints=7", "--num_last_checkpoints=1"], "not both"),
    ],
)
def test_mistakes_are_answered_and_nothing_is_written(
    output_dir, tmp_path, capsys, flags, message
):
    folder = tmp_path / "avg"
    assert main([f"--output_dir={output_dir}", f"--averaged_dir={folder}", *flags]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and message in printed.err.splitlines()[-1]
    assert not folder.exists()


def test_the_runs_own_folder_and_other_weights_are_refused(
    output_dir, tmp_path, capsys
):
    flags = [f"--output_dir={output_dir}", "--num_last_checkpoints=1"]
    assert main([*flags, f"--averaged_dir={output_dir}/."]) == 2
    assert "is the run's own folder" in capsys.readouterr().err
    other = write(tmp_path / "other", 3, {"x": np.zeros(2, "float32")})
    flags = [f"--output_dir={output_dir}", f"--checkpoints=7,{other}"]
    assert main([*flags, f"--averaged_dir={tmp_path / 'avg'}"]) == 2
    assert "have not the same weights" in capsys.readouterr().err
    assert main([]) == 2
    assert "--output_dir is missing" in capsys.readouterr().err


def test_help_answers_without_tensorflow():
    code = (
        "import sys\n"
        "from t2t_multimodel.bin.t2t_mm_avg_checkpoints import main\n"
        "status = main(['--help'])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--num_last_checkpoints" in done.stdout
