"""BLEU as T2T computes it, on ids and on text (`t2t-bleu`).

The paper's BLEU is of this kind. It differs from sacreBLEU in its words: T2T cuts at
every punctuation mark next to anything but a digit, and at every symbol, by their
Unicode categories.
"""

import collections
import functools
import math
import re
import sys
import unicodedata
from collections.abc import Hashable, Sequence

MAX_ORDER = 4
"""Longest n-grams compared."""


def corpus_bleu(
    references: Sequence[Sequence[Hashable]], hypotheses: Sequence[Sequence[Hashable]]
) -> float:
    """Returns BLEU of a corpus, one reference each, within [0, 1] (T2T v1.4.4).

    Matches are clipped in each sentence and summed over the corpus. The j-th order
    that has n-grams but no match counts 1 / (2^j n-grams); an order that no
    hypothesis is long enough for is passed over.
    """
    matches, possible = [0] * MAX_ORDER, [0] * MAX_ORDER
    reference_length = hypothesis_length = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        reference_length += len(reference)
        hypothesis_length += len(hypothesis)
        for order in range(1, MAX_ORDER + 1):
            wanted, got = ngrams(reference, order), ngrams(hypothesis, order)
            matches[order - 1] += sum((wanted & got).values())
            possible[order - 1] += sum(got.values())
    smoothing, logarithms = 1.0, 0.0
    for matched, total in zip(matches, possible, strict=True):
        if not total:
            continue
        if not matched:
            smoothing *= 2
        logarithms += math.log(matched / total if matched else 1 / (smoothing * total))
    if not hypothesis_length or not reference_length:
        return 0.0
    brevity = min(0.0, 1 - reference_length / hypothesis_length)
    return math.exp(logarithms / MAX_ORDER + brevity)


def ngrams(
    items: Sequence[Hashable], order: int
) -> collections.Counter[tuple[Hashable, ...]]:
    """Returns how often each run of `order` items occurs."""
    shifted = [items[start:] for start in range(order)]
    return collections.Counter(zip(*shifted, strict=False))


def tokenize(text: str) -> list[str]:
    """Cuts text into T2T's words, much like mteval-v14 on Unicode.

    A full stop after a number at the end of a sentence stays with the number.
    """
    after, before, symbol = _patterns()
    text = after.sub(r"\1 \2 ", text)
    text = before.sub(r" \1 \2", text)
    return symbol.sub(r" \1 ", text).split()


@functools.cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    punctuation, symbols = [], []
    for character in map(chr, range(sys.maxunicode + 1)):
        category = unicodedata.category(character)[0]
        if category == "P":
            punctuation.append(re.escape(character))
        elif category == "S":
            symbols.append(re.escape(character))
    marks = f"([{''.join(punctuation)}])"
    return (
        re.compile(rf"(\D){marks}"),
        re.compile(rf"{marks}(\D)"),
        re.compile(f"([{''.join(symbols)}])"),
    )
