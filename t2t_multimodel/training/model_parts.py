"""The parts of a model as its variables' paths tell them: encoder, nets, ..."""

import math
from collections.abc import Iterable, Mapping
from typing import Any


def part_of(path: str) -> str:
    """Returns the part that a variable is of.

    Args:
        path: Of a variable: `multimodel/encoder/block_0/...` is of `encoder`.
    """
    names = path.split("/")
    return names[1] if len(names) > 1 else path


def parts_of(paths: Iterable[str]) -> dict[str, list[str]]:
    """Returns the paths of each part, parts by name."""
    parts: dict[str, list[str]] = {}
    for path in paths:
        parts.setdefault(part_of(path), []).append(path)
    return dict(sorted(parts.items()))


def sizes_of(variables: Mapping[str, Any]) -> dict[str, int]:
    """Returns the number of parameters of each variable, by path."""
    return {path: math.prod(map(int, v.shape)) for path, v in variables.items()}


def counted(paths: Iterable[str], sizes: Mapping[str, int]) -> str:
    """Returns how many variables and parameters there are, in words."""
    found = list(paths)
    parameters = sum(sizes[path] for path in found)
    return f"{len(found):,} variables with {parameters:,} parameters"
