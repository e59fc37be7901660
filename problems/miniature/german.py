"""German from the abstract syntax: case, adjective endings, the verb bracket."""

import dataclasses

from t2t_multimodel.problems.miniature.lexicon import (
    Case,
    Conjunction,
    Determiner,
    Gender,
    Manner,
    Preposition,
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

_CASES = (Case.NOMINATIVE, Case.ACCUSATIVE, Case.DATIVE)


def _table(
    masculine: str, feminine: str, neuter: str, plural: str
) -> dict[tuple[Gender | None, Case], str]:
    """Three forms (nominative, accusative, dative) a gender; the plural is `None`."""
    columns = {
        Gender.MASCULINE: masculine,
        Gender.FEMININE: feminine,
        Gender.NEUTER: neuter,
        None: plural,
    }
    return {
        (gender, case): form
        for gender, forms in columns.items()
        for case, form in zip(_CASES, forms.split(), strict=True)
    }


_THE = _table("der den dem", "die die der", "das das dem", "die die den")
_THAT = _table("der den dem", "die die der", "das das dem", "die die denen")
_ENDINGS_OF_THIS = _table("er en em", "e e er", "es es em", "e e en")
_A = _table("ein einen einem", "eine eine einer", "ein ein einem", "- - -")

# Adjective endings: weak after der/dieser/jeder, mixed after ein/kein, strong alone.
_WEAK = _table("e en en", "e e en", "e e en", "en en en")
_MIXED = _table("er en en", "e e en", "es es en", "en en en")
_STRONG = _table("er en em", "e e er", "es es em", "e e en")

_BE = {
    Tense.PRESENT: ("ist", "sind"),
    Tense.PAST: ("war", "waren"),
    Tense.FUTURE: ("wird", "werden"),
}


@dataclasses.dataclass
class _Phrase:
    """A noun phrase, and its last relative clause, which may stand further right."""

    core: list[str]
    after: list[str] = dataclasses.field(default_factory=list)

    @property
    def together(self) -> list[str]:
        return self.core + self.after


@dataclasses.dataclass
class _Bracket:
    """A predicate: the finite verb, what stands in the bracket, what closes it.

    Args:
        finite: The finite verb, as a main clause has it.
        field: What stands between the two halves of the bracket.
        right: Particle, participle or infinitive.
        after: What follows the bracket: relative clauses and `als` phrases.
        final_finite: The finite verb at the end of a subordinate clause, if it
            differs: a separable verb's particle is then joined to it.
    """

    finite: str
    field: list[str]
    right: list[str]
    after: list[str]
    final_finite: str = ""

    @property
    def main(self) -> list[str]:
        return [self.finite, *self.field, *self.right, *self.after]

    @property
    def subordinate(self) -> list[str]:
        if self.final_finite:
            return [*self.field, self.final_finite, *self.after]
        return [*self.field, *self.right, self.finite, *self.after]


def sentence(statement: Statement) -> str:
    """Returns the German sentence, words and punctuation apart by spaces.

    Nouns are in capitals, the first word of the sentence is as in its middle.
    """
    if isinstance(statement, Compound):
        words = _main(statement.left)
        match statement.conjunction:
            case Conjunction.AND:
                words += ["und", *_main(statement.right)]
            case Conjunction.BUT:
                words += [",", "aber", *_main(statement.right)]
            case Conjunction.BECAUSE:
                words += [",", "weil", *_subordinate(statement.right)]
    else:
        words = _main(statement)
    return _punctuated(words)


def _punctuated(words: list[str]) -> str:
    """Ends the sentence; commas that meet each other or the end become one mark."""
    kept: list[str] = []
    for word in [*words, "."]:
        if kept and kept[-1] == "," and word in (",", "."):
            kept.pop()
        kept.append(word)
    return " ".join(kept)


def _main(clause: Clause | Existence) -> list[str]:
    if isinstance(clause, Existence):
        return ["es", *_existence(clause).main]
    subject = _nominal(clause.subject, Case.NOMINATIVE).together
    plural = clause.subject.plural
    match clause.predicate:
        case PredicatePair(left, right):
            first, second = _bracket(left, plural), _bracket(right, plural)
            return [*subject, *first.main, "und", *second.main]
        case Thought(thought):
            verb = "denken" if plural else "denkt"
            return [*subject, verb, ",", "dass", *_subordinate(thought), ","]
        case predicate:
            return [*subject, *_bracket(predicate, plural).main]


def _subordinate(clause: Clause | Existence) -> list[str]:
    if isinstance(clause, Existence):
        return ["es", *_existence(clause).subordinate]
    subject = _nominal(clause.subject, Case.NOMINATIVE).together
    bracket = _bracket(clause.predicate, clause.subject.plural)
    return [*subject, *bracket.subordinate]


def _existence(clause: Existence) -> _Bracket:
    thing = _nominal(clause.thing, Case.ACCUSATIVE)
    if clause.tense is Tense.FUTURE:
        return _Bracket("wird", thing.core, ["geben"], thing.after)
    finite = "gab" if clause.tense is Tense.PAST else "gibt"
    return _Bracket(finite, thing.core, [], thing.after)


def _bracket(predicate: Predicate, plural: bool) -> _Bracket:
    match predicate:
        case Action(verb, thing):
            return _action(predicate, plural, _nominal(thing, verb.german.case))
        case Being():
            return _being(predicate, plural)
        case _:
            raise TypeError(f"{predicate} stands in main clauses only")


def _action(action: Action | ObjectRelative, plural: bool, thing: _Phrase) -> _Bracket:
    """The bracket of a verb; a relative pronoun as object leaves `thing` empty."""
    verb = action.verb.german
    if action.manner.is_negative:
        field = [*thing.core, action.manner.german]
    elif action.manner is Manner.PLAIN:
        field = thing.core
    else:
        field = [action.manner.german, *thing.core]
    match action.tense:
        case Tense.PAST:
            finite, right = verb.auxiliary[plural], [verb.participle]
        case Tense.FUTURE:
            finite, right = _BE[Tense.FUTURE][plural], [verb.infinitive]
        case Tense.PRESENT if verb.particle:
            finite = verb.present[plural]
            joined = verb.particle + finite
            return _Bracket(finite, field, [verb.particle], thing.after, joined)
        case _:
            finite, right = verb.present[plural], []
    return _Bracket(finite, field, right, thing.after)


def _being(being: Being, plural: bool) -> _Bracket:
    field = [being.manner.german] if being.manner is not Manner.PLAIN else []
    after: list[str] = []
    match being.complement:
        case Prepositional():
            place = _prepositional(being.complement)
            field += place.core
            after = place.after
        case Quality(adjectives):
            field += " und ".join(a.german for a in adjectives).split()
        case Comparison(comparative, standard):
            field.append(comparative.german)
            after = ["als", *_nominal(standard, Case.NOMINATIVE).together]
    right = ["sein"] if being.tense is Tense.FUTURE else []
    return _Bracket(_BE[being.tense][plural], field, right, after)


def _prepositional(phrase: Prepositional) -> _Phrase:
    place = _nominal(phrase.place, Case.DATIVE)
    *first, last = phrase.preposition.german
    # "im", "vom", but "in dem Kreis, der ...": a restricted noun keeps its article.
    contracts = (
        phrase.preposition in (Preposition.INSIDE, Preposition.LEFT, Preposition.RIGHT)
        and isinstance(phrase.place, NounPhrase)
        and phrase.place.determiner is Determiner.THE
        and not phrase.place.is_restricted
        and place.core[0] == "dem"
    )
    if contracts:
        merged = {"in": "im", "von": "vom"}[last]
        return _Phrase([*first, merged, *place.core[1:]], place.after)
    return _Phrase([*first, last, *place.core], place.after)


def _nominal(nominal: Nominal, case: Case) -> _Phrase:
    if isinstance(nominal, Pair):
        left, right = _nominal(nominal.left, case), _nominal(nominal.right, case)
        return _Phrase([*left.core, "und", *right.core])
    gender = None if nominal.plural else nominal.noun.german_gender
    determiner, endings = _determiner(nominal.determiner, gender, case)
    ending = endings[gender, case]
    adjectives = [a.german + ending for a in nominal.adjectives]
    noun = nominal.noun.german[nominal.plural]
    if nominal.plural and case is Case.DATIVE and not noun.endswith("n"):
        noun += "n"
    core = [*determiner, *adjectives, noun]
    match nominal.modifier:
        case None:
            return _Phrase(core)
        case Prepositional():
            place = _prepositional(nominal.modifier)
            return _Phrase(core + place.core, place.after)
        case SubjectRelative(predicate):
            pronoun = _THAT[gender, Case.NOMINATIVE]
            clause = _bracket(predicate, nominal.plural).subordinate
        case ObjectRelative(subject, verb):
            pronoun = _THAT[gender, verb.german.case]
            agent = _nominal(subject, Case.NOMINATIVE).together
            bracket = _action(nominal.modifier, subject.plural, _Phrase([]))
            clause = [*agent, *bracket.subordinate]
    return _Phrase(core, [",", pronoun, *clause, ","])


def _determiner(
    determiner: Determiner, gender: Gender | None, case: Case
) -> tuple[list[str], dict[tuple[Gender | None, Case], str]]:
    """Returns the word, if any, and the endings of the adjectives after it."""
    match determiner:
        case Determiner.THE:
            return [_THE[gender, case]], _WEAK
        case Determiner.THIS:
            return ["dies" + _ENDINGS_OF_THIS[gender, case]], _WEAK
        case Determiner.EVERY:
            return ["jed" + _ENDINGS_OF_THIS[gender, case]], _WEAK
        case Determiner.NO:
            return ["k" + _A[gender, case]], _MIXED
        case Determiner.TWO:
            return ["zwei"], _STRONG
        case Determiner.A if gender is None:
            return [], _STRONG
        case Determiner.A:
            return [_A[gender, case]], _MIXED


def hides_object_relative(antecedent: NounPhrase, relative: ObjectRelative) -> bool:
    """Whether German cannot tell `that X touches` from `that touches X`.

    `das Kreuz, das die Raute berührt` means both: only a masculine singular shows its
    accusative. The grammar leaves such clauses out.
    """
    if relative.verb.german.case is Case.DATIVE:
        return False
    if antecedent.plural != relative.subject.plural:
        return False  # the verb agrees with one of the two only
    return not (_shows_case(antecedent) or _shows_case(relative.subject))


def _shows_case(phrase: NounPhrase) -> bool:
    return not phrase.plural and phrase.noun.german_gender is Gender.MASCULINE
