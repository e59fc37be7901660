"""Declared problems over tables and texts of classes."""

import gzip

import pytest

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem

PAIRS = """
[[problem]]
name = "mine"
kind = "text_pairs"
inputs_space = "english_tokens"
targets_space = "german_tokens"
vocabulary = {name = "mine", size = 300}
train = {table = ["a.tsv", "b.tsv.gz"], inputs_column = 2, targets_column = 1}
dev = {table = "dev.csv", inputs_column = "en", targets_column = "de"}
test = {from = "train", every = 3}
"""

TABLE = """
[[problem]]
name = "topics"
kind = "text_classes"
inputs_space = "english_tokens"
vocabulary = "bytes"
train = {table = "train.csv", text_column = "text", label_column = "topic"}
dev = {from = "train", every = 4}
"""

FILES = """
[[problem]]
name = "moods"
kind = "text_classes"
inputs_space = "english_tokens"
vocabulary = "bytes"
train = "moods"
dev = {from = "train", every = 3}
test = ["moods/glad.txt", "moods/sad.txt.gz"]
"""


@pytest.fixture
def load(tmp_path, declare):
    """Returns a function that writes files and a TOML file, and loads that."""

    def write(toml, files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            data = text.encode()
            path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        [name] = declare(toml)
        return make_problem(name)

    return write


def examples(problem, split):
    """Returns (inputs, targets) of the good ones, and the reasons of the bad."""
    found = list(problem.examples(split, tmp_dir=None, seed=0))
    assert problem.count_examples(split, None) == len(found)
    bad = [e.reason for e in found if isinstance(e, BadExample)]
    good = [e for e in found if not isinstance(e, BadExample)]
    return [(e["inputs"], e["targets"]) for e in good], bad


PAIR_FILES = {
    "a.tsv": "eins\tone\nzwei\ttwo\n",
    "b.tsv.gz": "drei\tthree\t\nvier\tfour\nfünf\n",
    "dev.csv": 'en,de\n"six, seven","sechs, sieben"\n',
}


def test_pairs_from_tables(load):
    problem = load(PAIRS, PAIR_FILES)
    short = ["the line has 1 column; column 2 is wanted"]
    assert examples(problem, "train") == ([("two", "zwei"), ("three", "drei")], short)
    assert examples(problem, "dev") == ([("six, seven", "sechs, sieben")], [])
    assert examples(problem, "test") == ([("one", "eins"), ("four", "vier")], [])


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("a.tsv", "a.txt", "mine.toml:8: table: .*a.txt must end in .tsv or .csv"),
        (
            "inputs_column = 2",
            "inputs_column = 0",
            ":8: inputs_column = 0 must be a nu",
        ),
        ("table = [", "tables = [", ":8: no key named 'tables'; did you mean 'table'"),
        ("targets_column = 1", "inputs = 3", ":8: no key named 'inputs'"),
    ],
)
def test_mistakes_in_the_declaration_of_tables(load, old, new, message):
    assert old in PAIRS
    with pytest.raises(UserError, match=message):
        load(PAIRS.replace(old, new), PAIR_FILES | {"a.txt": ""})


def test_texts_and_their_classes_in_a_table(load):
    rows = 'topic,text\nsport,"A goal, again"\nart,A picture\n,Nothing\nart,\nart,Oil\n'
    problem = load(TABLE, {"train.csv": rows})
    assert problem.targets.names == ("art", "sport")
    assert problem.decode_metrics == ("top1", "top5")
    assert examples(problem, "dev") == ([("A goal, again", 1), ("Oil", 0)], [])
    good, bad = examples(problem, "train")
    assert good == [("A picture", 0)]
    assert bad == ["no class named ''; known: art, sport", "the text is empty"]


def test_one_file_a_class(load):
    files = {"moods/glad.txt": "yes\nfine\n  \n", "moods/sad.txt.gz": "no\n"}
    problem = load(FILES, files | {"moods/.notes": "x"})
    assert problem.targets.names == ("glad", "sad")
    assert examples(problem, "test") == (
        [("yes", 0), ("no", 1), ("fine", 0)],
        ["the text is empty"],
    )
    assert examples(problem, "dev")[0] == [("yes", 0)]
    state = problem.source_state(None)
    load(FILES, {"moods/glad.txt": "yes\nfine\nthird\n"})
    assert make_problem("moods").source_state(None) != state


@pytest.mark.parametrize(
    "toml, old, new, message",
    [
        (TABLE, ', label_column = "topic"', "", ":7: 'label_column' is missing; give"),
        (TABLE, '"topic"', '"topics"', ":7: .*train.csv:1: no column named 'topics'"),
        (TABLE, "train =", "classes = ['a']\ntrain =", ":7: classes = .*two names or"),
        (
            FILES,
            '= "moods"\ndev',
            '= "empty"\ndev',
            ":7: train has no files in it; expected one",
        ),
        (
            FILES,
            '= "moods"\ndev',
            '= "moods/glad.txt"\ndev',
            ":2: classes = .'glad'. must be tw",
        ),
        (FILES, '= "moods"\ndev', '= "mods"\ndev', ":7: train: there is no .*mods"),
    ],
)
def test_mistakes_in_the_declaration_of_classes(
    load, tmp_path, toml, old, new, message
):
    files = {"train.csv": "topic,text\na,b\n", "moods/glad.txt": "yes\n"}
    files["moods/sad.txt.gz"] = "no\n"
    (tmp_path / "empty").mkdir()
    assert old in toml
    with pytest.raises(UserError, match=message):
        load(toml.replace(old, new, 1), files)
