"""Cutting text into tokens."""

import itertools
import json
import pathlib
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t_multimodel.data.tokenizer import count_tokens, detokenize, tokenize

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "subword"


def test_tokens_are_t2ts():
    reference = json.loads((GOLDEN / "subword_v1.4.4.json").read_text(encoding="utf-8"))
    for sentence in reference["tokenizer"]:
        assert tokenize(sentence["text"]) == sentence["tokens"]
        assert detokenize(sentence["tokens"]) == sentence["decoded"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" ", [" "]),
        ("Dude - that's so.", ["Dude", " - ", "that", "'", "s", "so", "."]),
        (" a b ", [" ", "a", "b", " "]),
        ("a  b_c", ["a", "  ", "b", "_", "c"]),
    ],
)
def test_single_spaces_go_only_between_words(text, tokens):
    assert tokenize(text) == tokens
    assert detokenize(tokens) == text


@given(text=st.text(st.sampled_from("ab1 _.\u00a0\n") | st.characters()))
@settings(max_examples=200, deadline=None)
def test_joined_tokens_are_the_text(text):
    tokens = tokenize(text)
    assert all(tokens)
    assert detokenize(tokens) == text


def test_words_are_exactly_letters_and_numbers():
    characters = list(map(chr, range(sys.maxunicode + 1)))
    is_word = [unicodedata.category(c)[0] in "LN" for c in characters]
    assert [c.isalnum() for c in characters] == is_word
    word = "".join(itertools.compress(characters, is_word))
    other = "".join(itertools.compress(characters, (not w for w in is_word)))
    assert tokenize(word + other) == [word, other]


def test_texts_are_counted_one_by_one():
    assert count_tokens(["a b", "b", "b-"]) == {"a": 1, "b": 3, "-": 1}
