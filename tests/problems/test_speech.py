"""The registered speech problems: the LDC's discs, LibriSpeech's folders, TFDS."""

import errno
import os
import pathlib
import re

import numpy as np
import pytest

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem
from tests.data import sound_bytes
from tests.problems import wsj_tree

AN4 = pathlib.Path(__file__).parents[3] / "shared" / "data" / "an4"

UTTERANCES = {
    "si_tr_s of wsj1": [(None, r"The [loud_breath] *chairman* said ,COMMA no .")],
    "si_tr_s of wsj0": [(None, r"Mr\. Vinken is co\-chairman \.PERIOD"), (None, "YES")],
    "dev": [(None, "~ a comm(unity)- <a> community")],
    "test": [(None, "PRICES FELL TEN %PERCENT")],
}
TEXTS = {
    "train": ["the chairman said comma no", "mr. vinken is co-chairman period", "yes"],
    "dev": ["a a community"],
    "test": ["prices fell ten percent"],
}


def examples(problem, split, tmp_dir):
    return list(problem.examples(split, tmp_dir=tmp_dir, seed=0))


@pytest.mark.parametrize(
    "layout",
    [{}, {"upper": True}, {"merged": True}, {"ending": ".lsn"}],
    ids=["discs", "upper-case disc", "merged", "lsn"],
)
def test_the_discs_of_the_ldc_are_read_by_their_lists(tmp_path, layout):
    wsj_tree.write(tmp_path / "wsj", UTTERANCES, **layout)
    problem = make_problem("audio_wsj_tokens8k")
    for split, texts in TEXTS.items():
        found = examples(problem, split, tmp_path)
        assert [example["targets"] for example in found] == texts
        assert problem.count_examples(split, tmp_path) == len(texts)
        for example in found:
            want = np.array(wsj_tree.SAMPLES) / 32768
            np.testing.assert_array_equal(example["inputs"](), want)
    assert all(not source.missing for source in problem.sources(tmp_path))


def test_spaces_multipliers_and_sizes_are_the_papers():
    tokens, characters, waveform = (
        make_problem(f"audio_wsj_{name}")
        for name in ("tokens8k", "characters", "tokens8k_waveform")
    )
    assert tokens.inputs.space is SpaceId.AUDIO_SPECTRAL
    assert waveform.inputs.space is SpaceId.AUDIO_WAVEFORM
    assert tokens.targets.space is SpaceId.ENGLISH_TOKENS
    assert characters.targets.space is SpaceId.ENGLISH_CHARACTERS
    for problem in (tokens, characters, waveform):
        assert problem.loss_multiplier == 2.0
        assert problem.batch_size_multiplier == 512
        assert dict(problem.known_sizes) == {"train": 37416, "dev": 503, "test": 333}
        assert problem.decode_metrics == ("wer",)


def test_speaker_401_of_the_training_list_is_left_out(tmp_path):
    wsj_tree.write(tmp_path / "wsj", UTTERANCES)
    path = tmp_path / "wsj" / wsj_tree.LISTS["si_tr_s of wsj0"]
    path.write_text(path.read_text() + "11_2_1:wsj0/si_tr_s/401/401c0201.wv1\n")
    problem = make_problem("audio_wsj_tokens8k")
    assert problem.count_examples("train", tmp_path) == 3
    assert len(examples(problem, "train", tmp_path)) == 3


