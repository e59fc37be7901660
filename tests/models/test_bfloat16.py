"""The whole network in bfloat16: near float32's scores, stepping included."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec

VOCAB_SIZE = 17
GERMAN = Text(space=SpaceId.GERMAN_TOKENS, vocabulary=Vocabulary("words", 32))
COLOURS = ClassLabel(names=("red", "green", "blue"))
SPECS = {
    name: ProblemSpec(name, *features, {"words": VOCAB_SIZE})
    for name, features in {
        "translate": (GERMAN, GERMAN),
        "look": (Image(height_px=16, width_px=16), COLOURS),
        "listen": (Audio(form="spectrogram", num_bins=4), GERMAN),
    }.items()
}
SMALL = (
    "hidden_size=16,num_heads=4,num_encoder_blocks=1,moe_num_experts=4,moe_k=2,"
    "moe_hidden_size=8,image_stem_filters=(4,4),image_filters=(6,),"
    "audio_compression=1,audio_filter_multiplier=4,categorical_filters=(8,12,16)"
)
TARGETS = np.random.default_rng(2).integers(2, VOCAB_SIZE, (2, 6)).astype("int32")


@functools.cache
def model_of(compute_dtype, hparams_set="multimodel_tiny"):
    hparams = make_hparams(hparams_set, f"{SMALL},compute_dtype={compute_dtype}")
    model = make_model(list(SPECS.values()), hparams, seed=4)
    generator = np.random.default_rng(7)
    for weight in model.weights:
        noise = generator.normal(size=weight.shape) * 0.05
        weight.assign(weight.numpy() + noise.astype("float32"))
    return model


def features_of(problem):
    generator = np.random.default_rng(3)
    if problem == "look":
        # Not whole numbers: rounded before they are standardised, they would be off.
        pictures = generator.uniform(200, 202, (2, 16, 16, 3)).astype("float32")
        return {"inputs": pictures, "targets": np.array([0, 2], "int32")}
    features = {"targets": TARGETS}
    if problem == "listen":
        frames = generator.normal(size=(2, 40, 4)).astype("float32")
        return features | {
            "inputs": frames,
            "inputs_length": np.array([40, 30], "int32"),
        }
    inputs = generator.integers(2, VOCAB_SIZE, (2, 300)).astype("int32")
    inputs[1, 270:] = 0  # both longer than bfloat16 can count
    return features | {"inputs": inputs}


def test_weights_are_float32_and_all_but_class_scores_compute_in_bfloat16():
    model = model_of("bfloat16")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    float32_layers = {
        layer.name
        for layer in model._flatten_layers()
        if layer.compute_dtype != "bfloat16"
    }
    assert float32_layers == {"label_look"}
    wanted = {layer.path for layer in model_of("float32")._flatten_layers()}
    assert {layer.path for layer in model._flatten_layers()} == wanted


@pytest.mark.parametrize(
    ("problem", "hparams_set"),
    [
        *((problem, "multimodel_tiny") for problem in SPECS),
        ("translate", "multimodel_tiny_no_attention"),
    ],
)
def test_scores_are_float32_and_near_those_of_float32(problem, hparams_set):
    got, want = (
        model_of(dtype, hparams_set)(features_of(problem), problem=problem)
        for dtype in ("bfloat16", "float32")
    )
    assert got.logits.dtype == tf.float32
    apart = np.linalg.norm(got.logits - want.logits) / np.linalg.norm(want.logits)
    assert 0 < apart < 0.1
    for statistics in tf.nest.flatten(got.balance):
        assert statistics.dtype == tf.float32


@pytest.mark.parametrize(
    "hparams_set", ["multimodel_tiny", "multimodel_tiny_no_attention"]
)
def test_stepping_equals_the_full_pass(hparams_set):
    """As while training, where the model in training decodes."""
    model, ids = model_of("bfloat16", hparams_set), TARGETS
    encoded = model.encode(features_of("translate"), "translate")
    expected, _ = model.decode(ids, encoded, "translate")
    source = model.project_source(encoded)
    state, before = model.initial_state(2, ids.shape[1]), tf.zeros((2,), tf.int32)
    dtypes = tf.nest.map_structure(lambda t: t.dtype, state)
    for position in range(ids.shape[1]):
        logits, state = model.step(before, state, source, "translate")
        assert tf.nest.map_structure(lambda t: t.dtype, state) == dtypes
        assert logits.dtype == tf.float32
        apart = np.linalg.norm(logits - expected[:, position])
        assert apart < 0.05 * np.linalg.norm(expected[:, position])
        before = tf.constant(ids[:, position])
