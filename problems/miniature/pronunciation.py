"""How the English words of the miniature world sound: phonemes and their acoustics.

Phonemes bear their ARPAbet names. Formants are rounded textbook averages for a man's
voice; a speaker scales them.
"""

import dataclasses
import enum


class Kind(enum.Enum):
    """How a phoneme is made."""

    VOWEL = "vowel"
    GLIDE = "glide"
    NASAL = "nasal"
    FRICATIVE = "fricative"
    STOP = "stop"
    PAUSE = "pause"


@dataclasses.dataclass(frozen=True)
class Phoneme:
    """A sound.

    Args:
        kind: How it is made.
        seconds: Usual length; of a stop, of its closure.
        formants_hz: Resonances of the voice; `None` takes the neighbours'.
        voice: Loudness of the voice, 1 for a vowel.
        noise: Loudness of the hiss; of a stop, of its burst.
        noise_hz: Centre and width of the hiss.
    """

    kind: Kind
    seconds: float
    formants_hz: tuple[float, float, float] | None = None
    voice: float = 0.0
    noise: float = 0.0
    noise_hz: tuple[float, float] = (2000.0, 2000.0)


def _vowel(f1: float, f2: float, f3: float, seconds: float = 0.11) -> Phoneme:
    return Phoneme(Kind.VOWEL, seconds, (f1, f2, f3), voice=1.0)


def _glide(f1: float, f2: float, f3: float) -> Phoneme:
    return Phoneme(Kind.GLIDE, 0.065, (f1, f2, f3), voice=0.6)


def _nasal(f2: float, f3: float) -> Phoneme:
    return Phoneme(Kind.NASAL, 0.075, (250.0, f2, f3), voice=0.35)


def _fricative(
    noise: float, centre_hz: float, width_hz: float, voice: float = 0.0
) -> Phoneme:
    seconds = 0.075 if voice else 0.10
    return Phoneme(
        Kind.FRICATIVE, seconds, None, voice, noise, noise_hz=(centre_hz, width_hz)
    )


def _stop(
    noise: float, centre_hz: float, width_hz: float, voice: float = 0.0
) -> Phoneme:
    return Phoneme(Kind.STOP, 0.05, None, voice, noise, noise_hz=(centre_hz, width_hz))


PAUSE = Phoneme(Kind.PAUSE, 0.03)

PHONEMES = {
    "IY": _vowel(270, 2290, 3010),
    "IH": _vowel(390, 1990, 2550, 0.085),
    "EH": _vowel(530, 1840, 2480),
    "AE": _vowel(680, 1720, 2410, 0.13),
    "AH": _vowel(640, 1190, 2390),
    "AA": _vowel(730, 1090, 2440, 0.13),
    "AO": _vowel(570, 840, 2410, 0.13),
    "UH": _vowel(440, 1020, 2240, 0.085),
    "UW": _vowel(300, 870, 2240),
    "ER": _vowel(490, 1350, 1690, 0.12),
    "AX": _vowel(500, 1500, 2500, 0.055),
    "W": _glide(290, 610, 2150),
    "Y": _glide(260, 2200, 3000),
    "R": _glide(420, 1300, 1600),
    "L": _glide(360, 1000, 2700),
    "M": _nasal(1000, 2200),
    "N": _nasal(1600, 2600),
    "NG": _nasal(2000, 2700),
    "S": _fricative(0.30, 3700, 700),
    "Z": _fricative(0.18, 3700, 700, voice=0.25),
    "SH": _fricative(0.32, 2500, 900),
    "ZH": _fricative(0.18, 2500, 900, voice=0.25),
    "F": _fricative(0.10, 1500, 2500),
    "V": _fricative(0.05, 1500, 2500, voice=0.35),
    "TH": _fricative(0.08, 3000, 2500),
    "DH": _fricative(0.04, 3000, 2500, voice=0.35),
    "HH": _fricative(0.10, 1200, 1800),
    "P": _stop(0.25, 700, 900),
    "B": _stop(0.15, 700, 900, voice=0.12),
    "T": _stop(0.35, 3500, 1000),
    "D": _stop(0.20, 3500, 1000, voice=0.12),
    "K": _stop(0.30, 1900, 700),
    "G": _stop(0.18, 1900, 700, voice=0.12),
}

