"""What a sequence of symbols is: the id that picks the decoder's command token."""

import enum

NUM_SPACES = 32
"""Rows of the command-token table (T2T v1.0.3; not all are in use)."""


class SpaceId(enum.IntEnum):
    """T2T's space ids, by T2T's numbers (v1.4.4)."""

    GENERIC = 0
    IMAGE_LABELS = 1
    ENGLISH_CHARACTERS = 2
    ENGLISH_TOKENS = 3
    ENGLISH_BPE = 4
    FRENCH_CHARACTERS = 5
    FRENCH_TOKENS = 6
    GERMAN_CHARACTERS = 7
    GERMAN_TOKENS = 8
    GERMAN_BPE = 9
    DIGIT_CIPHER_0 = 10
    DIGIT_CIPHER_1 = 11
    AUDIO_WAVEFORM = 12
    AUDIO_SPECTRAL = 13
    PARSE_CHARACTERS = 14
    PARSE_TOKENS = 15
    CHINESE_TOKENS = 16
    ICELANDIC_CHARACTERS = 17
    ICELANDIC_TOKENS = 18
    ICELANDIC_PARSE_TOKENS = 19
    MACEDONIAN_TOKENS = 20
    CZECH_TOKENS = 21
    CZECH_CHARACTERS = 22
    DNA = 23
    REAL_NUMBERS = 24
    IMAGE = 25
    PEPTIDE = 26
    PYTHON_TOKENS = 27
    CPP_TOKENS = 28
    STROKES = 29
    PICKLED_PYTHON = 30


PARSE_SPACES = frozenset(
    (SpaceId.PARSE_TOKENS, SpaceId.PARSE_CHARACTERS, SpaceId.ICELANDIC_PARSE_TOKENS)
)
"""Spaces whose texts are tags of trees, as `trees.linearise` writes them."""
