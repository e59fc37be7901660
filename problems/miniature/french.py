"""French from the abstract syntax: agreement, word order, elision, contraction."""

from t2t_multimodel.problems.miniature.lexicon import (
    Conjunction,
    Determiner,
    Gender,
    Manner,
    Tense,
)
from t2t_multimodel.problems.miniature.syntax import (
    Action,
    Being,
    Clause,
    Comparison,
    Compound,
    Existence,
    Nominal,
    NounPhrase,
    ObjectRelative,
    Pair,
    Predicate,
    PredicatePair,
    Prepositional,
    Quality,
    Statement,
    SubjectRelative,
    Thought,
)

_BE = {
    Tense.PRESENT: ("est", "sont"),
    Tense.PAST: ("était", "étaient"),
    Tense.FUTURE: ("sera", "seront"),
}
_HAVE = {Tense.PRESENT: "a", Tense.PAST: "avait", Tense.FUTURE: "aura"}
_VOWELS = tuple("aeéèêiîoôuy")
_ELIDED = {"le", "la", "de", "ne", "que"}
_CONTRACTED = {"le": "du", "les": "des", "des": "de", "de": "de"}


def sentence(statement: Statement) -> str:
    """Returns the French sentence, words and punctuation apart by spaces.

    An elided word is joined to the next one, as French writes it: `l'étoile`.
    """
    if isinstance(statement, Compound):
        comma = [","] if statement.conjunction is Conjunction.BUT else []
        words = [
            *_clause(statement.left),
            *comma,
            *statement.conjunction.french,
            *_clause(statement.right),
        ]
    else:
        words = _clause(statement)
    return _joined([*words, "."])


def _joined(words: list[str]) -> str:
    """Contracts `de` with articles (`du`, `des`), then elides before vowels."""
    contracted: list[str] = []
    for at, word in enumerate(words):
        if contracted and contracted[-1] == "de" and word in _CONTRACTED:
            if word == "le" and words[at + 1].startswith(_VOWELS):
                contracted.append(word)  # "de l'énorme cercle"
            else:
                contracted[-1] = _CONTRACTED[word]
        else:
            contracted.append(word)
    text = ""
    for word, following in zip(contracted, [*contracted[1:], ""], strict=True):
        if word in _ELIDED and following.startswith(_VOWELS):
            text += word[:-1] + "'"
        else:
            text += word + " "
    return text.rstrip()


def _clause(clause: Clause | Existence) -> list[str]:
    if isinstance(clause, Existence):
        negation = ["ne"] if clause.thing.determiner is Determiner.NO else []
        there = ["il", *negation, "y", _HAVE[clause.tense]]
        return [*there, *_nominal(clause.thing)]
    return [*_nominal(clause.subject), *_predicate(clause.predicate, clause.subject)]


def _predicate(predicate: Predicate, subject: Nominal) -> list[str]:
    match predicate:
        case PredicatePair(left, right):
            return [*_predicate(left, subject), "et", *_predicate(right, subject)]
        case Thought(clause):
            verb = "pensent" if subject.plural else "pense"
            return [verb, "que", *_clause(clause)]
        case Being(complement, tense, manner):
            negated = manner.is_negative or _is_no(subject)
            finite = [_BE[tense][subject.plural], *_manner(manner)]
            ne = ["ne"] if negated else []
            return [*ne, *finite, *_complement(complement, subject)]
        case Action(_, thing):
            words = _verb(predicate, subject, _is_no(thing), "")
            return [*words, *_nominal(thing)]


def _verb(
    action: Action | ObjectRelative, subject: Nominal, denied: bool, agreement: str
) -> list[str]:
    """The verb with negation and adverb.

    Args:
        action: The verb, its tense and manner.
        subject: What the verb agrees with.
        denied: Whether the object is `aucun`, which takes a `ne` as well.
        agreement: Ending of the participle, if the object stands before it.
    """
    verb, plural = action.verb.french, subject.plural
    ne = ["ne"] if denied or action.manner.is_negative or _is_no(subject) else []
    manner = _manner(action.manner)
    match action.tense:
        case Tense.PAST:
            auxiliary = "ont" if plural else "a"
            return [*ne, auxiliary, *manner, verb.participle + agreement]
        case Tense.FUTURE:
            return [*ne, verb.future[plural], *manner]
        case Tense.PRESENT:
            return [*ne, verb.present[plural], *manner]


def _is_no(nominal: Nominal) -> bool:
    return isinstance(nominal, NounPhrase) and nominal.determiner is Determiner.NO


def _manner(manner: Manner) -> list[str]:
    return [] if manner is Manner.PLAIN else [manner.french]


def _complement(
    complement: Prepositional | Quality | Comparison, subject: Nominal
) -> list[str]:
    match complement:
        case Prepositional():
            return _prepositional(complement)
        case Quality(adjectives):
            forms = (_agreeing(a.french, subject) for a in adjectives)
            return " et ".join(forms).split()
        case Comparison(comparative, standard):
            size = _agreeing(comparative.french, subject)
            return ["plus", size, "que", *_nominal(standard)]


def _prepositional(phrase: Prepositional) -> list[str]:
    return [*phrase.preposition.french, *_nominal(phrase.place)]


def _agreeing(forms: tuple[str, str], nominal: Nominal) -> str:
    """The adjective's form for the gender and number of `nominal`."""
    form = forms[nominal.french_gender is Gender.FEMININE]
    return form + "s" if nominal.plural else form


def _nominal(nominal: Nominal) -> list[str]:
    if isinstance(nominal, Pair):
        return [*_nominal(nominal.left), "et", *_nominal(nominal.right)]
    first = [_agreeing(a.french, nominal) for a in nominal.adjectives if a.french_first]
    # Read from the noun outwards: colour, then texture ("un cercle rouge rayé").
    last = [
        _agreeing(a.french, nominal)
        for a in reversed(nominal.adjectives)
        if not a.french_first
    ]
    noun = nominal.noun.french[nominal.plural]
    core = [*_determiner(nominal, (first or [noun])[0]), *first, noun, *last]
    match nominal.modifier:
        case None:
            return core
        case Prepositional():
            return [*core, *_prepositional(nominal.modifier)]
        case SubjectRelative(predicate):
            return [*core, "qui", *_predicate(predicate, nominal)]
        case ObjectRelative(subject):
            agreement = _agreeing(("", "e"), nominal)
            verb = _verb(nominal.modifier, subject, False, agreement)
            return [*core, "que", *_nominal(subject), *verb]


def _determiner(phrase: NounPhrase, following: str) -> list[str]:
    """The determiner before the word `following`."""
    feminine = phrase.french_gender is Gender.FEMININE
    match phrase.determiner:
        case Determiner.THE:
            return ["les" if phrase.plural else "la" if feminine else "le"]
        case Determiner.A if phrase.plural:
            # "des cercles", but "de grands cercles".
            return ["des" if following == phrase.noun.french[1] else "de"]
        case Determiner.A:
            return ["une" if feminine else "un"]
        case Determiner.THIS if phrase.plural:
            return ["ces"]
        case Determiner.THIS if feminine:
            return ["cette"]
        case Determiner.THIS:
            return ["cet" if following.startswith(_VOWELS) else "ce"]
        case Determiner.EVERY:
            return ["chaque"]
        case Determiner.NO:
            return ["aucune" if feminine else "aucun"]
        case Determiner.TWO:
            return ["deux"]
