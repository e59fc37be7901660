"""Whatever a parser model writes becomes a legal tree over the words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t_multimodel.data.tree_repair import legal_tree
from t2t_multimodel.data.trees import Tree, linearise, parse_brackets
from t2t_multimodel.errors import UserError

PHRASES = ("S", "NP", "VP", "X")
TAGS = ("DT", "NN", "VBD", ".", ",", "/", "-LRB-", "XX")
SYMBOLS = (*PHRASES, *(f"/{p}" for p in PHRASES), *TAGS, "/NN", "(", "(S", ")NP", "//")
WORDS = ("the", "cat", ".", ",", "?", "(", "/", "/NP", "S", "ß", "-")


def trees():
    leaf = st.builds(
        lambda tag, word: Tree(tag, (word,)),
        st.sampled_from(TAGS),
        st.sampled_from(WORDS),
    )
    phrase = st.recursive(
        leaf,
        lambda inner: st.builds(
            lambda label, children: Tree(label, tuple(children)),
            st.sampled_from(PHRASES),
            st.lists(inner, min_size=1, max_size=4),
        ),
        max_leaves=12,
    )
    children = st.lists(phrase, min_size=1, max_size=3)
    return children.map(lambda nodes: Tree("TOP", tuple(nodes)))


def repaired(tags, words):
    return str(legal_tree(tags.split(), words.split()))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from(SYMBOLS) | st.text(max_size=4), max_size=30),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=15),
)
def test_any_symbols_give_a_legal_tree_over_the_words(tags, words):
    tags = " ".join(tags).split()  # what is decoded comes as a line
    tree = legal_tree(tags, words)
    assert tree.words == words
    assert tree.label == "TOP"
    written = [word.replace("(", "-LRB-").replace(")", "-RRB-") for word in words]
    read = parse_brackets(str(tree))
    assert read.words == written
    assert linearise(read) == linearise(tree)
    assert legal_tree(tags, words) == tree


@settings(deadline=None, max_examples=60)
@given(trees())
def test_a_tree_stays_what_it_is(tree):
    assert legal_tree(linearise(tree), tree.words) == tree


@settings(deadline=None, max_examples=60)
@given(trees(), st.data())
def test_one_lost_closing_tag_costs_no_tag_of_a_word(tree, data):
    tags = linearise(tree)
    closing = [i for i, tag in enumerate(tags) if tag[1:] in PHRASES and tag[0] == "/"]
    if not closing:
        return
    lost = data.draw(st.sampled_from(closing))
    got = legal_tree(tags[:lost] + tags[lost + 1 :], tree.words)
    parts = [leaf.label for leaf in tree.leaves()]
    assert [leaf.label for leaf in got.leaves()] == parts
    assert got.words == tree.words


@pytest.mark.parametrize(
    ("what", "tags", "words", "expected"),
    [
        (
            "a missing closing tag closes with what holds it",
            "S NP DT NN VP VBD /VP . /S",
            "the cat sat .",
            "(TOP (S (NP (DT the) (NN cat) (VP (VBD sat)) (. .))))",
        ),
        (
            "closing tags missing at the end",
            "S NP DT NN /NP VP VBD",
            "the cat sat",
            "(TOP (S (NP (DT the) (NN cat)) (VP (VBD sat))))",
        ),
        (
            "a closing tag too many, and one of what was never open",
            "S NP DT NN /NP /NP VP VBD /PP /VP /S /S",
            "the cat sat",
            "(TOP (S (NP (DT the) (NN cat)) (VP (VBD sat))))",
        ),
        (
            "crossing",
            "S NP DT VP NN /NP VBD /VP /S",
            "the cat sat",
            "(TOP (S (NP (DT the) (VP (NN cat))) (VBD sat)))",
        ),
        (
            "an empty phrase",
            "S NP /NP VP VBD /VP /S",
            "sat",
            "(TOP (S (VP (VBD sat))))",
        ),
        (
            "a part of speech too many before a full stop",
            "S NP DT JJ NN /NP VP VBD /VP . /S",
            "the cat sat .",
            "(TOP (S (NP (DT the) (JJ cat) (NN sat)) (. .)))",
        ),
        (
            "a word without part of speech, between phrases",
            "S NP DT NN /NP , NP DT NN /NP /S",
            "the cat sleeps , the dog",
            "(TOP (S (NP (DT the) (NN cat)) (XX sleeps) (, ,) (NP (DT the) (NN dog))))",
        ),
        (
            "a mark at the end goes to the phrase that holds all",
            "S NP DT NN /NP VP VBD /VP /S",
            "the cat sat .",
            "(TOP (S (NP (DT the) (NN cat)) (VP (VBD sat)) (. .)))",
        ),
        (
            "at the beginning as well",
            "S NP DT NN /NP /S",
            "`` the cat",
            "(TOP (S (`` ``) (NP (DT the) (NN cat))))",
        ),
        (
            "no phrase holds all",
            "NP NN /NP VP VBD /VP",
            "cats sat !",
            "(TOP (NP (NN cats)) (VP (VBD sat)) (. !))",
        ),
        ("nothing", "", "the cat .", "(TOP (XX the) (XX cat) (. .))"),
        (
            "tags that no treebank has",
            "S QQ ZZ /QQ FOO /S",
            "the cat",
            "(TOP (S (QQ (ZZ the)) (FOO cat)))",
        ),
        (
            "brackets in tags",
            "(S (NN ) /S)",
            "cat",
            "(TOP (S (NN cat)))",
        ),
    ],
)
def test_the_rules(what, tags, words, expected):
    assert repaired(tags, words) == expected, what


def test_without_words_there_is_no_tree():
    with pytest.raises(UserError, match="no words to lay a tree over"):
        legal_tree(["S", "/S"], [])


def test_a_thousand_open_phrases():
    tree = legal_tree(["S"] * 5000 + ["NN"], ["cat", "."])
    assert tree.words == ["cat", "."]
    assert str(tree).count("(S") == 5000
    assert tree == parse_brackets(str(tree))
    assert hash(tree) == hash(parse_brackets(str(tree)))
