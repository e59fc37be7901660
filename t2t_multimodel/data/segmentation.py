"""Writing a token in the alphabet of a vocabulary, and cutting it into sub-tokens.

An escaped token ends with an underscore, so that sub-tokens can be glued together
again without marks of their own. An underscore of the text becomes `\\u`, a backslash
`\\\\`, and a character outside the alphabet its decimal code point, as in `\\8364;`.
"""

import re
from collections.abc import Collection, Container, Iterable

END_OF_TOKEN = "_"

ESCAPE_CHARACTERS = frozenset("\\_u;0123456789")
"""Characters that escapes are made of; every alphabet holds them."""

_ESCAPE = re.compile(r"\\u|\\\\|\\([0-9]+);")


def alphabet_of(strings: Iterable[str]) -> frozenset[str]:
    """Returns the characters of all strings and those that escapes are made of."""
    return ESCAPE_CHARACTERS.union(*strings)


def escape(token: str, alphabet: Container[str]) -> str:
    """Writes a token in the characters of an alphabet, an underscore at its end.

    Args:
        token: What `tokenize` gives.
        alphabet: The characters that stand for themselves. A newline never does, as a
            vocabulary file has one sub-token a line.
    """
    token = token.replace("\\", "\\\\").replace(END_OF_TOKEN, "\\u")
    characters = [c if c in alphabet and c != "\n" else f"\\{ord(c)};" for c in token]
    return "".join(characters) + END_OF_TOKEN


def unescape(escaped: str) -> str:
    """Undoes `escape`; the underscore at the end may be missing.

    A number that is no code point gives nothing, and a backslash that begins no escape
    stays: a model may put together any sequence of sub-tokens.
    """
    return _ESCAPE.sub(_unescaped, escaped.removesuffix(END_OF_TOKEN))


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is None:
        return END_OF_TOKEN if match[0] == "\\u" else "\\"
    try:
        return chr(int(match[1]))
    except (ValueError, OverflowError):
        return ""


def segment(escaped: str, subtokens: Collection[str], max_length: int) -> list[str]:
    """Cuts an escaped token, each time taking the longest sub-token that fits.

    Args:
        escaped: An escaped token.
        subtokens: The vocabulary, quick to look up in (a set or a dictionary).
        max_length: Characters of the longest sub-token.

    Raises:
        ValueError: If no sub-token fits. A vocabulary that holds every character of
            its alphabet excludes that.
    """
    pieces = []
    start, length = 0, len(escaped)
    while start < length:
        for end in range(min(length, start + max_length), start, -1):
            if escaped[start:end] in subtokens:
                break
        else:
            raise ValueError(f"no sub-token begins {escaped[start:]!r} in {escaped!r}")
        pieces.append(escaped[start:end])
        start = end
    return pieces
