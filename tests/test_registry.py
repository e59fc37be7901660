"""Names are found, suggested, refused twice, and expanded from groups."""

import pytest

from t2t_multimodel import problems, registry
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.registry import PROBLEM_GROUPS, PROBLEMS, Registry


@pytest.fixture
def table():
    table = Registry("thing")
    table.register("apple", 1, "A fruit.")
    table.register("angle", 2, "Two lines.")
    return table


@pytest.fixture
def three_problems():
    """Registers problems `toy_a`, `toy_b`, `toy_c` and the group `toys` of a and b."""
    names = ("toy_a", "toy_b", "toy_c")
    for name in names:

        @registry.register_problem(name)
        class Toy:
            """A toy.

            With more said about it.
            """

    PROBLEM_GROUPS.register("toys", ("toy_a", "toy_b"), "Two toys.")
    yield names
    for name in names:
        PROBLEMS.remove(name)
    PROBLEM_GROUPS.remove("toys")


def test_entries_come_back_by_name_and_in_order(table):
    assert table.get("apple") == 1
    assert table.describe("angle") == "Two lines."
    assert list(table) == ["angle", "apple"]
    assert "apple" in table and "pear" not in table


def test_a_near_miss_is_answered_with_the_nearest_name(table):
    with pytest.raises(UserError, match="no thing named 'appel'; did you mean 'apple'"):
        table.get("appel")
    with pytest.raises(UserError, match="did you mean 'apple'"):
        table.describe("appel")


def test_a_name_near_to_none_is_answered_with_all_of_them(table):
    with pytest.raises(UserError, match="named 'zzz'; known: angle, apple$"):
        table.get("zzz")


def test_unknown_takes_any_iterable_of_names():
    assert unknown("fruit", "per", iter(["pear"])).endswith("did you mean 'pear'?")


def test_a_name_is_given_once(table):
    with pytest.raises(UserError, match="'apple' is taken by 1; 5 needs another name"):
        table.register("apple", 5, "")


@pytest.mark.parametrize("name", ["wmt-ende", "Apple", "8k", "", "a b", "a\n", "_a"])
def test_names_that_cannot_be_joined_with_dashes_are_refused(table, name):
    with pytest.raises(UserError, match="must be lower-case letters, digits and"):
        table.register(name, 3, "")


def test_a_removed_name_is_free_again(table):
    table.remove("apple")
    assert "apple" not in table
    table.register("apple", 6, "")
    with pytest.raises(UserError, match="no thing named"):
        table.remove("never_there")


def test_a_problem_is_described_by_its_docstring_and_made_with_its_name(three_problems):
    assert PROBLEMS.describe("toy_a") == "A toy."
    assert problems.make_problem("toy_b").name == "toy_b"


def test_problems_are_joined_with_dashes_and_groups_expanded(three_problems):
    assert registry.problem_names("toy_c-toys") == ["toy_c", "toy_a", "toy_b"]
    assert [p.name for p in problems.make_problems("toy_b-toy_a")] == ["toy_b", "toy_a"]


def test_a_problem_named_twice_is_refused_also_through_a_group(three_problems):
    with pytest.raises(UserError, match="names toy_a more than once"):
        registry.problem_names("toys-toy_a")


def test_an_unknown_problem_is_compared_with_problems_and_groups(three_problems):
    with pytest.raises(UserError, match="named 'toyz'; did you mean 'toys'"):
        registry.problem_names("toy_a-toyz")
    with pytest.raises(UserError, match="no problem or problem group named ''"):
        registry.problem_names("")


def test_an_hparams_set_is_registered_under_its_functions_name():
    def toy_set():
        """Toy numbers."""
        return 7

    assert registry.register_hparams_set(toy_set) is toy_set
    try:
        assert registry.HPARAMS_SETS.get("toy_set")() == 7
        assert registry.HPARAMS_SETS.describe("toy_set") == "Toy numbers."
    finally:
        registry.HPARAMS_SETS.remove("toy_set")
