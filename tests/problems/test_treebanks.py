"""Treebanks declared in TOML, and real ones: every tree comes back from its tags."""

import pathlib
import re

import pytest

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.tree_repair import legal_tree
from t2t_multimodel.data.treebank import normalised_trees, treebank_files
from t2t_multimodel.data.trees import linearise, unlinearise
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data"
DOCS = pathlib.Path(__file__).parents[2] / "docs" / "your_own_data.md"

TREES = """
[[problem]]
name = "parsing_mine"
kind = "trees"
vocabulary = {name = "mine", size = 300}
train = "bank"
dev = {from = "train", every = 4}
test = ["test.txt"]
"""


@pytest.fixture
def load(tmp_path, declare):
    """Returns a function that writes a TOML file beside some treebank files."""
    (tmp_path / "bank" / "more").mkdir(parents=True)
    tree = "( (S (NP-SBJ (NNP T{}) )\n     (VP (VBZ is) )))\n"
    for name, numbers in (("a.mrg", range(3)), ("more/b.tree", range(3, 9))):
        (tmp_path / "bank" / name).write_text("".join(map(tree.format, numbers)))
    (tmp_path / "bank" / "README.txt").write_text("Nine trees.")
    (tmp_path / "test.txt").write_text(tree.format("x"))
    return declare


def inputs(problem, split):
    return [e["inputs"] for e in problem.examples(split, tmp_dir=None, seed=0)]


def test_a_folder_of_treebank_files(load):
    assert load(TREES) == ["parsing_mine"]
    problem = make_problem("parsing_mine")
    assert problem.inputs.space is SpaceId.ENGLISH_TOKENS
    assert problem.targets.space is SpaceId.PARSE_TOKENS
    assert problem.decode_metrics == ("correct_trees", "bracketing_f1")
    assert inputs(problem, "dev") == ["T0 is", "T4 is", "T8 is"]
    assert inputs(problem, "train") == [f"T{n} is" for n in (1, 2, 3, 5, 6, 7)]
    assert inputs(problem, "test") == ["Tx is"]
    counts = [problem.count_examples(split, None) for split in problem.num_shards]
    assert counts == [6, 3, 1]
    (example,) = problem.examples("test", tmp_dir=None, seed=0)
    assert example["targets"] == "S NP NNP /NP VP VBZ /VP /S"


def test_a_broken_tree_keeps_the_others_in_their_splits(load, tmp_path):
    load(TREES)
    problem, file = make_problem("parsing_mine"), tmp_path / "bank" / "a.mrg"
    before = problem.source_state(None)
    file.write_text(file.read_text().replace("(VBZ is) )))", "(VBZ is) ))", 2))
    assert problem.source_state(None) != before
    bad = [
        example
        for split in ("train", "dev")
        for example in problem.examples(split, tmp_dir=None, seed=0)
        if isinstance(example, BadExample)
    ]
    assert [b.place for b in bad] == [f"{file}:3", f"{file}:1"]
    dev = list(problem.examples("dev", tmp_dir=None, seed=0))
    assert [example["inputs"] for example in dev[1:]] == ["T4 is", "T8 is"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('train = "bank"', 'train = "none"', r"mine.toml:6: train: there is no .*none"),
        ('"test.txt"', '"empty"', r"mine.toml:8: test: .*empty has no files that end"),
        (
            'train = "bank"',
            'train = "bank"\ntargets_space = "english_tokens"',
            r"mine.toml:7: targets_space = 'english_tokens' is not one of trees: p",
        ),
        (
            'train = "bank"',
            'train = "bank"\ninputs_space = "germn_tokens"',
            "did you mean 'german_tokens'",
        ),
        ("vocabulary", "vocabularies", "mine.toml:5: no key named 'vocabularies'"),
    ],
)
def test_mistakes_are_told(load, tmp_path, old, new, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        load(TREES.replace(old, new))


def test_the_example_of_the_documentation(load, tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    section = text[text.index("## Bracketed trees") :]
    toml, trees = re.findall(r"```(?:toml)?\n(.*?)```", section, re.S)[:2]
    (tmp_path / "treebank").mkdir()
    for name in ("news.mrg", "letters.txt", "test.trees"):
        (tmp_path / "treebank" / name).write_text(trees)
    assert load(toml) == ["parsing_mine"]
    problem = make_problem("parsing_mine")
    assert inputs(problem, "test") == ["Ms. Haag plays Elianti .", "It rains ."]
    assert len(inputs(problem, "train")) == 3  # one of four is held out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "num_trees"),
    [("penn_treebank_sample", 3253), ("craft_treebank", 7782), ("gum_const", 3303)],
)
def test_every_tree_of_a_treebank_comes_back(folder, num_trees):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"{SHARED / folder} is not there")
    count = 0
    for path in treebank_files(SHARED / folder):
        for place, tree in normalised_trees(path):  # a bad one would not unpack
            words, tags = " ".join(tree.words).split(), " ".join(linearise(tree))
            assert unlinearise(tags.split(), words) == tree, place
            assert legal_tree(tags.split(), words) == tree, place
            count += 1
    assert count == num_trees


def test_the_sample_of_the_penn_treebank_is_read_to_the_last_tree():
    folder = SHARED / "penn_treebank_sample"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    count = 0
    for path in treebank_files(folder)[:10]:
        for place, tree in normalised_trees(path):
            assert unlinearise(linearise(tree), tree.words) == tree, place
            count += 1
    assert count == sum(
        path.read_text().count("\n( (") + path.read_text().startswith("( (")
        for path in treebank_files(folder)[:10]
    )
