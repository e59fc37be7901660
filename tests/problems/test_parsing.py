"""The Penn Treebank is found in its layouts, divided into splits, and checked."""

import gzip

import pytest

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem

TREE = "( (S (NP-SBJ (NNP Section{}) ) (VP (VBZ counts) (S (-NONE- *) ))) )\n"


@pytest.fixture
def problem():
    return make_problem("parsing_english_ptb8k")


def write_sections(folder, sections=range(25), suffix=".mrg"):
    for section in sections:
        inner = folder / f"{section:02}"
        inner.mkdir(parents=True)
        for number in (1, 2):
            name = inner / f"wsj_{section:02}{number:02}{suffix}"
            name.write_text(TREE.format(f"{section:02}/{number}"))


def examples(problem, split, tmp_path):
    return list(problem.examples(split, tmp_dir=tmp_path, seed=0))


def test_spaces_and_multipliers_are_those_of_t2t_1_0_3(problem):
    assert problem.inputs.space is SpaceId.ENGLISH_TOKENS
    assert problem.targets.space is SpaceId.PARSE_TOKENS
    assert problem.inputs.vocabulary == problem.targets.vocabulary
    assert problem.targets.vocabulary.target_size == 8192
    assert (problem.loss_multiplier, problem.batch_size_multiplier) == (1.0, 1)
    assert dict(problem.known_sizes) == {"train": 39832, "dev": 1700, "test": 2416}
    assert problem.decode_metrics == ("correct_trees", "bracketing_f1")


def test_a_change_of_the_treebank_is_noticed(problem, tmp_path):
    assert problem.source_state(tmp_path) == ""
    write_sections(tmp_path / "treebank_3")
    states = [problem.source_state(tmp_path)]
    assert states == [make_problem("parsing_english_ptb8k").source_state(tmp_path)]
    for section in ("02", "22", "23"):
        with open(
            tmp_path / "treebank_3" / section / f"wsj_{section}01.mrg", "a"
        ) as file:
            file.write(TREE.format("more"))
        states.append(problem.source_state(tmp_path))
    (tmp_path / "treebank_3/02/wsj_0203.mrg").write_text(TREE.format("other"))
    states.append(problem.source_state(tmp_path))
    assert len(set(states)) == 5
    (tmp_path / "treebank_3/00/wsj_0003.mrg").write_text("in no split")
    assert problem.source_state(tmp_path) == states[-1]


@pytest.mark.parametrize(
    "layout",
    [
        "treebank_3/parsed/mrg/wsj",
        "treebank_3",
        "treebank_3/wsj",
        "treebank_3/combined/wsj",
        "treebank_3/PARSED/MRG/WSJ",
    ],
)
def test_sections_of_the_treebank(problem, tmp_path, layout):
    write_sections(tmp_path / layout, suffix=".MRG" if "WSJ" in layout else ".mrg")
    found = {split: examples(problem, split, tmp_path) for split in problem.num_shards}
    assert {split: len(of_split) for split, of_split in found.items()} == {
        "train": 40,
        "dev": 2,
        "test": 2,
    }
    assert found["train"][0]["inputs"] == "Section02/1 counts"
    assert found["train"][-1]["inputs"] == "Section21/2 counts"
    assert found["train"][0]["targets"] == "S NP NNP /NP VP VBZ /VP /S"
    assert found["dev"][1]["inputs"] == "Section22/2 counts"
    assert found["test"][0]["inputs"] == "Section23/1 counts"
    assert found["test"][0]["place"].lower().endswith("wsj_2301.mrg:1")
    assert not any(source.missing for source in problem.sources(tmp_path))
    assert problem.count_examples("train", tmp_path) == 40


def test_files_of_one_tree_a_line_as_t2t_took_them(problem, tmp_path):
    for split, count in (("train", 3), ("dev", 2), ("test", 1)):
        (tmp_path / f"mine_{split}.trees").write_text(TREE.format(split) * count)
    counted = [problem.count_examples(s, tmp_path) for s in ("train", "dev", "test")]
    assert counted == [3, 2, 1]
    assert examples(problem, "dev", tmp_path)[1]["inputs"] == "Sectiondev counts"


def test_a_tree_that_cannot_be_read_is_passed_on_with_its_place(problem, tmp_path):
    write_sections(tmp_path / "treebank_3")
    path = tmp_path / "treebank_3" / "22" / "wsj_2201.mrg"
    path.write_text("( (S (NP (NN a)) )\n" + TREE.format("x"))
    bad, good, _ = examples(problem, "dev", tmp_path)
    assert isinstance(bad, BadExample) and bad.place == f"{path}:1"
    assert "line 2: 1 ')' missing before this line" in bad.reason
    assert good["inputs"] == "Sectionx counts"


def missing(problem, tmp_path):
    return {s.splits[0]: list(s.missing) for s in problem.sources(tmp_path)}


def test_what_is_missing_is_listed(problem, tmp_path):
    told = missing(problem, tmp_path)
    assert set(told) == {"train", "dev", "test"}
    assert "neither" in told["test"][0] and "parsing_test.trees" in told["test"][0]
    (tmp_path / "treebank_3" / "parsed").mkdir(parents=True)
    assert "has no sections such as" in missing(problem, tmp_path)["dev"][0]
    sections = [s for s in range(25) if s not in (7, 13, 23)]
    write_sections(tmp_path / "treebank_3" / "parsed" / "mrg" / "wsj", sections)
    told = missing(problem, tmp_path)
    assert [line[-8:] for line in told["train"]] == ["07/*.mrg", "13/*.mrg"]
    assert [line[-8:] for line in told["test"]] == ["23/*.mrg"]
    assert told["dev"] == []
    assert problem.count_examples("train", tmp_path) is None
    with pytest.raises(UserError, match=r"train: .* has no 07/\*.mrg"):
        examples(problem, "train", tmp_path)
    source = problem.sources(tmp_path)[0]
    assert "02-21" in source.what and "LDC99T42" in source.where and source.licence


def test_what_is_in_doubt_is_refused(problem, tmp_path):
    for name in ("a_train.trees", "b_train.trees"):
        (tmp_path / name).write_text(TREE.format(1))
    with pytest.raises(UserError, match="a_train.trees and b_train.trees; leave one"):
        examples(problem, "train", tmp_path)
    (tmp_path / "b_train.trees").unlink()
    with pytest.raises(UserError, match="there is no .*a_dev.trees"):
        examples(problem, "dev", tmp_path)
    write_sections(tmp_path / "treebank_3")
    with pytest.raises(UserError, match="there are both .*; move one away"):
        examples(problem, "train", tmp_path)


def test_zipped_sections(problem, tmp_path):
    write_sections(tmp_path / "treebank_3")
    path = tmp_path / "treebank_3" / "23" / "wsj_2301.mrg"
    (path.parent / "wsj_2301.mrg.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert problem.count_examples("test", tmp_path) == 2
