"""Timing of TensorFlow functions on a machine that may be busy."""

import time
from collections.abc import Callable, Mapping


def best_ms(
    functions: Mapping[str, Callable[[], object]], rounds: int = 10
) -> dict[str, float]:
    """Returns the shortest time of each function, in milliseconds.

    The functions take turns, so that a burst of other work does not fall on one of
    them; the first call of each, which traces it, is not counted.
    """
    for function in functions.values():
        function()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    return best
