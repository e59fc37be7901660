import json
import pathlib

import numpy as np
import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.training import decode_metrics, t2t_bleu
from t2t_multimodel.training.edit_distance import edit_distance

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "metrics__v1.4.4.npz"


def test_bleu_is_sacrebleus_with_its_signature():
    outputs = ["the red cube is on the green ball .", "a small ring"]
    score = decode_metrics.bleu(outputs, outputs)
    assert score.value == pytest.approx(100.0)
    assert score.num_examples == 2
    assert "nrefs:1" in score.signature and "tok:13a" in score.signature


def test_bleu_takes_several_references_of_differing_number():
    outputs = ["a red cube on a ball of stone", "the cat sat on the mat today"]
    references = [["something else altogether", outputs[0]], [outputs[1]]]
    score = decode_metrics.bleu(outputs, references)
    assert score.value == pytest.approx(100.0)
    assert "nrefs:var" in score.signature
    assert decode_metrics.bleu(outputs, [r[0] for r in references]).value < 100


def test_t2ts_bleu_equals_t2t():
    with np.load(GOLDEN) as file:
        meta = json.loads(str(file["__meta__"]))
        want = {k: file[f"compute_bleu/{k}"] for k in ("example", "no_4gram", "short")}
    example = meta["compute_bleu"]
    bleu = t2t_bleu.corpus_bleu
    assert bleu(example["refs"], example["hyps"]) == pytest.approx(want["example"])
    # The cases that the file describes in words.
    assert bleu([[1, 2, 3, 4]], [[1, 2, 9, 3]]) == pytest.approx(want["no_4gram"])
    assert bleu([[1, 2, 3, 4, 5, 6]], [[1, 2, 3, 4]]) == pytest.approx(want["short"])
    assert bleu([[1, 2, 3, 4]], [[1, 2, 3, 4]]) == 1.0
    assert bleu([[1, 2]], [[]]) == 0.0


def test_t2ts_words_equal_t2t():
    with np.load(GOLDEN) as file:
        meta = json.loads(str(file["__meta__"]))
    for text, words in meta["bleu_tokenize"].items():
        assert t2t_bleu.tokenize(text) == words


def test_t2ts_bleu_of_text():
    outputs, references = ["The red ball, there."], ["the red ball, there."]
    cased = decode_metrics.t2t_bleu(outputs, references)
    uncased = decode_metrics.t2t_bleu(outputs, references, lowercase=True)
    assert cased.value < uncased.value == pytest.approx(100.0)
    assert cased.signature == "nrefs:1|case:mixed|tok:t2t|smooth:t2t"


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("saturday", "sunday", 3),
        ("abc", "abc", 0),
        ("ab", "ba", 2),
    ],
)
def test_edit_distance(left, right, distance):
    assert edit_distance(left, right) == distance


def test_edit_distance_equals_the_textbook_table():
    random = np.random.default_rng(0)
    for _ in range(50):
        a, b = (random.integers(0, 4, random.integers(0, 12)).tolist() for _ in "ab")
        table = np.zeros((len(a) + 1, len(b) + 1), int)
        table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
        for i in range(len(a)):
            for j in range(len(b)):
                table[i + 1, j + 1] = min(
                    table[i, j + 1] + 1,
                    table[i + 1, j] + 1,
                    table[i, j] + (a[i] != b[j]),
                )
        assert edit_distance(a, b) == table[-1, -1]


def test_word_error_rate_is_of_the_corpus():
    outputs = ["a red cube", ""]
    references = ["a red big cube", "the ring"]
    score = decode_metrics.wer(outputs, references)
    assert score.value == pytest.approx(3 / 6)
    assert score.signature == "words:6|case:mixed|tok:white-space"
    assert not score.higher_is_better


def test_word_error_rate_takes_the_nearest_reference():
    score = decode_metrics.wer(["a b"], [["x y z", "a b c"]])
    assert score.value == pytest.approx(1 / 3)


def test_trees_are_right_or_wrong():
    outputs = ["(S (NP a )NP )S", "(S (NP a  )NP )S ", "(S a )S"]
    score = decode_metrics.correct_trees(outputs, ["(S (NP a )NP )S"] * 3)
    assert score.value == pytest.approx(2 / 3)


def test_top_labels():
    outputs = [list("abcdef"), list("bacdef"), list("bcdefa")]
    assert decode_metrics.top1(outputs, "aaa").value == pytest.approx(1 / 3)
    assert decode_metrics.top5(outputs, "aaa").value == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", decode_metrics.DECODE_METRICS)
def test_every_metric_refuses_lists_that_do_not_match(name):
    metric = decode_metrics.DECODE_METRICS[name]
    with pytest.raises(UserError, match="2 outputs and 1 references"):
        metric(["a", "b"], ["a"])
    with pytest.raises(UserError, match="0 outputs and 0 references"):
        metric([], [])


def test_examples_without_references_are_named():
    with pytest.raises(UserError, match="example 1 has no reference"):
        decode_metrics.bleu(["a", "b"], [["a"], []])
    with pytest.raises(UserError, match="references have no words"):
        decode_metrics.wer(["a"], [" "])