# Sounds that glide from one phoneme to the next.
_COMPOUND = {
    "EY": ("EH", "IY"),
    "AY": ("AA", "IH"),
    "OW": ("AO", "UH"),
    "AW": ("AA", "UH"),
    "CH": ("T", "SH"),
    "JH": ("D", "ZH"),
}

_WORDS = {
    "a": "AX",
    "above": "AX B AH V",
    "always": "AO L W EY Z",
    "and": "AE N D",
    "are": "AA R",
    "attract": "AX T R AE K T",
    "attracted": "AX T R AE K T IH D",
    "attracts": "AX T R AE K T S",
    "be": "B IY",
    "because": "B IH K AO Z",
    "behind": "B IH HH AY N D",
    "below": "B IH L OW",
    "beside": "B IH S AY D",
    "between": "B IH T W IY N",
    "black": "B L AE K",
    "blue": "B L UW",
    "but": "B AH T",
    "circle": "S ER K AX L",
    "circles": "S ER K AX L Z",
    "cover": "K AH V ER",
    "covered": "K AH V ER D",
    "covers": "K AH V ER Z",
    "cross": "K R AO S",
    "crosses": "K R AO S IH Z",
    "diamond": "D AY M AX N D",
    "diamonds": "D AY M AX N D Z",
    "did": "D IH D",
    "do": "D UW",
    "does": "D AH Z",
    "every": "EH V R IY",
    "flower": "F L AW ER",
    "flowers": "F L AW ER Z",
    "follow": "F AA L OW",
    "followed": "F AA L OW D",
    "follows": "F AA L OW Z",
    "front": "F R AH N T",
    "green": "G R IY N",
    "huge": "HH Y UW JH",
    "in": "IH N",
    "inside": "IH N S AY D",
    "is": "IH Z",
    "large": "L AA R JH",
    "larger": "L AA R JH ER",
    "left": "L EH F T",
    "lift": "L IH F T",
    "lifted": "L IH F T IH D",
    "lifts": "L IH F T S",
    "moon": "M UW N",
    "moons": "M UW N Z",
    "never": "N EH V ER",
    "no": "N OW",
    "not": "N AA T",
    "of": "AX V",
    "often": "AO F AX N",
    "purple": "P ER P AX L",
    "push": "P UH SH",
    "pushed": "P UH SH T",
    "pushes": "P UH SH IH Z",
    "red": "R EH D",
    "right": "R AY T",
    "saw": "S AO",
    "see": "S IY",
    "sees": "S IY Z",
    "small": "S M AO L",
    "smaller": "S M AO L ER",
    "spotted": "S P AA T IH D",
    "square": "S K W EH R",
    "squares": "S K W EH R Z",
    "star": "S T AA R",
    "stars": "S T AA R Z",
    "striped": "S T R AY P T",
    "than": "DH AE N",
    "that": "DH AE T",
    "the": "DH AX",
    "there": "DH EH R",
    "these": "DH IY Z",
    "think": "TH IH NG K",
    "thinks": "TH IH NG K S",
    "this": "DH IH S",
    "to": "T AX",
    "touch": "T AH CH",
    "touched": "T AH CH T",
    "touches": "T AH CH IH Z",
    "triangle": "T R AY AE NG G AX L",
    "triangles": "T R AY AE NG G AX L Z",
    "two": "T UW",
    "was": "W AH Z",
    "were": "W ER",
    "white": "W AY T",
    "will": "W IH L",
    "yellow": "Y EH L OW",
}


def phonemes(word: str) -> list[Phoneme]:
    """Returns the sounds of an English word of the miniature world.

    Raises:
        KeyError: If the lexicon has no such word.
    """
    names = (_COMPOUND.get(name, (name,)) for name in _WORDS[word].split())
    return [PHONEMES[name] for group in names for name in group]


def known_words() -> frozenset[str]:
    """All words with a pronunciation."""
    return frozenset(_WORDS)
