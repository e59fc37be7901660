"""Bracketing is counted as EVALB counts it, in the cases that people stumble over.

The numbers are what EVALB's own rules give, worked out by hand.
"""

import pytest

from t2t_multimodel.data.trees import linearise, parse_brackets
from t2t_multimodel.training.bracketing import Bracketing, score
from t2t_multimodel.training.decode_metrics import bracketing_f1

GOLD = "(TOP (S (NP (DT the) (NN cat)) (VP (VBD sat) (PP (IN on) (NP (NN it)))) (. .)))"


def scored(output, reference=GOLD):
    return score([parse_brackets(output)], [parse_brackets(reference)])


def counts(output, reference):
    found = scored(output, reference)
    return found.num_matched, found.num_reference, found.num_output


def test_a_right_tree():
    found = scored(GOLD)
    assert found == Bracketing(5, 5, 5, 5, 5, 1, 1, 0, 0)
    assert found.precision == found.recall == found.f1 == 1
    assert found.tagging_accuracy == found.complete_match == 1


# What is shown: output, reference, and how many brackets match, stand in the reference
# and stand in the output.
BRACKETS = {
    "the outermost bracket does not count": ("(X (NN a))", "(S (NN a))", (0, 1, 1)),
    "punctuation may hang anywhere": (
        "(S (NP (DT the) (NN cat) (, ,)) (VP (VBD sat) (. .)))",
        "(S (NP (DT the) (NN cat)) (, ,) (VP (VBD sat)) (. .))",
        (3, 3, 3),
    ),
    "a phrase of punctuation alone is none": (
        "(S (NP (NN cat)) (PRN (: --) (, ,)) (. .))",
        "(S (NP (NN cat)) (: --) (, ,) (. .))",
        (2, 2, 2),
    ),
    "round brackets are words": (
        "(S (PRN (-LRB- -LRB-) (NN a) (-RRB- -RRB-)))",
        "(S (-LRB- -LRB-) (PRN (NN a)) (-RRB- -RRB-))",
        (1, 2, 2),
    ),
    "ADVP and PRT are one": (
        "(VP (VB give) (PRT (RP up)))",
        "(VP (VB give) (ADVP (RP up)))",
        (2, 2, 2),
    ),
    "function tags do not count": (
        "(S (NP (NN a)))",
        "(S=2 (NP-SBJ-1 (NN a)))",
        (2, 2, 2),
    ),
    "of two brackets of one label over the same words one is found": (
        "(NP (NN a))",
        "(NP (NP (NN a)))",
        (1, 2, 1),
    ),
    "one more of them is too many": (
        "(NP (NP (NP (NN a))))",
        "(NP (NP (NN a)))",
        (2, 2, 3),
    ),
    "order within a unary chain does not count": (
        "(NP (S (NN a)))",
        "(S (NP (NN a)))",
        (2, 2, 2),
    ),
}


@pytest.mark.parametrize("what", BRACKETS)
def test_brackets(what):
    output, reference, expected = BRACKETS[what]
    assert counts(f"(TOP {output})", f"(TOP {reference})") == expected


def test_a_label_that_is_wrong_and_what_is_attached_too_high():
    output = GOLD.replace("(PP (IN on) (NP (NN it)))", "(ADVP (IN on)) (NP (NN it))")
    assert counts(output, GOLD) == (4, 5, 5)


def test_parts_of_speech_are_no_brackets_and_have_their_own_accuracy():
    found = scored(GOLD.replace("NN cat", "VB cat"))
    assert (found.num_matched, found.num_output) == (5, 5)
    assert (found.num_correct_tags, found.num_words) == (4, 5)  # the full stop is none
    assert found.num_complete == 1


@pytest.mark.parametrize(
    ("output", "errors", "skipped"),
    [
        (GOLD.replace("(. .)", "(NN .)"), 1, 0),  # a mark that is taken for a word
        (GOLD.replace("NN it", ", it"), 1, 0),  # a word that is taken for a mark
        # As many words, but others.
        (GOLD.replace("NN it", ", it").replace("(. .)", "(NN .)"), 1, 0),
        ("(TOP (. the) (. cat) (. sat) (. on) (. it) (. .))", 0, 1),
    ],
)
def test_a_sentence_with_other_words_is_left_out_and_counted(output, errors, skipped):
    found = score(
        [parse_brackets(t) for t in (output, GOLD)], [parse_brackets(GOLD)] * 2
    )
    assert (found.num_errors, found.num_skipped, found.num_scored) == (
        errors,
        skipped,
        1,
    )
    assert found.f1 == 1 and found.num_reference == 5


def test_numbers_are_of_the_corpus_and_not_means_of_sentences():
    flat = "(TOP (S (DT the) (NN cat) (VBD sat) (IN on) (NN it) (. .)))"
    small = "(TOP (NP (NN a)))"
    golds = [parse_brackets(GOLD), parse_brackets(small)]
    found = score([parse_brackets(flat), golds[1]], golds)
    assert found.recall == pytest.approx(2 / 6)
    assert found.precision == 1
    assert found.f1 == pytest.approx(2 * (1 / 3) / (4 / 3))
    assert found.complete_match == 0.5


def test_nothing_gives_zero_and_no_error():
    found = Bracketing()
    assert found.f1 == found.precision == found.recall == found.tagging_accuracy == 0
    assert found.complete_match == 0


def test_the_metric_scores_the_repaired_tree():
    gold = parse_brackets(GOLD)
    tags = linearise(gold)
    cut = " ".join(tags[:-4])  # /PP /VP . /S are lost
    metric = bracketing_f1([cut], [" ".join(tags)], [" ".join(gold.words)])
    # What is open ends with the sentence, and the full stop goes to S: no bracket that
    # counts is another.
    assert metric.value == 1
    assert metric.signature == (
        "precision:100.00%|recall:100.00%|tagging:100.00%|left_out:0|evalb:COLLINS"
    )
    wrong = " ".join(tags).replace("PP", "SBAR")
    metric = bracketing_f1([wrong], [" ".join(tags)])
    assert metric.value == pytest.approx(4 / 5)
    assert "precision:80.00%" in metric.signature


def test_sentences_without_words_are_left_out():
    metric = bracketing_f1(["S NN /S", "S NN /S"], ["S NN /S", "S NN /S"], ["", "a"])
    assert metric.value == 1 and "left_out:1|" in metric.signature
