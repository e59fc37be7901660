"""A small model of random weights and inputs of every kind, for the searches' tests."""

import functools

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.traced import TracedModel, until_eos
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
SEARCHES = {
    "greedy": "",
    "beam": "beam_size=3",
    "samples": "temperature=1,samples_per_input=4",
}
# Tracing takes seconds: samples of one kind of input only.
SEARCHED = [(name, search) for name in DECODED for search in ("greedy", "beam")]
SEARCHED.append(("translate", "samples"))


@functools.cache
def model_of(vocab_size=VOCAB_SIZE, problems=tuple(FEATURES)):
    specs = [
        ProblemSpec(name, *FEATURES[name], {"words": vocab_size}) for name in problems
    ]
    model = make_model(specs, make_hparams("multimodel_tiny", tiny_run.HPARAMS), seed=5)
    generator = np.random.default_rng(7)
    for weight in model.weights:
        # Gates start at zero, where all experts tie; a trained model is not there.
        noise = generator.normal(size=weight.shape) * 0.3
        weight.assign(weight.numpy() + noise.astype("float32"))
    return model


@functools.cache
def traced(decode_hparams="", vocab_size=VOCAB_SIZE):
    problems = tuple(FEATURES) if vocab_size == VOCAB_SIZE else ("translate",)
    return TracedModel(
        model_of(vocab_size, problems), DecodeHParams.parse(decode_hparams)
    )


def inputs_of(name, vocab_size=VOCAB_SIZE):
    """Returns three rows; texts and sounds of different length."""
    generator = np.random.default_rng(3)
    kind = FEATURES[name][0].kind
    if kind == "text":
        ids = generator.integers(2, vocab_size, size=(3, 7)).astype("int32")
        ids[1, 3:] = ids[2, 5:] = 0
        return {"inputs": ids}
    if kind == "image":
        return {"inputs": generator.integers(0, 256, (3, 16, 16, 3)).astype("uint8")}
    spectrogram = generator.normal(size=(3, 40, 4)).astype("float32")
    return {
        "inputs": spectrogram,
        "inputs_length": np.array([40, 22, 31], "int32"),
    }


def row_of(features, row):
    """Returns one row alone, a text without the padding its neighbours needed."""
    alone = {key: value[row : row + 1] for key, value in features.items()}
    if "inputs_length" not in alone and alone["inputs"].ndim == 2:
        alone["inputs"] = alone["inputs"][:, : np.count_nonzero(alone["inputs"])]
    return alone


def outputs(searched):
    """Returns the ids of each input's outputs, up to EOS and without it."""
    return [[until_eos(ids) for ids in of_input] for of_input in searched.ids]


def log_softmax(logits):
    """Returns log-probabilities `(..., V)` where padding is no symbol, by NumPy."""
    logits = np.array(logits, "float64")
    logits[..., 0] = -np.inf
    highest = logits.max(axis=-1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(-1, keepdims=True))


@functools.cache
def full_pass(model, name):
    """Returns a function: one input and many outputs of it to their scores."""

    @functools.partial(tf.function, reduce_retracing=True, autograph=False)
    def logits(features, ids):
        encoded = model.encode(features, name)
        encoded = encoded._replace(
            source=tf.repeat(encoded.source, tf.shape(ids)[0], axis=0),
            padding_mask=tf.repeat(encoded.padding_mask, tf.shape(ids)[0], axis=0),
        )
        return model.decode(ids, encoded, name)[0]

    return logits


def log_probs_of_rows(model, features, name, ids):
    """Returns the log-probability `(rows,)` of whole outputs of one input.

    Args:
        model: The model.
        features: The input, one row.
        name: Name of the problem.
        ids: `(rows, T)`, EOS included, then 0.
    """
    logits = full_pass(model, name)(features, tf.constant(ids))
    each = np.take_along_axis(log_softmax(logits), ids[..., None], axis=-1)[..., 0]
    return np.where(ids != 0, each, 0).sum(axis=1)


def found_only(searched, row):
    """Returns ids, scores and log-probabilities of one input, empty places left out."""
    kept = searched.scores[row] > -1e6
    return (
        searched.ids[row][kept],
        searched.scores[row][kept],
        (searched.log_probs[row][kept]),
    )
