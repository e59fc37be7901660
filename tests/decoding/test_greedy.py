"""Greedy decoding equals taking the best symbol again and again."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.decoding.greedy import GreedyDecoder, until_eos
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec
from tests.decoding import tiny_run

VOCAB_SIZE = 13
ENGLISH = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=Vocabulary("words", 32))
FEATURES = {
    "translate": (ENGLISH, ENGLISH),
    "caption": (Image(height_px=16, width_px=16), ENGLISH),
    "transcribe": (Audio(form="spectrogram", num_bins=4), ENGLISH),
    "classify": (
        Image(height_px=16, width_px=16),
        ClassLabel(names=("red", "green", "blue")),
    ),
}
DECODED = ["translate", "caption", "transcribe"]


@functools.cache
def model_of():
    specs = [
        ProblemSpec(name, inputs, targets, {"words": VOCAB_SIZE})
        for name, (inputs, targets) in FEATURES.items()
    ]
    model = make_model(specs, make_hparams("multimodel_tiny", tiny_run.HPARAMS), seed=5)
    generator = np.random.default_rng(7)
    for weight in model.weights:
        # Gates start at zero, where all experts tie; a trained model is not there.
        noise = generator.normal(size=weight.shape) * 0.3
        weight.assign(weight.numpy() + noise.astype("float32"))
    return model


@functools.cache
def greedy_of():
    return GreedyDecoder(model_of())


def inputs_of(name):
    """Returns three rows; texts and sounds of different length."""
    generator = np.random.default_rng(3)
    kind = FEATURES[name][0].kind
    if kind == "text":
        ids = generator.integers(2, VOCAB_SIZE, size=(3, 7)).astype("int32")
        ids[1, 3:] = ids[2, 5:] = 0
        return {"inputs": ids}
    if kind == "image":
        return {"inputs": generator.integers(0, 256, (3, 16, 16, 3)).astype("uint8")}
    spectrogram = generator.normal(size=(3, 40, 4)).astype("float32")
    return {
        "inputs": spectrogram,
        "inputs_length": np.array([40, 22, 31], "int32"),
    }


def brute_force(model, features, name, max_length):
    """Returns one row's ids by running the whole network again for each symbol."""

    @tf.function
    def next_scores(ids, position):
        logits, _ = model.decode(ids, model.encode(features, name), name)
        return logits[0, position, 1:]

    ids = np.zeros((1, max_length), "int32")
    for position in range(max_length):
        ids[0, position] = 1 + np.argmax(
            next_scores(tf.constant(ids), tf.constant(position))
        )
    return until_eos(ids[0])


@pytest.mark.parametrize("name", DECODED)
def test_greedy_equals_brute_force(name):
    model, features = model_of(), inputs_of(name)
    limits = np.array([9, 14, 11])
    got = greedy_of().ids(features, name, limits)
    padded = {key: value[1:2] for key, value in features.items()}
    assert got[1] == brute_force(model, padded, name, limits[1])


@pytest.mark.parametrize("name", DECODED)
def test_a_row_does_not_depend_on_its_batch(name):
    decoder, features = greedy_of(), inputs_of(name)
    together = decoder.ids(features, name, np.array([12, 12, 12]))
    for row in range(3):
        alone = {key: value[row : row + 1] for key, value in features.items()}
        if name == "translate":  # without the padding that its neighbours needed
            alone["inputs"] = alone["inputs"][:, : np.count_nonzero(alone["inputs"])]
        assert decoder.ids(alone, name, np.array([12])) == [together[row]]


def test_a_row_ends_at_its_eos_or_its_own_limit():
    decoder, features = greedy_of(), inputs_of("translate")
    free = decoder.ids(features, "translate", np.array([30, 30, 30]))
    cut = decoder.ids(features, "translate", np.array([2, 0, 30]))
    assert cut == [free[0][:2], [], free[2]]
    nothing = decoder.ids(features, "translate", np.array([0, 0, 0]))
    assert nothing == [[], [], []]


def test_decoding_stops_when_all_rows_have_ended():
    model = model_of()
    table = model.net_language_words.softmax_table
    before = table.numpy()
    steps = []
    step = model.step

    def counted(*args):
        tf.py_function(lambda: steps.append(1), [], [])
        return step(*args)

    try:
        model.step = counted
        decoder, features = GreedyDecoder(model), inputs_of("translate")
        for seed in range(20):
            # Of two opposite scores one is positive, all others are zero: EOS or id 2.
            # Which rows come to an end depends on the direction; one where all do.
            direction = np.random.default_rng(seed).normal(size=before.shape[1])
            ended = np.zeros_like(before)
            ended[1], ended[2] = direction, -direction
            table.assign(ended)
            steps.clear()
            ids = decoder.ids(features, "translate", np.array([40, 40, 40]))
            longest = max(map(len, ids))
            if 0 < longest < 40:
                break
        assert 0 < longest < 40
        assert len(steps) == longest + 1
    finally:
        del model.step
        table.assign(before)


def test_until_eos_drops_the_end_and_what_follows():
    assert until_eos(np.array([5, 7, 1, 9, 1])) == [5, 7]
    assert until_eos(np.array([5, 7, 0, 0])) == [5, 7]
    assert until_eos(np.array([5, 7])) == [5, 7]
    assert until_eos(np.array([1])) == []


def test_class_probabilities_are_the_softmax_of_the_scores():
    model, features = model_of(), inputs_of("classify")
    got = greedy_of().probabilities(features, "classify")
    scores = model.classify(model.encode(features, "classify"), "classify").numpy()
    expected = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_decoding_is_traced_once_for_all_lengths_and_batch_sizes(monkeypatch):
    model, features, traces = model_of(), inputs_of("translate"), []
    encode = model.encode
    monkeypatch.setattr(
        model, "encode", lambda *args: traces.append(1) or encode(*args), raising=False
    )
    decoder = GreedyDecoder(model)
    decoder.ids(features, "translate", np.array([4, 4, 4]))
    decoder.ids({"inputs": features["inputs"][:2, :5]}, "translate", np.array([9, 3]))
    assert len(traces) == 1
