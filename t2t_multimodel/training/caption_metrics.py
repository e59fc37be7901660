"""Metrics of captions as COCO's evaluation defines them: BLEU-4 and CIDEr-D.

Both see a caption as COCO's evaluation does: small letters, clitics apart ("dog",
"'s"), without punctuation.
"""

import collections
import math
import re
from collections.abc import Sequence

import sacrebleu

_LONGEST_NGRAM = 4
_LENGTH_SIGMA = 6.0
_SCALE = 10.0

_TOKEN = re.compile(
    r"""
    (?:[a-z]\.){2,}                               # u.s.
    | (?:mr|mrs|ms|dr|jr|sr|st|vs|etc|prof|mt)\.  # mr.
    | \$ | \d+(?:[.,:/]\d+)*\w*(?:-\w+)*          # 10:30, 1950s, 3-story
    | '(?:s|m|d|re|ll|ve)\b | n't\b               # what a word ends with
    | [^\W_](?:(?!n't\b)\w)*(?:[-/]+\w+)*         # two-story, and/or
    | \.\.+ | --+ | [?!]+ | \S
    """,
    re.VERBOSE,
)
_CONTRACTED = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "wanna": ("wan", "na"),
}
_PUNCTUATION = re.compile(r"""['`".?!,:;-]|\.\.+|--""")

_Ngrams = collections.Counter[tuple[str, ...]]


def caption_tokens(text: str) -> list[str]:
    """Returns the words of a caption as COCO's evaluation counts them.

    The rules of the Penn Treebank tokenizer that captions need, without punctuation;
    a Java program is what COCO's own evaluation runs for it.
    """
    tokens: list[str] = []
    for token in _TOKEN.findall(text.lower().replace("\u2019", "'")):
        if not _PUNCTUATION.fullmatch(token):
            tokens.extend(_CONTRACTED.get(token, (token,)))
    return tokens


def corpus_bleu4(
    outputs: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, str]:
    """Returns BLEU-4 of captions within [0, 100], and how it came about.

    Args:
        outputs: A caption a picture.
        references: One or more of each picture.
    """
    texts = [[" ".join(caption_tokens(r)) for r in several] for several in references]
    most = max(map(len, texts))
    streams = [[t[i] if i < len(t) else None for t in texts] for i in range(most)]
    metric = sacrebleu.metrics.BLEU(
        lowercase=True, tokenize="none", smooth_method="none", force=True
    )
    spoken = [" ".join(caption_tokens(output)) for output in outputs]
    score = metric.corpus_score(spoken, streams)
    return score.score, f"{metric.get_signature()}|words:coco"


def corpus_cider_d(
    outputs: Sequence[str], references: Sequence[Sequence[str]]
) -> float:
    """Returns CIDEr-D, the mean over pictures; ten is the most that there is.

    An n-gram weighs the more, the fewer pictures have it in a reference; a caption is
    compared with each reference by the angle between their n-grams, n from 1 to 4,
    none counted more often than there, and less the more the lengths differ
    (Vedantam et al. 2015, with COCO's evaluation where the two differ: lengths are
    counted in pairs of words). Of one picture alone all weights are 0.

    Args:
        outputs: A caption a picture.
        references: One or more of each picture.
    """
    counted = [[_ngrams(text) for text in several] for several in references]
    pictures_with = collections.Counter(
        ngram for several in counted for ngram in set().union(*several)
    )
    log_pictures = math.log(len(counted))

    def vector(counts: _Ngrams) -> "_Vector":
        return _Vector(
            {
                ngram: count * (log_pictures - math.log(max(1, pictures_with[ngram])))
                for ngram, count in counts.items()
            },
            num_pairs=sum(n for ngram, n in counts.items() if len(ngram) == 2),
        )

    scores = []
    for output, several in zip(outputs, counted, strict=True):
        spoken = vector(_ngrams(output))
        likeness = [spoken.likeness(vector(reference)) for reference in several]
        scores.append(_SCALE * sum(likeness) / len(likeness))
    return sum(scores) / len(scores)


class _Vector:
    """The weighted n-grams of a caption."""

    def __init__(self, weights: dict[tuple[str, ...], float], num_pairs: int) -> None:
        self.weights = weights
        self.num_pairs = num_pairs
        squares = [0.0] * _LONGEST_NGRAM
        for ngram, weight in weights.items():
            squares[len(ngram) - 1] += weight * weight
        self.norms = [math.sqrt(square) for square in squares]

    def likeness(self, reference: "_Vector") -> float:
        """Returns the mean cosine over n, clipped and punished for the length."""
        products = [0.0] * _LONGEST_NGRAM
        for ngram, weight in self.weights.items():
            wanted = reference.weights.get(ngram, 0.0)
            products[len(ngram) - 1] += min(weight, wanted) * wanted
        cosines = [
            product / (own * other) if own and other else 0.0
            for product, own, other in zip(
                products, self.norms, reference.norms, strict=True
            )
        ]
        difference = self.num_pairs - reference.num_pairs
        punished = math.exp(-(difference**2) / (2 * _LENGTH_SIGMA**2))
        return punished * sum(cosines) / _LONGEST_NGRAM


def _ngrams(text: str) -> _Ngrams:
    words = caption_tokens(text)
    return collections.Counter(
        tuple(words[start : start + size])
        for size in range(1, _LONGEST_NGRAM + 1)
        for start in range(len(words) - size + 1)
    )
