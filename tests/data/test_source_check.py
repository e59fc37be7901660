"""What --check tells of sources, before anything is made."""

import pytest

from t2t_multimodel.data.source_check import check_sources
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Source


def source(**kwargs):
    fields = {
        "what": "News, EN-DE",
        "splits": ("train",),
        "where": "https://example.org/news",
        "licence": "CC0",
        "layout": "<tmp_dir>/news",
    }
    return Source(**fields | kwargs)


@pytest.fixture
def problem(toy):
    """Returns a function that makes a problem of some sources and sizes."""

    def make(*sources, counts=None, known=None):
        made = toy("bytes", "label")
        made.sources = lambda tmp_dir: sources
        made.known_sizes = known or {}
        made.count_examples = lambda split, tmp_dir: (counts or {}).get(split)
        return made

    return make


def test_complete_sources(problem, tmp_path):
    made = problem(source(), counts={"train": 40, "dev": 7}, known={"train": 40})
    check = check_sources(made, tmp_path)
    assert check.is_complete
    assert str(check).splitlines() == [
        "toy: complete",
        "  News, EN-DE (train): there",
        "    licence: CC0",
        "    looked for in: <tmp_dir>/news",
        "  train: 40 examples, as in the whole corpus",
        "  dev: 7 examples",
    ]


def test_what_is_missing_is_told_with_where_to_get_it(problem, tmp_path):
    made = problem(
        source(missing=("there is no news.en", "there is no news.de")),
        counts={"train": 40, "dev": 7},
        known={"train": 4_000_000},
    )
    check = check_sources(made, tmp_path)
    assert not check.is_complete
    assert str(check).splitlines() == [
        "toy: NOT COMPLETE",
        "  News, EN-DE (train): 2 missing",
        "    licence: CC0",
        "    looked for in: <tmp_dir>/news",
        "    get it from: https://example.org/news",
        "    MISSING: there is no news.en",
        "    MISSING: there is no news.de",
        "  train: not counted, as sources are missing; 4,000,000 in the whole corpus",
        "  dev: 7 examples",
    ]


@pytest.mark.parametrize(
    "counts, known, is_complete, line",
    [
        (
            {"train": 39},
            {"train": 40},
            False,
            "train: 39 examples, DIFFERENT from the 40 in the whole corpus",
        ),
        (
            {},
            {"train": 40},
            True,
            "train: only making it tells how many examples; 40 in the whole corpus",
        ),
    ],
)
def test_counts_are_compared_with_known_sizes(
    problem, tmp_path, counts, known, is_complete, line
):
    check = check_sources(problem(source(), counts=counts, known=known), tmp_path)
    assert check.is_complete is is_complete
    assert line in check.lines


@pytest.mark.parametrize(
    "error, told",
    [
        (UserError("news.en ends after line 3"), "news.en ends after line 3"),
        (PermissionError(13, "Permission denied", "/x"), "cannot read /x: Permission"),
    ],
)
def test_sources_that_cannot_be_read_are_not_complete(problem, tmp_path, error, told):
    def fail(*args):
        raise error

    made = problem(source())
    made.count_examples = fail
    check = check_sources(made, tmp_path)
    assert not check.is_complete
    assert any(f"train: cannot be counted: {told}" in line for line in check.lines)
    made.sources = fail
    check = check_sources(made, tmp_path)
    assert not check.is_complete
    assert check.lines[0].startswith(told)


def test_a_problem_without_sources_says_where_it_comes_from(toy, tmp_path):
    made = toy("bytes", "label")
    made.source = "drawn from a seed"
    check = check_sources(made, tmp_path)
    assert check.is_complete
    assert check.lines[0] == "no sources that could be missing: drawn from a seed"
