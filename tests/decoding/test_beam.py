"""Beam search against T2T's numbers and against looking at all outputs."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.decoding import beam
from t2t_multimodel.decoding.traced import until_eos
from tests.decoding.searched_model import (
    found_only,
    inputs_of,
    log_probs_of_rows,
    model_of,
    row_of,
    traced,
)
from tests.layers.golden import VERSIONS, read

SMALL_VOCABULARY = 4


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("num_beams", [1, 2, 3, 4])
def test_beams_are_those_of_t2t(num_beams, version):
    case, decode_length, alpha = {
        1: ("b1_v6_L6_a0.6", 6, 0.6),
        2: ("b2_v6_L10_a0.0", 10, 0.0),
        3: ("b3_v7_L8_a1.0", 8, 1.0),
        4: ("b4_v8_L6_a0.6", 6, 0.6),
    }[num_beams]
    golden = read("beam_search", version, case)
    table, initial = golden["in/table"], golden["in/initial_ids"]
    ids, scores = t2t_beam_search(table, initial, num_beams, decode_length, alpha)
    want = golden["out/ids"]
    np.testing.assert_array_equal(
        want[:, :, 0] * (scores > -1e6), np.where(scores > -1e6, initial[:, None], 0)
    )
    np.testing.assert_array_equal(ids[:, :, : want.shape[2] - 1], want[:, :, 1:])
    assert not ids[:, :, want.shape[2] - 1 :].any()
    np.testing.assert_allclose(scores, golden["out/scores"], rtol=1e-6)


def t2t_beam_search(table, initial, num_beams, decode_length, alpha):
    """Grows beams as T2T does: all rows go on until none can improve."""
    rows = len(initial)
    beams = beam.first_beams(rows, num_beams, decode_length)
    last = np.repeat(initial, num_beams)
    lengths = tf.fill([rows], decode_length)
    for position in range(decode_length):
        beams, symbols, _ = beam.grow(beams, position, table[position, last], alpha)
        last = symbols.numpy().reshape(-1)
        if np.all(beam.cannot_improve(beams, lengths, alpha)):
            break
    return [tensor.numpy() for tensor in beam.best(beams)]


def all_outputs(limit):
    """Returns every output of the small vocabulary, `(count, limit)`: EOS, then 0."""
    found = []
    for length in range(limit):
        for ids in itertools.product(range(2, SMALL_VOCABULARY), repeat=length):
            found.append([*ids, 1] + [0] * (limit - length - 1))
    return np.array(found, "int32")


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_as_wide_as_all_outputs_finds_the_best(alpha):
    limit = 4
    everything = all_outputs(limit)  # 15
    model = traced(f"beam_size=20,alpha={alpha}", SMALL_VOCABULARY)
    features = inputs_of("translate", SMALL_VOCABULARY)
    found = model.search(features, "translate", np.full(3, limit))
    for row in range(3):
        log_probs = log_probs_of_rows(
            model.model, row_of(features, row), "translate", everything
        )
        lengths = np.count_nonzero(everything, axis=1)
        scores = log_probs / ((5 + lengths) / 6) ** alpha
        order = np.argsort(-scores)
        ids, got_scores, got_log_probs = found_only(found, row)
        # T2T's rule ends a search whose worst finished one cannot be overtaken.
        order = order[: len(ids)]
        assert 1 <= len(ids) <= len(everything)
        padding = [(0, 0), (0, limit - ids.shape[1])]
        np.testing.assert_array_equal(np.pad(ids, padding), everything[order])
        np.testing.assert_allclose(got_scores, scores[order], rtol=1e-4)
        np.testing.assert_allclose(got_log_probs, log_probs[order], rtol=1e-4)


def reference_search(model, features, name, num_beams, limit, alpha):
    """Returns (score, ids) of one input, best first, by lists and the full pass."""
    alive, finished = [(0.0, ())], []
    for length in range(1, limit + 1):
        penalty = ((5 + length) / 6) ** alpha
        grown = []
        for _, ids in alive:
            # Padded: Keras warns of attention to a single position.
            rest = [0] * (limit - len(ids) - 1)
            rows = np.array([(*ids, v, *rest) for v in range(1, 13)], "int32")
            log_probs = log_probs_of_rows(model, features, name, rows)
            grown += [(p, (*ids, v)) for v, p in enumerate(log_probs, start=1)]
        grown = sorted(grown, reverse=True)[: 2 * num_beams]
        ended = [(p / penalty, ids) for p, ids in grown if ids[-1] == 1]
        finished = sorted(finished + ended, reverse=True)[:num_beams]
        alive = [(p, ids) for p, ids in grown if ids[-1] != 1][:num_beams]
        bound = alive[0][0] / ((5 + limit) / 6) ** alpha
        if finished and finished[-1][0] > bound:
            break
    return finished or alive


def test_narrow_beams_are_those_of_a_search_by_hand():
    name, limit = "translate", 6
    features = inputs_of(name)
    model = traced("beam_size=3")
    found = model.search(features, name, np.full(3, limit))
    for row in range(3):
        expected = reference_search(
            model_of(), row_of(features, row), name, 3, limit, 0.6
        )
        ids, scores, _ = found_only(found, row)
        assert list(map(until_eos, ids)) == [
            [i for i in ids if i != 1] for _, ids in expected
        ]
        np.testing.assert_allclose(scores, [s for s, _ in expected], rtol=1e-4)


def test_padding_is_never_chosen():
    found = traced("beam_size=3").search(
        inputs_of("translate"), "translate", np.full(3, 30)
    )
    for row in range(3):
        for ids in found_only(found, row)[0]:
            ended = np.flatnonzero(ids == 1)
            length = ended[0] + 1 if ended.size else len(ids)
            assert np.all(ids[:length] > 0)
            assert not ids[length:].any()


@pytest.mark.parametrize("size", [7, 1024, 8192, 8197])
def test_the_best_of_many_are_those_of_top_k(size):
    rng = np.random.default_rng(size)
    drawn = rng.normal(size=(5, size))
    few = rng.integers(0, 3, (5, size))  # nearly all numbers are equal to others
    none = np.where(np.arange(size) < 3, drawn, -np.inf)
    for values in (drawn, few, none):
        values = tf.constant(values, tf.float32)
        for ours, expected in zip(
            beam.top_k_of_many(values, 7), tf.math.top_k(values, 7), strict=True
        ):
            np.testing.assert_array_equal(ours, expected)
