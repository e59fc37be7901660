"""The decoder program, from the command line to what it prints and writes."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.bin.t2t_mm_decoder import main
from t2t_multimodel.data.text_encoder import SubwordTextEncoder, count_tokens
from tests.decoding import tiny_run


@pytest.fixture(scope="module")
def output_dir(shared_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "run"
    return shutil.copytree(shared_run.output_dir, folder)


@pytest.fixture
def decode(output_dir, capsys):
    """Returns a function: flags to exit status, standard output and error."""

    def decode(*flags, output_dir=output_dir):
        status = main([f"--output_dir={output_dir}", *flags])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return decode


def test_help_answers_without_tensorflow():
    code = (
        "import sys\n"
        "from t2t_multimodel.bin.t2t_mm_decoder import main\n"
        "status = main(['--help'])\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--decode_from_file" in done.stdout


def test_every_problem_of_the_run_is_scored(decode, tmp_path):
    base = tmp_path / "out"
    status, out, err = decode(f"--decode_to_file={base}", "--eval_examples=2")
    assert status == 0
    assert "step 7" in err
    for problem in tiny_run.problems():
        assert f"{problem.name}, test: " in out
    assert "one constant answer" in out
    assert (tmp_path / "out.translate_tiny.inputs").read_text().splitlines() == (
        tiny_run.SENTENCES[:2]
    )
    for kind in ("inputs", "targets", "decodes"):
        lines = (tmp_path / f"out.look_tiny.{kind}").read_text().splitlines()
        assert len(lines) == 2
    assert len(list(tmp_path.iterdir())) == 3 * 5


def test_a_text_file_is_decoded_line_by_line(decode, tmp_path):
    source = tmp_path / "in.txt"
    source.write_bytes(b"a dog\n\nthe cat sat\n\xff\xfe\nred mats")
    status, out, err = decode(
        "--problems=translate_tiny", f"--decode_from_file={source}"
    )
    assert status == 1
    assert out == ""
    assert "line 4: not UTF-8 at byte 0" in err
    assert "1 of 5 lines are broken and were left empty" in err
    target = tmp_path / "in.txt.translate_tiny.decodes"
    assert f"5 lines decoded to {target}" in err
    lines = target.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 6 and lines[1] == lines[3] == lines[5] == ""
    source.write_text("the cat sat\n")
    chosen = tmp_path / "chosen"
    status, _, _ = decode(
        "--problems=translate_tiny",
        f"--decode_from_file={source}",
        f"--decode_to_file={chosen}",
    )
    assert status == 0
    assert chosen.read_text(encoding="utf-8") == f"{lines[2]}\n"


def test_all_beams_of_a_file_and_of_a_split_are_written(decode, tmp_path):
    hparams = "beam_size=3,alpha=0.6,return_beams=true,write_beam_scores=true"
    source = tmp_path / "in.txt"
    source.write_bytes(b"a dog\n\xff\nred mats\n")
    status, _, err = decode(
        "--problems=translate_tiny",
        f"--decode_from_file={source}",
        f"--decode_to_file={tmp_path / 'out'}",
        f"--decode_hparams={hparams}",
    )
    assert status == 1 and "line 2: not UTF-8" in err
    first, broken, third = (tmp_path / "out").read_text().splitlines()
    assert broken == ""
    for line in (first, third):
        cells = line.split("\t")
        assert len(cells) % 2 == 0 and 2 <= len(cells) <= 6
        scores = [float(score) for score in cells[1::2]]
        assert scores == sorted(scores, reverse=True)
    status, out, _ = decode(
        "--problems=translate_tiny-look_tiny",
        f"--decode_to_file={tmp_path / 'split'}",
        f"--decode_hparams={hparams},num_samples=2",
    )
    assert status == 0 and "translate_tiny, test: 2 examples" in out
    for problem in ("translate_tiny", "look_tiny"):
        lines = (tmp_path / f"split.{problem}.decodes").read_text().splitlines()
        assert len(lines) == 2 and all("\t" in line for line in lines)
    labels = lines[0].split("\t")
    assert set(labels[::2]) <= set(tiny_run.COLOURS) and len(labels) == 6
    assert 1 >= float(labels[1]) >= float(labels[3]) >= float(labels[5]) >= 0


def test_standard_input_goes_to_standard_output(decode, tmp_path, monkeypatch):
    png = tmp_path / "a.png"
    png.write_bytes(tiny_run.png(np.random.default_rng(1)))
    stdin = io.TextIOWrapper(io.BytesIO(f"{png}\n{png}\n".encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    status, out, _ = decode("--problems=look_tiny", "--decode_from_file=-")
    assert status == 0
    first, second = out.splitlines()
    assert first == second and first in tiny_run.COLOURS


def test_the_prompt_reads_standard_input(decode, tmp_path, monkeypatch):
    wav = tmp_path / "a.wav"
    samples = tiny_run.wave(np.random.default_rng(1), 1000)
    wav.write_bytes(tf.audio.encode_wav(samples[:, None], 8000).numpy())
    typed = io.StringIO(f"pr=look_tiny\nno.png\npr=listen_tiny\n{wav}\n")
    monkeypatch.setattr(sys, "stdin", typed)
    status, out, _ = decode("--decode_interactive", "--decode_hparams=batch_size=1")
    assert status == 0
    assert "translate_tiny takes a line of text" in out
    assert "error: image no.png: " in out or "error: cannot read no.png" in out
    assert "listen_tiny takes the path of a sound file (WAV, SPHERE)" in out


def test_pictures_of_attention_and_experts(decode, tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("a dog\n\nred mats\n")
    folder = tmp_path / "made" / "pictures"
    status, _, err = decode(
        "--problems=translate_tiny",
        f"--decode_from_file={source}",
        f"--decode_attention={folder}",
    )
    assert status == 0
    assert f"5 pictures drawn in {folder}" in err
    assert sorted(path.name for path in folder.iterdir()) == [
        "experts.png",
        *(
            f"translate_tiny.{number}.{what}.png"
            for number in (0, 1)
            for what in ("attention", "experts")
        ),
    ]


def test_pictures_of_a_split(decode, tmp_path):
    status, _, err = decode(
        "--problems=look_tiny-caption_tiny",
        "--eval_examples=1",
        f"--decode_attention={tmp_path}",
    )
    assert status == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"look_tiny.0.experts.png", "caption_tiny.0.attention.png"} <= names
    assert "look_tiny.0.attention.png" not in names


def test_a_checkpoint_may_be_named(decode, output_dir):
    checkpoint = output_dir / "model.ckpt-7"
    flags = ("--problems=look_tiny", f"--checkpoint_path={checkpoint}")
    assert decode(*flags)[0] == 0
    status, _, err = decode("--problems=look_tiny", f"--checkpoint_path={checkpoint}0")
    assert status == 2
    assert f"no checkpoint {checkpoint}0; steps there are: 7" in err


@pytest.mark.parametrize(
    "flags,message",
    [
        (["--problems=lok_tiny"], "did you mean 'look_tiny'"),
        (["--problems=look_tiny-look_tiny"], "names look_tiny more than once"),
        (["--decode_from_file=x"], "--decode_from_file is of one problem; give"),
        (
            ["--problems=look_tiny", "--decode_from_file=no/x"],
            "cannot read no/x: No such file",
        ),
        (
            ["--problems=look_tiny", "--decode_to_file=no/x"],
            "cannot write no/x.look_tiny.decodes: no is not a folder; make it",
        ),
        (["--decode_interactive", "--decode_from_file=x"], "not both"),
        (["--decode_interactive", "--decode_to_file=x"], "does nothing with"),
        (["--decode_interactive", "--decode_attention=x"], "does nothing with"),
        (["--decode_attention=x", "--decode_from_file=-"], "give a file"),
        (["--decode_hparams=alpha=0.6"], "alpha is of beam search; give beam_size"),
        (
            ["--decode_hparams=num_samples=2", "--eval_examples=2"],
            "are the same; give one",
        ),
        (["--decode_split=valid"], "decode_split"),
        (["--eval_examples=-1"], "eval_examples"),
        (["--problems=look_tiny", "--decode_split=dev"], "no dev data of problem"),
        (["--problems=look_tiny", "--data_dir=/no"], "no test data of problem"),
        (["--beam=4"], "Unknown command line flag 'beam'"),
        (["file.txt"], "unexpected argument 'file.txt'"),
    ],
)
def test_mistakes_are_answered_with_one_line(decode, flags, message):
    status, out, err = decode(*flags)
    assert status == 2
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("t2t-mm-decoder: ")
    assert message in last


def test_the_run_must_be_given_and_be_there(decode, tmp_path, capsys):
    assert main([]) == 2
    assert "--output_dir is missing" in capsys.readouterr().err
    status, _, err = decode(output_dir=tmp_path)
    assert status == 2
    assert "holds no run (there is no problems.json)" in err


def test_data_with_another_vocabulary_is_refused(decode, shared_run, tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    for path in shared_run.data_dir.iterdir():
        (data_dir / path.name).write_bytes(path.read_bytes())
    other = SubwordTextEncoder.build(count_tokens(["quite other words"]), 1)
    other.save(data_dir / tiny_run.WORDS.file_name)
    status, _, err = decode("--problems=parse_tiny", f"--data_dir={data_dir}")
    assert status == 2
    assert "is encoded with another vocab.words.60 than the run" in err
