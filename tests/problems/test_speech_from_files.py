"""Declared speech: tables, trans.txt trees and Sphinx's lists; mistakes with places."""

import pathlib
import re

import numpy as np
import pytest

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem
from tests.data import sound_bytes

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data"

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "your_own_data.md"

SPEECH = """
[[problem]]
name = "audio_mine"
kind = "speech"
targets_space = "english_tokens"
vocabulary = {name = "mine", size = 300}
train = "lists/train.tsv"
dev = {from = "train", every = 3}
sound_folder = "clips"
"""
SOUNDS = {
    "a.wav": sound_bytes.wav(np.full(900, 1000, "<i2").tobytes()),
    "b.sph": sound_bytes.sphere(np.full(700, 2000)),
    "deep/c.wav": sound_bytes.wav(np.full(400, 3000, "<i2").tobytes(), rate=8000),
}


@pytest.fixture
def load(tmp_path, declare):
    """Returns a function that declares sounds and returns the problem."""
    for name, data in SOUNDS.items():
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    write(tmp_path / "lists/train.tsv", "a.wav\tone\nb\tTwo\ndeep/c.wav\tthree\n")

    def load_text(text=SPEECH):
        declare(text)
        return make_problem("audio_mine")

    return load_text


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def examples(problem, split="train"):
    return list(problem.examples(split, tmp_dir=None, seed=0))


