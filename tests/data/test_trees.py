"""Trees are read from brackets, linearised, and rebuilt."""

import pytest

from t2t_multimodel.data.trees import Tree, linearise, parse_brackets, unlinearise
from t2t_multimodel.errors import UserError

CAT = "(TOP (S (NP (DT The) (NN cat)) (VP (VBD sat)) (. .)))"
NESTED = (
    "(TOP (S (NP (NP (DT the) (NN star)) (PP (IN above) (NP (DT the) (NN cross))))"
    " (VP (VBZ is) (ADJP (JJ red))) (. .)))"
)


def test_brackets_round_trip():
    assert str(parse_brackets(CAT)) == CAT
    assert parse_brackets(CAT).words == ["The", "cat", "sat", "."]


def test_linearised_form_is_t2ts():
    tags = "S NP DT NN /NP VP VBD /VP . /S"
    assert linearise(parse_brackets(CAT)) == tags.split()


def test_a_root_without_label_and_line_breaks_are_read():
    tree = parse_brackets("( (S (NP (NN rain))\n    (VP (VBZ falls))))")
    assert str(tree) == "(TOP (S (NP (NN rain)) (VP (VBZ falls))))"


@pytest.mark.parametrize("text", [CAT, NESTED, "(TOP (NP (NN a)) (VP (VB b)))"])
def test_unlinearise_inverts_linearise(text):
    tree = parse_brackets(text)
    assert unlinearise(linearise(tree), tree.words) == tree


def test_the_tag_of_a_slash_is_a_part_of_speech():
    tree = Tree("TOP", (Tree("NP", (Tree("CD", ("1",)), Tree("/", ("/",)))),))
    assert unlinearise(linearise(tree), tree.words) == tree


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ("S NP DT NN /NP", "the cat"),  # S never closes
        ("NP DT NN /VP", "the cat"),  # closes what is not open
        ("NP DT /NP", "the cat"),  # too few parts of speech
        ("NP DT NN JJ /NP", "the cat"),  # too many
        ("NP /NP", ""),  # an empty phrase
        ("S NP DT /S /NP", "the cat"),  # crossing
        ("", ""),
    ],
)
def test_tags_that_are_no_tree_give_none(tags, words):
    assert unlinearise(tags.split(), words.split()) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(TOP (NN cat)", r"'\)' is missing"),
        ("(TOP (NN cat)) (X", "something follows"),
        ("cat", r"'\(' is missing"),
        ("(TOP (NN the cat))", "more than one word"),
        ("(TOP (S))", "'S' is empty"),
        ("(TOP ((NN cat)))", "no label"),
        ("(TOP cat)", "bare word"),
    ],
)
def test_broken_brackets_say_what_is_wrong(text, message):
    with pytest.raises(UserError, match=message):
        parse_brackets(text)
