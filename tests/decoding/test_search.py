"""Searches in general; greedy decoding is taking the best symbol again and again."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.decoding.greedy import greedy_ids_and_log_probs
from t2t_multimodel.decoding.traced import TracedModel, until_eos
from tests.decoding.searched_model import (
    DECODED,
    SEARCHED,
    SEARCHES,
    found_only,
    inputs_of,
    log_probs_of_rows,
    model_of,
    outputs,
    row_of,
    traced,
)


def brute_force(model, features, name, max_length):
    """Returns one row's ids by running the whole network again for each symbol."""

    @functools.partial(tf.function, autograph=False)
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
    got = outputs(traced().search(features, name, limits))
    padded = {key: value[1:2] for key, value in features.items()}
    assert got[1] == [brute_force(model, padded, name, limits[1])]


def test_a_search_is_as_right_with_onednn():
    """TensorFlow turns it on where a processor is made for it, and fuses more."""
    tests = f"{__file__}::{test_a_batch_of_32_gives_what_each_row_gives_alone.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "translate-beam", tests],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_greedy_ids_are_those_of_the_search():
    model, features = model_of(), inputs_of("translate")
    limits = tf.constant([9, 14, 11])
    ids, _ = greedy_ids_and_log_probs(
        model, model.encode(features, "translate"), "translate", limits
    )
    searched = traced().search(features, "translate", limits.numpy())
    np.testing.assert_array_equal(ids, searched.ids[:, 0])


@pytest.mark.parametrize("name,search", SEARCHED)
def test_a_row_does_not_depend_on_its_batch(name, search):
    model, features = traced(SEARCHES[search]), inputs_of(name)
    limits = np.array([12, 35, 5])
    together = model.search(features, name, limits)
    for row in range(3):
        alone = model.search(
            row_of(features, row), name, limits[row : row + 1], np.array([row])
        )
        assert outputs(alone) == [outputs(together)[row]]
        np.testing.assert_allclose(
            alone.scores[0], together.scores[row], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name,search", SEARCHED)
def test_a_batch_of_32_gives_what_each_row_gives_alone(name, search):
    model, features = traced(SEARCHES[search]), inputs_of(name)
    rows = np.random.default_rng(0).integers(0, 3, 32)
    many = {key: value[rows] for key, value in features.items()}
    together = outputs(model.search(many, name, np.full(32, 12), np.arange(32)))
    alone = [
        model.search(row_of(features, row), name, np.array([12]), np.array([number]))
        for number, row in enumerate(rows)
    ]
    assert together == [outputs(result)[0] for result in alone]


@pytest.mark.parametrize("search", SEARCHES)
def test_log_probabilities_are_the_models(search):
    features = inputs_of("translate")
    found = traced(SEARCHES[search]).search(features, "translate", np.full(3, 11))
    for row in range(3):
        ids, got_scores, got_log_probs = found_only(found, row)
        expected = log_probs_of_rows(
            model_of(), row_of(features, row), "translate", ids
        )
        np.testing.assert_allclose(got_log_probs, expected, rtol=1e-4)
        scores = expected / ((5 + np.count_nonzero(ids, axis=1)) / 6) ** 0.6
        if search == "beam" and not np.any(ids == 1):
            scores = expected  # T2T's, where nothing has ended
        np.testing.assert_allclose(got_scores, scores, rtol=1e-4)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_row_ends_at_its_eos_or_its_own_limit(search):
    model, features = traced(SEARCHES[search]), inputs_of("translate")
    cut = outputs(model.search(features, "translate", np.array([2, 0, 40])))
    assert all(len(ids) <= 2 for ids in cut[0])
    assert all(ids == [] for ids in cut[1])
    assert max(map(len, cut[2])) > 2
    nothing = model.search(features, "translate", np.array([0, 0, 0]))
    assert nothing.ids.shape[2] == 0


def test_a_longer_limit_changes_nothing_before_it():
    features = inputs_of("translate")
    free = outputs(traced().search(features, "translate", np.full(3, 70)))
    for limit in (1, 31, 32, 33, 64):  # also where the state is extended
        cut = outputs(traced().search(features, "translate", np.full(3, limit)))
        assert cut == [[ids[:limit] for ids in of_input] for of_input in free]


@pytest.fixture
def counted_steps(monkeypatch):
    """The model, whose steps are counted."""
    model, steps = model_of(), []
    step = type(model).step

    def counted(self, *args):
        tf.py_function(lambda: steps.append(1), [], [])
        return step(self, *args)

    monkeypatch.setattr(type(model), "step", counted)
    return model, steps


def test_decoding_stops_when_all_rows_have_ended(counted_steps):
    model, steps = counted_steps
    table = model.net_language_words.softmax_table
    before = table.numpy()
    decoder, features = TracedModel(model), inputs_of("translate")
    try:
        for seed in range(20):
            # Of two opposite scores one is positive, all others are zero: EOS or id 2.
            # Which rows come to an end depends on the direction; one where all do.
            direction = np.random.default_rng(seed).normal(size=before.shape[1])
            ended = np.zeros_like(before)
            ended[1], ended[2] = direction, -direction
            table.assign(ended)
            steps.clear()
            ids = outputs(decoder.search(features, "translate", np.full(3, 40)))
            longest = max(len(of_input[0]) for of_input in ids)
            if 0 < longest < 40:
                break
        assert 0 < longest < 40
        assert len(steps) == longest + 1
    finally:
        table.assign(before)


def test_until_eos_drops_the_end_and_what_follows():
    assert until_eos(np.array([5, 7, 1, 9, 1])) == [5, 7]
    assert until_eos(np.array([5, 7, 0, 0])) == [5, 7]
    assert until_eos(np.array([5, 7])) == [5, 7]
    assert until_eos(np.array([1])) == []


def test_class_probabilities_are_the_softmax_of_the_scores():
    model, features = model_of(), inputs_of("classify")
    got = traced("beam_size=4").probabilities(features, "classify")
    scores = model.classify(model.encode(features, "classify"), "classify").numpy()
    expected = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_decoding_is_traced_once_for_all_lengths_and_batch_sizes(monkeypatch):
    model, features, traces = model_of(), inputs_of("translate"), []
    encode = model.encode
    monkeypatch.setattr(
        model, "encode", lambda *args: traces.append(1) or encode(*args), raising=False
    )
    decoder = TracedModel(model)
    decoder.search(features, "translate", np.array([4, 4, 4]))
    decoder.search(
        {"inputs": features["inputs"][:2, :5]}, "translate", np.array([9, 3])
    )
    assert len(traces) == 1
