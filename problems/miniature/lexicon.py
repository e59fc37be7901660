"""The words of the miniature world in English, German and French."""

import dataclasses
import enum


class Gender(enum.Enum):
    """Grammatical gender; French has no neuter."""

    MASCULINE = "m"
    FEMININE = "f"
    NEUTER = "n"


class Case(enum.Enum):
    """The German cases that the grammar uses."""

    NOMINATIVE = "nominative"
    ACCUSATIVE = "accusative"
    DATIVE = "dative"


_M, _F, _N = Gender.MASCULINE, Gender.FEMININE, Gender.NEUTER


@dataclasses.dataclass(frozen=True)
class Noun:
    """A shape.

    Args:
        english: Singular and plural.
        german: Singular and plural; the dative plural adds `n`.
        german_gender: Gender of the German word.
        french: Singular and plural.
        french_gender: Gender of the French word.
    """

    english: tuple[str, str]
    german: tuple[str, str]
    german_gender: Gender
    french: tuple[str, str]
    french_gender: Gender


NOUNS = (
    Noun(("circle", "circles"), ("Kreis", "Kreise"), _M, ("cercle", "cercles"), _M),
    Noun(("square", "squares"), ("Quadrat", "Quadrate"), _N, ("carré", "carrés"), _M),
    Noun(
        ("triangle", "triangles"),
        ("Dreieck", "Dreiecke"),
        _N,
        ("triangle", "triangles"),
        _M,
    ),
    Noun(("star", "stars"), ("Stern", "Sterne"), _M, ("étoile", "étoiles"), _F),
    Noun(("cross", "crosses"), ("Kreuz", "Kreuze"), _N, ("croix", "croix"), _F),
    Noun(("moon", "moons"), ("Mond", "Monde"), _M, ("lune", "lunes"), _F),
    Noun(("diamond", "diamonds"), ("Raute", "Rauten"), _F, ("losange", "losanges"), _M),
    Noun(("flower", "flowers"), ("Blume", "Blumen"), _F, ("fleur", "fleurs"), _F),
)
"""The eight shapes; their order is the order of the class labels."""


@dataclasses.dataclass(frozen=True)
class Adjective:
    """A property of a shape.

    Args:
        english: The word.
        german: The stem, which is also the predicative form.
        french: Masculine and feminine singular; the plural adds `s`.
        french_first: Whether it stands before the noun in French.
    """

    english: str
    german: str
    french: tuple[str, str]
    french_first: bool = False


SIZES = (
    Adjective("huge", "riesig", ("énorme", "énorme"), french_first=True),
    Adjective("large", "groß", ("grand", "grande"), french_first=True),
    Adjective("small", "klein", ("petit", "petite"), french_first=True),
)
"""From the largest to the smallest."""

TEXTURES = (
    Adjective("striped", "gestreift", ("rayé", "rayée")),
    Adjective("spotted", "gefleckt", ("tacheté", "tachetée")),
)

COLOURS = (
    Adjective("red", "rot", ("rouge", "rouge")),
    Adjective("blue", "blau", ("bleu", "bleue")),
    Adjective("green", "grün", ("vert", "verte")),
    Adjective("yellow", "gelb", ("jaune", "jaune")),
    Adjective("white", "weiß", ("blanc", "blanche")),
    Adjective("black", "schwarz", ("noir", "noire")),
    Adjective("purple", "violett", ("violet", "violette")),
)


@dataclasses.dataclass(frozen=True)
class Comparative:
    """A comparative of size.

    Args:
        english: The word, followed by `than`.
        german: The word, followed by `als`.
        french: Masculine and feminine singular of what follows `plus`.
    """

    english: str
    german: str
    french: tuple[str, str]


COMPARATIVES = (
    Comparative("larger", "größer", ("grand", "grande")),
    Comparative("smaller", "kleiner", ("petit", "petite")),
)


@dataclasses.dataclass(frozen=True)
class GermanVerb:
    """Forms of a German verb in the third person.

    Args:
        present: Singular and plural, without the separable particle.
        infinitive: With the particle.
        participle: With the particle.
        particle: What a main clause moves to its end; empty if there is none.
        auxiliary: Singular and plural of the perfect's auxiliary.
        case: Case of the object.
    """

    present: tuple[str, str]
    infinitive: str
    participle: str
    particle: str = ""
    auxiliary: tuple[str, str] = ("hat", "haben")
    case: Case = Case.ACCUSATIVE


