"""Levenshtein distance between sequences."""

from collections.abc import Hashable, Sequence

import numpy as np


def edit_distance(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Returns the least number of insertions, deletions and replacements.

    Words, ids or letters; O(len(left)) NumPy operations on len(right) numbers.
    """
    numbers: dict[Hashable, int] = {}
    a, b = (
        np.array([numbers.setdefault(item, len(numbers)) for item in items], np.int64)
        for items in (left, right)
    )
    along = np.arange(len(b) + 1)
    row = along  # distances of the beginnings of `right` to nothing
    for item in a:
        below = row + 1
        below[1:] = np.minimum(below[1:], row[:-1] + (b != item))
        # Insertions: row[j] is the least of below[i] + (j - i) for all i <= j.
        row = np.minimum.accumulate(below - along) + along
    return int(row[-1])
