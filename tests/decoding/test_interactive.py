"""The prompt: what is typed, what is said, and what goes on after a mistake."""

import re

import numpy as np
import pytest

from t2t_multimodel.data.trees import parse_brackets
from t2t_multimodel.decoding import line_editor, streaming
from t2t_multimodel.decoding.interactive import Prompt
from t2t_multimodel.decoding.tree_drawing import draw
from t2t_multimodel.errors import UserError
from tests.decoding import tiny_run

LONG = "the dog saw a cat , and the cat ran"


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    path.write_bytes(tiny_run.png(np.random.default_rng(1)))
    return str(path)


class Talk:
    """Types lines at a prompt and keeps what it answers, a list for each line."""

    def __init__(self, decoder, *typed):
        self.greeting, self.answers, self.prompts = [], [], []
        self.pieces = []
        self._line = ""
        self._typed = iter(typed)
        self._said = self.greeting
        prompt = Prompt(
            decoder,
            "translate_tiny",
            read=self._read,
            say=self._say,
            write=self._write,
        )
        prompt.run()

    def _read(self, prompt):
        self.prompts.append(prompt)
        self._said = []
        self.answers.append(self._said)
        line = next(self._typed, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    def _write(self, text):
        self.pieces.append(text)
        self._line += text

    def _say(self, line):
        self._said.extend((self._line + line).split("\n"))
        self._line = ""


def test_decodes_and_changes_problems(decoder, picture):
    talk = Talk(decoder, "a dog", "pr=look_tiny", picture, "pr=1", "  ", "q")
    (text,) = decoder.decode("translate_tiny", ["a dog"])
    (colour,) = decoder.decode("look_tiny", [picture])
    assert talk.answers[0] == text.text.split("\n")
    assert talk.answers[1] == ["look_tiny takes the path of a PNG or JPEG file"]
    best = colour.classes[0]
    assert talk.answers[2][0] == f"{best.probability:7.2%}  {best.name}"
    assert len(talk.answers[2]) == len(colour.classes)
    assert talk.answers[3] == ["caption_tiny takes the path of a PNG or JPEG file"]
    assert talk.prompts == [
        "translate_tiny> ",
        "translate_tiny> ",
        "look_tiny> ",
        "look_tiny> ",
        "caption_tiny> ",
        "caption_tiny> ",
    ]


def test_words_appear_one_by_one(decoder):
    talk = Talk(decoder, LONG)
    (whole,) = decoder.decode("translate_tiny", [LONG])
    assert "".join(talk.pieces) == whole.text
    assert len(talk.pieces) == len(whole.text.split(" "))


def test_limits_the_length(decoder):
    talk = Talk(decoder, "dl=1", "a dog", "dl=0", "a dog")
    (short,) = decoder.decode("translate_tiny", ["a dog"], max_length=1)
    (whole,) = decoder.decode("translate_tiny", ["a dog"])
    assert talk.answers[1] == short.text.split("\n")
    assert talk.answers[3] == whole.text.split("\n")


def test_inputs_and_outputs_cross(decoder, picture):
    talk = Talk(decoder, "in=caption_tiny", picture, "ou=1", picture)
    prepared = [decoder.prepare("caption_tiny", picture)]
    (crossed,) = decoder.decode_prepared(
        "translate_tiny", prepared, inputs_of="caption_tiny"
    )
    (own,) = decoder.decode("caption_tiny", [picture])
    assert talk.prompts[1] == "caption_tiny -> translate_tiny> "
    assert talk.answers[1] == crossed.text.split("\n")
    assert talk.prompts[3] == "caption_tiny> "
    assert talk.answers[3] == own.text.split("\n")
    # The command token differs, and with it the output.
    assert crossed.text != own.text


def test_the_kind_of_inputs_picks_a_problem(decoder):
    talk = Talk(decoder, "it=audio", "it=label")
    assert talk.answers[0] == [
        "listen_tiny -> translate_tiny takes the path of a sound file (WAV, SPHERE)"
    ]
    assert talk.answers[1][0].startswith("error: no kind of inputs named 'label'")


def test_what_does_not_fit_is_told_and_nothing_changes(decoder):
    talk = Talk(decoder, "ou=look_tiny", "q")
    assert talk.answers[0] == [
        "error: the classes of look_tiny are of image inputs, and the inputs of "
        "translate_tiny are text; choose a problem with text outputs"
    ]
    assert talk.prompts[1] == "translate_tiny> "


def test_several_outputs_come_with_their_probabilities(decoder):
    talk = Talk(decoder, "ns=3", "a dog")
    beam = decoder.with_hparams(beam_size=3)
    (result,) = beam.decode("translate_tiny", ["a dog"])
    assert talk.answers[1] == [
        line
        for output in result.outputs
        for line in f"{output.log_prob:9.3f}  {output.text}".split("\n")
    ]


def test_a_beam_shows_its_best(decoder):
    beam = decoder.with_hparams(beam_size=4)
    talk = Talk(beam, "a dog")
    best = beam.decode("translate_tiny", ["a dog"])[0].outputs[0]
    assert talk.answers[0] == f"{best.log_prob:9.3f}  {best.text}".split("\n")


def test_samples_are_drawn(decoder):
    sampling = decoder.with_hparams(temperature=1.0)
    talk = Talk(sampling, "ns=4", "a dog")
    drawn = sampling.with_hparams(samples_per_input=4)
    (result,) = drawn.decode("translate_tiny", ["a dog"])
    assert len(result.outputs) == 4
    assert talk.answers[1][0].endswith(result.outputs[0].text.split("\n")[0])


@pytest.mark.parametrize(
    "line, message",
    [
        ("pr=lok_tiny", "error: .*did you mean 'look_tiny'"),
        ("pr=9", "error: pr=9: numbers go from 0 to 4"),
        ("in=9", "error: in=9: numbers go from 0 to 4"),
        ("ou=-1", "error: no problem of this model named '-1'"),
        ("dl=x", "error: dl=x must be a whole number"),
        ("dl=-3", "error: dl=-3 must be a whole number"),
        ("ns=0", "error: ns=0 must be a whole number from 1"),
    ],
)
def test_goes_on_after_a_mistake(decoder, line, message):
    talk = Talk(decoder, line, "q")
    assert talk.prompts == ["translate_tiny> "] * 2
    (said,) = talk.answers[0]
    assert re.search(message, said)


def test_goes_on_after_an_unreadable_file(decoder):
    talk = Talk(decoder, "pr=listen_tiny", "nowhere.wav")
    assert talk.answers[1][0].startswith("error: cannot read sound nowhere.wav")


def test_a_break_stops_decoding_and_not_the_prompt(decoder, monkeypatch):
    ids = streaming.Streamer.ids

    def breaks(*args):
        for number, symbol in enumerate(ids(*args)):
            if number == 2:
                raise KeyboardInterrupt
            yield symbol

    monkeypatch.setattr(streaming.Streamer, "ids", breaks)
    talk = Talk(decoder, LONG, "pr=look_tiny", KeyboardInterrupt(), "q")
    assert talk.answers[0][-1] == "(stopped; q quits)"
    assert talk.answers[2][-1] == "(stopped; q quits)"
    assert talk.prompts[-1] == "look_tiny> "


def test_ends_with_the_input(decoder):
    assert Talk(decoder).prompts == ["translate_tiny> "]


def test_lists_problems_and_commands(decoder):
    talk = Talk(decoder, "?", "q")
    for said in (talk.greeting, talk.answers[0]):
        assert "  * 0 translate_tiny" in said
        assert "    2 look_tiny" in said
        assert any("pr=PROBLEM" in line for line in said)


def test_a_line_that_is_not_utf_8_is_asked_for_again(decoder):
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    talk = Talk(decoder, broken, "q")
    assert talk.answers[0][0].startswith("that line is not UTF-8 (invalid start byte)")


class Tags:
    """Reads sentences as the run's vocabulary, and writes one tree."""

    tags = ("S", "NP", "DT", "NN", "/NP", "VP", "VBZ", "/VP", "/S")

    def __init__(self, encoder):
        self.encode = encoder.encode

    def decode(self, ids):
        return " ".join(self.tags[i] for i in ids)


def test_trees_are_drawn_over_the_words(decoder, monkeypatch):
    monkeypatch.setattr(streaming.Streamer, "ids", lambda *args: range(len(Tags.tags)))
    monkeypatch.setitem(decoder.encoders, "words", Tags(decoder.encoders["words"]))
    talk = Talk(decoder, "pr=parse_tiny", "the cat sat", "the cat")
    assert talk.answers[1] == [
        " ".join(Tags.tags),
        "S",
        "├─ NP",
        "│  ├─ DT the",
        "│  └─ NN cat",
        "└─ VP",
        "   └─ VBZ sat",
    ]
    # Two words for three parts of speech: the surplus one goes, and its phrase.
    assert talk.answers[2][1:] == [
        "(the tags are no tree over the words; repaired:)",
        "S",
        "└─ NP",
        "   ├─ DT the",
        "   └─ NN cat",
    ]


def test_a_tree_as_an_outline():
    tree = parse_brackets("(S (NP (NP (NN rain)) (CC and) (NN snow)) (VP (VBP fall)))")
    assert draw(tree) == [
        "S",
        "├─ NP",
        "│  ├─ NP",
        "│  │  └─ NN rain",
        "│  ├─ CC and",
        "│  └─ NN snow",
        "└─ VP",
        "   └─ VBP fall",
    ]


def test_pieces_of_text_are_words_that_no_longer_change():
    class Letters:
        def decode(self, ids):
            return "".join(ids)

    pieces = list(streaming.text_pieces(iter("ab cd, e f"), Letters()))
    assert pieces == ["ab", " cd,", " e", " f"]
    assert list(streaming.text_pieces(iter(""), Letters())) == []


def test_completes_commands_and_paths(tmp_path):
    commands = ["pr=image_mini", "pr=parsing_mini", "q"]
    assert line_editor.complete("pr=i", commands) == ["pr=image_mini"]
    assert line_editor.complete("", commands) == commands
    (tmp_path / "a picture.png").touch()
    (tmp_path / "a folder").mkdir()
    assert line_editor.complete(f"{tmp_path}/a ", commands) == [
        f"{tmp_path}/a folder/",
        f"{tmp_path}/a picture.png",
    ]
    assert line_editor.complete(f"{tmp_path}/b", commands) == []


def test_history_is_kept_where_programs_keep_their_state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert line_editor.history_file().parent.parent == tmp_path


def test_a_route_through_an_unknown_problem_is_refused(decoder):
    with pytest.raises(UserError, match="no problem of this model named 'x'"):
        decoder.check_route("x", "look_tiny")
