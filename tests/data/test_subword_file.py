"""Vocabulary files: the forms T2T wrote, safe writing, and what is refused."""

import os
import pathlib

import pytest

from t2t_multimodel.data.subword_file import read_subtokens, write_subtokens
from t2t_multimodel.data.text_encoder import SubwordTextEncoder
from t2t_multimodel.errors import UserError

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "subword"
ENTRIES = ["<pad>", "<EOS>", "the_", *"the_\\u;0123456789", "'", '"', " "]


def write(tmp_path, text):
    path = tmp_path / "vocab"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("release", ["v1.0.14", "v1.4.4", "v1.15.7"])
def test_files_of_t2t_are_read_and_written_back(release, tmp_path):
    golden = GOLDEN / f"vocab.mincount100.{release}"
    encoder = SubwordTextEncoder.from_file(golden)
    encoder.save(tmp_path / "vocab")
    assert (tmp_path / "vocab").read_bytes() == golden.read_bytes()
    assert encoder.decode(encoder.encode("<pad> Überführer_1")) == "<pad> Überführer_1"


def test_reserved_lines_may_be_empty(tmp_path):
    lines = ["''", "''", *(f"'{entry}'" for entry in ENTRIES[2:])]
    encoder = SubwordTextEncoder.from_file(write(tmp_path, "\n".join(lines)))
    assert encoder.encode("the") == [2]
    assert encoder.decode([0, 1, 2]) == "the"
    # Without entries of their own, these are written as numbers.
    assert encoder.decode(encoder.encode("<pad>")) == "<pad>"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_either_quote_is_taken_off(tmp_path, quote):
    text = "".join(f"{quote}{entry}{quote}\n" for entry in ENTRIES)
    assert read_subtokens(write(tmp_path, text)) == ENTRIES


def test_lines_without_quotes_are_stripped_and_a_lone_quote_is_empty(tmp_path):
    path = write(tmp_path, "".join(f"{entry}\r\n" for entry in ENTRIES))
    assert read_subtokens(path) == [*ENTRIES[:-3], "", "", ""]  # as T2T does


def test_only_newlines_end_a_line(tmp_path):
    path = tmp_path / "vocab"
    entries = [*ENTRIES, "\r", "\u2028", "\x85", "\x0b"]
    write_subtokens(path, entries)
    assert read_subtokens(path) == entries


def test_the_later_of_two_equal_entries_is_used():
    encoder = SubwordTextEncoder.from_subtokens([*ENTRIES, "the_"])
    assert encoder.encode("the") == [len(ENTRIES)]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path, "old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_subtokens(path, ENTRIES)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="no vocabulary file .*absent; generate"):
        read_subtokens(tmp_path / "absent")


def test_a_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot read the vocabulary file .*; it sho"):
        read_subtokens(tmp_path)


def test_bytes_that_are_no_utf8_are_told_with_their_line(tmp_path):
    path = tmp_path / "vocab"
    path.write_bytes(b"'<pad>'\n'<EOS>'\n'\xff'\n")
    with pytest.raises(UserError, match="vocab:3: byte 0xff is not UTF-8.*restore"):
        read_subtokens(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"vocab:1: found the end where .* has '<pad>' or ''; restore"),
        ("the\nof\n", r"vocab:1: found 'the' where .* has '<pad>' or ''"),
        ("'<pad>'\n'_'\n", r"vocab:2: found '_' where .* has '<EOS>' or ''"),
        ("'<pad>'\n'<EOS>'\n'_'\n'1'\n", r"vocab:4: ends without .* 0 2 3 4 5 6 7 8 9"),
        (r"''" + "\n" + r"''" + "\n" + r"'\x00'", "escaped bytes.*before v1.0.7"),
        (
            "\n".join([*ENTRIES[:2], "cat_", *ENTRIES[2:]]),
            r"vocab:3: 'cat_' uses 'c', which has no entry of its own.*; restore",
        ),
    ],
)
def test_what_is_no_vocabulary_is_told_with_its_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        SubwordTextEncoder.from_file(write(tmp_path, text))


def test_a_file_cut_short_is_found(tmp_path):
    text = (GOLDEN / "vocab.target300.v1.4.4").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="entry"):
        SubwordTextEncoder.from_file(write(tmp_path, text[: len(text) // 2]))
