"""The grammar: draws sentences, with their recursion, in abstract syntax."""

import random

from t2t_multimodel.problems.miniature.german import hides_object_relative
from t2t_multimodel.problems.miniature.lexicon import (
    COLOURS,
    COMPARATIVES,
    SIZES,
    TEXTURES,
    VERBS,
    Conjunction,
    Determiner,
    Manner,
    Preposition,
    Tense,
)
from t2t_multimodel.problems.miniature.scene import Thing, sample_things
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

_DETERMINERS = (Determiner.THE, Determiner.A, Determiner.THIS, Determiner.TWO)
_DETERMINER_WEIGHTS = (52, 28, 10, 10)
_P_PLURAL = 0.22
_P_EVERY = 0.06
_P_NO = 0.05
_PLACES = tuple(Preposition)
_PLACE_WEIGHTS = (16, 16, 9, 9, 12, 9, 12, 12, 5)
_TENSES = tuple(Tense)
_TENSE_WEIGHTS = (52, 26, 22)
_MANNERS = tuple(Manner)
_MANNER_WEIGHTS = (70, 11, 5, 6, 8)

# Chances of a prepositional phrase and of a relative clause after a noun, by the
# number of phrases that the noun is inside of; deeper nouns stand alone.
_P_PLACE = (0.09, 0.07, 0.05)
_P_RELATIVE = (0.14, 0.08, 0.04)
_P_OBJECT_RELATIVE = 0.4


class _NothingLeft(Exception):
    """The sentence wants to name more things than there are."""


def sample_statement(rng: random.Random) -> Statement:
    """Draws a sentence about a scene of eight things, each named at most once."""
    while True:
        try:
            return _Writer(rng).statement()
        except _NothingLeft:
            continue


def sample_short_statement(rng: random.Random) -> Statement:
    """Draws a sentence of one clause with bare noun phrases, as utterances have."""
    return _Writer(rng, max_depth=0).short_statement()


