"""English from the abstract syntax, as a tree in the Penn Treebank's style."""

from t2t_multimodel.data.trees import ROOT, Tree
from t2t_multimodel.problems.miniature.lexicon import (
    Conjunction,
    Determiner,
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

_BE = {
    (Tense.PRESENT, False): Tree("VBZ", ("is",)),
    (Tense.PRESENT, True): Tree("VBP", ("are",)),
    (Tense.PAST, False): Tree("VBD", ("was",)),
    (Tense.PAST, True): Tree("VBD", ("were",)),
}
_DO = {
    (Tense.PRESENT, False): Tree("VBZ", ("does",)),
    (Tense.PRESENT, True): Tree("VBP", ("do",)),
    (Tense.PAST, False): Tree("VBD", ("did",)),
    (Tense.PAST, True): Tree("VBD", ("did",)),
}
_WILL = Tree("MD", ("will",))
_AND = Tree("CC", ("and",))
_THE = Tree("DT", ("the",))
_COMMA = Tree(",", (",",))
_STOP = Tree(".", (".",))


def tree(statement: Statement) -> Tree:
    """Returns the tree of the whole sentence, full stop included, below `TOP`."""
    if not isinstance(statement, Compound):
        return Tree(ROOT, (Tree("S", (*_clause(statement).children, _STOP)),))
    left, right = _clause(statement.left), _clause(statement.right)
    word = statement.conjunction.english
    if statement.conjunction is Conjunction.BECAUSE:
        *before, verb_phrase = left.children
        reason = Tree("SBAR", (Tree("IN", (word,)), right))
        inside = (*before, Tree("VP", (*verb_phrase.children, reason)))
    elif statement.conjunction is Conjunction.BUT:
        inside = (left, _COMMA, Tree("CC", (word,)), right)
    else:
        inside = (left, Tree("CC", (word,)), right)
    return Tree(ROOT, (Tree("S", (*inside, _STOP)),))


def _clause(clause: Clause | Existence) -> Tree:
    if isinstance(clause, Existence):
        thing = _nominal(clause.thing)
        there = Tree("NP", (Tree("EX", ("there",)),))
        return Tree("S", (there, _be(clause.tense, clause.thing.plural, (), thing)))
    subject = _nominal(clause.subject)
    return Tree("S", (subject, _predicate(clause.predicate, clause.subject.plural)))


def _predicate(predicate: Predicate, plural: bool) -> Tree:
    match predicate:
        case PredicatePair(left, right):
            return Tree(
                "VP", (_predicate(left, plural), _AND, _predicate(right, plural))
            )
        case Thought(clause):
            verb = Tree("VBP", ("think",)) if plural else Tree("VBZ", ("thinks",))
            content = Tree("SBAR", (Tree("IN", ("that",)), _clause(clause)))
            return Tree("VP", (verb, content))
        case Being(complement, tense, manner):
            return _be(tense, plural, _manner(manner), _complement(complement))
        case Action():
            return _action(predicate, plural, (_nominal(predicate.object),))


def _action(
    action: Action | ObjectRelative, plural: bool, objects: tuple[Tree, ...]
) -> Tree:
    """The verb phrase; a relative clause on the object leaves `objects` empty."""
    base, third, past = action.verb.english
    manner = _manner(action.manner)
    bare = Tree("VP", (Tree("VB", (base,)), *objects))
    if action.tense is Tense.FUTURE:
        return Tree("VP", (_WILL, *manner, bare))
    if action.manner is Manner.NOT:
        return Tree("VP", (_DO[action.tense, plural], *manner, bare))
    if action.tense is Tense.PAST:
        verb = Tree("VBD", (past,))
    else:
        verb = Tree("VBP", (base,)) if plural else Tree("VBZ", (third,))
    return Tree("VP", (*manner, verb, *objects))


def _be(tense: Tense, plural: bool, manner: tuple[Tree, ...], complement: Tree) -> Tree:
    if tense is Tense.FUTURE:
        bare = Tree("VP", (Tree("VB", ("be",)), complement))
        return Tree("VP", (_WILL, *manner, bare))
    return Tree("VP", (_BE[tense, plural], *manner, complement))


def _manner(manner: Manner) -> tuple[Tree, ...]:
    if manner is Manner.PLAIN:
        return ()
    word = Tree("RB", (manner.english,))
    return (word,) if manner is Manner.NOT else (Tree("ADVP", (word,)),)


def _complement(complement: Prepositional | Quality | Comparison) -> Tree:
    match complement:
        case Prepositional():
            return _prepositional(complement)
        case Comparison(comparative, standard):
            than = Tree("PP", (Tree("IN", ("than",)), _nominal(standard)))
            return Tree("ADJP", (Tree("JJR", (comparative.english,)), than))
        case Quality(adjectives):
            first, *rest = (Tree("JJ", (a.english,)) for a in adjectives)
            return Tree("ADJP", (first, *(t for a in rest for t in (_AND, a))))


def _prepositional(phrase: Prepositional) -> Tree:
    place = _nominal(phrase.place)
    words = phrase.preposition.english
    if len(words) == 1:
        return Tree("PP", (Tree("IN", (words[0],)), place))
    # "to the left of X" and "in front of X" hold a noun phrase of their own.
    side = Tree("NN", (words[-2],))
    inner = (side,) if phrase.preposition is Preposition.IN_FRONT else (_THE, side)
    of = Tree("PP", (Tree("IN", ("of",)), place))
    first = Tree("TO" if words[0] == "to" else "IN", (words[0],))
    return Tree("PP", (first, Tree("NP", (Tree("NP", inner), of))))


def _nominal(nominal: Nominal) -> Tree:
    if isinstance(nominal, Pair):
        return Tree("NP", (_nominal(nominal.left), _AND, _nominal(nominal.right)))
    adjectives = (Tree("JJ", (a.english,)) for a in nominal.adjectives)
    word = nominal.noun.english[nominal.plural]
    noun = Tree("NNS" if nominal.plural else "NN", (word,))
    core = Tree("NP", (*_determiner(nominal), *adjectives, noun))
    match nominal.modifier:
        case None:
            return core
        case Prepositional():
            return Tree("NP", (core, _prepositional(nominal.modifier)))
        case SubjectRelative(predicate):
            inside = Tree("S", (_predicate(predicate, nominal.plural),))
        case ObjectRelative(subject):
            verb_phrase = _action(nominal.modifier, subject.plural, ())
            inside = Tree("S", (_nominal(subject), verb_phrase))
    pronoun = Tree("WHNP", (Tree("WDT", ("that",)),))
    return Tree("NP", (core, Tree("SBAR", (pronoun, inside))))


def _determiner(phrase: NounPhrase) -> tuple[Tree, ...]:
    match phrase.determiner:
        case Determiner.A if phrase.plural:
            return ()
        case Determiner.TWO:
            return (Tree("CD", ("two",)),)
        case Determiner.THIS if phrase.plural:
            return (Tree("DT", ("these",)),)
        case other:
            return (Tree("DT", (other.value,)),)
