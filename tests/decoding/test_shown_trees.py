"""What a parser decodes is written and drawn as a legal tree over the input's words."""

import types

import numpy as np
import pytest

from t2t_multimodel.data.features import ClassLabel, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.trees import Tree, parse_brackets
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import Output, Result
from t2t_multimodel.decoding.lines import decode_lines, result_line
from t2t_multimodel.decoding.shown_trees import in_brackets, is_parser
from t2t_multimodel.decoding.tree_drawing import draw

WORDS = Vocabulary("words", 60)


def problem(targets_space):
    return types.SimpleNamespace(
        inputs=Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=WORDS),
        targets=Text(space=targets_space, vocabulary=WORDS),
    )


@pytest.mark.parametrize("space", SpaceId)
def test_parsers_are_known_by_their_space(space):
    assert is_parser(problem(space)) == ("PARSE" in space.name)


def test_classes_are_no_trees():
    classes = problem(SpaceId.GENERIC)
    classes.targets = ClassLabel(names=("a", "b"))
    assert not is_parser(classes)


def test_trees_stand_over_the_words():
    assert in_brackets("NP DT NN", "the (") == ("(TOP (NP (DT the) (NN -LRB-)))")
    assert in_brackets("NP NN /NP", "  ") == "NP NN /NP"


def test_all_outputs_of_a_parser_are_trees():
    outputs = (Output("S NN", -1.0, -1.0, 2), Output("", -2.0, -2.0, 0))
    result = Result("S NN", num_symbols=2, outputs=outputs)
    hparams = DecodeHParams(beam_size=2, return_beams=True, write_beam_scores=True)
    assert result_line(result, hparams, "rain") == (
        "(TOP (S (NN rain)))\t-1.0000\t(TOP (XX rain))\t-2.0000"
    )
    assert result_line(result, DecodeHParams(), "rain") == "(TOP (S (NN rain)))"
    assert result_line(result, DecodeHParams()) == "S NN"


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (SpaceId.PARSE_TOKENS, ["(TOP (S (NN rain)))", "", "(TOP (S (NN a)) (XX b))"]),
        (SpaceId.GERMAN_TOKENS, ["S NN /S /S", "", "S NN /S /S"]),
    ],
)
def test_lines_of_a_file(space, expected):
    decoder = types.SimpleNamespace(
        problem=lambda name: problem(space),
        prepare=lambda name, text: np.zeros(1),
        decode_prepared=lambda name, rows, **_: [Result("S NN /S /S")] * len(rows),
        batch_size=2,
        hparams=DecodeHParams(),
    )
    lines = decode_lines(decoder, "parse", [b"rain", b"", b" a b "])
    assert [line.text for line in lines][:2] == expected[:2]
    (*_, last) = decode_lines(decoder, "parse", [b" a b "])
    if space is SpaceId.PARSE_TOKENS:
        assert parse_brackets(last.text).words == ["a", "b"]
    else:
        assert last.text == expected[2]


def test_a_deep_tree_is_drawn():
    tree = Tree("NN", ("a",))
    for _ in range(3000):
        tree = Tree("S", (tree,))
    lines = draw(tree)
    assert len(lines) == 3001
    assert lines[:2] == ["S", "└─ S"] and lines[-1].endswith("└─ NN a")
