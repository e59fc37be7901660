"""t2t-mm-datagen: answers at once, one line for a mistake, data where it says."""

import subprocess
import sys

import pytest

from t2t_multimodel.bin import command_line, t2t_mm_datagen
from t2t_multimodel.data import manifest
from t2t_multimodel.problems import make_problems
from t2t_multimodel.registry import PROBLEMS


@pytest.fixture(autouse=True)
def leave_the_environment(monkeypatch):
    # The program hides the GPU from its own process.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    before, path = set(PROBLEMS), list(sys.path)
    yield
    for name in set(PROBLEMS) - before:
        PROBLEMS.remove(name)
    sys.path[:] = path


def run(capsys, *argv):
    """Returns exit status, standard output and standard error."""
    status = t2t_mm_datagen.main(argv)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_data_is_written_and_then_left_alone(capsys, tmp_path):
    argv = (
        f"--data_dir={tmp_path}",
        f"--tmp_dir={tmp_path / 'tmp'}",
        "--problems=translate_ende_mini-translate_ende_mini_rev",
        "--max_cases=5",
        "--num_concurrent_processes=1",
    )
    status, out, err = run(capsys, *argv)
    assert (status, err) == (0, "")
    assert "translate_ende_mini train: 5 examples" in out
    manifest.check_ready(
        make_problems("translate_ende_mini-translate_ende_mini_rev"), tmp_path
    )
    status, out, _ = run(capsys, *argv)
    assert status == 0
    assert "nothing to do" in out


def test_only_list_and_prefixes(capsys):
    status, out, _ = run(capsys, "--only_list", "--problem=translate_ende_mini*")
    assert status == 0
    assert out.split() == ["translate_ende_mini", "translate_ende_mini_rev"]
    assert "image_mini" in run(capsys, "--only_list")[1].split()


def test_problems_can_be_left_out_of_what_fits(capsys):
    status, out, _ = run(
        capsys,
        "--only_list",
        "--problems=translate_*",
        "--exclude_problems=translate_en*,translate_frde_mini,translate_frde_w*",
    )
    assert status == 0
    assert out.split() == ["translate_frde_mini_rev"]


def test_the_registry_is_listed_with_a_line_each(capsys):
    status, out, _ = run(capsys, "--registry_help")
    assert status == 0
    for part in (
        "Problems:",
        "Problem groups:\n  mini8",
        "Hparams sets:",
        "image_mini ",
    ):
        assert part in out


def test_help_names_every_flag_and_loads_no_tensorflow():
    code = (
        "import sys\n"
        "from t2t_multimodel.bin import t2t_mm_datagen\n"
        "status = t2t_mm_datagen.main(['--help'])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for flag in t2t_mm_datagen.define_flags():
        assert f"--{flag}" in done.stdout or len(flag) == 1


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--problem=mini"], "no problem or problem group named 'mini'; did you mean"),
        (["--problem=nothing*"], "no problem begins with 'nothing'"),
        ([], "--problems is missing; known: "),
        (["--problems=mini8"], "--data_dir is missing"),
        (["--problems=mini8", "--problem=mini8"], "not both"),
        (["--data_dri=x"], "Unknown command line flag 'data_dri'. Did you mean: data"),
        (["--random_seed=x"], "flag --random_seed=x"),
        (
            ["--problems=image_mini", "--exclude_problems=image*"],
            "--exclude_problems leaves no problem of --problems",
        ),
        (["--problems=mini8", "--exclude_problems=imag"], "no problem or problem grou"),
        (["--num_concurrent_processes=0"], "num_concurrent_processes"),
        (["mini8"], "unexpected argument 'mini8'"),
        (["--t2t_usr_dir=/none"], "--t2t_usr_dir=/none is not a Python package"),
        (["--problem_file=/none.toml"], "cannot read /none.toml"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, argv, message):
    status, out, err = run(capsys, *argv)
    assert status == command_line.EXIT_USER_ERROR
    assert out == ""
    assert err.startswith("t2t-mm-datagen: ")
    assert message in err
    assert err.count("\n") == 1


def test_user_code_registers_problems(capsys, tmp_path):
    package = tmp_path / "my_own_problems"
    package.mkdir()
    (package / "__init__.py").write_text("from my_own_problems import spelling\n")
    (package / "spelling.py").write_text(
        "from t2t_multimodel.data.features import BYTES, Text\n"
        "from t2t_multimodel.data.spaces import SpaceId\n"
        "from t2t_multimodel.problems import Problem\n"
        "from t2t_multimodel.registry import register_problem\n"
        "TEXT = Text(space=SpaceId.GENERIC, vocabulary=BYTES)\n"
        "@register_problem('spelling')\n"
        "class Spelling(Problem):\n"
        "    inputs = targets = TEXT\n"
        "    def examples(self, split, *, tmp_dir, seed):\n"
        "        yield {'inputs': 'a', 'targets': 'b'}\n"
    )
    status, out, err = run(
        capsys,
        f"--t2t_usr_dir={package}",
        "--problems=spelling",
        f"--data_dir={tmp_path / 'data'}",
        f"--tmp_dir={tmp_path / 'tmp'}",
    )
    assert (status, err) == (0, "")
    assert "spelling train: 1 examples" in out


def test_problem_files_declare_problems(capsys, tmp_path):
    (tmp_path / "a.en").write_text("one\ntwo\nthree\n")
    (tmp_path / "mine.toml").write_text(
        '[[problem]]\nname = "mine"\nkind = "text_pairs"\nvocabulary = "bytes"\n'
        'inputs_space = "generic"\ntargets_space = "generic"\n'
        'train = {inputs = "a.en", targets = "a.en"}\n'
        'dev = {from = "train", every = 2}\n'
    )
    status, out, err = run(
        capsys,
        f"--problem_file={tmp_path / 'mine.toml'}",
        "--problems=mine",
        f"--data_dir={tmp_path / 'data'}",
        f"--tmp_dir={tmp_path / 'tmp'}",
        "--num_concurrent_processes=2",
    )
    assert (status, err) == (0, "")
    assert "mine dev: 2 examples" in out
