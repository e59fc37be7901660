"""COCO's caption metrics: by hand, and as COCO's own programs computed them."""

import json
import math

import pytest

from t2t_multimodel.training import decode_metrics
from t2t_multimodel.training.caption_metrics import caption_tokens
from tests.problems.pictures import SHARED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # All as the Stanford PTB tokenizer of COCO's evaluation gives them.
        ("A man's dog - a pug - isn't here.", "a man 's dog a pug is n't here"),
        ("I can't do it; they've won't.", "i ca n't do it they 've wo n't"),
        (
            "two-story house, 10:30 a.m. U.S. flag",
            "two-story house 10:30 a.m. u.s. flag",
        ),
        ('wait... what -- "no" `yes\'', "wait what no yes"),
        ("the 1950s, $5.00 off 50%", "the 1950s $ 5.00 off 50 %"),
        ("Mr. Smith cannot, gonna and/or", "mr. smith can not gon na and/or"),
        ("the boys' bats on it's top", "the boys bats on it 's top"),
        ("café naïve", "café naïve"),
        (" . ", ""),
    ],
)
def test_words_are_those_that_cocos_evaluation_counts(text, words):
    assert caption_tokens(text) == words.split()


def test_cider_by_hand():
    # Of three pictures; one word outputs, so that only words count (n = 1).
    outputs = ["cat", "dog dog", "bird"]
    references = [["cat", "animal"], ["dog", "animal"], ["fish"]]
    # log(3) a word of one picture, log(3/2) for "animal" in two. First picture: equal
    # to its first reference: cosine 1, of n = 1 of 4. Second: two against one, clipped:
    # log(3) * log(3) / (2 log(3) * log(3)) = 1/2, and one pair of words more.
    first = (1 + 0) / 4 / 2
    second = 1 / 2 / 4 / 2 * math.exp(-1 / (2 * 6**2))
    score = decode_metrics.cider_d(outputs, references)
    assert score.value == pytest.approx(10 * (first + second + 0) / 3)
    assert score.signature == "nrefs:2|pictures:3|sigma:6|words:coco"


def test_perfect_captions_have_ten_points():
    texts = ["a red cat on a mat", "two dogs run in the snow"]
    assert decode_metrics.cider_d(texts, texts).value == pytest.approx(10)
    assert decode_metrics.caption_bleu4(texts, texts).value == pytest.approx(100)


def test_words_that_all_pictures_have_are_worth_nothing():
    assert decode_metrics.cider_d(["a", "a"], ["a", "a"]).value == 0
    assert decode_metrics.cider_d(["a cat"], ["a cat"]).value == 0


def test_bleu_4_ignores_case_and_punctuation():
    score = decode_metrics.caption_bleu4(
        ["A cat sits, on THE mat"], [["a cat sits on the mat.", "dogs"]]
    )
    assert score.value == pytest.approx(100)
    assert "smooth:none" in score.signature and "words:coco" in score.signature


def test_the_captions_of_cocos_demo_score_as_cocos_programs_say():
    """The expected numbers: pycocoevalcap 1.2 with its Java tokenizer, 69 captions."""
    folder = SHARED / "coco_caption_metric"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    references = {}
    annotations = json.loads((folder / "captions_references.json").read_text())
    for row in annotations["annotations"]:
        references.setdefault(row["image_id"], []).append(row["caption"])
    outputs = {
        row["image_id"]: row["caption"]
        for row in json.loads((folder / "fakecap_results.json").read_text())
    }
    assert len(outputs) == 69
    texts = list(outputs.values())
    several = [references[image] for image in outputs]
    cider = decode_metrics.cider_d(texts, several)
    assert cider.value == pytest.approx(0.6732005119009482, rel=1e-9)
    bleu4 = decode_metrics.caption_bleu4(texts, several)
    assert bleu4.value == pytest.approx(20.987296281249294, rel=1e-6)
