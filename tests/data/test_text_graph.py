"""Text encoders in a graph give the ids and texts of those in Python."""

import json
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t_multimodel.data.text_encoder import ByteTextEncoder, SubwordTextEncoder
from t2t_multimodel.data.text_graph import text_graph, until_eos
from t2t_multimodel.data.tokenizer import word_boundaries
from t2t_multimodel.errors import UserError

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "subword"
REFERENCE = json.loads((GOLDEN / "subword_v1.4.4.json").read_text(encoding="utf-8"))

AWKWARD = [
    "",
    " ",
    "  ",
    " a  b ",
    "a b",
    "a - b -",
    "_",
    "__a_b__",
    "\\",
    "\\u \\\\ \\65; \\",
    "\0",
    "a\0b\0",
    "line\nline\r\n\n",
    "\ufeffthe",
    "e\u0301a\u200db",
    "١٢٣ ⅷ ² ½",
    "日本 語 \U0001f600\U00020000",
    "<pad><EOS> [UNK] [unk]",
    "the" * 3000,
]
BYTES_THAT_MATTER = st.sampled_from(
    [b"a", b" ", b"\xc3", b"\xa9", b"\xe2", b"\x82", b"\xf0", b"\x9f", b"\xed"]
    + [b"\xa0", b"\xff", b"\xc0", b"\x80", b"\xf4", b"\x90", b"\xef\xbb\xbf"]
)


