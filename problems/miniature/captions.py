"""What people might say of a picture: five captions a scene, as COCO has."""

from t2t_multimodel.problems.miniature.lexicon import Determiner
from t2t_multimodel.problems.miniature.scene import Scene, Thing
from t2t_multimodel.problems.miniature.syntax import (
    Being,
    Clause,
    Existence,
    NounPhrase,
    PredicatePair,
    Prepositional,
    Quality,
    Statement,
)

CAPTIONS_PER_SCENE = 5


def describe(scene: Scene) -> list[Statement]:
    """Returns five statements about a scene, the plainest first.

    The largest thing is always named first, and the others follow in the order of
    their sizes, so that what is said next hangs on the picture alone.
    """
    if len(scene.placed) == 1:
        return _describe_one(scene.placed[0].thing)
    first, second = (placed.thing for placed in scene.placed[:2])
    plain = _place(scene, 1, _named(second))
    textured = _place(scene, 1, _named(second, texture=True))
    unsized = _place(scene, 1, _named(second, size=False))
    statements = [
        Clause(_named(first), Being(plain)),
        Clause(_named(first, texture=True), Being(textured)),
        Existence(_named(first, modifier=plain)),
        Existence(_named(first, texture=True, modifier=textured)),
        Clause(_named(first, size=False), Being(unsized)),
    ]
    if len(scene.placed) > 2:
        third = _place(scene, 2, _named(scene.placed[2].thing))
        both = PredicatePair(Being(plain), Being(third))
        statements[3] = Clause(_named(first), both)
    return statements


def _describe_one(thing: Thing) -> list[Statement]:
    quality = Quality((thing.size, thing.colour))
    return [
        Existence(_named(thing)),
        Existence(_named(thing, texture=True)),
        Clause(_named(thing, colour=False), Being(Quality((thing.colour,)))),
        Clause(_named(thing, size=False, colour=False), Being(quality)),
        Existence(_named(thing, size=False)),
    ]


def _place(scene: Scene, index: int, name: NounPhrase) -> Prepositional:
    """Where the first thing is relative to thing `index`."""
    relation = scene.relation(0, index)
    if relation is None:
        raise ValueError(f"thing {index} is on a diagonal in: {scene.canonical}")
    return Prepositional(relation, name)


def _named(
    thing: Thing,
    *,
    size: bool = True,
    texture: bool = False,
    colour: bool = True,
    modifier: Prepositional | None = None,
) -> NounPhrase:
    """A noun phrase with some of the thing's properties."""
    adjectives = (
        thing.size if size else None,
        thing.texture if texture else None,
        thing.colour if colour else None,
    )
    said = tuple(a for a in adjectives if a is not None)
    return NounPhrase(Determiner.A, thing.noun, said, modifier=modifier)