def test_what_is_missing_of_the_discs_is_told(tmp_path):
    problem = make_problem("audio_wsj_tokens8k")
    with pytest.raises(UserError, match="there is no .*wsj; put the discs of LDC93S6A"):
        examples(problem, "train", tmp_path)
    paths = wsj_tree.write(tmp_path / "wsj", UTTERANCES)
    paths["si_tr_s of wsj0"][1].unlink()
    (tmp_path / "wsj/13-34.1/wsj1/trans/wsj1/si_dt_20/4k0/4k0c0200.dot").unlink()
    (tmp_path / "wsj" / wsj_tree.LISTS["test"]).unlink()

    [wsj0, wsj1] = problem.sources(tmp_path)
    assert wsj0.missing == (
        "1 of the 2 sound files in wsj0/doc/indices/train/tr_s_wv1.ndx, the first for "
        "wsj0/si_tr_s/01i/01ic0202.wv1",
        "wsj0/doc/indices/test/nvp/si_et_20.ndx, the list of test",
    )
    assert wsj1.missing == (
        "1 of the 1 transcripts (.dot or .lsn) of the sound files in "
        "wsj1/doc/indices/h1_p0.ndx, the first for wsj1/si_dt_20/4k0/4k0c0201.wv1",
    )
    assert "LDC93S6A" in wsj0.where and "LDC" in wsj0.licence
    assert problem.count_examples("train", tmp_path) == 2
    assert problem.count_examples("test", tmp_path) is None

    bad = examples(problem, "train", tmp_path)[2]
    assert re.search(r"tr_s_wv1\.ndx:5$", bad.place)
    assert bad.reason.startswith("there is no wsj0/si_tr_s/01i/01ic0202.wv1 below")
    [bad] = examples(problem, "dev", tmp_path)
    assert bad.reason.endswith("has a line of (4k0c0201)")
    with pytest.raises(UserError, match="no wsj0/doc/indices/test/nvp/si_et_20.ndx "):
        examples(problem, "test", tmp_path)


def test_a_change_of_the_discs_is_noticed(tmp_path):
    def state():
        return make_problem("audio_wsj_tokens8k").source_state(tmp_path)

    states = [state()]
    assert states == [""]
    sounds = wsj_tree.write(tmp_path / "wsj", UTTERANCES)
    states.append(state())
    assert states[-1] == state()
    for path in (
        sounds["dev"][0],
        tmp_path / "wsj" / wsj_tree.LISTS["test"],
        tmp_path / "wsj/13-34.1/wsj1/trans/wsj1/si_dt_20/4k0/4k0c0200.dot",
    ):
        path.write_bytes(path.read_bytes() + b" ")
        states.append(state())
    assert len(set(states)) == 5