class _Writer:
    """Draws the parts of one sentence.

    Args:
        rng: Source of the choices.
        max_depth: Nouns inside of this many phrases take no modifier.
    """

    def __init__(self, rng: random.Random, max_depth: int = len(_P_PLACE)) -> None:
        self.rng = rng
        self.max_depth = max_depth
        sizes = [rng.choice(SIZES) for _ in range(8)]
        self._things = sample_things(rng, sizes)

    def statement(self) -> Statement:
        kind = self.rng.random()
        if kind < 0.66:
            return self._clause(0)
        if kind < 0.76:
            return self._existence(0)
        if kind < 0.82:
            conjunction = self._choice((Conjunction.AND, Conjunction.BUT))
            left = self._clause(1, open_end=False)
            return Compound(left, conjunction, self._clause(1))
        if kind < 0.88:
            tense = self._tense()
            right = (
                self._existence(2, tense)
                if self._chance(0.15)
                else self._clause(2, tense=tense)
            )
            left = self._clause(2, open_end=False, tense=tense)
            return Compound(left, Conjunction.BECAUSE, right)
        if kind < 0.95:
            inner = self._existence(1) if self._chance(0.2) else self._clause(1)
            return Clause(self._subject(2), Thought(inner))
        subject = self._phrase(1)
        tense = self._tense()
        left = self._predicate(subject, 1, open_end=False, tense=tense)
        right = self._predicate(subject, 1, tense=tense)
        return Clause(subject, PredicatePair(left, right))

    def short_statement(self) -> Statement:
        if self._chance(0.1):
            return self._existence(0)
        return self._clause(0)

    def _chance(self, p: float) -> bool:
        return self.rng.random() < p

    def _choice(self, options: tuple):
        return options[int(self.rng.random() * len(options))]

    def _tense(self) -> Tense:
        return self.rng.choices(_TENSES, _TENSE_WEIGHTS)[0]

    def _clause(
        self, depth: int, *, open_end: bool = True, tense: Tense | None = None
    ) -> Clause:
        subject = self._subject(depth)
        predicate = self._predicate(subject, depth, open_end=open_end, tense=tense)
        return Clause(subject, predicate)

    def _existence(self, depth: int, tense: Tense | None = None) -> Existence:
        tense = tense or self._tense()
        if self._chance(0.12):
            return Existence(self._phrase(depth, Determiner.NO, relative=False), tense)
        determiner = Determiner.TWO if self._chance(0.2) else Determiner.A
        return Existence(self._phrase(depth, determiner), tense)

    def _subject(self, depth: int) -> Nominal:
        """The subject of a main clause."""
        kind = self.rng.random()
        if kind < _P_NO:
            return self._phrase(depth, Determiner.NO, relative=False)
        if kind < _P_NO + _P_EVERY:
            return self._phrase(depth, Determiner.EVERY)
        if kind < 0.2:
            return self._pair()
        return self._phrase(depth)

    def _pair(self) -> Pair:
        depth = self.max_depth
        return Pair(self._phrase(depth), self._phrase(depth))

    def _phrase(
        self,
        depth: int,
        determiner: Determiner | None = None,
        *,
        relative: bool = True,
        place: bool = True,
    ) -> NounPhrase:
        """A noun phrase with modifiers; `relative`, `place`: which are allowed."""
        if not self._things:
            raise _NothingLeft
        thing = self._things.pop()
        if determiner is None:
            determiner = self.rng.choices(_DETERMINERS, _DETERMINER_WEIGHTS)[0]
        plural = determiner is Determiner.TWO or (
            determiner in (Determiner.THE, Determiner.A, Determiner.THIS)
            and self._chance(_P_PLURAL)
        )
        bare = NounPhrase(determiner, thing.noun, self._adjectives(thing), plural)
        if depth >= self.max_depth:
            return bare
        kind = self.rng.random()
        if place and kind < _P_PLACE[depth]:
            modifier = self._place(depth + 1, relative)
        elif relative and kind > 1 - _P_RELATIVE[depth]:
            modifier = self._relative(bare, depth + 1)
        else:
            return bare
        return NounPhrase(determiner, thing.noun, bare.adjectives, plural, modifier)

    def _adjectives(self, thing: Thing) -> tuple:
        chances = ((thing.size, 0.2), (thing.texture, 0.2), (thing.colour, 0.33))
        return tuple(a for a, p in chances if self._chance(p) and a is not None)

    def _place(self, depth: int, relative: bool = True) -> Prepositional:
        preposition = self.rng.choices(_PLACES, _PLACE_WEIGHTS)[0]
        if preposition is Preposition.BETWEEN:
            return Prepositional(preposition, self._pair())
        return Prepositional(preposition, self._phrase(depth, relative=relative))

    def _relative(
        self, antecedent: NounPhrase, depth: int
    ) -> SubjectRelative | ObjectRelative:
        if self._chance(_P_OBJECT_RELATIVE):
            subject = self._phrase(depth, relative=False)
            clause = ObjectRelative(
                subject, self._choice(VERBS), self._tense(), self._manner(subject)
            )
            if not hides_object_relative(antecedent, clause):
                return clause
        return SubjectRelative(self._predicate(antecedent, depth, is_relative=True))

    def _manner(self, subject: Nominal) -> Manner:
        if isinstance(subject, NounPhrase):
            if subject.determiner is Determiner.NO:
                return Manner.PLAIN
            if subject.determiner is Determiner.EVERY:
                # "every ... not" would mean two things.
                return self._choice((Manner.PLAIN, Manner.ALWAYS, Manner.OFTEN))
        return self.rng.choices(_MANNERS, _MANNER_WEIGHTS)[0]

    def _predicate(
        self,
        subject: Nominal,
        depth: int,
        *,
        open_end: bool = True,
        is_relative: bool = False,
        tense: Tense | None = None,
    ) -> Predicate:
        """What is said of `subject`; no relative clause ends it unless `open_end`."""
        manner = self._manner(subject)
        tense = tense or self._tense()
        if self._chance(0.4):
            complement = self._complement(subject, depth, open_end, is_relative)
            if manner.is_negative and isinstance(complement, Quality):
                # "not large and red" would mean two things.
                complement = Quality(complement.adjectives[:1])
            return Being(complement, tense, manner)
        thing = self._object(subject, depth, open_end, manner, is_relative)
        return Action(self._choice(VERBS), thing, tense, manner)

    def _object(
        self,
        subject: Nominal,
        depth: int,
        open_end: bool,
        manner: Manner,
        is_relative: bool,
    ) -> Nominal:
        if manner.is_negative:
            determiner = self._choice((Determiner.THE, Determiner.THE, Determiner.THIS))
            return self._phrase(depth, determiner, relative=open_end)
        quantified = isinstance(subject, NounPhrase) and subject.determiner in (
            Determiner.NO,
            Determiner.EVERY,
        )
        kind = self.rng.random()
        if manner is Manner.PLAIN and not quantified and kind < _P_NO:
            return self._phrase(depth, Determiner.NO, relative=False)
        if not quantified and kind < _P_NO + _P_EVERY:
            return self._phrase(depth, Determiner.EVERY, relative=open_end)
        if kind > 0.93 and not is_relative:
            return self._pair()
        return self._phrase(depth, relative=open_end)

    def _complement(
        self, subject: Nominal, depth: int, open_end: bool, is_relative: bool
    ) -> Prepositional | Quality | Comparison:
        kind = self.rng.random()
        # Of a bare plural a quality is said in general, which French says otherwise.
        if kind < 0.45 or (not is_relative and _has_bare_plural(subject)):
            return self._place(depth, relative=open_end)
        if kind < 0.8:
            quality = self._quality(subject)
            if quality:
                return quality
        standard = self._phrase(depth, relative=open_end)
        return Comparison(self._choice(COMPARATIVES), standard)

    def _quality(self, subject: Nominal) -> Quality | None:
        """Adjectives of kinds that the subject has none of; `None` if it has all."""
        said = {a for part in _parts(subject) for a in part.adjectives}
        kinds = [k for k in (SIZES, COLOURS, TEXTURES) if said.isdisjoint(k)]
        if not kinds:
            return None
        if kinds[:2] == [SIZES, COLOURS] and self._chance(0.3):
            return Quality((self._choice(SIZES), self._choice(COLOURS)))
        return Quality((self._choice(self._choice(tuple(kinds))),))


def _parts(nominal: Nominal) -> tuple[NounPhrase, ...]:
    if isinstance(nominal, Pair):
        return nominal.left, nominal.right
    return (nominal,)


def _has_bare_plural(nominal: Nominal) -> bool:
    return any(p.plural and p.determiner is Determiner.A for p in _parts(nominal))
