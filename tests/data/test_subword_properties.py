"""What the sub-word encoder does with any string whatever, against a second reading.

T2T represents every string: what is in no sub-token is written as a number. Its one
exception is a vocabulary whose reserved entries have a character that no other entry
has ("<" of "<pad>"); T2T's own builder never wrote one, and here it is written as a
number too. `spelled_out` below is a plain second reading of the rules. It is held
against what T2T recorded for every class of strings, and the encoder against
it for random strings of all classes.
"""

import collections
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t2t_multimodel.data.segmentation import (
    ESCAPE_CHARACTERS,
    alphabet_of,
    escape,
    unescape,
)
from t2t_multimodel.data.text_encoder import SubwordTextEncoder

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "subword"
REFERENCE = json.loads((GOLDEN / "subword_v1.4.4.json").read_text(encoding="utf-8"))
FILES = sorted(path.name for path in GOLDEN.glob("vocab.*"))
LINES = (GOLDEN / "corpus.txt").read_text(encoding="utf-8").splitlines()
ENCODERS = {name: SubwordTextEncoder.from_file(GOLDEN / name) for name in FILES}
SEED = 1706_05137
ANY_TEXT = st.text(
    st.sampled_from("a1_\\u;'\"\n\r\t <>é日€😀\ud800\0") | st.characters()
)

# What a string may have in it. Each class changes how it is cut or written.
CLASSES = {
    "empty": lambda text: text == "",
    "words with one space between": lambda text: bool(re.search(r"\w \w", text)),
    "several spaces": lambda text: "  " in text,
    "space at the start": lambda text: text.startswith(" "),
    "space at the end": lambda text: text.endswith(" "),
    "a space beside a mark": lambda text: bool(re.search(r"[,(] | [,(]", text)),
    "underscore": lambda text: "_" in text,
    "backslash": lambda text: "\\" in text,
    "like an escaped underscore": lambda text: "\\u" in text,
    "like an escaped backslash": lambda text: "\\\\" in text,
    "like an escaped number": lambda text: bool(re.search(r"\\[0-9]+;", text)),
    "white space that is no space": lambda text: bool(re.search(r"[\t\u2028]", text)),
    "outside the alphabet": lambda text: any(ord(c) > 0x370 for c in text),
    "beyond 16 bits": lambda text: any(ord(c) > 0xFFFF for c in text),
    "combining marks": lambda text: any(unicodedata.combining(c) for c in text),
    "numbers that are no digits": lambda text: any(
        unicodedata.category(c) in ("Nl", "No") for c in text
    ),
    "names of the reserved ids": lambda text: "<pad>" in text or "<EOS>" in text,
}
# T2T's own record has none of these: its sentences are lines of text files.
UNRECORDED = {
    "newline": lambda text: "\n" in text,
    "control characters": lambda text: any(
        unicodedata.category(c) == "Cc" for c in text
    ),
    "lone surrogates": lambda text: any("\ud800" <= c <= "\udfff" for c in text),
}


class SpelledOut:
    """The rules read once more, as plainly as they can be: slow, and with no cache."""

    def __init__(self, entries):
        self.ids = {entry: i for i, entry in enumerate(entries) if entry}
        self.alphabet = set("".join(entries[2:])) | set("\\_u;0123456789")
        longest_first = sorted(self.ids, key=len, reverse=True)
        self.longest = re.compile("|".join(map(re.escape, longest_first)), re.DOTALL)

    def tokens(self, text):
        """Runs of letters and numbers, and of all else; lone spaces inside go."""
        groups = itertools.groupby(text, lambda c: unicodedata.category(c)[0] in "LN")
        runs = ["".join(characters) for _, characters in groups]
        inside = range(1, len(runs) - 1)
        return [run for i, run in enumerate(runs) if i not in inside or run != " "]

    def written(self, character):
        if character == "\\":
            return "\\\\"
        if character == "_":
            return "\\u"
        if character == "\n" or character not in self.alphabet:
            return f"\\{ord(character)};"
        return character

    def encode(self, text):
        found = []
        for token in self.tokens(text):
            escaped = "".join(map(self.written, token)) + "_"
            pieces = self.longest.findall(escaped)
            assert "".join(pieces) == escaped
            found += [self.ids[piece] for piece in pieces]
        return found


@pytest.fixture(scope="module")
def spelled_out():
    return {name: SpelledOut(ENCODERS[name].subtokens) for name in FILES}


def random_texts(count):
    """Strings of all classes, the same ones each time."""
    choose = random.Random(SEED)
    words = sorted(set(" ".join(LINES).split()))
    pieces = [
        lambda: " ".join(choose.choices(words, k=choose.randint(1, 3))),
        lambda: " " * choose.randint(1, 3),
        lambda: chr(choose.randrange(0x110000)),  # lone surrogates too
        lambda: chr(choose.randrange(0x180)),
        lambda: choose.choice("_\\u;,(.'\"<>\n\r\t\u2028é日😀\u0301½Ⅳ\0\ud800"),
        lambda: choose.choice(["\\u", "\\\\", "\\n", "<pad>", "<EOS>", "__", "\\;"]),
        lambda: f"\\{choose.choice([10, 65, 8364, 55296, 1114112, 10**12])};",
        lambda: str(choose.randint(0, 10**6)),
    ]
    for _ in range(count):
        parts = choose.choices(pieces, k=choose.randint(0, 12))
        yield "".join(piece() for piece in parts)