def heard(example):
    """Returns (value in the middle, samples, words)."""
    waveform = example["inputs"]()
    middle = round(float(waveform[len(waveform) // 2]) * 32768)
    return middle, len(waveform), example["targets"]


def edited(old, new):
    assert old in SPEECH
    return SPEECH.replace(old, new)


EVERYTHING = [(1000, 900, "one"), (2000, 700, "Two"), (3000, 800, "three")]


def test_a_table_of_paths_and_words(load):
    problem = load()
    assert problem.targets.space is SpaceId.ENGLISH_TOKENS
    assert problem.targets.vocabulary.file_name == "vocab.mine.300"
    assert problem.batch_size_multiplier == 512
    assert [heard(e) for e in examples(problem, "dev")] == EVERYTHING[:1]
    assert [heard(e) for e in examples(problem)] == EVERYTHING[1:]
    assert problem.count_examples("train", None) == 2
    assert examples(problem)[0]["place"].endswith("train.tsv:2")


def test_columns_by_name_and_quotes_of_csv(load, tmp_path):
    table = 'who,words,file\nx,"one, or two",a.wav\ny,"""Two""",b\nz,three,deep/c\n'
    write(tmp_path / "lists/train.csv", table)
    text = edited('.tsv"', '.csv"\npath_column = "file"\ntranscript_column = "words"')
    got = [heard(e)[2] for e in examples(load(text))]
    assert got == ['"Two"', "three"]


def test_sphinx_lists(load, tmp_path):
    write(tmp_path / "lists/x.fileids", "a\nb\ndeep/c\n")
    lines = "<s> one </s> (a)\nTwo (b)\n<s> three </s> (c)\n"
    write(tmp_path / "lists/x.transcription", lines)
    problem = load(edited("train.tsv", "x.fileids"))
    assert [heard(e) for e in examples(problem, "dev")] == EVERYTHING[:1]
    assert [heard(e) for e in examples(problem)] == EVERYTHING[1:]


def test_trees_of_trans_files(load, tmp_path):
    write(tmp_path / "clips/1.trans.txt", "a one\nb Two\n")
    write(tmp_path / "clips/deep/2.trans.txt", "c three\n")
    problem = load(edited("lists/train.tsv", "clips"))
    everything = examples(problem, "dev") + examples(problem)
    assert [heard(e) for e in everything] == EVERYTHING


def test_settings_of_the_sound(load, tmp_path):
    stereo = np.stack([np.full(600, 500), np.full(600, 700)], axis=1)
    for name in ("a.wav", "b.sph", "deep/c.wav"):
        (tmp_path / "clips" / name).write_bytes(sound_bytes.sphere(stereo))
    problem = load(
        SPEECH + 'form = "waveform"\nsample_rate_hz = 8000\nchannel = 2\n'
        "lower_case = true\nloss_multiplier = 2.0\n"
    )
    assert problem.inputs.form == "waveform" and problem.loss_multiplier == 2.0
    assert heard(examples(problem)[0]) == (700, 300, "two")
    bins = load(SPEECH + "num_bins = 40\nframe_seconds = 0.03\nhop_seconds = 0.02\n")
    sound = bins.inputs
    assert (sound.num_bins, sound.frame_seconds, sound.hop_seconds) == (40, 0.03, 0.02)


def test_a_changed_list_or_sound_changes_the_state(load, tmp_path):
    problem = load()
    states = [problem.source_state(None)]
    write(tmp_path / "lists/train.tsv", "a.wav\tother\nb\tTwo\ndeep/c.wav\tthree\n")
    states.append(problem.source_state(None))
    (tmp_path / "clips/a.wav").write_bytes(SOUNDS["a.wav"] + b"\0")
    states.append(problem.source_state(None))
    (tmp_path / "clips/a.wav").unlink()
    states.append(problem.source_state(None))
    assert len(set(states)) == 4 and states[-1] == problem.source_state(None)
    tree = load(edited("lists/train.tsv", "clips"))
    write(tmp_path / "clips/1.trans.txt", "b Two\n")
    before = tree.source_state(None)
    write(tmp_path / "clips/1.trans.txt", "b Three\n")
    assert tree.source_state(None) != before


@pytest.mark.parametrize(
    "table, place, reason",
    [
        ("a.wav\t\nb\tx\n", "train.tsv:1", "the transcript of .*a.wav is empty"),
        ("\tone\n", "train.tsv:1", "the column of the path is empty"),
        ("a.wav\n", "train.tsv:1", "has 1 column; column 2 is wanted"),
        (b"a.wav\t\xff\n", "train.tsv:1", "not UTF-8 at byte 6 of the line"),
    ],
)
def test_bad_rows_are_told_with_their_place(load, tmp_path, table, place, reason):
    write(tmp_path / "lists/train.tsv", table)
    bad = examples(load(), "dev")[0]
    assert isinstance(bad, BadExample) and bad.place.endswith(place)
    assert re.search(reason, bad.reason)


@pytest.mark.parametrize(
    "data, reason",
    [
        (None, "cannot read sound .*a.wav: No such file"),
        (b"", "a.wav is empty, a file of 0 bytes"),
        (sound_bytes.wav(b""), "a.wav holds no samples"),
        (SOUNDS["a.wav"][:-7], "a.wav is cut off: its header counts 900 samples"),
        (b"hello", "a.wav is neither WAV nor SPHERE"),
    ],
)
def test_bad_sounds_are_told_by_whoever_reads_them(load, tmp_path, data, reason):
    path = tmp_path / "clips/a.wav"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    [example] = examples(load(), "dev")
    with pytest.raises(UserError, match=reason):
        example["inputs"]()


@pytest.mark.parametrize(
    "fileids, transcription, reason",
    [
        ("a\nb\n", "one (a)\n", "x.transcription ends after line 1, .*x.fileids goes"),
        ("a\n", "one (a)\ntwo (b)\n", "x.fileids ends after line 1, .*x.transc"),
        ("a\n", None, "cannot read .*x.transcription: No such file"),
    ],
)
def test_lists_that_do_not_belong_together_are_told(
    load, tmp_path, fileids, transcription, reason
):
    write(tmp_path / "lists/x.fileids", fileids)
    if transcription is not None:
        write(tmp_path / "lists/x.transcription", transcription)
    with pytest.raises(UserError, match=reason):
        examples(load(edited("train.tsv", "x.fileids")), "dev")


@pytest.mark.parametrize("line", ["one (b)", "one", "<s> </s> (a)", "(a)"])
def test_bad_lines_of_sphinx_lists_are_told(load, tmp_path, line):
    write(tmp_path / "lists/x.fileids", "a\n")
    write(tmp_path / "lists/x.transcription", f"{line}\n")
    [bad] = examples(load(edited("train.tsv", "x.fileids")), "dev")
    assert isinstance(bad, BadExample) and bad.place.endswith("x.transcription:1")


def test_a_folder_without_transcripts_is_told(load, tmp_path):
    problem = load(edited("lists/train.tsv", "clips"))
    with pytest.raises(UserError, match="clips has no .trans.txt file in it or below"):
        examples(problem)


@pytest.mark.parametrize(
    "old, new, line, message",
    [
        ("train.tsv", "none.tsv", 7, "train: there is no .*none.tsv"),
        ("lists/train.tsv", "clips/a.wav", 7, "a.wav must be a .csv or .tsv file, a"),
        ('"clips"', '"lists/train.tsv"', 9, "sound_folder: .*train.tsv is no folder"),
        ("sound_folder", "sound_folders", 9, "did you mean 'sound_folder'"),
        ('"english_tokens"', '"english_token"', 5, "did you mean 'english_tokens'"),
        ("kind", 'form = "wave"\nkind', 4, "'wave' must be 'spectrogram' or 'wavef"),
        ("kind", "sample_rate_hz = 0\nkind", 4, "sample_rate_hz = 0 must be positive"),
        ("kind", "hop_seconds = 1e-5\nkind", 4, "hop_seconds = 1e-05 is less than two"),
        ("kind", "channel = 0\nkind", 4, "channel = 0 must be positive"),
        ("kind", "path_column = 0\nkind", 4, "path_column = 0 must be a number count"),
    ],
)
def test_mistakes_in_the_declaration(load, old, new, line, message):
    with pytest.raises(UserError, match=message) as error:
        load(edited(old, new))
    assert f"mine.toml:{line}:" in str(error.value)


def test_a_column_that_is_not_there_is_told(load):
    problem = load(SPEECH + 'transcript_column = "words"\n')
    with pytest.raises(UserError, match="train.tsv:1: no column named 'words'"):
        examples(problem)


def test_the_examples_of_the_documentation_are_read(tmp_path, declare):
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    blocks = [block for block in blocks if 'kind = "speech"' in block]
    assert len(blocks) == 3
    table = "path\tsentence\na.wav\tOne\nb\tTwo\n"
    for path in ("clips/a.wav", "clips/b.wav", "an4/wav/a.wav", "an4/wav/b.wav"):
        write(tmp_path / path, SOUNDS["a.wav"])
    write(tmp_path / "clips/train.tsv", table)
    write(tmp_path / "clips/more.csv", table.replace("\t", ","))
    for part in ("train-clean-100", "train-clean-360", "dev-clean", "test-clean"):
        write(tmp_path / "LibriSpeech" / part / "1/2/1-2-3.wav", SOUNDS["a.wav"])
        write(tmp_path / "LibriSpeech" / part / "1/2/1-2.trans.txt", "1-2-3 ONE\n")
    for part in ("train", "test"):
        write(tmp_path / f"an4/etc/an4_{part}.fileids", "a\nb\n")
        lines = "<s> ONE </s> (a)\n<s> TWO </s> (b)\n"
        write(tmp_path / f"an4/etc/an4_{part}.transcription", lines)
    words = []
    for block in blocks:
        [name] = declare(block)
        problem = make_problem(name)
        for split in problem.num_shards:
            words.append([heard(e)[2] for e in examples(problem, split)])
    assert words == [
        ["two", "one", "two"],
        ["one"],
        ["ONE", "ONE"],
        ["ONE"],
        ["ONE"],
        ["TWO"],
        ["ONE"],
        ["ONE", "TWO"],
    ]


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data")
def test_real_speech_in_two_of_the_layouts(load):
    an4 = load(
        edited("lists/train.tsv", f"{SHARED}/an4/etc/an4_train.fileids").replace(
            '"clips"', f'"{SHARED}/an4/wav"'
        )
    )
    found = examples(an4) + examples(an4, "dev")
    assert len(found) == 292
    assert all(set(e["targets"]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ ") for e in found)
    assert found[0]["inputs"]().std() > 0.001
    fsdd = load(
        edited("lists/train.tsv", f"{SHARED}/fsdd/transcripts.tsv").replace(
            '"clips"', f'"{SHARED}/fsdd/recordings"'
        )
        + 'path_column = "file"\ntranscript_column = "text"\n'
    )
    found = examples(fsdd) + examples(fsdd, "dev")
    assert len(found) == 420 and {e["targets"] for e in found} >= {"zero", "nine"}
    assert 2000 < len(found[0]["inputs"]()) < 40000  # 8 kHz made 16 kHz.
