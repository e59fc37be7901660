"""t2t-mm-datagen: answers at once, one line for a mistake, data where it says."""

import subprocess
import sys

import pytest

from t2t_multimodel import exit_status
from t2t_multimodel.bin import t2t_mm_datagen
from t2t_multimodel.data import manifest
from t2t_multimodel.problems import make_problems

pytestmark = pytest.mark.usefixtures("leave_the_environment")


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
        (["--skip_bad_examples=-1"], "skip_bad_examples"),
        (["--problems=image_mini", "--check", "--show=1"], "--check or --show, not"),
        (["mini8"], "unexpected argument 'mini8'"),
        (["--t2t_usr_dir=/none"], "--t2t_usr_dir=/none is not a Python package"),
        (["--problem_file=/none.toml"], "cannot read /none.toml"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, argv, message):
    status, out, err = run(capsys, *argv)
    assert status == exit_status.USER_ERROR
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


def declare(tmp_path, inputs, targets="one\ntwo\nthree\nfour\n"):
    """Declares a problem over two files; returns the flags that make it."""
    (tmp_path / "a.en").write_bytes(inputs)
    (tmp_path / "a.de").write_text(targets)
    (tmp_path / "mine.toml").write_text(
        '[[problem]]\nname = "mine"\nkind = "text_pairs"\nvocabulary = "bytes"\n'
        'inputs_space = "generic"\ntargets_space = "generic"\n'
        'train = {inputs = "a.en", targets = "a.de"}\n'
        'dev = {from = "train", every = 4}\n'
    )
    return (
        f"--problem_file={tmp_path / 'mine.toml'}",
        "--problems=mine",
        f"--data_dir={tmp_path / 'data'}",
        f"--tmp_dir={tmp_path / 'tmp'}",
        "--num_concurrent_processes=1",
    )


def test_bad_examples_stop_the_program_or_are_skipped(capsys, tmp_path):
    argv = declare(tmp_path, b"one\ntwo\n\xff\nfour\n")
    status, out, err = run(capsys, *argv)
    assert status == exit_status.USER_ERROR
    assert f"{tmp_path / 'a.en'}:3" in err
    assert "--skip_bad_examples=N" in err
    assert err.count("\n") == 1
    assert not list((tmp_path / "data").glob("mine-train-*"))
    status, out, err = run(capsys, *argv, "--skip_bad_examples=1")
    assert (status, err) == (0, "")
    assert "mine train: skipped example 1: " in out
    splits = manifest.read(tmp_path / "data", "mine")["splits"]
    assert splits["train"]["examples"] == 2
    assert [s["example"] for s in splits["train"]["skipped"]] == [1]


def test_check_tells_what_is_there_and_writes_nothing(capsys, tmp_path):
    before = set(tmp_path.iterdir())
    status, out, err = run(
        capsys,
        "--check",
        "--problems=translate_ende_mini-translate_ende_mini_rev",
        f"--tmp_dir={tmp_path / 'tmp'}",
        f"--data_dir={tmp_path / 'data'}",
    )
    assert (status, err) == (0, "")
    assert "translate_ende_mini: complete\n" in out
    assert "train: 12,000 examples" in out
    assert "mini_rev: complete, made from the same as translate_ende_mini\n" in out
    assert set(tmp_path.iterdir()) == before


def test_check_ends_with_1_if_something_is_missing(capsys, tmp_path):
    status, out, err = run(
        capsys,
        "--check",
        "--problems=translate_ende_wmt8k-image_mini",
        f"--tmp_dir={tmp_path}",
    )
    assert (status, err) == (t2t_mm_datagen.EXIT_NOT_COMPLETE, "")
    assert "translate_ende_wmt8k: NOT COMPLETE" in out
    assert f"MISSING: there is no {tmp_path / 'wmt_ende' / 'train'}" in out
    assert "https://www.statmt.org/wmt14" in out
    assert "TFDS has 4,508,785 pairs" in out
    assert "image_mini: complete" in out


def test_show_prints_prepared_examples(capsys, tmp_path):
    from t2t_multimodel.data.encoded_images import image_format

    status, out, err = run(
        capsys,
        "--show=2",
        "--problems=parsing_mini_tokens-image_mini-audio_mini_tokens",
        f"--tmp_dir={tmp_path / 'tmp'}",
        f"--show_dir={tmp_path / 'shown'}",
    )
    assert (status, err) == (0, "")
    for part in (
        "parsing_mini_tokens, train example 2 (",
        "inputs: english_tokens, ",
        " sub-words of vocab.mini.512 and the end mark",
        "    [",
        "    TOP\n    └─ S\n",
        "inputs: picture of 64 x 64 pixels, 3 channels",
        " of 8, '",
        " frames, 32 bins, ",
    ):
        assert part in out, part
    pictures = sorted((tmp_path / "shown").iterdir())
    assert [path.name for path in pictures] == [
        f"{name}.{number}.inputs.png"
        for name in ("audio_mini_tokens", "image_mini")
        for number in (0, 1)
    ]
    assert {image_format(path.read_bytes()) for path in pictures} == {"png"}


def test_show_reads_the_data_folder_where_it_is_complete(capsys, tmp_path):
    argv = declare(tmp_path, b"eins\nzwei\ndrei\nvier\n")
    assert run(capsys, *argv)[0] == 0
    before = {p: p.read_bytes() for p in (tmp_path / "data").iterdir() if p.is_file()}
    # If they were read again, the sources would be told to be broken.
    (tmp_path / "a.en").write_bytes(b"eins\n")
    status, out, err = run(capsys, *argv, "--show=2")
    assert (status, err) == (0, "")
    assert out.count("mine, train example") == 2
    assert " bytes and the end mark" in out
    after = {p: p.read_bytes() for p in (tmp_path / "data").iterdir() if p.is_file()}
    assert after == before
