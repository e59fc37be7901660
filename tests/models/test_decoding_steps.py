"""One position after the other gives what the whole sequence gives at once."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data.features import Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec

VOCAB_SIZE = 17
GERMAN = Text(space=SpaceId.GERMAN_TOKENS, vocabulary=Vocabulary("words", 32))
SPECS = [
    ProblemSpec("translate", GERMAN, GERMAN, {"words": VOCAB_SIZE}),
    ProblemSpec("caption", Image(height_px=16, width_px=16), GERMAN, {"words": 17}),
]
SMALL = (
    "hidden_size=16,num_heads=4,num_encoder_blocks=1,moe_num_experts=4,moe_k=2,"
    "moe_hidden_size=8,image_stem_filters=(4,4),image_filters=(6,)"
)
VARIANTS = {
    "whole": ("multimodel_tiny", ""),
    "no attention": ("multimodel_tiny_no_attention", ""),
    "no experts": ("multimodel_tiny_no_moe", ""),
    "experts last, blocks many": (
        "multimodel_tiny",
        "num_mixer_blocks=2,num_decoder_blocks=3,decoder_moe_after=3",
    ),
    "with self-attention added": ("multimodel_tiny", "attention_residual=true"),
    "no mixer blocks, other timing": (
        "multimodel_tiny",
        "num_mixer_blocks=0,timing=concatenated",
    ),
}


def make(variant):
    hparams_set, changes = VARIANTS[variant]
    hparams = make_hparams(hparams_set, f"{SMALL},{changes}".rstrip(","))
    model = make_model(SPECS, hparams, seed=4)
    generator = np.random.default_rng(7)
    for weight in model.weights:
        noise = generator.normal(size=weight.shape) * 0.1
        weight.assign(weight.numpy() + noise.astype("float32"))
    return model


def features_of(problem, generator):
    if problem == "caption":
        return {"inputs": generator.integers(0, 256, (2, 16, 16, 3)).astype("uint8")}
    inputs = generator.integers(2, VOCAB_SIZE, (2, 6)).astype("int32")
    inputs[1, 4:] = 0  # a shorter source than the outputs below
    return {"inputs": inputs}


def stepped_scores(model, ids, encoded, problem):
    """Returns the scores of every position `(B, T, V)`, one step after the other."""
    rows, length = ids.shape
    source = model.project_source(encoded)
    state, before = model.initial_state(rows, length), tf.zeros((rows,), tf.int32)
    step = tf.function(
        lambda ids, state, source: model.step(ids, state, source, problem)
    )
    scores = []
    for position in range(length):
        logits, state = step(before, state, source)
        scores.append(logits)
        before = tf.constant(ids[:, position])
    return tf.stack(scores, axis=1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_stepping_equals_the_full_pass(variant):
    model = make(variant)
    for problem in ("translate", "caption") if variant == "whole" else ("translate",):
        generator = np.random.default_rng(2)
        ids = generator.integers(2, VOCAB_SIZE, (2, 12)).astype("int32")
        encoded = model.encode(features_of(problem, generator), problem)
        expected, _ = model.decode(ids, encoded, problem)
        stepped = stepped_scores(model, ids, encoded, problem)
        np.testing.assert_allclose(stepped, expected, rtol=1e-5, atol=1e-5)


def test_stepping_past_a_rows_end_leaves_its_symbols_alone():
    """A row that has ended steps on with padding, which the full pass does not see."""
    model, generator = make("whole"), np.random.default_rng(2)
    ids = generator.integers(2, VOCAB_SIZE, (2, 12)).astype("int32")
    ids[0, 5:] = 0
    encoded = model.encode(features_of("translate", generator), "translate")
    expected, _ = model.decode(ids, encoded, "translate", ids != 0)
    stepped = stepped_scores(model, ids, encoded, "translate")
    real = ids != 0
    np.testing.assert_allclose(
        stepped.numpy()[real], expected.numpy()[real], rtol=1e-5, atol=1e-5
    )


def test_hypotheses_of_an_input_share_its_source():
    model, generator = make("whole"), np.random.default_rng(2)
    ids = generator.integers(2, VOCAB_SIZE, (6, 9)).astype("int32")
    encoded = model.encode(features_of("translate", generator), "translate")
    repeated = encoded._replace(
        source=tf.repeat(encoded.source, 3, axis=0),
        padding_mask=tf.repeat(encoded.padding_mask, 3, axis=0),
    )
    expected, _ = model.decode(ids, repeated, "translate")
    source = model.project_source(encoded)
    state, before = model.initial_state(2, 9, 3), tf.zeros((6,), tf.int32)
    for position in range(9):
        logits, state = model.step(before, state, source, "translate")
        np.testing.assert_allclose(logits, expected[:, position], rtol=1e-4, atol=1e-4)
        before = tf.constant(ids[:, position])
