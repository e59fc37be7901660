"""Cutting text into words and what is between them (T2T v1.0.7 and later)."""

import collections
import re
import sys
from collections.abc import Iterable

# Letters and numbers, and everything else. Python's \w without the underscore is
# exactly the Unicode categories L* and N* (a test goes through every code point).
_WORD = r"[^\W_]+"
_RUNS = re.compile(rf"{_WORD}|[\W_]+")


def tokenize(text: str) -> list[str]:
    """Cuts a text wherever letters and numbers meet anything else.

    A single space between two words is left out, as `detokenize` puts it back; at
    either end of the text it is kept. `"that's so"` gives `that`, `'`, `s`, `so`.

    Args:
        text: Any text, also empty.

    Returns:
        The tokens, none of them empty; joined by `detokenize` they are the text again.
    """
    runs = _RUNS.findall(text)
    return [*runs[:1], *(run for run in runs[1:-1] if run != " "), *runs[1:][-1:]]


def detokenize(tokens: Iterable[str]) -> str:
    """Joins tokens, with one space between two that both begin with L* or N*.

    Args:
        tokens: Tokens, none of them empty.
    """
    pieces: list[str] = []
    previous_is_word = False
    for token in tokens:
        is_word = token[0].isalnum()
        if is_word and previous_is_word:
            pieces.append(" ")
        pieces.append(token)
        previous_is_word = is_word
    return "".join(pieces)


def word_boundaries() -> list[int]:
    """Returns the code points at which letters and numbers begin and end, in turn.

    A code point is a letter or number if an odd number of boundaries is not above it.
    Python versions differ in it, so who needs the same tokens elsewhere takes these.
    """
    every_character = "".join(map(chr, range(sys.maxunicode + 1)))
    words = re.finditer(_WORD, every_character)
    return [boundary for word in words for boundary in word.span()]


def count_tokens(texts: Iterable[str]) -> collections.Counter[str]:
    """Counts the tokens of all texts, each cut on its own.

    Args:
        texts: Texts as they will be encoded later, without line ends.
    """
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        counts.update(tokenize(text))
    return counts
