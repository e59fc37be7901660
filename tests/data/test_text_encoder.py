"""The encoders against T2T v1.4.4's own numbers, and what they promise for any text."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t_multimodel.data.text_encoder import (
    EOS_ID,
    PAD_ID,
    RESERVED_TOKENS,
    ByteTextEncoder,
    SubwordTextEncoder,
    TextEncoder,
    count_tokens,
)
from t2t_multimodel.errors import UserError

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "subword"
REFERENCE = json.loads((GOLDEN / "subword_v1.4.4.json").read_text(encoding="utf-8"))
VOCABULARIES = REFERENCE["vocabs"]

# Characters that escapes, quotes and line ends are made of, beside all the others.
TRICKY_TEXT = st.text(
    st.sampled_from("a1_\\u;'\"\n\r\t <>é日€\ud800\0") | st.characters()
)


@pytest.fixture(scope="module")
def token_counts():
    lines = (GOLDEN / "corpus.txt").read_text(encoding="utf-8").splitlines()
    return count_tokens(line.strip() for line in lines)


@pytest.fixture(scope="module")
def encoder():
    return SubwordTextEncoder.from_file(GOLDEN / "vocab.target300.v1.4.4")


def test_token_counts_are_t2ts(token_counts):
    assert token_counts == REFERENCE["token_counts"]


@pytest.mark.parametrize("name", VOCABULARIES)
def test_built_vocabulary_is_t2ts_byte_for_byte(name, token_counts, tmp_path):
    if name.startswith("mincount"):
        min_count = int(name.removeprefix("mincount"))
        built = SubwordTextEncoder.build(token_counts, min_count)
    else:
        target_size = int(name.removeprefix("target"))
        built = SubwordTextEncoder.build_to_target_size(target_size, token_counts)
    built.save(tmp_path / "vocab")
    expected = GOLDEN / VOCABULARIES[name]["file"]
    assert (tmp_path / "vocab").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_and_texts_are_t2ts(name):
    reference = VOCABULARIES[name]
    encoder = SubwordTextEncoder.from_file(GOLDEN / reference["file"])
    assert list(encoder.subtokens) == reference["subtokens"]
    assert encoder.vocab_size == reference["vocab_size"]
    assert encoder.alphabet == set(reference["reloaded_alphabet"])
    for sentence in reference["sentences"]:
        assert encoder.encode(sentence["text"]) == sentence["ids"]
        assert encoder.decode(sentence["ids"]) == sentence["decoded"]
    for random in reference["decode_of_random_ids"]:
        assert encoder.decode(random["ids"]) == random["decoded"]


def test_bytes_are_t2ts():
    encoder = ByteTextEncoder()
    assert encoder.vocab_size == REFERENCE["byte_encoder_vocab_size"]
    for sentence in REFERENCE["byte_encoder"]:
        assert encoder.encode(sentence["text"]) == sentence["ids"]
        assert encoder.decode(sentence["ids"]) == sentence["decoded"]


@given(text=TRICKY_TEXT)
@settings(max_examples=200, deadline=None)
def test_every_text_survives_sub_words(encoder, text):
    ids = encoder.encode(text)
    assert encoder.decode(ids) == text
    assert not {PAD_ID, EOS_ID}.intersection(ids)
    assert encoder.encode(text) == ids  # now from the cache


@given(text=st.text())
@settings(max_examples=50, deadline=None)
def test_every_text_survives_bytes(text):
    encoder = ByteTextEncoder()
    ids = encoder.encode(text)
    assert encoder.decode(ids) == text
    assert not {PAD_ID, EOS_ID}.intersection(ids)


@given(texts=st.lists(TRICKY_TEXT, min_size=1).filter(any), min_count=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_ids_stay_the_same_when_saved_and_loaded(tmp_path_factory, texts, min_count):
    built = SubwordTextEncoder.build(count_tokens(texts), min_count)
    path = tmp_path_factory.mktemp("vocabularies") / "vocab"
    built.save(path)
    loaded = SubwordTextEncoder.from_file(path)
    assert loaded.subtokens == built.subtokens
    for text in texts:
        ids = built.encode(text)
        assert loaded.encode(text) == ids
        assert loaded.decode(ids) == text


def test_subtokens_rebuild_the_encoder(encoder):
    again = SubwordTextEncoder.from_subtokens(encoder.subtokens)
    text = "The railway timetable; 7 h 30 (sic)."
    assert again.encode(text) == encoder.encode(text)


def test_characters_outside_the_alphabet_are_written_as_numbers(encoder):
    pieces = [encoder.subtokens[i] for i in encoder.encode("日\n")]
    assert "".join(pieces) == r"\26085;_\10;_"


def test_ids_outside_the_vocabulary_give_nothing(encoder):
    ids = encoder.encode("the train")
    assert encoder.decode([-1, *ids, encoder.vocab_size, 10**9]) == "the train"
    assert ByteTextEncoder().decode([-1, 258, *ByteTextEncoder().encode("é")]) == "é"


def test_reserved_ids_give_their_names(encoder):
    for any_encoder in (encoder, ByteTextEncoder()):
        assert any_encoder.decode([PAD_ID, EOS_ID]) == "".join(RESERVED_TOKENS)


@pytest.mark.parametrize("escaped", [r"\1114112;", r"\99999999999999999999;"])
def test_numbers_that_are_no_code_point_give_nothing(encoder, escaped):
    ids = [encoder.subtokens.index(c) for c in f"{escaped}_"]
    assert encoder.decode([*encoder.encode("train"), *ids]) == "train"


@given(ids=st.lists(st.integers(-2, 400)))
@settings(max_examples=50, deadline=None)
def test_every_sequence_of_ids_has_a_text(encoder, ids):
    assert isinstance(encoder.decode(np.array(ids, "int64")), str)
    assert isinstance(ByteTextEncoder().decode(ids), str)


def test_broken_utf8_is_replaced():
    assert ByteTextEncoder().decode([0xC3 + 2]) == "\ufffd"
    assert ByteTextEncoder().decode(ByteTextEncoder().encode("\ud800")) == "?"


def test_an_empty_text_has_no_ids(encoder):
    encoders: list[TextEncoder] = [encoder, ByteTextEncoder()]
    for each in encoders:
        assert each.encode("") == []
        assert each.decode([]) == ""


def test_a_full_cache_starts_anew(encoder, monkeypatch):
    monkeypatch.setattr("t2t_multimodel.data.subword_encoder._CACHED_TOKENS", 2)
    small = SubwordTextEncoder.from_subtokens(encoder.subtokens)
    text = "one two three four one"
    assert small.encode(text) == encoder.encode(text)
    assert len(small._cache) <= 2


def test_no_tokens_are_refused():
    with pytest.raises(UserError, match="the corpus has no tokens"):
        SubwordTextEncoder.build({}, 1)
    with pytest.raises(UserError, match="the corpus has no tokens"):
        SubwordTextEncoder.build_to_target_size(100, {})
