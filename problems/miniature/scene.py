"""Scenes: coloured shapes, and where they are in a picture."""

import dataclasses
import enum
import math
import random

from t2t_multimodel.problems.miniature.lexicon import (
    COLOURS,
    NOUNS,
    SIZES,
    TEXTURES,
    Adjective,
    Noun,
    Preposition,
)

SIZE_PX = 64
"""Rows and columns of a picture."""

_RADII_PX = {"huge": (15.0, 16.5), "large": (10.0, 11.0), "small": (6.0, 7.0)}
_MARGIN_PX = 1.5
_P_TEXTURE = 0.4
_P_OVERLAP = 0.2
_NUM_THINGS = (1, 2, 3, 4)
_NUM_THINGS_WEIGHTS = (15, 45, 30, 10)

# A thing is beside another if this many times more apart that way than the other way.
_CLEARLY = 1.5


class Layer(enum.Enum):
    """Whether a thing hides a part of the largest one, or is hidden by it."""

    APART = "apart"
    OVER = "over"
    UNDER = "under"


@dataclasses.dataclass(frozen=True)
class Thing:
    """A shape with its properties.

    Args:
        noun: The shape.
        size: One of `SIZES`.
        colour: One of `COLOURS`.
        texture: One of `TEXTURES`, or `None` for a plain surface.
    """

    noun: Noun
    size: Adjective
    colour: Adjective
    texture: Adjective | None

    @property
    def description(self) -> str:
        """All properties in English, the canonical text of the thing."""
        parts = [self.size, *([self.texture] if self.texture else []), self.colour]
        return " ".join([*(p.english for p in parts), self.noun.english[0]])


@dataclasses.dataclass(frozen=True)
class Placed:
    """A thing in a picture.

    Args:
        thing: What it is.
        x_px: Column of the centre, growing to the right.
        y_px: Row of the centre, growing downwards.
        radius_px: Half of its extent.
        angle_rad: Rotation.
        layer: How it lies to the first thing of the scene.
    """

    thing: Thing
    x_px: float
    y_px: float
    radius_px: float
    angle_rad: float
    layer: Layer = Layer.APART


@dataclasses.dataclass(frozen=True)
class Scene:
    """One to four things of different shapes and colours, the largest first.

    Things of one size are ordered from left to right.
    """

    placed: tuple[Placed, ...]

    @property
    def label(self) -> int:
        """Index in `NOUNS` of the largest thing's shape."""
        return NOUNS.index(self.placed[0].thing.noun)

    def relation(self, first: int, second: int) -> Preposition | None:
        """Where thing `first` is relative to thing `second`, if that is clear."""
        one, other = self.placed[first], self.placed[second]
        if second != 0 and first != 0:
            return direction(one, other)
        flipped = first != 0
        layer = (one if flipped else other).layer
        if layer is Layer.APART:
            return direction(one, other)
        is_behind = (layer is Layer.OVER) != flipped
        return Preposition.BEHIND if is_behind else Preposition.IN_FRONT

    @property
    def canonical(self) -> str:
        """What the scene holds, in words; scenes of two splits differ in it."""
        words = [placed.thing.description for placed in self.placed]
        for index in range(1, len(self.placed)):
            relation = self.relation(0, index)
            words.append(relation.name.lower() if relation else "somewhere")
        return ", ".join(words)


def direction(one: Placed, other: Placed) -> Preposition | None:
    """Returns where `one` is seen from `other`, or `None` on a diagonal."""
    right, down = one.x_px - other.x_px, one.y_px - other.y_px
    if abs(right) > _CLEARLY * abs(down):
        return Preposition.RIGHT if right > 0 else Preposition.LEFT
    if abs(down) > _CLEARLY * abs(right):
        return Preposition.BELOW if down > 0 else Preposition.ABOVE
    return None


def sample_things(rng: random.Random, sizes: list[Adjective]) -> list[Thing]:
    """Returns things of the given sizes; no two share a shape, nor two a colour.

    Colours repeat only among more things than there are colours.
    """
    nouns = rng.sample(NOUNS, len(sizes))
    colours = rng.sample(COLOURS, len(COLOURS))
    return [
        Thing(
            noun=noun,
            size=size,
            colour=colours[index % len(colours)],
            texture=rng.choice(TEXTURES) if rng.random() < _P_TEXTURE else None,
        )
        for index, (noun, size) in enumerate(zip(nouns, sizes, strict=True))
    ]


def sample_scene(rng: random.Random) -> Scene:
    """Draws a scene; the largest thing is a size above all the others."""
    count = rng.choices(_NUM_THINGS, _NUM_THINGS_WEIGHTS)[0]
    huge, large, small = SIZES
    sizes = rng.choice(([huge, large], [huge, small], [large, small]))
    if count > 2:
        sizes = [huge, large, small, small]
    things = sample_things(rng, sizes[:count])
    while True:
        placed = _place(rng, things)
        if placed:
            ordered = sorted(placed, key=lambda p: (SIZES.index(p.thing.size), p.x_px))
            return Scene(tuple(ordered))


def _place(rng: random.Random, things: list[Thing]) -> list[Placed] | None:
    """Tries places for all things; `None` if one finds none."""
    placed: list[Placed] = []
    for index, thing in enumerate(things):
        overlaps = index == 1 and rng.random() < _P_OVERLAP
        for _ in range(30):
            candidate = _candidate(rng, thing, placed[0] if overlaps else None)
            if candidate and _fits(candidate, placed):
                placed.append(candidate)
                break
        else:
            return None
    return placed


def _candidate(
    rng: random.Random, thing: Thing, partner: Placed | None
) -> Placed | None:
    """A random place, at the edge of `partner` if there is one."""
    radius = rng.uniform(*_RADII_PX[thing.size.english])
    angle = math.radians(rng.uniform(-10, 10))
    low, high = radius + 1, SIZE_PX - radius - 1
    if partner is None:
        x, y = rng.uniform(low, high), rng.uniform(low, high)
        return Placed(thing, x, y, radius, angle)
    towards = rng.uniform(0, 2 * math.pi)
    layer = rng.choice((Layer.OVER, Layer.UNDER))
    # Over the edge a half shows; a thing underneath must show more of itself.
    reach = partner.radius_px + (0.0 if layer is Layer.OVER else 0.35) * radius
    x = partner.x_px + reach * math.cos(towards)
    y = partner.y_px + reach * math.sin(towards)
    if not (low <= x <= high and low <= y <= high):
        return None
    return Placed(thing, x, y, radius, angle, layer)


def _fits(candidate: Placed, placed: list[Placed]) -> bool:
    """Whether it touches nothing but its partner and lies clearly to one side."""
    for index, other in enumerate(placed):
        if index == 0 and candidate.layer is not Layer.APART:
            continue
        apart = math.hypot(candidate.x_px - other.x_px, candidate.y_px - other.y_px)
        if apart < candidate.radius_px + other.radius_px + _MARGIN_PX:
            return False
        if index == 0 and direction(candidate, other) is None:
            return False
    return True
