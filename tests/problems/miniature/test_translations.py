"""German and French, held against sentences written by hand."""

import pytest

from t2t_multimodel.data.trees import linearise, parse_brackets, unlinearise
from t2t_multimodel.problems.miniature import english, french, german, lexicon
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
    NounPhrase,
    ObjectRelative,
    Pair,
    PredicatePair,
    Prepositional,
    Quality,
    SubjectRelative,
    Thought,
)

NOUNS = {n.english[number]: (n, number) for n in lexicon.NOUNS for number in (0, 1)}
ADJECTIVES = {
    a.english: a for a in (*lexicon.SIZES, *lexicon.TEXTURES, *lexicon.COLOURS)
}
VERBS = {v.english[0]: v for v in lexicon.VERBS}
LARGER, SMALLER = lexicon.COMPARATIVES
DETERMINERS = {
    "the": Determiner.THE,
    "a": Determiner.A,
    "this": Determiner.THIS,
    "these": Determiner.THIS,
    "every": Determiner.EVERY,
    "no": Determiner.NO,
    "two": Determiner.TWO,
}


def phrase(text, modifier=None):
    """Makes `the small red star` a noun phrase; without determiner, a bare plural."""
    words = text.split()
    determiner = DETERMINERS.get(words[0])
    adjectives = tuple(ADJECTIVES[w] for w in words[determiner is not None : -1])
    noun, number = NOUNS[words[-1]]
    determiner = determiner or Determiner.A
    return NounPhrase(determiner, noun, adjectives, bool(number), modifier)


def act(verb, thing, tense=Tense.PRESENT, manner=Manner.PLAIN):
    thing = phrase(thing) if isinstance(thing, str) else thing
    return Action(VERBS[verb], thing, tense, manner)


def be(complement, tense=Tense.PRESENT, manner=Manner.PLAIN):
    if isinstance(complement, str):
        complement = Quality(tuple(ADJECTIVES[w] for w in complement.split()))
    return Being(complement, tense, manner)


def at(preposition, place):
    return Prepositional(
        preposition, phrase(place) if isinstance(place, str) else place
    )


def say(subject, predicate):
    return Clause(phrase(subject) if isinstance(subject, str) else subject, predicate)


def that(predicate):
    return SubjectRelative(predicate)


def that_is_object(subject, verb, tense=Tense.PRESENT, manner=Manner.PLAIN):
    return ObjectRelative(phrase(subject), VERBS[verb], tense, manner)


