"""What a test registers is gone after it."""

import contextlib

import t2t_multimodel.problems  # noqa: F401, it registers its own
from t2t_multimodel.registry import PROBLEMS


@contextlib.contextmanager
def new_ones_forgotten():
    """Removes the problems that were registered within, as the next test may again."""
    before = set(PROBLEMS)
    yield
    for name in set(PROBLEMS) - before:
        PROBLEMS.remove(name)
