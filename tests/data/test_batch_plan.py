"""The plan of the batches: nothing is lost, nothing comes twice, on any number of
readers."""

import collections
import itertools
import json
import random

import numpy as np
import pytest

from t2t_multimodel.data.batch_plan import BatchPlan, redeal
from t2t_multimodel.data.batching import Buckets
from t2t_multimodel.errors import UserError

BUCKETS = Buckets((8, 12, 16), (5, 3, 2))


def make_plan(count=40, *, seed=3, reader=(0, 1), buckets=BUCKETS, first_number=0):
    numbers = np.arange(first_number, first_number + count)
    bucket_of = np.random.default_rng(count).integers(
        len(buckets.boundaries), size=count
    )
    return BatchPlan(numbers, bucket_of, buckets, seed=seed, reader=reader)


def as_json(value):
    return json.loads(json.dumps(value))


def readers(number, states=None, **arguments):
    plans = [make_plan(reader=(index, number), **arguments) for index in range(number)]
    for plan, state in zip(plans, states or (), strict=bool(states)):
        plan.set_state(as_json(state))
    return plans


def states_of(plans):
    return [plan.get_state() for plan in plans]


def test_batches_are_of_one_bucket_and_full():
    plan = make_plan()
    bucket_of = np.random.default_rng(40).integers(3, size=40)
    for planned in itertools.islice(plan, 60):
        assert len(planned.numbers) == len(planned.turns)
        assert len(planned.numbers) == BUCKETS.batch_sizes[planned.bucket]
        assert {bucket_of[number] for number in planned.numbers} == {planned.bucket}
        assert plan.numbers_of(planned.turns) == list(planned.numbers)


def test_an_epoch_is_a_permutation_and_each_is_another():
    plan = make_plan(2000)
    epochs = [plan.numbers_of(range(2000 * e, 2000 * (e + 1))) for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(2000))
    assert len(set(map(tuple, epochs))) == 3
    assert epochs[1] == make_plan(2000).numbers_of(range(2000, 4000))
    assert epochs[1] != make_plan(2000, seed=4).numbers_of(range(2000, 4000))


def test_one_example_comes_again_and_again():
    plan = make_plan(1, buckets=Buckets((8,), (2,)), first_number=7)
    assert [list(p) for p in itertools.islice(plan, 2)] == [
        [0, (7, 7), (0, 1)],
        [0, (7, 7), (2, 3)],
    ]


@pytest.mark.parametrize("given", [0, 1, 13, 60])
def test_a_restored_plan_goes_on_exactly(given):
    plan = make_plan()
    for _ in range(given):
        next(plan)
    twin, other = plan.copy(), make_plan()
    other.set_state(as_json(plan.get_state()))
    assert other.get_state() == plan.get_state()
    want = list(itertools.islice(plan, 70))
    assert list(itertools.islice(twin, 70)) == want
    assert list(itertools.islice(other, 70)) == want
    assert plan.get_state()["num_batches"] == given + 70


def test_as_many_readers_as_before_keep_their_states():
    plans = readers(3)
    for plan in plans:
        next(plan)
    states = states_of(plans)
    assert redeal(states[::-1], 3) == states


def turns_to_come(state, limit):
    """Returns the turns below `limit` that a state says are still to be given."""
    fresh = range(state["next_turn"], limit, state["reader"][1])
    return [*state["left_over"], *itertools.chain(*state["waiting"]), *fresh]


@pytest.mark.parametrize("seed", range(16))
def test_dealt_again_nothing_is_lost_and_nothing_comes_twice(seed):
    """Random numbers of readers, several deals in a row, uneven, over epoch ends."""
    dice = random.Random(seed)
    count = dice.choice([1, 5, 17, 40])
    plans = readers(dice.randint(1, 8), count=count)
    given = collections.Counter()
    for _ in range(dice.randint(2, 5)):
        for plan in plans:
            for _ in range(dice.choice([0, 1, 3, 20])):
                given.update(next(plan).turns)
        before = states_of(plans)
        number = dice.randint(1, 8)
        states = redeal(as_json(before), number)
        # What they say is to come is what was not given.
        limit = max(state["next_turn"] for state in [*before, *states]) + 10
        coming = [turns_to_come(state, limit) for state in states]
        expected = sorted(set(range(limit)) - set(given))
        assert sorted(itertools.chain(*coming)) == expected
        if number != len(before):
            assert max(map(len, coming)) - min(map(len, coming)) <= 1
        plans = readers(number, states, count=count)
        batches = sum(state["num_batches"] for state in before)
        assert sum(state["num_batches"] for state in states) == batches
    # And what is given in the end is each once.
    frontier = max(state["next_turn"] for state in states_of(plans))
    for plan in plans:
        while plan.get_state()["next_turn"] < frontier + 3 * count:
            given.update(next(plan).turns)
    waiting = itertools.chain(*(s["waiting"] for s in states_of(plans)))
    given.update(itertools.chain(*waiting))
    assert set(given.values()) == {1}
    assert set(range(frontier + 3 * count)) <= set(given)
    numbers = collections.Counter(plans[0].numbers_of(sorted(given)[: count * 3]))
    assert set(numbers.values()) == {3}
    assert len(numbers) == count


