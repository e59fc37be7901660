"""The groups of problems: complete, of one vocabulary, what they say."""

import pytest

from t2t_multimodel.problems import make_problems
from t2t_multimodel.registry import PROBLEM_GROUPS, problem_names

PAPER = ("multimodel8", "multimodel8_frde")


@pytest.mark.parametrize("group", list(PROBLEM_GROUPS))
def test_every_member_is_registered(group):
    assert len(make_problems(group)) == len(problem_names(group))


@pytest.mark.parametrize("group", PAPER)
def test_the_papers_eight_tasks(group):
    problems = make_problems(group)
    assert sorted(p.inputs.kind for p in problems) == [
        "audio",
        "image",
        "image",
        *["text"] * 5,
    ]
    assert sum(p.targets.kind == "class_label" for p in problems) == 1
    eighth = {
        "multimodel8": ("FRENCH", "ENGLISH"),
        "multimodel8_frde": ("FRENCH", "GERMAN"),
    }
    spaces = {(p.inputs.space.name, p.targets.space.name) for p in problems}
    assert tuple(f"{name}_TOKENS" for name in eighth[group]) in spaces


@pytest.mark.parametrize("group", [*PAPER, "multimodel8_free"])
def test_one_vocabulary_for_all_text_of_a_group(group):
    named = {v for problem in make_problems(group) for v in problem.vocabularies()}
    assert [vocabulary.file_name for vocabulary in named] == ["vocab.endefr.8192"]


def test_the_free_group_needs_no_licensed_corpus():
    members = problem_names("multimodel8_free")
    licensed = {"audio_wsj_tokens8k", "image_imagenet", "parsing_english_ptb8k"}
    assert not licensed & set(members)