def test_a_broken_list_and_an_empty_transcript_are_told(tmp_path):
    wsj_tree.write(tmp_path / "wsj", UTTERANCES | {"dev": [(None, "[door_slam] .")]})
    problem = make_problem("audio_wsj_tokens8k")
    [bad] = examples(problem, "dev", tmp_path)
    assert isinstance(bad, BadExample)
    assert re.search(r"4k0c0200\.dot:1$", bad.place)
    assert re.search(r"the transcript of .*4k0c0201\.wv1 is empty", bad.reason)
    path = tmp_path / "wsj" / wsj_tree.LISTS["dev"]
    path.write_text("wsj1/si_dt_20/4k0/4k0c0201.wv1\n")
    with pytest.raises(UserError, match=r"h1_p0.ndx:1: '.*' is no line of a list"):
        examples(problem, "dev", tmp_path)


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    wsj_tree.write(tmp_path / "wsj", UTTERANCES)
    scandir, closed = os.scandir, str(tmp_path / "wsj" / "13-16.1")

    def refuse(path):
        if str(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", closed)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="cannot read folder .*13-16.1: Permission den"):
        examples(make_problem("audio_wsj_tokens8k"), "train", tmp_path)


def test_shortened_discs_without_the_program_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    sound = sound_bytes.sphere([1], sample_coding="pcm,embedded-shorten-v2.00")
    wsj_tree.write(
        tmp_path / "wsj",
        {part: [(sound, text) for _, text in UTTERANCES[part]] for part in UTTERANCES},
    )
    problem = make_problem("audio_wsj_tokens8k")
    for source in problem.sources(tmp_path):
        [line] = source.missing
        assert "needs the program sph2pipe on the PATH" in line
    first, *_ = examples(problem, "train", tmp_path)
    with pytest.raises(UserError, match=r"46nc0201\.wv1 is compressed with shorten"):
        first["inputs"]()


# LibriSpeech


@pytest.fixture
def no_tfds(tmp_path, monkeypatch):
    """An empty folder of TFDS's; returns its path."""
    from t2t_multimodel.data.tfds_corpus import TfdsCorpus
    from t2t_multimodel.problems.speech import AudioLibrispeechTokens8k

    folder = tmp_path / "tfds"
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    monkeypatch.setattr(AudioLibrispeechTokens8k, "tfds", TfdsCorpus("librispeech"))
    return folder


def write_librispeech(tmp_dir, part, texts, write_sound):
    folder = tmp_dir / "LibriSpeech" / part / "84" / "121123"
    folder.mkdir(parents=True)
    lines = []
    for number, text in enumerate(texts):
        name = f"84-121123-{number:04d}"
        write_sound(folder / name)
        lines.append(f"{name} {text}\n")
    (folder / "84-121123.trans.txt").write_text("".join(lines))
    return folder


def write_wav(path):
    samples = np.array(wsj_tree.SAMPLES, "<i2")
    path.with_suffix(".wav").write_bytes(sound_bytes.wav(samples.tobytes()))


def write_flac(path):
    soundfile = pytest.importorskip("soundfile")
    samples = np.array(wsj_tree.SAMPLES, "int16")
    soundfile.write(path.with_suffix(".flac"), samples, 16000)


@pytest.mark.parametrize("write_sound", [write_wav, write_flac])
def test_librispeech_is_read_from_its_folders(tmp_path, no_tfds, write_sound):
    problem = make_problem("audio_librispeech_tokens8k")
    parts = {"train": "train-clean-100", "dev": "dev-clean", "test": "test-clean"}
    for split, part in parts.items():
        texts = [f"GO DO YOU HEAR {split.upper()}", "YES"]
        write_librispeech(tmp_path, part, texts, write_sound)
        found = examples(problem, split, tmp_path)
        assert [e["targets"] for e in found] == [text.lower() for text in texts]
        want = np.array(wsj_tree.SAMPLES) / 32768
        np.testing.assert_allclose(found[1]["inputs"](), want, atol=1e-7)
        assert found[1]["place"].endswith("84-121123.trans.txt:2")
        assert problem.count_examples(split, tmp_path) == 2
    assert all(not source.missing for source in problem.sources(tmp_path))
    assert problem.known_sizes == {"train": 28539, "dev": 2703, "test": 2620}
    assert "stand-in" in type(problem).__doc__


def test_a_change_of_librispeech_is_noticed(tmp_path, no_tfds):
    problem = make_problem("audio_librispeech_tokens8k")
    states = [problem.source_state(tmp_path)]
    assert states == [""]
    for part in ("train-clean-100", "dev-clean"):
        folder = write_librispeech(tmp_path, part, ["A", "B"], write_wav)
        states.append(problem.source_state(tmp_path))
    for name in ("84-121123-0001.wav", "84-121123.trans.txt"):
        with open(folder / name, "ab") as file:
            file.write(b" ")
        states.append(problem.source_state(tmp_path))
    assert len(set(states)) == 5 and states[-1] == problem.source_state(tmp_path)


def test_what_is_missing_of_librispeech_is_told(tmp_path, no_tfds):
    problem = make_problem("audio_librispeech_tokens8k")
    with pytest.raises(UserError, match="unpack dev-clean.tar.gz .*tfds build librisp"):
        examples(problem, "dev", tmp_path)
    folder = write_librispeech(tmp_path, "dev-clean", ["A", "B"], write_wav)
    (folder / "84-121123-0001.wav").unlink()
    train, dev, _ = problem.sources(tmp_path)
    assert train.missing == (str(tmp_path / "LibriSpeech" / "train-clean-100"),)
    assert dev.missing == (
        f"1 of 2 sound files, the first {folder / '84-121123-0001'}",
    )
    _, bad = examples(problem, "dev", tmp_path)
    with pytest.raises(UserError, match="cannot read sound .*0001: No such file"):
        bad["inputs"]()


def test_flac_without_soundfile_is_told_before_anything_is_made(
    tmp_path, no_tfds, monkeypatch
):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "soundfile" else find(n)
    )
    write_librispeech(
        tmp_path, "dev-clean", ["A"], lambda p: p.with_suffix(".flac").write_bytes(b"")
    )
    _, dev, _ = make_problem("audio_librispeech_tokens8k").sources(tmp_path)
    [line] = dev.missing
    assert "soundfile" in line and "pip install 't2t-multimodel[audio]'" in line


