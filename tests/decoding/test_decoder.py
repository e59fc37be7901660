"""Raw inputs of every kind through a run read back from its folder."""

import functools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import resampling
from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import Decoder, Output, Result, load_decoder
from t2t_multimodel.decoding.lines import (
    check_writable,
    decode_lines,
    read_lines,
    result_line,
    write_lines,
)
from t2t_multimodel.decoding.raw_inputs import batch_inputs, read_input
from t2t_multimodel.errors import UserError
from tests.data import sound_bytes
from tests.decoding import tiny_run


def write_wav(path, samples, rate=8000):
    encoded = tf.audio.encode_wav(samples[:, None], rate)
    path.write_bytes(encoded.numpy())
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Returns a folder with a.png, b.png, a.wav and files that are neither."""
    folder = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(3)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(tiny_run.png(generator, 11))
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:60])
    (folder / "text.png").write_text("hello")
    write_wav(folder / "a.wav", tiny_run.wave(generator, 2000))
    whole = write_wav(folder / "cut.wav", tiny_run.wave(generator, 2000)).read_bytes()
    (folder / "cut.wav").write_bytes(whole[:-100])
    return folder


def test_the_latest_checkpoint_is_loaded(run):
    assert load_decoder(run, problem_names=["look_tiny"])[1] == 7


@pytest.mark.parametrize("problem", tiny_run.problems(), ids=lambda p: p.name)
def test_raw_inputs_are_prepared_as_the_data_was(run, decoder, problem):
    raw = [e["inputs"] for e in problem.examples("test", tmp_dir=None, seed=1)]
    rows = [decoder.prepare(problem.name, r) for r in raw]
    data = eval_dataset(
        problem, run.data_dir, "test", batch_size=64, examples_per_batch=8
    )
    (batch,) = data.as_numpy_iterator()
    ours = batch_inputs(problem.inputs, rows)
    assert set(ours) == set(batch) & {"inputs", "inputs_length"}
    length = ours["inputs"].shape[1]
    np.testing.assert_array_equal(ours["inputs"], batch["inputs"][:, :length])
    assert not batch["inputs"][:, length:].any()
    if "inputs_length" in ours:
        np.testing.assert_array_equal(ours["inputs_length"], batch["inputs_length"])


def assert_same(results, others):
    """Texts and names are equal; batches of other sizes round scores otherwise."""
    assert [r.text for r in results] == [r.text for r in others]
    for result, other in zip(results, others, strict=True):
        for one, two in zip(result.outputs, other.outputs, strict=True):
            assert one.text == two.text
            assert one.log_prob == pytest.approx(two.log_prob, abs=1e-4)
        for one, two in zip(result.classes, other.classes, strict=True):
            assert one.name == two.name
            assert one.probability == pytest.approx(two.probability, abs=1e-5)


def test_results_come_in_the_order_of_the_inputs(decoder):
    alone = [
        decoder.decode("translate_tiny", [sentence])[0]
        for sentence in tiny_run.SENTENCES
    ]
    assert_same(decoder.decode("translate_tiny", tiny_run.SENTENCES), alone)
    backwards = decoder.decode("translate_tiny", tiny_run.SENTENCES[::-1])
    assert_same(backwards, alone[::-1])
    assert len({result.text for result in alone}) > 1


def test_nothing_decodes_to_nothing(decoder):
    assert decoder.decode("translate_tiny", []) == []


def test_texts_end_at_their_input_plus_extra_length(decoder):
    (row,) = [decoder.prepare("translate_tiny", "a dog")]
    for result in decoder.decode("translate_tiny", ["a dog"]):
        assert result.num_symbols <= len(row) + 3
    (short,) = decoder.decode("translate_tiny", ["a dog"], max_length=2)
    assert short.num_symbols <= 2


def test_classes_come_best_first_with_probabilities(decoder, files):
    by_path, by_bytes = decoder.decode(
        "look_tiny", [files / "a.png", (files / "a.png").read_bytes()]
    )
    assert_same([by_path], [by_bytes])
    assert by_path.text == by_path.classes[0].name
    assert [tiny_run.COLOURS[s.index] for s in by_path.classes] == [
        s.name for s in by_path.classes
    ]
    probabilities = [s.probability for s in by_path.classes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(probabilities) == 5 and 0 < sum(probabilities) <= 1.0


def test_sounds_are_paths_or_waveforms(decoder, files):
    waveform = tf.audio.decode_wav((files / "a.wav").read_bytes())[0].numpy()[:, 0]
    sphere = sound_bytes.sphere(np.rint(waveform * 32768), rate=8000)
    (files / "a.sph").write_bytes(sphere)
    paths = [str(files / "a.wav"), str(files / "a.sph")]
    by_path, by_sphere, by_samples = decoder.decode("listen_tiny", [*paths, waveform])
    assert_same([by_path], [by_samples])
    assert_same([by_sphere], [by_samples])


def test_sounds_of_another_rate_are_resampled(files):
    feature = tiny_run.Listen.inputs
    slow = tf.audio.decode_wav((files / "a.wav").read_bytes())[0].numpy()[:, 0]
    fast = resampling.resample(slow, 8000, 16000)
    write_wav(files / "fast.wav", np.clip(fast, -1, 1), rate=16000)
    got = read_input(feature, str(files / "fast.wav"))
    want = read_input(feature, slow)
    assert got.shape == want.shape
    # What the higher of the mel bins hear lies above the filters' roll-off.
    assert np.abs(got - want)[:, :-4].mean() < 0.05


@pytest.mark.parametrize(
    "problem,raw,message",
    [
        ("look_tiny", "missing.png", "cannot read .*missing.png: No such file"),
        ("look_tiny", "a\0b", "is not the path of a file"),
        ("look_tiny", "cut.png", "image .*cut.png is broken: "),
        ("look_tiny", "text.png", "image .*text.png: .*neither PNG nor JPEG"),
        ("look_tiny", b"GIF89a", "the image: .*neither PNG nor JPEG"),
        ("look_tiny", 3, "expected the path of a file, got int"),
        ("look_tiny", ".", "cannot read .*: Is a directory"),
        ("listen_tiny", "missing.wav", "cannot read .*missing.wav"),
        ("listen_tiny", "text.png", "text.png is neither WAV nor SPHERE"),
        ("listen_tiny", "cut.wav", "cut.wav is cut off: its header counts 2000 samp"),
        ("listen_tiny", np.zeros((3, 2), "float32"), "float32 waveform of one dim"),
        ("listen_tiny", np.zeros(0, "float32"), "at least one sample"),
        ("listen_tiny", np.zeros(4), "got float64 of shape"),
        ("translate_tiny", b"bytes", "expected a text, got bytes"),
        ("lok_tiny", "x", "did you mean 'look_tiny'"),
    ],
)
def test_inputs_that_cannot_be_read_are_told(decoder, files, problem, raw, message):
    if isinstance(raw, str) and "\0" not in raw and problem != "translate_tiny":
        raw = str(files / raw)
    with pytest.raises(UserError, match=message) as error:
        decoder.decode(problem, [raw])
    assert "\n" not in str(error.value)


def test_class_labels_are_no_inputs():
    with pytest.raises(UserError, match="kind class_label cannot be decoded"):
        read_input(tiny_run.Look.targets, "red")


def test_a_broken_line_does_not_lose_the_others(decoder, files):
    lines = [
        str(files / "a.png").encode(),
        b"",
        b"nowhere.png",
        b"\xff\xfe",
        str(files / "b.png").encode() + b"\r",
    ]
    got = list(decode_lines(decoder, "look_tiny", lines))
    assert [line.number for line in got] == [1, 2, 3, 4, 5]
    expected = decoder.decode("look_tiny", [files / "a.png", files / "b.png"])
    texts = [expected[0].text, "", "", "", expected[1].text]
    assert [line.text for line in got] == texts
    assert [bool(line.error) for line in got] == [False, False, True, True, False]
    assert "cannot read nowhere.png" in got[2].error
    assert "not UTF-8 at byte 0" in got[3].error


def test_lines_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "out"
    write_lines(path, ["één", "", "two\nlines\rhere"])
    assert read_lines(path) == ["één".encode(), b"", b"two lines here"]
    write_lines(path, [])
    assert read_lines(path) == []
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_without_a_last_line_end_loses_nothing(tmp_path):
    (tmp_path / "in").write_bytes(b"one\ntwo\x85still two")
    assert read_lines(tmp_path / "in") == [b"one", b"two\x85still two"]


def test_files_that_cannot_be_read_or_written_are_told(tmp_path):
    with pytest.raises(UserError, match="cannot read .*nothing: No such file"):
        read_lines(tmp_path / "nothing")
    with pytest.raises(UserError, match="cannot write .*: it is a folder"):
        check_writable(tmp_path)
    for function in (check_writable, lambda path: write_lines(path, ["x"])):
        with pytest.raises(UserError, match="cannot write .*no"):
            function(tmp_path / "no" / "out")


@pytest.fixture(scope="module")
def searching(decoder):
    """Returns a function: decode hyperparameters to a decoder of the same model."""

    @functools.cache
    def searching(text):
        return Decoder(
            decoder.model,
            list(decoder.problems.values()),
            decoder.encoders,
            DecodeHParams.parse(text),
        )

    return searching


BEAMS = "beam_size=3,extra_length=4"


def test_all_beams_are_given_best_first(searching):
    sentences = tiny_run.SENTENCES
    results = searching(BEAMS).decode("translate_tiny", sentences)
    assert len(results) == len(sentences)
    for result in results:
        assert 1 <= len(result.outputs) <= 3
        assert result.text == result.outputs[0].text
        assert result.num_symbols == result.outputs[0].num_symbols
        scores = [output.score for output in result.outputs]
        assert scores == sorted(scores, reverse=True)
        assert all(output.log_prob <= output.score < 0 for output in result.outputs)


def test_lines_have_all_outputs_and_their_scores(searching):
    """T2T's form: divided by tabs, each with its score after it."""
    (result,) = searching(BEAMS).decode("translate_tiny", ["a dog"])
    texts = [output.text for output in result.outputs]
    assert len(texts) > 1

    def line(flags):
        hparams = DecodeHParams.parse(flags)
        return result_line(result, hparams)

    assert line("beam_size=3") == texts[0]
    assert line("beam_size=3,return_beams=true") == "\t".join(texts)
    score = f"{result.outputs[0].score:.4f}"
    assert line("write_beam_scores=true") == f"{texts[0]}\t{score}"
    both = line("beam_size=3,return_beams=true,write_beam_scores=true").split("\t")
    assert both[::2] == texts
    assert both[1::2] == [f"{output.score:.4f}" for output in result.outputs]


