"""A look at what layers do on the way: attention weights, gates of experts.

The layers offer what is worth seeing to `observe`, which drops it, unless somebody is
looking. So no layer's outputs or arguments change for the sake of a picture.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple


class Observation(NamedTuple):
    """What a layer showed.

    Attributes:
        layer: Path of the layer, e.g. `mixer/attention/source_attention`.
        kind: `"attention"` or `"experts"`.
        values: A tensor; the layer says of what shape.
    """

    layer: str
    kind: str
    values: Any


class _Observers(threading.local):
    """Who looks on in this thread."""

    def __init__(self) -> None:
        self.open: list[list[Observation]] = []


_observers = _Observers()


@contextlib.contextmanager
def observing() -> Iterator[list[Observation]]:
    """Collects what the layers called within show, in their order.

    Within a traced function the values are tensors of its graph, to be returned by it.
    """
    seen: list[Observation] = []
    _observers.open.append(seen)
    try:
        yield seen
    finally:
        _observers.open.pop()


def is_observed() -> bool:
    """Returns whether anybody is looking, for what would cost to show."""
    return bool(_observers.open)


def observe(layer: Any, kind: str, values: Any) -> None:
    """Shows values to the innermost `observing`, if there is one."""
    if _observers.open:
        _observers.open[-1].append(Observation(layer.path, kind, values))