def test_librispeech_is_read_from_tfds_where_that_is_prepared(
    tmp_path, no_tfds, monkeypatch
):
    import tensorflow_datasets as tfds

    problem = make_problem("audio_librispeech_tokens8k")
    with tfds.testing.mock_data(num_examples=3):
        monkeypatch.setattr(type(problem.tfds), "is_prepared", lambda self: True)
        found = examples(problem, "dev", tmp_path)
        [(feature, read)] = problem.vocabulary_texts(tmp_path)
        texts = list(read)
    assert feature == problem.targets
    assert len(found) == 3
    assert len(texts) == 3 and all(text == text.lower() for text in texts)
    for example in found:
        waveform = example["inputs"]()
        assert waveform.dtype == np.float32 and np.abs(waveform).max() <= 1
        assert isinstance(example["targets"], str)


# Real speech


def write_an4_as_wsj(folder, count):
    """Lays AN4's files out as WSJ's discs.

    Returns:
        Split to its transcripts.
    """
    names = (AN4 / "etc" / "an4_train.fileids").read_text().split()
    lines = (AN4 / "etc" / "an4_train.transcription").read_text().splitlines()
    texts = [re.fullmatch(r"<s> (.*) </s> \(.*\)", line)[1] for line in lines]
    step = len(names) // count
    pairs = [
        ((AN4 / "wav" / f"{name}.sph").read_bytes(), text)
        for name, text in list(zip(names, texts, strict=True))[::step][:count]
    ]
    parts = list(wsj_tree.PLACES)
    utterances = {part: pairs[i :: len(parts)] for i, part in enumerate(parts)}
    wsj_tree.write(folder, utterances)
    of_part = {part: [text.lower() for _, text in utterances[part]] for part in parts}
    return {
        "train": of_part[parts[0]] + of_part[parts[1]],
        "dev": of_part["dev"],
        "test": of_part["test"],
    }


@pytest.mark.skipif(not AN4.exists(), reason="no ../shared/data/an4")
@pytest.mark.parametrize("count", [12, pytest.param(292, marks=pytest.mark.slow)])
def test_real_speech_on_the_discs_becomes_batches(tmp_path, count):
    from t2t_multimodel.data import manifest, pipeline
    from t2t_multimodel.data.generate import generate
    from t2t_multimodel.data.text_encoder import ByteTextEncoder

    texts = write_an4_as_wsj(tmp_path / "wsj", count)
    problem = make_problem("audio_wsj_characters")
    problem.num_shards = {"train": 3, "dev": 1, "test": 1}
    data_dir = tmp_path / "data"
    generate([problem], data_dir, tmp_path, num_processes=1, say=lambda _: None)
    manifest.check_ready([problem], data_dir)
    for split, want in texts.items():
        got = []
        for batch in pipeline.eval_dataset(problem, data_dir, split, batch_size=4096):
            batch = {key: np.asarray(value) for key, value in batch.items()}
            for ids, frames, length in zip(
                batch["targets"], batch["inputs"], batch["inputs_length"], strict=True
            ):
                got.append(ByteTextEncoder().decode([i for i in ids if i > 1]))
                sound = frames[:length]
                assert sound.shape[1] == 80 and length > 30  # A third of a second.
                assert abs(sound.mean()) < 1e-3 and abs(sound.std() - 1) < 1e-2
        assert sorted(got) == sorted(want)
