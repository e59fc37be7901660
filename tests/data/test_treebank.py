"""Treebank files of all layouts are read; what is broken in them is told with lines."""

import gzip

import pytest

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.treebank import (
    count_trees,
    normalise,
    normalised_trees,
    parsing_examples,
    read_trees,
    treebank_files,
)
from t2t_multimodel.data.trees import linearise, parse_brackets, unlinearise
from t2t_multimodel.errors import UserError

# As Treebank-3 lays its combined files out.
MRG = """
( (S
    (NP-SBJ-1 (NNP Ms.) (NNP Haag) )
    (VP (VBZ plays)
      (NP (NNP Elianti) )
      (S (NP-SBJ (-NONE- *-1) )))
    (. .) ))
( (S (NP-SBJ=2 (PRP It)) (-LRB- -LRB-)
    (VP (VBD rose) (PRT|ADVP (RP up)) (SBAR (-NONE- 0)
      (S (-NONE- *T*-1) ))) (-RRB- -RRB-) ))
"""
WANTED = [
    "(TOP (S (NP (NNP Ms.) (NNP Haag)) (VP (VBZ plays) (NP (NNP Elianti))) (. .)))",
    "(TOP (S (NP (PRP It)) (-LRB- -LRB-) (VP (VBD rose) (PRT (RP up))) (-RRB- -RRB-)))",
]
GOOD = "(TOP (NP (NN rain)))"


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a treebank file."""

    def write(text, name="a.mrg"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def normal(text):
    return str(normalise(parse_brackets(text)))


def test_a_file_of_the_penn_treebank(write):
    path = write(MRG)
    places, trees = zip(*normalised_trees(path), strict=True)
    assert list(map(str, trees)) == WANTED
    assert places == (f"{path}:2", f"{path}:8")
    assert count_trees(path) == 2


def test_examples_are_words_and_t2ts_tags(write):
    first, second = parsing_examples(write(MRG))
    assert first["inputs"] == "Ms. Haag plays Elianti ."
    assert first["targets"] == "S NP NNP NNP /NP VP VBZ NP NNP /NP /VP . /S"
    assert second["targets"].split()[:4] == ["S", "NP", "PRP", "/NP"]
    assert second["place"].endswith(":8")


@pytest.mark.parametrize(
    "text",
    [
        MRG.replace("\n", "\r\n"),
        "\ufeff" + MRG.lstrip(),
        "*x*x*x*x*x*\n*x*x*x*\n" + MRG,
        " ".join(MRG.split()),
        MRG.replace("\n ", " "),
        "".join(f"{tree}\n" for tree in WANTED),
    ],
    ids=["crlf", "bom", "header", "one_line", "tree_a_line", "normalised"],
)
def test_lines_may_end_anywhere(write, text):
    trees = [str(tree) for _, tree in normalised_trees(write(text))]
    assert trees == WANTED


def test_zipped_files(write):
    path = write(gzip.compress(MRG.encode()), "a.mrg.gz")
    assert [str(tree) for _, tree in normalised_trees(path)] == WANTED
    write(gzip.compress(MRG.encode())[:-20], "a.mrg.gz")
    with pytest.raises(UserError, match=r"a.mrg.gz is cut off or damaged after line"):
        list(read_trees(path))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("( (NP-SBJ-1 (NN a)))", "(TOP (NP (NN a)))"),
        ("(ROOT (NP=2 (NN a)))", "(TOP (NP (NN a)))"),
        ("(S1 (S (X (SYM -))))", "(TOP (S (X (SYM -))))"),
        ("(S (NP (PRP$ my)))", "(TOP (S (NP (PRP$ my))))"),
        ("( (S (NP (NN a)) (. .)) (: --))", "(TOP (S (NP (NN a)) (. .)) (: --))"),
        ("( (NP (JJ|RB a) (- -) (= =) (-LRB- -LCB-)))", None),
        (
            "( (NP (NP (NN a)) (SBAR (-NONE- 0) (S (-NONE- *)))))",
            "(TOP (NP (NP (NN a))))",
        ),
        ("( (NP (/. ./.) (/ /)))", "(TOP (NP (. ./.) (/ /)))"),
        ("( (NP (NN a\u00a0b) (NN \u2009)))", "(TOP (NP (NN a_b) (NN _)))"),
    ],
)
def test_what_a_parser_learns_of_a_tree(given, wanted):
    assert normal(given) == (wanted or "(TOP (NP (JJ a) (- -) (= =) (-LRB- -LCB-)))")
    assert normal(normal(given)) == normal(given)


def test_a_tree_of_traces_alone_is_nothing(write):
    traces = "( (S (NP (-NONE- *)) (VP (-NONE- *?*))))"
    assert normalise(parse_brackets(traces)) is None
    path = write(f"{traces}\n{GOOD}\n")
    bad, (_, tree) = normalised_trees(path)
    assert bad.place == f"{path}:1" and "without its traces" in bad.reason
    assert str(tree) == GOOD


@pytest.mark.parametrize(
    ("broken", "line", "reason"),
    [
        ("(TOP (NP (NN a))\n", 2, "line 3: 1 ')' missing before this line"),
        ("(TOP (NP\n  (NN a))))\n", 2, "line 3: there is a ')' too many"),
        ("(TOP (NP\n  (NN a b)))\n", 2, "line 3: the bracket 'NN' holds more than one"),
        ("(TOP (NP (DT the) cat))\n", 2, "'NP' holds a word without part of speech"),
        ("(TOP (NP))\n", 2, "the bracket 'NP' is empty"),
        ("(TOP\n ((NN a)))\n", 2, "line 3: a bracket has no label"),
        ("rain falls\n", 2, "a '(' is missing"),
        ("(rain)\n", 2, "the bracket 'rain' is empty"),
        ("(NN rain)\n", 2, "the outermost bracket holds a bare word"),
        (b"(TOP (NP\n  (NN caf\xe9)))\n", 2, "line 3: not UTF-8"),
        (b"(TOP (NP (NN caf\xe9)))\n", 2, "not UTF-8"),
    ],
)
def test_a_broken_tree_is_told_and_costs_no_other(write, broken, line, reason):
    if isinstance(broken, str):
        broken = broken.encode()
    path = write(f"{GOOD}\n".encode() + broken + f"{GOOD}\n".encode())
    first, bad, last = read_trees(path)
    assert isinstance(bad, BadExample)
    assert bad.place == f"{path}:{line}"
    assert bad.reason.startswith("no tree: ") and reason in bad.reason
    assert str(first[1]) == str(last[1]) == GOOD
    num_lines = len(broken.splitlines())
    assert last[0] == f"{path}:{2 + num_lines}"


def test_a_file_that_is_cut_off(write):
    path = write(f"{GOOD}\n(TOP (NP\n  (NN a")
    first, bad = read_trees(path)
    assert str(first[1]) == GOOD
    assert bad.place == f"{path}:2"
    assert "3 ')' missing at the end of the file" in bad.reason


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot read .*none.mrg: No such file"):
        list(read_trees(tmp_path / "none.mrg"))


def test_the_treebank_files_of_a_folder(tmp_path):
    names = ["b/x.MRG", "b/y.tree", "a.ptb", "c/d/e.trees.gz"]
    for name in [*names, "README.md", "b/x.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD)
    found = [str(path.relative_to(tmp_path)) for path in treebank_files(tmp_path)]
    assert found == sorted(names)


def test_trees_of_any_depth(write):
    depth = 20_000
    text = "(TOP " + "(S " * depth + "(NN a)" + ")" * depth + ")"
    ((_, tree),) = normalised_trees(write(text))
    tags = linearise(tree)
    assert len(tags) == 2 * depth + 1
    assert unlinearise(tags, tree.words) == tree
    assert " ".join(str(tree).split()) == " ".join(text.split())