def test_what_was_left_over_comes_first_and_in_order():
    plans = readers(2)
    for _ in range(6):
        next(plans[0])
    [state] = redeal(states_of(plans), 1)
    assert state["left_over"] == sorted(state["left_over"])
    assert state["left_over"][-1] < state["next_turn"]
    plan = readers(1, [state])[0]
    for planned in plan:
        if not plan.get_state()["left_over"]:
            break
        assert max(planned.turns) < state["next_turn"]
        assert plan.get_state()["next_turn"] == state["next_turn"]


def test_a_state_is_small():
    plan = make_plan(5000, buckets=Buckets((8, 16, 32), (128, 64, 32)))
    for _ in range(2000):
        next(plan)
    assert len(json.dumps(plan.get_state())) < 3000


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"count": 41}, "number of examples 40 there and 41 here"),
        ({"seed": 4}, "seed 3 there and 4 here"),
        (
            {"buckets": Buckets((8, 12, 20), (5, 3, 2))},
            r"boundaries of the buckets in tokens \[8, 12, 16\] there and \[8, 12, 20",
        ),
        ({"buckets": Buckets((8, 12, 16), (5, 3, 1))}, "examples of a batch of each"),
        ({"first_number": 1}, "check sum of which example is in which bucket"),
    ],
)
def test_a_state_of_other_data_is_refused_and_changes_nothing(changes, message):
    state = make_plan().get_state()
    plan = make_plan(**changes)
    next(plan)
    before = plan.get_state()
    with pytest.raises(UserError, match=f"is of other data: .*{message}"):
        plan.set_state(state)
    assert plan.get_state() == before
    other = make_plan(reader=(1, 2), **changes).get_state()
    state["reader"] = [0, 2]
    with pytest.raises(UserError, match="is of other data"):
        redeal([state, other], 1)


def test_states_of_not_all_readers_are_refused():
    states = states_of(readers(3))
    with pytest.raises(ValueError, match=r"expected all readers .* \[\[0, 3\], \[2, 3"):
        redeal([states[0], states[2]], 1)
    with pytest.raises(ValueError, match=r"is of reader \[0, 3\], this is .* \[1, 3\]"):
        readers(3)[1].set_state(states[0])


def test_what_is_left_out_changes_no_other_batch():
    whole = list(itertools.islice(make_plan(), 60))
    plan = make_plan()
    plan.leave_out([4, 11])
    bad = {4, 11}
    expected = [
        [bucket, [n for n in numbers if n not in bad]]
        for bucket, numbers, _ in whole
        if set(numbers) - bad
    ]
    got = [[p.bucket, list(p.numbers)] for p in itertools.islice(plan, len(expected))]
    assert got == expected
    assert plan.get_state()["left_out"] == [4, 11]


def test_a_batch_of_which_nothing_is_left_is_not_given():
    buckets = Buckets((8,), (1,))
    plan = make_plan(3, buckets=buckets)
    plan.leave_out([0, 2])
    assert [p.numbers for p in itertools.islice(plan, 4)] == [(1,)] * 4
    assert {p.turns[0] // 3 for p in itertools.islice(plan, 2)} == {4, 5}
    with pytest.raises(UserError, match="all 3 training examples are damaged"):
        plan.leave_out([1])


def test_readers_dealt_anew_leave_out_what_any_of_them_did():
    plans = readers(3)
    plans[0].leave_out([5])
    plans[2].leave_out([9, 5])
    states = redeal(states_of(plans), 2)
    assert [plan.left_out for plan in readers(2, states)] == [{5, 9}, {5, 9}]