def test_t2ts_record_has_every_class():
    texts = [sentence["text"] for sentence in REFERENCE["byte_encoder"]]
    for name, has in CLASSES.items():
        assert any(map(has, texts)), name
    for name in ("newline", "lone surrogates"):
        assert not any(map(UNRECORDED[name], texts)), name


@pytest.mark.parametrize("name", REFERENCE["vocabs"])
def test_the_second_reading_is_t2ts(spelled_out, name):
    recorded = REFERENCE["vocabs"][name]
    for sentence in recorded["sentences"]:
        got = spelled_out[recorded["file"]].encode(sentence["text"])
        assert got == sentence["ids"], sentence["text"]


def check(spelled_out, count):
    """Holds the encoder against the second reading; every class must occur."""
    seen = collections.Counter()
    names = itertools.cycle(FILES)
    for name, text in zip(names, random_texts(count), strict=False):
        encoder = ENCODERS[name]
        ids = encoder.encode(text)
        assert ids == spelled_out[name].encode(text), (name, text)
        assert encoder.decode(ids) == text, (name, text)
        seen.update(k for k, has in {**CLASSES, **UNRECORDED}.items() if has(text))
    assert set(seen) == {*CLASSES, *UNRECORDED}
    return seen


def test_random_strings(spelled_out):
    check(spelled_out, 2000)


@pytest.mark.slow
def test_100_000_random_strings(spelled_out):
    assert min(check(spelled_out, 100_000).values()) >= 1000


@pytest.mark.parametrize("name", FILES)
@given(text=ANY_TEXT)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_string_comes_back(name, text):
    encoder = ENCODERS[name]
    ids = encoder.encode(text)
    assert encoder.decode(ids) == text
    assert all(2 <= i < encoder.vocab_size for i in ids)


@given(text=ANY_TEXT)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_vocabulary_of_nothing_but_escapes_writes_every_string(text):
    bare = SubwordTextEncoder(["<pad>", "<EOS>", *sorted(ESCAPE_CHARACTERS)])
    # In T2T the characters of the reserved entries need no escape, so that it stops
    # here at the first "<" or "p"; nothing in this vocabulary begins with them.
    ids = bare.encode(f"<pad>{text}")
    assert bare.decode(ids) == f"<pad>{text}"


@given(texts=st.lists(ANY_TEXT, min_size=1), order=st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_ids_do_not_depend_on_what_was_encoded_before(texts, order):
    first = SubwordTextEncoder(ENCODERS[FILES[0]].subtokens)
    second = SubwordTextEncoder(first.subtokens)
    ids = {text: first.encode(text) for text in texts}
    order.shuffle(texts)
    assert [second.encode(text) for text in texts] == [ids[text] for text in texts]


def test_ids_do_not_depend_on_the_process():
    code = (
        "import hashlib, pathlib, sys\n"
        "from t2t_multimodel.data.subword_encoder import SubwordTextEncoder\n"
        "from t2t_multimodel.data.tokenizer import count_tokens\n"
        "lines = pathlib.Path(sys.argv[1]).read_text(encoding='utf-8').splitlines()\n"
        "encoder = SubwordTextEncoder.build(count_tokens(lines), 5)\n"
        "ids = [encoder.encode(line) for line in lines]\n"
        "print(hashlib.sha256(repr((encoder.subtokens, ids)).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, str(GOLDEN / "corpus.txt")],
            cwd=pathlib.Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    encoder = ENCODERS["vocab.mincount5.v1.4.4"]
    ids = [encoder.encode(line) for line in LINES]
    here = hashlib.sha256(repr((encoder.subtokens, ids)).encode()).hexdigest()
    assert printed == {f"{here}\n"}


@pytest.mark.parametrize("alphabet", [ESCAPE_CHARACTERS, alphabet_of(LINES)])
def test_every_character_is_escaped_and_comes_back(alphabet):
    everything = "".join(map(chr, range(0x110000)))
    escaped = escape(everything, alphabet)
    assert escaped.endswith("_") and set(escaped) <= alphabet
    assert escaped.count("_") == 1  # so that joined tokens can be parted again
    assert unescape(escaped) == everything


@pytest.mark.parametrize(
    "text, escaped",
    [
        ("_", r"\u_"),
        ("\\", r"\\_"),
        ("\n", r"\10;_"),
        ("日", r"\26085;_"),
        ("😀", r"\128512;_"),
        ("\ud800", r"\55296;_"),
        (r"\u", r"\\u_"),
        (r"\95;", r"\\95;_"),
        ("u;0", "u;0_"),
    ],
)
def test_each_escape(text, escaped):
    assert escape(text, ESCAPE_CHARACTERS) == escaped
    assert unescape(escaped) == unescape(escaped[:-1]) == text


def test_a_newline_is_escaped_even_if_the_alphabet_has_one():
    alphabet = ESCAPE_CHARACTERS | set("ab\n")
    assert escape("a\nb", alphabet) == r"a\10;b_"
