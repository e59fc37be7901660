"""Where the decoder looks and which experts it asks, as numbers and as pictures."""

import numpy as np
import pytest

from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.decoding import insight_pictures
from t2t_multimodel.decoding.insight import Observer
from t2t_multimodel.layers.observation import is_observed, observing
from tests.decoding import tiny_run


@pytest.fixture(scope="module")
def insights(run, decoder):
    """Returns an insight into the first test example of every problem, by name."""
    found = {}
    observer = Observer(decoder)
    for problem in decoder.problems.values():
        dataset = eval_dataset(
            problem, run.data_dir, "test", batch_size=64, examples_per_batch=1
        )
        batch = next(dataset.as_numpy_iterator())
        row = batch["inputs"][0]
        if "inputs_length" in batch:
            row = row[: batch["inputs_length"][0]]
        elif problem.inputs.kind == "text":
            row = np.trim_zeros(row, "b")
        found[problem.name] = observer.look_into(problem.name, row)
    return found


NAMES = [problem.name for problem in tiny_run.problems()]


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_of_every_output_and_source_position(insights, name):
    insight = insights[name]
    positions = int(np.prod(insight.source_grid))
    if name == "look_tiny":
        assert not insight.attention and not insight.output_names
    else:
        assert len(insight.attention) == 2  # the mixer's and the decoder's
    for weights in insight.attention.values():
        assert weights.shape == (4, len(insight.output_names), positions)
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gates_are_of_k_experts_and_sum_to_one(insights, name):
    insight = insights[name]
    assert len(insight.experts) == (1 if name == "look_tiny" else 2)
    for gates in insight.experts.values():
        assert gates.shape[1] == 4
        used = gates.sum(axis=1)
        assert np.all(np.isclose(used, 1.0) | (used == 0.0))
        assert np.all((gates > 0).sum(axis=1) <= 2)


def test_names_are_the_sub_words_that_the_text_is_made_of(decoder, insights):
    insight = insights["translate_tiny"]
    assert insight.input_names[-1] == insight.output_names[-1] == "EOS"
    subtokens = decoder.encoders["words"].subtokens
    assert set(insight.input_names[:-1]) <= set(subtokens)
    assert len(insight.input_names) == insight.source_grid[0]
    (result,) = decoder.decode_prepared("translate_tiny", [insight.inputs])
    assert len(insight.output_names) == result.num_symbols + 1


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_every_kind_of_inputs(insights, tmp_path, name):
    insight = insights[name]
    insight_pictures.save_experts(insight, tmp_path / "experts.png")
    assert is_png(tmp_path / "experts.png")
    if insight.attention:
        insight_pictures.save_attention(insight, tmp_path / "attention.png")
        assert is_png(tmp_path / "attention.png")


def test_experts_by_problem_are_the_mean_over_positions(insights, tmp_path):
    chosen = [insights["translate_tiny"], insights["caption_tiny"]]
    shares = insight_pictures.expert_shares(chosen)
    for by_problem in shares.values():
        assert list(by_problem) == ["translate_tiny", "caption_tiny"]
        for name, share in by_problem.items():
            np.testing.assert_allclose(share.sum(), 1.0, atol=1e-5)
            gates = next(
                gates
                for layer, gates in insights[name].experts.items()
                if shares[layer] is by_problem
            )
            np.testing.assert_allclose(share, gates.mean(axis=0), atol=1e-6)
    path = tmp_path / "experts.png"
    insight_pictures.save_experts_by_problem(shares, path)
    assert is_png(path)


def test_nothing_is_seen_when_nobody_looks():
    assert not is_observed()
    with observing():
        assert is_observed()
    assert not is_observed()
