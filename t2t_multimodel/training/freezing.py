"""Parts of a model that training leaves as they are."""

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.model_parts import counted, parts_of, sizes_of


def frozen_paths(patterns: Sequence[str], paths: Iterable[str]) -> frozenset[str]:
    """Returns the paths of the variables that patterns name (ours).

    A pattern is matched as file names are (`*` for anything, slashes included), against
    a path and against what follows any of its slashes; it takes all that is under what
    it names. So `encoder`, `encoder/*` and `multimodel/encoder` are the same, and `moe`
    names the experts of the encoder and of the decoder.

    Args:
        patterns: Patterns, each perhaps several with commas between them.
        paths: Of all variables that could be trained.

    Raises:
        UserError: If a pattern names no variable, or nothing is left to train.
    """
    paths = list(paths)
    frozen: set[str] = set()
    for pattern in _split(patterns):
        found = [path for path in paths if _names(pattern, path)]
        if not found:
            raise UserError(_no_match(pattern, paths))
        frozen.update(found)
    if frozen and len(frozen) == len(set(paths)):
        raise UserError(
            f"--freeze={','.join(_split(patterns))} leaves nothing to train: it names "
            f"all {len(frozen)} variables; leave a part out"
        )
    return frozenset(frozen)


def frozen_lines(frozen: Collection[str], variables: Mapping[str, Any]) -> list[str]:
    """Returns what is frozen, in lines to be read; none if nothing is.

    Args:
        frozen: What `frozen_paths` returned.
        variables: Path to variable, of all that could be trained.
    """
    if not frozen:
        return []
    sizes = sizes_of(variables)
    trained = [path for path in variables if path not in frozen]
    said = []
    for part, paths in parts_of(variables).items():
        held = [path for path in paths if path in frozen]
        if held:
            all_of_it = "" if len(held) == len(paths) else f" of {len(paths)}"
            said.append(f"{part} ({len(held)}{all_of_it})")
    return [
        f"frozen: {counted(frozen, sizes)}: {', '.join(said)}",
        f"trained: {counted(trained, sizes)}",
    ]


def _split(patterns: Sequence[str]) -> list[str]:
    pieces = (piece.strip() for pattern in patterns for piece in pattern.split(","))
    return [piece for piece in pieces if piece]


def _names(pattern: str, path: str) -> bool:
    wanted = pattern.rstrip("/")
    names = path.split("/")
    tails = ("/".join(names[start:]) for start in range(len(names)))
    return any(
        fnmatch.fnmatchcase(tail, wanted) or fnmatch.fnmatchcase(tail, f"{wanted}/*")
        for tail in tails
    )


def _no_match(pattern: str, paths: Sequence[str]) -> str:
    """Returns the message for a pattern without a variable, with what is near it."""
    parts = list(parts_of(paths))
    components = {name for path in paths for name in path.split("/")}
    near = [
        difflib.get_close_matches(name, components, n=1)
        for name in pattern.split("/")
        if name.strip("*") and name not in components
    ]
    hints = [repr(match[0]) for match in near if match]
    hint = f"did you mean {' and '.join(hints)}? " if hints else ""
    return (
        f"--freeze={pattern} names no variable of this model; {hint}"
        f"parts are: {', '.join(parts)}"
    )