def test_tabs_in_a_text_divide_no_outputs():
    outputs = tuple(Output(text, -1.0, -1.0, 2) for text in ("a\tb", "c\nd"))
    result = Result("a\tb", outputs=outputs)
    hparams = DecodeHParams.parse("beam_size=2,return_beams=true")
    assert result_line(result, hparams) == "a b\tc d"


@pytest.mark.parametrize("search", [BEAMS, "temperature=1,samples_per_input=3"])
def test_classes_are_labels_with_probabilities_however_texts_are_searched(
    searching, decoder, files, search
):
    hparams = f"{search},return_beams=true,write_beam_scores=true"
    (line,) = decode_lines(
        searching(hparams), "look_tiny", [str(files / "a.png").encode()]
    )
    (result,) = decoder.decode("look_tiny", [files / "a.png"])
    labels, probabilities = line.text.split("\t")[::2], line.text.split("\t")[1::2]
    assert labels == [scored.name for scored in result.classes[:3]]
    assert probabilities == [f"{s.probability:.4f}" for s in result.classes[:3]]


def test_what_is_drawn_goes_by_the_line_and_not_by_the_batch(searching):
    lines = [sentence.encode() for sentence in tiny_run.SENTENCES]
    drawn = "temperature=1,seed=5"
    small, large = (
        [
            line.text
            for line in decode_lines(
                searching(f"{drawn},batch_size={size}"), "translate_tiny", lines
            )
        ]
        for size in (2, 8)
    )
    assert small == large
    # Also after a broken line.
    lines[1] = b"\xff"
    broken = decode_lines(searching(f"{drawn},batch_size=8"), "translate_tiny", lines)
    assert [line.text for line in broken][2:] == small[2:]


