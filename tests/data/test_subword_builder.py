"""Building vocabularies: the quick way against the plain one, sizes, mistakes."""

import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t_multimodel.data.segmentation import alphabet_of, escape, segment
from t2t_multimodel.data.subword_builder import SubwordBuilder
from t2t_multimodel.data.text_encoder import RESERVED_TOKENS, count_tokens
from t2t_multimodel.errors import UserError

COUNTS = count_tokens(["the cat sat on the mat, the cattle at the station sat"] * 3)


def built_plainly(token_counts, min_count, max_length=10**9):
    """The algorithm as it is described: four rounds, nothing left out or kept."""
    alphabet = alphabet_of([*token_counts, *RESERVED_TOKENS])
    subtokens = list(alphabet)
    for _ in range(4):
        counts = collections.Counter()
        for token, count in token_counts.items():
            escaped, start = escape(token, alphabet), 0
            for piece in segment(escaped, set(subtokens), max(map(len, subtokens))):
                for end in range(start + 1, len(escaped) + 1):
                    if end - start <= max_length:
                        counts[escaped[start:end]] += count
                start += len(piece)
        taken = []
        candidates = [s for s in counts if counts[s] >= min_count]
        for string in sorted(candidates, key=len, reverse=True):
            if counts[string] >= min_count:
                if string not in alphabet:
                    taken.append((counts[string], string))
                for end in range(1, len(string)):
                    counts[string[:end]] -= counts[string]
        taken += [(counts[c], c) for c in alphabet]
        subtokens = [string for _, string in sorted(taken, reverse=True)]
    return [*RESERVED_TOKENS, *subtokens]


@given(
    texts=st.lists(st.text("ab_\\é "), min_size=1).filter(any),
    min_count=st.integers(1, 5),
    max_length=st.integers(1, 8),
)
@settings(max_examples=100, deadline=None)
def test_what_is_not_counted_again_changes_nothing(texts, min_count, max_length):
    counts = count_tokens(texts)
    assert SubwordBuilder(counts).build(min_count) == built_plainly(counts, min_count)
    limited = SubwordBuilder(counts, max_length).build(min_count)
    assert limited == built_plainly(counts, min_count, max_length)


def test_one_builder_makes_many_lists():
    builder = SubwordBuilder(COUNTS)
    first = builder.build(3)
    builder.build(6)
    builder.build_to_target_size(40)
    assert builder.build(3) == first


def test_frequent_words_become_sub_tokens():
    subtokens = SubwordBuilder(COUNTS).build(9)
    assert "the_" in subtokens
    assert "station_" not in subtokens


def test_no_sub_token_is_longer_than_allowed():
    subtokens = SubwordBuilder(COUNTS, max_subtoken_length=3).build(1)
    assert max(map(len, subtokens[len(RESERVED_TOKENS) :])) == 3


def test_a_target_below_the_alphabet_gives_the_alphabet():
    subtokens = SubwordBuilder(COUNTS).build_to_target_size(1)
    alphabet = alphabet_of([*COUNTS, *RESERVED_TOKENS])
    assert sorted(subtokens) == sorted([*RESERVED_TOKENS, *alphabet])


def test_a_target_beyond_the_corpus_gives_all_there_is():
    builder = SubwordBuilder(COUNTS)
    assert builder.build_to_target_size(10**6) == builder.build(1)


def test_newlines_and_lone_surrogates_get_no_entry():
    subtokens = SubwordBuilder({"\n\ud800": 100}).build(1)
    assert "\n" not in "".join(subtokens)
    assert "\ud800" not in "".join(subtokens)
    assert r"\10;\55296;_" in subtokens


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SubwordBuilder({}), "corpus has no tokens"),
        (lambda: SubwordBuilder(COUNTS, 0), "max_subtoken_length must be .*, got 0"),
        (
            lambda: SubwordBuilder(COUNTS).build(1, num_iterations=0),
            "num_iterations must be positive, got 0",
        ),
        (
            lambda: SubwordBuilder(COUNTS).build_to_target_size(0),
            "size of a sub-word vocabulary must be positive, got 0",
        ),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(UserError, match=message):
        call()
