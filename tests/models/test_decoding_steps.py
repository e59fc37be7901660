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


@pytest.mark.parametrize("variant", VARIANTS)
def test_stepping_equals_the_full_pass(variant):
    model = make(variant)
    for problem in ("translate", "caption") if variant == "whole" else ("translate",):
        generator = np.random.default_rng(2)
        ids = generator.integers(2, VOCAB_SIZE, (2, 12)).astype("int32")
        encoded = model.encode(features_of(problem, generator), problem)
        expected, _ = model.decode(ids, encoded, problem)

        source = model.project_source(encoded)
        state, before = model.initial_state(2, 12), tf.zeros((2,), tf.int32)
        step = tf.function(
            lambda ids, state, source, problem=problem: model.step(
                ids, state, source, problem
            )
        )
        stepped = []
        for position in range(12):
            scores, state = step(before, state, source)
            stepped.append(scores)
            before = tf.constant(ids[:, position])
        stepped = tf.stack(stepped, axis=1)
        np.testing.assert_allclose(stepped, expected, rtol=1e-5, atol=1e-5)
