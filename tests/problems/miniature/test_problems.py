"""The tasks of the miniature world: registered, typed, and with one vocabulary."""

import itertools
import pathlib

import numpy as np
import pytest

from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_encoder import SubwordTextEncoder, count_tokens
from t2t_multimodel.problems import make_problem, make_problems
from t2t_multimodel.problems.miniature import problems, world

NOWHERE = pathlib.Path("nowhere")
NAMES = (
    "image_mini",
    "caption_mini_tokens",
    "audio_mini_tokens",
    "parsing_mini_tokens",
    "translate_ende_mini",
    "translate_ende_mini_rev",
    "translate_enfr_mini",
    "translate_enfr_mini_rev",
    "translate_frde_mini",
    "translate_frde_mini_rev",
)


def first_examples(problem, split, count=3, seed=0):
    examples = problem.examples(split, tmp_dir=NOWHERE, seed=seed)
    return list(itertools.islice(examples, count))


def test_mini8_is_the_papers_eight():
    names = [problem.name for problem in make_problems("mini8")]
    assert names == [
        "image_mini",
        "caption_mini_tokens",
        "audio_mini_tokens",
        "parsing_mini_tokens",
        "translate_ende_mini",
        "translate_ende_mini_rev",
        "translate_enfr_mini",
        "translate_frde_mini",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_what_the_features_say(name):
    problem = make_problem(name)
    for example in first_examples(problem, "dev"):
        for side, feature in (("inputs", problem.inputs), ("targets", problem.targets)):
            value = example[side]
            match feature.kind:
                case "text":
                    assert isinstance(value, str) and value
                    assert feature.vocabulary == problems.VOCABULARY
                case "image":
                    assert value.startswith(b"\x89PNG")
                case "audio":
                    assert value.dtype == np.float32 and value.ndim == 1
                    assert feature.sample_rate_hz == 8000
                case "class_label":
                    assert 0 <= value < len(feature.names)


@pytest.mark.parametrize("name", NAMES)
def test_examples_repeat_for_one_seed_only(name):
    problem = make_problem(name)
    first, again, other = (
        [str(e["targets"]) + str(e["inputs"]) for e in first_examples(problem, "dev")]
        if seed == 0
        else [str(e["inputs"]) for e in first_examples(problem, "dev", seed=seed)]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_target_spaces_are_t2ts():
    spaces = [problem.targets.space for problem in make_problems("mini8")]
    assert spaces == [
        SpaceId.IMAGE_LABELS,
        SpaceId.ENGLISH_TOKENS,
        SpaceId.ENGLISH_TOKENS,
        SpaceId.PARSE_TOKENS,
        SpaceId.GERMAN_TOKENS,
        SpaceId.ENGLISH_TOKENS,
        SpaceId.FRENCH_TOKENS,
        SpaceId.GERMAN_TOKENS,
    ]


def test_text_tasks_see_different_sentences():
    english = [
        {e["inputs"] for e in first_examples(make_problem(name), "train", 100)}
        for name in (
            "translate_ende_mini",
            "translate_enfr_mini",
            "parsing_mini_tokens",
        )
    ]
    for one, other in itertools.combinations(english, 2):
        assert len(one & other) < 5


def test_split_sizes_are_kept(monkeypatch):
    problem = make_problem("translate_ende_mini")
    monkeypatch.setattr(type(problem), "num_examples", {"train": 7})
    assert len(first_examples(problem, "train", 100)) == 7


def test_reversed_problem_shares_its_bases_data():
    assert make_problem("translate_frde_mini_rev").data_name == "translate_frde_mini"


@pytest.fixture(scope="module")
def encoder():
    counts = count_tokens(problems.vocabulary_texts(NOWHERE))
    return SubwordTextEncoder.build_to_target_size(
        problems.VOCABULARY.target_size, counts
    )


def test_vocabulary_holds_most_words_whole(encoder):
    assert abs(encoder.vocab_size - problems.VOCABULARY.target_size) < 40
    pieces = words = 0
    for index in range(100):
        sentence = world.sample_sentence("dev", index, seed=1)
        for text in (sentence.english, sentence.german, sentence.french):
            ids = encoder.encode(text)
            assert encoder.decode(ids) == text
            pieces += len(ids)
            words += len(text.replace("'", " ' ").replace("-", " - ").split())
    assert pieces < 1.02 * words
