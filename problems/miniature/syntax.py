"""Abstract syntax: what a sentence says, before any language's word order.

The three languages' modules turn the same structure into their sentences, so that a
sentence and its translations agree by construction. Two conventions keep the structure
recoverable from the words of each language: a modifier belongs to the nearest noun
before it, and noun phrases joined by `and` carry no modifiers of their own.
"""

import dataclasses

from t2t_multimodel.problems.miniature.lexicon import (
    Adjective,
    Comparative,
    Conjunction,
    Determiner,
    Gender,
    Manner,
    Noun,
    Preposition,
    Tense,
    Verb,
)


@dataclasses.dataclass(frozen=True)
class NounPhrase:
    """One thing or several of a kind, e.g. `the small red star above the cross`.

    Args:
        determiner: `A` with `plural` is the bare plural, `THIS` becomes `these`.
        noun: The shape.
        adjectives: In English order: size, texture, colour.
        plural: Grammatical number; always true with `TWO`.
        modifier: A prepositional phrase or a relative clause.
    """

    determiner: Determiner
    noun: Noun
    adjectives: tuple[Adjective, ...] = ()
    plural: bool = False
    modifier: "Prepositional | SubjectRelative | ObjectRelative | None" = None

    @property
    def french_gender(self) -> Gender:
        """Gender that French adjectives and participles agree with."""
        return self.noun.french_gender

    @property
    def is_restricted(self) -> bool:
        """Whether a relative clause follows the noun directly."""
        return isinstance(self.modifier, SubjectRelative | ObjectRelative)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two noun phrases joined by `and`; neither has a modifier."""

    left: NounPhrase
    right: NounPhrase
    plural = True

    @property
    def french_gender(self) -> Gender:
        """Masculine unless both are feminine."""
        genders = {self.left.french_gender, self.right.french_gender}
        return Gender.FEMININE if genders == {Gender.FEMININE} else Gender.MASCULINE


Nominal = NounPhrase | Pair


@dataclasses.dataclass(frozen=True)
class Prepositional:
    """A place; `BETWEEN` takes a `Pair`, the others a `NounPhrase`."""

    preposition: Preposition
    place: Nominal


@dataclasses.dataclass(frozen=True)
class Quality:
    """One or two adjectives said of the subject, e.g. `is large and red`."""

    adjectives: tuple[Adjective, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A comparison of sizes, e.g. `is larger than the star`."""

    comparative: Comparative
    standard: NounPhrase


@dataclasses.dataclass(frozen=True)
class Action:
    """A transitive verb with its object."""

    verb: Verb
    object: Nominal
    tense: Tense = Tense.PRESENT
    manner: Manner = Manner.PLAIN


@dataclasses.dataclass(frozen=True)
class Being:
    """A form of `be` with what follows it."""

    complement: Prepositional | Quality | Comparison
    tense: Tense = Tense.PRESENT
    manner: Manner = Manner.PLAIN


@dataclasses.dataclass(frozen=True)
class Thought:
    """`thinks that` with a clause; in the present tense."""

    clause: "Clause | Existence"


@dataclasses.dataclass(frozen=True)
class PredicatePair:
    """Two predicates of one subject joined by `and`; only in main clauses."""

    left: Action | Being
    right: Action | Being


Predicate = Action | Being | Thought | PredicatePair


@dataclasses.dataclass(frozen=True)
class SubjectRelative:
    """A relative clause whose pronoun is the subject: `that touches the star`."""

    predicate: Action | Being


@dataclasses.dataclass(frozen=True)
class ObjectRelative:
    """A relative clause whose pronoun is the object: `that the star touches`."""

    subject: NounPhrase
    verb: Verb
    tense: Tense = Tense.PRESENT
    manner: Manner = Manner.PLAIN


@dataclasses.dataclass(frozen=True)
class Clause:
    """A subject and what is said of it."""

    subject: Nominal
    predicate: Predicate


@dataclasses.dataclass(frozen=True)
class Existence:
    """`there is` with the thing that there is."""

    thing: NounPhrase
    tense: Tense = Tense.PRESENT


@dataclasses.dataclass(frozen=True)
class Compound:
    """Two clauses joined by a conjunction."""

    left: Clause | Existence
    conjunction: Conjunction
    right: Clause | Existence


Statement = Clause | Existence | Compound