CASES = [
    (
        say("the small red star", act("touch", "a blue circle")),
        "the small red star touches a blue circle .",
        "der kleine rote Stern berührt einen blauen Kreis .",
        "la petite étoile rouge touche un cercle bleu .",
    ),
    (
        say("the stars", act("follow", "the huge circle", Tense.PAST)),
        "the stars followed the huge circle .",
        "die Sterne sind dem riesigen Kreis gefolgt .",
        "les étoiles ont suivi l'énorme cercle .",
    ),
    (
        say("this huge star", act("see", "every flower", Tense.FUTURE)),
        "this huge star will see every flower .",
        "dieser riesige Stern wird jede Blume sehen .",
        "cette énorme étoile verra chaque fleur .",
    ),
    (
        say("this huge diamond", act("lift", "large crosses")),
        "this huge diamond lifts large crosses .",
        "diese riesige Raute hebt große Kreuze hoch .",
        "cet énorme losange soulève de grandes croix .",
    ),
    (
        say("red stars", act("attract", "the moon", manner=Manner.NOT)),
        "red stars do not attract the moon .",
        "rote Sterne ziehen den Mond nicht an .",
        "des étoiles rouges n'attirent pas la lune .",
    ),
    (
        say("the circle", act("touch", "these stars", Tense.PAST, Manner.NOT)),
        "the circle did not touch these stars .",
        "der Kreis hat diese Sterne nicht berührt .",
        "le cercle n'a pas touché ces étoiles .",
    ),
    (
        say("the moon", act("push", "the cross", Tense.PAST, Manner.NEVER)),
        "the moon never pushed the cross .",
        "der Mond hat das Kreuz nie geschoben .",
        "la lune n'a jamais poussé la croix .",
    ),
    (
        say("no star", act("cover", "a white square", Tense.FUTURE)),
        "no star will cover a white square .",
        "kein Stern wird ein weißes Quadrat bedecken .",
        "aucune étoile ne couvrira un carré blanc .",
    ),
    (
        say("two large circles", act("follow", "no flower")),
        "two large circles follow no flower .",
        "zwei große Kreise folgen keiner Blume .",
        "deux grands cercles ne suivent aucune fleur .",
    ),
    (
        say("every cross", be(at(Preposition.INSIDE, "the large circle"))),
        "every cross is inside the large circle .",
        "jedes Kreuz ist im großen Kreis .",
        "chaque croix est dans le grand cercle .",
    ),
    (
        say("the square", be(at(Preposition.LEFT, "the huge star"), Tense.PAST)),
        "the square was to the left of the huge star .",
        "das Quadrat war links vom riesigen Stern .",
        "le carré était à gauche de l'énorme étoile .",
    ),
    (
        say("the moons", be(at(Preposition.RIGHT, "large red squares"))),
        "the moons are to the right of large red squares .",
        "die Monde sind rechts von großen roten Quadraten .",
        "les lunes sont à droite de grands carrés rouges .",
    ),
    (
        say("the moons", be(at(Preposition.ABOVE, "the small stars"), Tense.FUTURE)),
        "the moons will be above the small stars .",
        "die Monde werden über den kleinen Sternen sein .",
        "les lunes seront au-dessus des petites étoiles .",
    ),
    (
        say("a flower", be(at(Preposition.BELOW, "the square"), manner=Manner.NOT)),
        "a flower is not below the square .",
        "eine Blume ist nicht unter dem Quadrat .",
        "une fleur n'est pas au-dessous du carré .",
    ),
    (
        say(
            "the star",
            be(
                at(
                    Preposition.BETWEEN,
                    Pair(phrase("a diamond"), phrase("the cross")),
                )
            ),
        ),
        "the star is between a diamond and the cross .",
        "der Stern ist zwischen einer Raute und dem Kreuz .",
        "l'étoile est entre un losange et la croix .",
    ),
    (
        Clause(Pair(phrase("the star"), phrase("the cross")), be("green", Tense.PAST)),
        "the star and the cross were green .",
        "der Stern und das Kreuz waren grün .",
        "l'étoile et la croix étaient vertes .",
    ),
    (
        Clause(
            Pair(phrase("the star"), phrase("the circle")),
            be("large white", manner=Manner.ALWAYS),
        ),
        "the star and the circle are always large and white .",
        "der Stern und der Kreis sind immer groß und weiß .",
        "l'étoile et le cercle sont toujours grands et blancs .",
    ),
    (
        say("these crosses", be(Comparison(LARGER, phrase("a star")), Tense.FUTURE)),
        "these crosses will be larger than a star .",
        "diese Kreuze werden größer sein als ein Stern .",
        "ces croix seront plus grandes qu'une étoile .",
    ),
    (
        Existence(phrase("a spotted yellow star", at(Preposition.BEHIND, "the moon"))),
        "there is a spotted yellow star behind the moon .",
        "es gibt einen gefleckten gelben Stern hinter dem Mond .",
        "il y a une étoile jaune tachetée derrière la lune .",
    ),
    (
        Existence(phrase("no cross"), Tense.PAST),
        "there was no cross .",
        "es gab kein Kreuz .",
        "il n'y avait aucune croix .",
    ),
    (
        Existence(phrase("two stars", that(be("huge"))), Tense.FUTURE),
        "there will be two stars that are huge .",
        "es wird zwei Sterne geben , die riesig sind .",
        "il y aura deux étoiles qui sont énormes .",
    ),
    (
        say(
            phrase("the cross", that(act("lift", "the star", manner=Manner.OFTEN))),
            be("red"),
        ),
        "the cross that often lifts the star is red .",
        "das Kreuz , das oft den Stern hochhebt , ist rot .",
        "la croix qui soulève souvent l'étoile est rouge .",
    ),
    (
        say(
            "a circle",
            act(
                "see",
                phrase("the stars", that_is_object("a square", "touch", Tense.PAST)),
                Tense.PAST,
            ),
        ),
        "a circle saw the stars that a square touched .",
        "ein Kreis hat die Sterne gesehen , die ein Quadrat berührt hat .",
        "un cercle a vu les étoiles qu'un carré a touchées .",
    ),
    (
        say(
            phrase(
                "the flower",
                that_is_object("the moons", "follow", manner=Manner.NOT),
            ),
            be(
                at(
                    Preposition.INSIDE,
                    phrase("the circle", that(be("black"))),
                ),
                Tense.FUTURE,
            ),
        ),
        "the flower that the moons do not follow will be inside the circle "
        "that is black .",
        "die Blume , der die Monde nicht folgen , wird in dem Kreis sein , "
        "der schwarz ist .",
        "la fleur que les lunes ne suivent pas sera dans le cercle qui est noir .",
    ),
    (
        say(
            "the diamond",
            be(
                Comparison(
                    SMALLER,
                    phrase("the stars", that_is_object("a moon", "follow")),
                )
            ),
        ),
        "the diamond is smaller than the stars that a moon follows .",
        "die Raute ist kleiner als die Sterne , denen ein Mond folgt .",
        "le losange est plus petit que les étoiles qu'une lune suit .",
    ),
    (
        say(
            "two crosses",
            Thought(say("the star", act("push", "the square", Tense.PAST))),
        ),
        "two crosses think that the star pushed the square .",
        "zwei Kreuze denken , dass der Stern das Quadrat geschoben hat .",
        "deux croix pensent que l'étoile a poussé le carré .",
    ),
    (
        say("the star", Thought(Existence(phrase("no circle")))),
        "the star thinks that there is no circle .",
        "der Stern denkt , dass es keinen Kreis gibt .",
        "l'étoile pense qu'il n'y a aucun cercle .",
    ),
    (
        Compound(
            say("the moon", be("white")),
            Conjunction.BECAUSE,
            say("a star", be(Comparison(LARGER, phrase("the cross")))),
        ),
        "the moon is white because a star is larger than the cross .",
        "der Mond ist weiß , weil ein Stern größer ist als das Kreuz .",
        "la lune est blanche parce qu'une étoile est plus grande que la croix .",
    ),
    (
        Compound(
            say(phrase("the moon", that(be("white"))), be("small")),
            Conjunction.BUT,
            say("the circles", act("attract", "the square")),
        ),
        "the moon that is white is small , but the circles attract the square .",
        "der Mond , der weiß ist , ist klein , aber die Kreise ziehen das Quadrat an .",
        "la lune qui est blanche est petite , mais les cercles attirent le carré .",
    ),
    (
        say(
            "the flower",
            PredicatePair(
                act("touch", "the star", Tense.PAST),
                act("follow", "a moon", Tense.PAST),
            ),
        ),
        "the flower touched the star and followed a moon .",
        "die Blume hat den Stern berührt und ist einem Mond gefolgt .",
        "la fleur a touché l'étoile et a suivi une lune .",
    ),
]


