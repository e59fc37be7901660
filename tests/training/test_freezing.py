"""Which variables a pattern freezes, and what is said of it."""

import numpy as np
import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.freezing import frozen_lines, frozen_paths

ENCODER = (
    "multimodel/encoder/block_0/step_0/conv/pointwise",
    "multimodel/encoder/moe/moe/gate",
)
DECODER = (
    "multimodel/decoder/block_0/step_0/conv/pointwise",
    "multimodel/decoder/moe/moe/gate",
)
NETS = (
    "multimodel/image_3/stem_0/kernel",
    "multimodel/language_mini/shared_table",
    "multimodel/command_table",
)
PATHS = ENCODER + DECODER + NETS


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("encoder/*", ENCODER),
        ("encoder", ENCODER),
        ("encoder/", ENCODER),
        ("multimodel/encoder/*", ENCODER),
        ("*/encoder/*", ENCODER),
        ("encoder/*,decoder/*", ENCODER + DECODER),
        (" encoder , decoder,", ENCODER + DECODER),
        ("moe/*", (ENCODER[1], DECODER[1])),
        ("encoder/moe", ENCODER[1:]),
        ("encoder/block_*", ENCODER[:1]),
        ("language_*", NETS[1:2]),
        ("command_table", NETS[2:]),
        ("*_table", NETS[1:]),
        (DECODER[0], DECODER[:1]),
    ],
)
def test_a_pattern_takes_all_that_is_under_what_it_names(pattern, wanted):
    assert frozen_paths([pattern], PATHS) == frozenset(wanted)


def test_patterns_add_up_and_none_freezes_nothing():
    assert frozen_paths(["encoder", "image_3"], PATHS) == {*ENCODER, NETS[0]}
    assert frozen_paths([], PATHS) == frozen_paths([""], PATHS) == frozenset()


def test_a_part_of_a_name_is_not_the_name():
    for pattern in ("coder/*", "encode", "Encoder/*", "image"):
        with pytest.raises(UserError):
            frozen_paths([pattern], PATHS)


def test_a_pattern_that_names_nothing_is_refused_with_what_is_near():
    with pytest.raises(UserError) as error:
        frozen_paths(["decoder/*,encodr/*"], PATHS)
    assert str(error.value) == (
        "--freeze=encodr/* names no variable of this model; did you mean 'encoder'? "
        "parts are: command_table, decoder, encoder, image_3, language_mini"
    )
    with pytest.raises(UserError, match="of this model; parts are: command_table"):
        frozen_paths(["zzz"], PATHS)


def test_freezing_everything_is_refused():
    with pytest.raises(UserError, match=r"--freeze=\* leaves nothing to train: .* 7"):
        frozen_paths(["*"], PATHS)


def test_what_is_frozen_is_said_by_part():
    variables = {path: np.zeros((2, 3)) for path in PATHS}
    frozen = frozen_paths(["encoder", "decoder/moe"], PATHS)
    assert frozen_lines(frozen, variables) == [
        "frozen: 3 variables with 18 parameters: decoder (1 of 2), encoder (2)",
        "trained: 4 variables with 24 parameters",
    ]
    assert frozen_lines(frozenset(), variables) == []
