"""The counted operations are those that one counts by hand."""

import keras
import numpy as np
import pytest

from benchmarks.flop_count import counted_flops
from t2t_multimodel import layers, modalities
from t2t_multimodel.data.features import ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec


def x(*shape):
    return np.ones(shape, "float32")


MASK = np.array([[True] * 5 + [False] * 2] * 2)

# Layer and its inputs; multiply-adds by hand.
BY_HAND = {
    "separable": (
        lambda: layers.SeparableConv1D(6, 3)(x(2, 7, 4)),
        2 * 7 * (3 * 4 + 4 * 6),
    ),
    "causal_step": (
        lambda: layers.ConvStep(6, 3, 2, causal=True)(x(2, 7, 4)),
        2 * 7 * (3 * 4 + 4 * 6),
    ),
    "strided_2d": (
        lambda: layers.ConvStep2D(6, (3, 3), strides=(2, 2))(x(2, 7, 8, 4)),
        2 * 4 * 4 * (9 * 4 + 4 * 6),
    ),
    "ordinary_2d": (
        lambda: layers.ConvStep2D(6, (3, 3), separable=False)(x(2, 7, 8, 4)),
        2 * 7 * 8 * 9 * 4 * 6,
    ),
    "attention": (
        lambda: layers.MultiHeadAttention(2, 4)(x(2, 3, 4), x(2, 5, 4)),
        # query and output, key and value, scores and weighted sum
        2 * (2 * 3 * 4 * 4) + 2 * (2 * 5 * 4 * 4) + 2 * (2 * 3 * 5 * 4),
    ),
    "experts": (
        lambda: layers.MixtureOfExperts(6, 2, 8)(x(2, 7, 4), padding_mask=MASK),
        # gate and noise of all 14 positions; two experts of 10 real ones
        2 * 14 * 4 * 6 + 10 * 2 * (4 * 8 + 8 * 4),
    ),
    "dense": (lambda: keras.layers.Dense(3)(x(2, 4)), 2 * 4 * 3),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_layer_costs_what_the_hand_counts(name):
    run, multiply_adds = BY_HAND[name]
    with counted_flops() as count:
        run()
    assert count.total == 2 * multiply_adds


def test_logits_are_counted_and_embeddings_are_not():
    net = modalities.LanguageModality(11, 4)
    net.build()
    with counted_flops() as count:
        net.embed_inputs(np.ones((2, 3), "int32"))
        net.logits(x(2, 3, 4))
    assert count.by_layer == {"LanguageModality": 2 * 2 * 3 * 4 * 11}


def test_counting_ends_with_the_block():
    layer = keras.layers.Dense(3)
    with counted_flops() as count:
        layer(x(2, 4))
    layer(x(2, 4))
    assert count.total == 2 * 2 * 4 * 3


def test_every_layer_with_kernels_of_a_model_is_counted():
    words = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=Vocabulary("v", 9))
    specs = [
        ProblemSpec("text", words, words, {"v": 9}),
        ProblemSpec(
            "image", Image(height_px=8, width_px=8), ClassLabel(names=("a", "b")), {}
        ),
    ]
    hparams = make_hparams(
        "multimodel_tiny",
        "hidden_size=8,num_encoder_blocks=1,image_filters=(4,),"
        "categorical_filters=(4,4,4),moe_num_experts=4,moe_hidden_size=4",
    )
    model = make_model(specs, hparams)
    ids = np.full((1, 4), 3, "int32")
    with counted_flops() as count:
        model({"inputs": ids, "targets": ids}, problem="text")
        model({"inputs": np.ones((1, 8, 8, 3), "uint8")}, problem="image")
    assert set(count.by_layer) == {
        "SeparableConv1D",
        "ConvStep2D",
        "MultiHeadAttention",
        "MixtureOfExperts",
        "Dense",
        "LanguageModality",
    }