@pytest.mark.parametrize(
    "text,expected",
    [
        ("", {}),
        (" extra_length = 0 , beam_size=1,", {"extra_length": 0}),
        (
            "beam_size=4,alpha=1,return_beams=true,write_beam_scores=True",
            {
                "beam_size": 4,
                "alpha": 1.0,
                "return_beams": True,
                "write_beam_scores": True,
            },
        ),
        ("num_samples=-1,batch_size=4", {"batch_size": 4}),
        ("temperature=0.5,top_k=3,seed=7", {"temperature": 0.5, "top_k": 3, "seed": 7}),
    ],
)
def test_decode_hparams_are_read(text, expected):
    assert DecodeHParams.parse(text) == DecodeHParams(**expected)


@pytest.mark.parametrize(
    "text,message",
    [
        ("alpha=0.6", "alpha is of beam search; give beam_size too"),
        ("batchsize=4", "did you mean 'batch_size'"),
        ("batch_size=x", "batch_size=x must be batch_size=a whole number"),
        ("beam_size=2.5", "must be beam_size=a whole number"),
        ("beam_size=2,return_beams=1", "must be return_beams=true or false"),
        ("temperature=hot", "must be temperature=a number"),
        ("temperature=nan", "temperature=nan must not be negative"),
        ("batch_size", "must be batch_size=a whole number"),
        ("batch_size=0", "batch_size=0 must be positive"),
        ("beam_size=0", "beam_size=0 must be positive"),
        ("extra_length=-1", "extra_length=-1 must not be negative"),
        ("num_samples=0", "num_samples=0 must be positive, or -1"),
        ("beam_size=4,beam_size=2", "beam_size is given twice"),
        ("return_beams=true", "there is one output; give beam_size=4"),
        ("beam_size=4,temperature=1", "searched or drawn, not both"),
        ("top_k=5", "top_k=5 is of drawn outputs; give a temperature"),
        ("samples_per_input=5", "give a temperature"),
        ("seed=2147483648,temperature=1", "must be below 2147483648"),
        ("identity_output=true", "identity_output is not offered"),
    ],
)
def test_wrong_decode_hparams_are_told(text, message):
    with pytest.raises(UserError, match=message):
        DecodeHParams.parse(text)


def test_paths_may_begin_at_home(decoder, files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    assert decoder.decode("look_tiny", ["~/a.png", pathlib.Path("~/a.png")])
