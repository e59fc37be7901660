"""Samples are drawn from the model's probabilities, and drawn again the same."""

import numpy as np
import pytest

from t2t_multimodel.decoding.sampling import draw
from tests.decoding.searched_model import inputs_of, model_of, outputs, row_of, traced
from tests.decoding.searched_model import log_softmax as expected_log_softmax


def searched(decode_hparams, numbers=None, limit=9):
    features = inputs_of("translate")
    limits = np.full(3, limit)
    return traced(decode_hparams).search(features, "translate", limits, numbers)


def test_numbers_between_0_and_1_draw_symbols_by_their_share():
    with np.errstate(divide="ignore"):
        logits = np.log(np.float32([[0.0, 0.1, 0.6, 0.3]])).repeat(10000, axis=0)
    uniform = np.arange(10000, dtype="float32") / 10000
    counts = np.bincount(draw(logits, uniform), minlength=4)
    np.testing.assert_allclose(counts, [0, 1000, 6000, 3000], atol=2)


def test_of_the_likeliest_symbols_only_these_are_drawn():
    logits = np.log(np.float32([[0.1, 0.2, 0.4, 0.3]])).repeat(1000, axis=0)
    uniform = np.arange(1000, dtype="float32") / 1000
    counts = np.bincount(draw(logits, uniform, top_k=2), minlength=4)
    np.testing.assert_allclose(counts, [0, 0, 4000 / 7, 3000 / 7], atol=2)
    assert set(draw(logits, uniform, top_k=1).numpy()) == {2}


def test_a_number_close_to_1_draws_no_symbol_without_a_chance():
    logits = np.float32([[0, 0, -np.inf]])
    assert draw(logits, np.float32([1 - 2**-24])).numpy() == [1]


def test_first_symbols_have_the_models_frequencies():
    model = model_of()
    features = row_of(inputs_of("translate"), 1)
    many = {"inputs": features["inputs"].repeat(1000, axis=0)}
    found = traced("temperature=1,samples_per_input=4").search(
        many, "translate", np.full(1000, 1)
    )
    counts = np.bincount(found.ids.reshape(-1), minlength=13)
    encoded = model.encode(features, "translate")
    logits, _ = model.decode(np.zeros((1, 2), "int32"), encoded, "translate")
    expected = np.exp(expected_log_softmax(logits)[0, 0])
    deviation = np.sqrt(4000 * expected * (1 - expected))
    assert counts[0] == 0
    assert np.all(np.abs(counts - 4000 * expected) <= 4 * deviation + 1)


def test_the_same_seed_draws_the_same_and_another_does_not():
    hparams = "temperature=1,samples_per_input=4"
    first = searched(hparams)
    np.testing.assert_array_equal(first.ids, searched(hparams).ids)
    assert outputs(first) != outputs(searched(f"{hparams},seed=2"))


def test_samples_of_an_input_differ_and_go_by_its_number():
    found = outputs(searched("temperature=1,samples_per_input=4"))
    assert all(len({tuple(ids) for ids in of_input}) > 1 for of_input in found)
    renumbered = searched("temperature=1,samples_per_input=4", np.array([0, 7, 2]))
    assert outputs(renumbered)[0] == found[0]
    assert outputs(renumbered)[1] != found[1]


def test_what_is_drawn_does_not_depend_on_the_longest_neighbour():
    model, features = (
        traced("temperature=1,samples_per_input=4"),
        inputs_of("translate"),
    )
    short = model.search(features, "translate", np.array([6, 6, 6]))
    long = model.search(features, "translate", np.array([6, 6, 50]))
    assert outputs(short)[:2] == outputs(long)[:2]


@pytest.mark.parametrize("hparams", ["temperature=0.0001", "temperature=1,top_k=1"])
def test_cold_or_of_one_symbol_it_is_greedy(hparams):
    assert outputs(searched(hparams)) == outputs(searched(""))
