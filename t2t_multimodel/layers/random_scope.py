"""Stateless randomness: draws that depend on a seed and on nothing else.

Keras's seed generators keep their state in variables, which are equal on all replicas
and are not part of a TensorFlow checkpoint. A training step here passes one seed,
made of the run's seed, the step and the replica, and every draw within the scope
adds a constant of its own, in the order in which the layers are traced.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops


class _Scopes(threading.local):
    """The open scopes of this thread: replicas are traced in threads."""

    def __init__(self) -> None:
        self.open: list[_Scope] = []


class _Scope:
    def __init__(self, seed: Any) -> None:
        # The random functions of JAX take unsigned keys, those of TensorFlow signed.
        self.dtype = "uint32" if keras.backend.backend() == "jax" else "int32"
        self.seed = ops.cast(ops.convert_to_tensor(seed), self.dtype)
        self.draws = 0


class FixedSeed(keras.random.SeedGenerator):
    """A seed of one draw, in the form the functions of `keras.random` take.

    They accept an integer or a `SeedGenerator`, but no tensor; this one has no state
    and always hands out the tensor it was given.

    Args:
        value: `(2,)` integer tensor.
    """

    def __init__(self, value: Any) -> None:  # no variable is made, on purpose
        self.value = value

    def next(self, ordered: bool = True) -> Any:
        """Returns the seed, the same at every call."""
        return self.value


_scopes = _Scopes()


@contextlib.contextmanager
def random_scope(seed: Any) -> Iterator[None]:
    """Opens a scope in which `next_seed` answers.

    Entering a scope with the same seed and running the same layers gives the same
    numbers. Scopes nest; the innermost counts.

    Args:
        seed: `(2,)` int32 tensor or array, different for every step and replica.
    """
    _scopes.open.append(_Scope(seed))
    try:
        yield
    finally:
        _scopes.open.pop()


def next_seed() -> FixedSeed:
    """Returns the seed of the next draw, to be given to a `keras.random` function.

    Raises:
        RuntimeError: if no `random_scope` is open.
    """
    if not _scopes.open:
        raise RuntimeError(
            "a layer called with training=True draws random numbers and found no "
            "seed; call it inside `with random_scope(seed):`, seed being two int32"
        )
    scope = _scopes.open[-1]
    # Hashed, so that seeds of neighbouring steps do not meet each other's draws.
    offset = np.random.SeedSequence(scope.draws).generate_state(2, np.uint32)
    scope.draws += 1
    return FixedSeed(scope.seed + ops.convert_to_tensor(offset.astype(scope.dtype)))