def made(encoder):
    """Returns an encoder, and its graph form as two traced functions."""
    graph = text_graph(encoder)
    encode = tf.function(
        graph.encode, input_signature=[tf.TensorSpec([None], "string")]
    )
    decode = tf.function(
        graph.decode, input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    return encoder, encode, decode


@pytest.fixture(scope="module")
def subwords():
    return made(SubwordTextEncoder.from_file(GOLDEN / "vocab.target300.v1.4.4"))


@pytest.fixture(scope="module")
def byte_wise():
    return made(ByteTextEncoder())


@pytest.fixture(params=["subwords", "byte_wise"])
def each(request):
    return request.getfixturevalue(request.param)


def check_encode(each, texts):
    encoder, encode, _ = each
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    expected = [encoder.encode(text.decode(errors="replace")) for text in raw]
    assert encode(tf.constant(raw, tf.string)).to_list() == expected
    return expected


def check_decode(each, rows):
    encoder, _, decode = each
    flat = np.array([i for row in rows for i in row], np.int32)
    lengths = [len(row) for row in rows]
    ids = tf.RaggedTensor.from_row_lengths(flat, lengths).to_tensor(-1)
    # A model may write lone surrogates, which UTF-8 has no form for.
    expected = [
        encoder.decode(row)
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        for row in rows
    ]
    assert [text.decode() for text in decode(ids).numpy()] == expected


@pytest.mark.parametrize("name", REFERENCE["vocabs"])
def test_sentences_are_t2ts(name):
    reference = REFERENCE["vocabs"][name]
    encoder = SubwordTextEncoder.from_file(GOLDEN / reference["file"])
    _, encode, decode = made(encoder)
    sentences = reference["sentences"]
    ids = encode(tf.constant([sentence["text"] for sentence in sentences]))
    assert ids.to_list() == [sentence["ids"] for sentence in sentences]
    texts = [text.decode() for text in decode(ids.to_tensor(-1)).numpy()]
    assert texts == [sentence["decoded"] for sentence in sentences]
    check_decode(
        (encoder, encode, decode),
        [random["ids"] for random in reference["decode_of_random_ids"]],
    )


def test_awkward_texts_survive(each):
    check_decode(each, check_encode(each, AWKWARD))


def test_no_texts_have_no_ids(each):
    _, encode, decode = each
    assert encode(tf.constant([], tf.string)).to_list() == []
    assert decode(tf.zeros([0, 3], tf.int32)).shape == [0]
    assert decode(tf.zeros([2, 0], tf.int32)).numpy().tolist() == [b"", b""]


@given(texts=st.lists(st.text(st.sampled_from("a1_\\u;' \n\0é日") | st.characters())))
@settings(max_examples=100, deadline=None)
def test_texts_of_any_characters(subwords, byte_wise, texts):
    texts = [text.encode(errors="replace").decode() for text in texts]
    for each in (subwords, byte_wise):
        check_decode(each, check_encode(each, texts))


@given(texts=st.lists(st.lists(BYTES_THAT_MATTER).map(b"".join)))
@settings(max_examples=100, deadline=None)
def test_broken_utf8_is_read_as_python_reads_it(subwords, byte_wise, texts):
    for each in (subwords, byte_wise):
        check_encode(each, texts)


def test_texts_of_many_blocks_of_unicode(each):
    generator = np.random.default_rng(0)
    starts = [0x20, 0xC0, 0x370, 0x400, 0x590, 0x600, 0x900, 0xE00, 0x1100, 0x1E00]
    starts += [0x2000, 0x2150, 0x3040, 0x4E00, 0xAC00, 0xF900, 0xFE00, 0x10330, 0x1D400]
    texts = [
        "".join(map(chr, start + generator.integers(0, 96, size=40)))
        for start in [*starts, 0x1F600, 0x20000, 0xE0000]
    ]
    check_decode(each, check_encode(each, texts))


def test_ids_in_any_order_have_the_same_text(each):
    generator = np.random.default_rng(1)
    size = each[0].vocab_size
    rows = [
        generator.integers(-3, size + 3, size=length).tolist()
        for length in generator.integers(0, 30, size=500)
    ]
    check_decode(each, rows)


@pytest.mark.parametrize(
    "escaped",
    ["\\1114111;", "\\1114112;", "\\99999999999;", "\\000065;", "\\0;", "\\;", "\\95;"]
    + ["\\55296;", "\\u", "\\\\u", "\\\\", "\\", "u\\", "\\32;\\97;", "_\\32;__"],
)
def test_escapes_that_a_model_may_write(subwords, escaped):
    entries = subwords[0].subtokens
    ids = [entries.index(character) for character in f"{escaped}_"]
    check_decode(subwords, [ids, ids + ids, ids[:-1] + ids])


def test_of_equal_entries_the_later_one_is_used():
    entries = ["", "<EOS>", *"\\_u;0123456789ab<EOS>\n", "ab", "", "ab", "[a", "[", "]"]
    each = made(SubwordTextEncoder(entries))
    rows = check_encode(each, ["ab ab", "[ab]", "<EOS>", "a\nb", "aab"])
    assert rows[0].count(entries.index("ab")) == 0
    assert rows[0].count(len(entries) - 4) == 2
    check_decode(each, rows)


def test_what_follows_eos_or_padding_is_cut():
    ids = tf.constant([[5, 1, 7, 8], [5, 6, 0, 0], [1, 5, 5, 5], [5, 6, 7, 8]])
    assert until_eos(ids).numpy().tolist() == [
        [5, -1, -1, -1],
        [5, 6, -1, -1],
        [-1] * 4,
        [5, 6, 7, 8],
    ]


def test_word_boundaries_are_those_of_the_tokenizer():
    characters = np.arange(sys.maxunicode + 1)
    is_word = np.searchsorted(word_boundaries(), characters, side="right") % 2 == 1
    assert is_word.tolist() == [chr(c).isalnum() for c in characters]


@pytest.mark.slow
def test_every_code_point(each):
    surrogates = range(0xD800, 0xE000)
    points = [c for c in range(sys.maxunicode + 1) if c not in surrogates]
    for start in range(0, len(points), 2**16):
        # After a letter, after a sign, and alone: all that can begin a token.
        texts = [f"{chr(c)}a{chr(c)} {chr(c)}" for c in points[start : start + 2**16]]
        check_decode(each, check_encode(each, texts))


def test_a_sub_token_too_long_for_a_graph_is_refused():
    long = SubwordTextEncoder(["", "", *"\\_u;0123456789a", "a" * 257])
    with pytest.raises(UserError, match="has 257 bytes, a graph takes 256; build"):
        text_graph(long)


def test_other_encoders_are_refused():
    with pytest.raises(UserError, match="texts of a int cannot be encoded in a graph"):
        text_graph(3)
