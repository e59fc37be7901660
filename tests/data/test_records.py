"""Every kind of feature comes out of a record as it went in."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import audio_features, records, serialization
from t2t_multimodel.data.raw_example import BadExample, LazyExample
from t2t_multimodel.data.text_encoder import ByteTextEncoder
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import ReversedProblem

KINDS = ("bytes", "image", "spectrogram", "waveform", "label")
ENCODERS = {"inputs": ByteTextEncoder(), "targets": ByteTextEncoder()}


def expected(feature, value):
    match feature.kind:
        case "text":
            return [*ByteTextEncoder().encode(value), 1]
        case "image":
            return tf.io.decode_png(value).numpy()
        case "audio" if feature.form == "spectrogram":
            return audio_features.log_mel_spectrogram_numpy(value, feature)
        case _:
            return value


def serialized(problem, count=3):
    examples = list(problem.examples("train", tmp_dir=None, seed=1))[:count]
    return examples, [serialization.serialize(problem, e, ENCODERS) for e in examples]


def parsed(problem, data):
    lengths = records.parse_lengths(problem, tf.constant(data))
    longest = {side: tf.reduce_max(length) + 2 for side, length in lengths.items()}
    return records.parse_batch(problem, tf.constant(data), longest)


@pytest.mark.parametrize("targets", KINDS)
@pytest.mark.parametrize("inputs", KINDS)
def test_round_trip_of_all_combinations(toy, inputs, targets):
    problem = toy(inputs, targets)
    examples, data = serialized(problem)
    batch = parsed(problem, data)
    for side in ("inputs", "targets"):
        feature = getattr(problem, side)
        for row, example in enumerate(examples):
            want = np.asarray(expected(feature, example[side]))
            got = batch[side][row].numpy()
            if feature.kind in ("text", "audio"):
                assert not got[len(want) :].any()
                got = got[: len(want)]
            np.testing.assert_array_equal(got, want)
            if feature.kind == "audio":
                assert batch[f"{side}_length"][row] == len(want)


@pytest.mark.parametrize(
    "inputs, targets",
    [("bytes", "bytes"), ("image", "bytes"), ("bytes", "spectrogram")],
)
def test_reversed_problems_read_the_same_records(toy, inputs, targets):
    problem = toy(inputs, targets)
    turned = ReversedProblem(problem)
    _, data = serialized(problem)
    forward, backward = parsed(problem, data), parsed(turned, data)
    np.testing.assert_array_equal(forward["inputs"], backward["targets"])
    np.testing.assert_array_equal(forward["targets"], backward["inputs"])


def test_keys_are_those_of_t2t(toy):
    def keys(inputs, targets):
        [record] = serialized(toy(inputs, targets), 1)[1]
        return set(tf.train.Example.FromString(record).features.feature)

    image = {"image/encoded", "image/format", "image/height", "image/width"}
    assert keys("bytes", "bytes") == {"inputs", "targets"}
    assert keys("image", "label") == image | {"image/class/label"}
    assert keys("image", "bytes") == image | {"image/class/label"}
    assert keys("spectrogram", "bytes") == {
        *("inputs", "targets", "audio/sample_count", "audio/sample_width")
    }


def test_images_of_another_size_are_resized(toy):
    problem = toy("image", "label")
    _, data = serialized(problem)
    problem.inputs = type(problem.inputs)(height_px=16, width_px=12)
    batch = parsed(problem, data)
    assert batch["inputs"].shape == (3, 16, 12, 3)
    assert batch["inputs"].dtype == tf.uint8


@pytest.mark.parametrize(
    "side, value, message",
    [
        ("inputs", b"GIF89a", "neither PNG nor JPEG"),
        ("inputs", "text", "expected PNG or JPEG bytes, got str"),
        ("targets", 3, r"class index 3 is outside 0..2 of the 3 class names"),
        ("targets", "cat", "expected a class index, got 'cat'"),
    ],
)
def test_a_wrong_picture_or_label_is_told(toy, side, value, message):
    problem = toy("image", "label")
    example = next(problem.examples("train", tmp_dir=None, seed=1))
    with pytest.raises(UserError, match=f"'toy', {side}: .*{message}"):
        serialization.serialize(problem, example | {side: value}, {})


@pytest.mark.parametrize(
    "value, message",
    [
        (np.zeros(9), "expected a float32 waveform .* got float64"),
        (np.zeros(0, np.float32), r"at least one sample, .* shape \(0,\)"),
        (np.full(9, 2.0, np.float32), r"within \[-1, 1\]"),
        (np.full(9, np.nan, np.float32), r"within \[-1, 1\]"),
    ],
)
def test_a_wrong_waveform_is_told(toy, value, message):
    with pytest.raises(UserError, match=message):
        serialization.serialize(
            toy("waveform", "bytes"), {"inputs": value, "targets": "x"}, ENCODERS
        )


def test_a_missing_side_is_told(toy):
    with pytest.raises(UserError, match=r"has no 'targets', only \['inputs'\]"):
        serialization.serialize(toy("bytes", "bytes"), {"inputs": "x"}, ENCODERS)


def told(problem, example):
    with pytest.raises(UserError) as caught:
        serialization.serialize(problem, example, ENCODERS)
    return str(caught.value)


def test_lazy_values_are_made_when_they_are_written(toy):
    problem = toy("image", "bytes")
    [example], [data] = serialized(problem, 1)
    lazy = {side: lambda value=value: value for side, value in example.items()}
    assert serialization.serialize(problem, lazy, ENCODERS) == data
    whole = LazyExample(lambda: example)
    assert serialization.serialize(problem, whole, ENCODERS) == data


def test_a_lazy_value_that_cannot_be_read_is_told_with_its_place(toy, tmp_path):
    missing = tmp_path / "missing.png"
    example = {"inputs": missing.read_bytes, "targets": "x", "place": "list.csv:7"}
    assert told(toy("image", "bytes"), example) == (
        f"list.csv:7: problem 'toy', inputs: cannot read {missing}: No such file or "
        "directory"
    )


def test_a_place_that_the_reason_tells_already_is_told_once(toy):
    def value():
        raise UserError("list.csv:7: no such word")

    example = {"inputs": value, "targets": "x", "place": "list.csv:7"}
    assert told(toy("bytes", "bytes"), example).count("list.csv:7") == 1


def test_a_bad_example_is_told_with_place_and_reason(toy):
    bad = BadExample("a.mrg:3", "a bracket is missing")
    assert told(toy(), bad) == "a.mrg:3: a bracket is missing"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_picture_that_is_cut_off_is_told(toy, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = getattr(tf.io, f"encode_{kind}")(pixels).numpy()
    problem = toy("image", "label")
    serialization.serialize(problem, {"inputs": whole, "targets": 0}, {})
    for length in (40, len(whole) // 2):
        example = {"inputs": whole[:length], "targets": 0}
        assert f"the {kind.upper()} of {length} bytes cannot be decoded" in (
            told(problem, example)
        )


@pytest.mark.parametrize("inputs", ["image", "spectrogram"])
def test_the_words_of_a_sound_or_picture_must_not_be_empty(toy, inputs):
    problem = toy(inputs, "bytes")
    [example], _ = serialized(problem, 1)
    message = told(problem, {**example, "targets": " ", "place": "a.tsv:2"})
    assert message.startswith("a.tsv:2: problem 'toy', targets: expected the words of")
    # An empty line of a text corpus is one.
    serialization.serialize(
        toy("bytes", "bytes"), {"inputs": "", "targets": ""}, ENCODERS
    )
