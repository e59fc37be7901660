"""Shared vocabularies: who gives how much text, and who may be written in them."""

import itertools
import json
import os

import pytest

from t2t_multimodel.data import vocabularies
from t2t_multimodel.data.features import Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_encoder import SubwordTextEncoder
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem, ReversedProblem

SHARED = Vocabulary("shared", 200)


class Pairs(Problem):
    """Endless sentences; each side begins with its own letter."""

    def __init__(self, name, *letters, spaces=("ENGLISH_TOKENS", "GERMAN_TOKENS")):
        self.name = name
        self.letters = letters
        self.inputs, self.targets = (
            Text(space=SpaceId[space], vocabulary=SHARED) for space in spaces
        )
        self.read = 0

    def examples(self, split, *, tmp_dir, seed):
        for number in itertools.count():
            self.read += 1
            texts = [f"{letter}{number % 97:03} " * 250 for letter in self.letters]
            yield dict(zip(("inputs", "targets"), texts, strict=True))


def build(tmp_path, *problems, keep=False):
    said = []
    vocabularies.build_missing(problems, tmp_path, tmp_path, said.append, keep=keep)
    return said


def test_english_gives_half_of_what_other_languages_give(tmp_path):
    problem = Pairs("a", "e", "g")
    [line] = build(tmp_path, problem)
    assert "built from a (1,050,000 bytes)" in line
    # Texts of 1,250 bytes: 350,000 of English, 700,000 of German.
    assert problem.read == 280 + 560


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "name",
    [
        f".unfinished.vocab.shared.200.{os.getpid()}.tmp",
        "unfinished.vocab.shared.200.json",
    ],
    ids=["vocabulary", "record"],
)
def test_a_full_disk_is_one_line_and_no_vocabulary(tmp_path, name):
    unfinished = tmp_path / name
    unfinished.symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device; make room"):
        build(tmp_path, Pairs("a", "e", "g"))
    assert not (tmp_path / "vocab.shared.200").exists()
    unfinished.unlink(missing_ok=True)
    build(tmp_path, Pairs("a", "e", "g"))
    SubwordTextEncoder.from_file(tmp_path / "vocab.shared.200")


def test_the_record_tells_hash_and_origin(tmp_path):
    build(tmp_path, Pairs("a", "e", "g"), Pairs("b", "x", "y"))
    record = json.loads((tmp_path / "vocab.shared.200.json").read_text())
    assert record["text_bytes"] == {"a": 1_050_000, "b": 1_050_000}
    digest = vocabularies.file_sha256(tmp_path / "vocab.shared.200")
    assert record["sha256"] == digest
    encoder = SubwordTextEncoder.from_file(tmp_path / "vocab.shared.200")
    for letter in "egxy":
        assert len(encoder.encode(f"{letter}001")) <= 3


def test_fewer_problems_go_with_it_and_others_are_refused(tmp_path):
    first, second = Pairs("a", "e", "g"), Pairs("b", "x", "y")
    build(tmp_path, first, second)
    before = (tmp_path / "vocab.shared.200").read_bytes()
    turned = ReversedProblem(first)
    turned.name = "a_rev"
    assert build(tmp_path, second) == build(tmp_path, turned) == []
    third = Pairs("c", "k", "l")
    with pytest.raises(UserError) as caught:
        build(tmp_path, second, third)
    assert str(caught.value) == (
        f"vocab.shared.200 in {tmp_path} was built from the text of a, b, without that "
        "of c; give t2t-mm-datagen --keep_vocabulary to write them in it all the same, "
        "or delete vocab.shared.200 and make all anew: t2t-mm-datagen "
        f"--data_dir={tmp_path} --problems=a-b-c"
    )
    said = build(tmp_path, third, keep=True)
    assert said == ["vocab.shared.200: built from a, b; kept for c"]
    assert build(tmp_path, third) == []  # Told once.
    with pytest.raises(UserError, match="without that of d;"):
        build(tmp_path, third, Pairs("d", "m", "n"))
    assert (tmp_path / "vocab.shared.200").read_bytes() == before


def test_a_vocabulary_from_elsewhere_is_taken(tmp_path):
    encoder = SubwordTextEncoder.build({"one": 9, "two": 5}, 1)
    encoder.save(tmp_path / "vocab.shared.200")
    assert build(tmp_path, Pairs("a", "e", "g")) == []
    assert not (tmp_path / "vocab.shared.200.json").exists()


def test_one_that_was_exchanged_is_told_and_taken(tmp_path):
    build(tmp_path, Pairs("a", "e", "g"))
    encoder = SubwordTextEncoder.build({"one": 9, "two": 5}, 1)
    encoder.save(tmp_path / "vocab.shared.200")
    said = build(tmp_path, Pairs("b", "x", "y"))
    assert said == [
        "vocab.shared.200: not the file that was built here; taken as it is"
    ]


def test_one_with_texts_of_its_own_serves_everybody(tmp_path):
    own = Vocabulary("own", 100, texts=lambda tmp_dir: iter(["some text"] * 9))
    for name in "ab":
        problem = Pairs(name, "e", "g")
        problem.inputs = problem.targets = Text(space=SpaceId.GENERIC, vocabulary=own)
        said = build(tmp_path, problem)
        assert problem.read == 0
        assert len(said) == (name == "a")
    assert "built from" not in "".join(said)


def test_a_broken_record(tmp_path):
    build(tmp_path, Pairs("a", "e", "g"))
    for broken in ("{", "{}", '{"format_version": 9}', "[]"):
        (tmp_path / "vocab.shared.200.json").write_text(broken)
        with pytest.raises(UserError, match="vocab.shared.200.json is broken .*delete"):
            build(tmp_path, Pairs("a", "e", "g"))
