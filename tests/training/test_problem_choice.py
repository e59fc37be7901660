import collections
import json

import numpy as np
import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.problem_choice import ProblemChoice

NAMES = ("a", "b", "c")


def _frequencies(choice, num_steps=20_000):
    counts = collections.Counter(choice.draw(step)[0] for step in range(num_steps))
    return [counts[name] / num_steps for name in NAMES]


def test_distributed_trains_all_problems_in_every_step():
    choice = ProblemChoice("distributed", NAMES)
    assert choice.draw(0) == choice.draw(17) == NAMES
    assert choice.sets() == [NAMES]
    assert ProblemChoice("uniform", NAMES).sets() == [("a",), ("b",), ("c",)]


def test_uniform_draws_all_equally_often():
    got = _frequencies(ProblemChoice("uniform", NAMES, seed=1))
    np.testing.assert_allclose(got, [1 / 3] * 3, atol=0.015)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_proportional_goes_by_size_and_temperature(temperature):
    sizes = {"a": 1000, "b": 3000, "c": 6000}
    choice = ProblemChoice("proportional", NAMES, sizes=sizes, temperature=temperature)
    weights = np.array([1.0, 3.0, 6.0]) ** (1 / temperature)
    want = weights / weights.sum()
    np.testing.assert_allclose(list(choice.probabilities.values()), want, rtol=1e-9)
    np.testing.assert_allclose(_frequencies(choice), want, atol=0.015)


def test_adaptive_is_the_softmax_of_the_average_losses():
    choice = ProblemChoice("adaptive", NAMES)
    choice.set_state({"a": 2.0, "b": 3.0, "c": 1.0})
    want = np.exp([2.0, 3.0, 1.0]) / np.exp([2.0, 3.0, 1.0]).sum()
    np.testing.assert_allclose(list(choice.probabilities.values()), want, rtol=1e-9)
    np.testing.assert_allclose(_frequencies(choice), want, atol=0.015)


def test_averages_are_t2ts():
    # Losses of four passes of T2T v1.0.14, and its average after them; the average
    # leaves weight decay out.
    choice = ProblemChoice("adaptive", ["problem"])
    for loss in (3.1387212, 3.1383889, 3.137723, 3.1367245):
        choice.learn({"problem": loss - 0.1586843})
    assert choice.get_state() == {"problem": pytest.approx(66.63452, rel=1e-7)}


def test_an_adaptive_problem_that_is_still_high_is_drawn():
    choice = ProblemChoice("adaptive", NAMES)
    choice.learn({"a": 5.0, "b": 5.0})
    assert {choice.draw(step) for step in range(100)} == {("c",)}


def test_a_continued_run_draws_what_it_would_have_drawn():
    whole, stopped = (ProblemChoice("adaptive", NAMES, seed=3) for _ in range(2))

    def train(choice, first, last):
        drawn = []
        for step in range(first, last):
            drawn += choice.draw(step)
            choice.learn({drawn[-1]: 5.0 / (step + 1)})
        return drawn

    want = train(whole, 0, 200)
    train(stopped, 0, 120)
    state = json.loads(json.dumps(stopped.get_state()))
    continued = ProblemChoice("adaptive", NAMES, seed=3)
    continued.set_state(state)
    assert train(continued, 120, 200) == want[120:]


def test_seeds_differ():
    draws = [
        [ProblemChoice("uniform", NAMES, seed=seed).draw(step) for step in range(50)]
        for seed in (0, 1)
    ]
    assert draws[0] != draws[1]


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("unifrom", {}, "did you mean 'uniform'"),
        ("proportional", {"sizes": {"a": 1, "b": 1}}, "training examples of c;"),
        (
            "proportional",
            {"sizes": dict.fromkeys(NAMES, 1), "temperature": 0.0},
            "must be positive",
        ),
    ],
)
def test_errors_say_what_to_do(mode, options, message):
    with pytest.raises(UserError, match=message):
        ProblemChoice(mode, NAMES, **options)