@dataclasses.dataclass(frozen=True)
class FrenchVerb:
    """Forms of a French verb in the third person; all take `avoir`.

    Args:
        present: Singular and plural.
        future: Singular and plural.
        participle: Masculine singular; the feminine adds `e`, the plural `s`.
    """

    present: tuple[str, str]
    future: tuple[str, str]
    participle: str


@dataclasses.dataclass(frozen=True)
class Verb:
    """What one shape does to another.

    Args:
        english: Base form, third person singular, past.
        german: The German verb.
        french: The French verb.
    """

    english: tuple[str, str, str]
    german: GermanVerb
    french: FrenchVerb


VERBS = (
    Verb(
        ("touch", "touches", "touched"),
        GermanVerb(("berührt", "berühren"), "berühren", "berührt"),
        FrenchVerb(("touche", "touchent"), ("touchera", "toucheront"), "touché"),
    ),
    Verb(
        ("cover", "covers", "covered"),
        GermanVerb(("bedeckt", "bedecken"), "bedecken", "bedeckt"),
        FrenchVerb(("couvre", "couvrent"), ("couvrira", "couvriront"), "couvert"),
    ),
    Verb(
        ("follow", "follows", "followed"),
        GermanVerb(
            ("folgt", "folgen"),
            "folgen",
            "gefolgt",
            auxiliary=("ist", "sind"),
            case=Case.DATIVE,
        ),
        FrenchVerb(("suit", "suivent"), ("suivra", "suivront"), "suivi"),
    ),
    Verb(
        ("see", "sees", "saw"),
        GermanVerb(("sieht", "sehen"), "sehen", "gesehen"),
        FrenchVerb(("voit", "voient"), ("verra", "verront"), "vu"),
    ),
    Verb(
        ("push", "pushes", "pushed"),
        GermanVerb(("schiebt", "schieben"), "schieben", "geschoben"),
        FrenchVerb(("pousse", "poussent"), ("poussera", "pousseront"), "poussé"),
    ),
    Verb(
        ("lift", "lifts", "lifted"),
        GermanVerb(("hebt", "heben"), "hochheben", "hochgehoben", particle="hoch"),
        FrenchVerb(("soulève", "soulèvent"), ("soulèvera", "soulèveront"), "soulevé"),
    ),
    Verb(
        ("attract", "attracts", "attracted"),
        GermanVerb(("zieht", "ziehen"), "anziehen", "angezogen", particle="an"),
        FrenchVerb(("attire", "attirent"), ("attirera", "attireront"), "attiré"),
    ),
)


class Preposition(enum.Enum):
    """A place relative to another thing: English, German, French words.

    The German prepositions stand with the dative. A French one that ends in `de`
    contracts with the article.
    """

    ABOVE = ("above", "über", "au-dessus de")
    BELOW = ("below", "unter", "au-dessous de")
    LEFT = ("to the left of", "links von", "à gauche de")
    RIGHT = ("to the right of", "rechts von", "à droite de")
    BEHIND = ("behind", "hinter", "derrière")
    IN_FRONT = ("in front of", "vor", "devant")
    BESIDE = ("beside", "neben", "à côté de")
    INSIDE = ("inside", "in", "dans")
    BETWEEN = ("between", "zwischen", "entre")

    def __init__(self, english: str, german: str, french: str) -> None:
        self.english = english.split()
        self.german = german.split()
        self.french = french.split()


class Conjunction(enum.Enum):
    """What joins two clauses: English, German, French word."""

    AND = ("and", "und", "et")
    BUT = ("but", "aber", "mais")
    BECAUSE = ("because", "weil", "parce que")

    def __init__(self, english: str, german: str, french: str) -> None:
        self.english = english
        self.german = german
        self.french = french.split()


class Manner(enum.Enum):
    """Negation or frequency: English, German, French word; empty for a plain claim."""

    PLAIN = ("", "", "")
    NOT = ("not", "nicht", "pas")
    NEVER = ("never", "nie", "jamais")
    ALWAYS = ("always", "immer", "toujours")
    OFTEN = ("often", "oft", "souvent")

    def __init__(self, english: str, german: str, french: str) -> None:
        self.english = english
        self.german = german
        self.french = french

    @property
    def is_negative(self) -> bool:
        """Whether it denies the clause."""
        return self in (Manner.NOT, Manner.NEVER)


class Determiner(enum.Enum):
    """What opens a noun phrase; each language's module has its forms."""

    THE = "the"
    A = "a"
    THIS = "this"
    EVERY = "every"
    NO = "no"
    TWO = "two"


class Tense(enum.Enum):
    """When; German and French use the perfect for past actions."""

    PRESENT = "present"
    PAST = "past"
    FUTURE = "future"
