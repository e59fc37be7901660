r"""Transcripts of the Wall Street Journal speech corpora, reduced to what was said.

The LDC's `.dot` files hold more than words (its `dot_spec.doc` defines the marks). The
rule here, ours, turns a line into lower-case words, token by token:

1. Noises go: `[loud_breath]`, `[<door_slam]`, `[door_slam>]`, `[phone/]`, `[/phone]`,
   and `<NOISE>`, `<SPOKEN_NOISE>`, `<UNK>` of texts that others have normalised.
2. Pauses (`.` alone) and the mark of a cut recording (`~`) go.
3. Partial words go, because scoring calls them optional: an unescaped hyphen at either
   end, `comm(unity)-`, `-mercial`.
4. Words in `*asterisks*` (mispronounced) and `<brackets>` (read by mistake) were said
   and stay, without the marks; so do stressed and drawn-out words (`!no`, `a:nd`).
5. Verbal punctuation is the word that was said: `,COMMA` is `comma`, `\"DOUBLE-QUOTE`
   is `double-quote`, `--DASH` is `dash`, `%PERCENT` is `percent`.
6. A backslash only protects the character after it: `mother\-in\-law`, `AT\&T`.
7. Full stops of abbreviations, apostrophes and inner hyphens stay: `mr.`, `'tis`.
"""

import re
from collections.abc import Iterable, Iterator

_NOISE = re.compile(r"\[[^\]\s]*\]")
_NOISE_TOKENS = {"<noise>", "<spoken_noise>", "<unk>"}
_UTTERANCE = re.compile(r"(.*?)\s*\(([^()\s]+)\)\s*")
_ESCAPED = re.compile(r"\\([\x00-\xff])")
# Escaped characters wait in Unicode's private area while the marks are taken away.
_PRIVATE = 0xE000
_MARKS = re.compile(r"[<>*~!:()\[\]{}|/]")
_LEADING = re.compile(r"^[^\w']+|^'+(?=[A-Za-z-]*(?:QUOTE|APOSTROPHE)$)", re.IGNORECASE)
_TRAILING = re.compile(r"[^\w.']+$")
_SPOKEN_HYPHENS = {"-hyphen", "-dash", "--dash"}


def normalise(text: str) -> str:
    """Returns the words of a line of a `.dot` or `.lsn` file, without its name.

    Example:
        >>> normalise(r"[loud_breath] Mr\\. Corp. *said* ,COMMA com- . \\-\\-DASH no")
        'mr. corp. said comma dash no'
    """
    words = (_word(token) for token in _NOISE.sub(" ", text).split())
    return " ".join(word for word in words if word)


def utterances(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Yields (line number, name of the utterance, its text as it stands there).

    Args:
        lines: Of a `.dot` or `.lsn` file: `text (name)`. Others are passed over.
    """
    for number, line in enumerate(lines, 1):
        if match := _UTTERANCE.fullmatch(line.strip()):
            yield number, match[2].lower(), match[1]


def _word(token: str) -> str:
    if token.lower() in _NOISE_TOKENS:
        return ""
    token = _ESCAPED.sub(lambda match: chr(_PRIVATE + ord(match[1])), token)
    # Brackets and stars may stand around a partial word, too.
    bare = token.strip("<>*~!")
    partial = bare.startswith("-") or bare.endswith("-")
    if partial and bare.lower() not in _SPOKEN_HYPHENS:
        return ""
    token = _MARKS.sub("", token)
    token = "".join(
        chr(ord(c) - _PRIVATE) if _PRIVATE <= ord(c) < _PRIVATE + 256 else c
        for c in token
    )
    token = _TRAILING.sub("", _LEADING.sub("", token))
    return token.lower() if any(c.isalnum() for c in token) else ""