@pytest.mark.parametrize(
    ("statement", "in_english", "in_german", "in_french"),
    CASES,
    ids=[case[1] for case in CASES],
)
def test_sentence_in_three_languages(statement, in_english, in_german, in_french):
    assert " ".join(english.tree(statement).words) == in_english
    assert german.sentence(statement) == in_german
    assert french.sentence(statement) == in_french


@pytest.mark.parametrize("statement", [case[0] for case in CASES])
def test_tree_survives_brackets_and_linearisation(statement):
    tree = english.tree(statement)
    assert parse_brackets(str(tree)) == tree
    assert unlinearise(linearise(tree), tree.words) == tree


def test_tree_is_in_the_penn_style():
    statement = say(
        phrase("the red star", that_is_object("a cross", "touch", manner=Manner.NOT)),
        be(at(Preposition.LEFT, "two moons"), manner=Manner.OFTEN),
    )
    assert str(english.tree(statement)) == (
        "(TOP (S (NP (NP (DT the) (JJ red) (NN star)) (SBAR (WHNP (WDT that)) "
        "(S (NP (DT a) (NN cross)) (VP (VBZ does) (RB not) (VP (VB touch)))))) "
        "(VP (VBZ is) (ADVP (RB often)) (PP (TO to) (NP (NP (DT the) (NN left)) "
        "(PP (IN of) (NP (CD two) (NNS moons)))))) (. .)))"
    )


@pytest.mark.parametrize(
    ("antecedent", "subject", "verb", "hidden"),
    [
        ("the cross", "the flower", "touch", True),  # das Kreuz, das die Blume berührt
        ("the star", "the flower", "touch", False),  # der Stern, den ...
        ("the cross", "the star", "touch", False),  # das Kreuz, das der Stern ...
        ("the cross", "the flowers", "touch", False),  # ..., das die Blumen berühren
        ("the stars", "the flowers", "touch", True),
        ("the cross", "the flower", "follow", False),  # das Kreuz, dem ...
    ],
)
def test_object_relatives_that_german_hides_are_known(
    antecedent, subject, verb, hidden
):
    relative = that_is_object(subject, verb)
    assert german.hides_object_relative(phrase(antecedent), relative) == hidden
