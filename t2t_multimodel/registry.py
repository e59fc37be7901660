"""The tables of names: problems, groups of problems and hparams sets."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from t2t_multimodel.errors import UserError, unknown

T = TypeVar("T")

# T2T joins the names of a run with "-", so no name may contain one.
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Registry(Generic[T]):
    """Maps names to things of one kind, each with a line of description.

    Args:
        kind: What the table holds, as messages call it, e.g. `"problem"`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[T, str]] = {}

    def register(self, name: str, entry: T, description: str) -> None:
        """Adds `entry`.

        Raises:
            UserError: If the name is taken, or is not lower-case letters, digits
                and underscores.
        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{self.kind} name {name!r} must be lower-case letters, digits and "
                "underscores, beginning with a letter"
            )
        if name in self._entries:
            raise UserError(
                f"{self.kind} {name!r} is taken by {self._entries[name][0]!r}; "
                f"{entry!r} needs another name"
            )
        self._entries[name] = (entry, description)

    def get(self, name: str) -> T:
        """Returns the entry.

        Raises:
            UserError: If there is none of that name; the nearest one is suggested.
        """
        if name not in self._entries:
            raise UserError(unknown(self.kind, name, self._entries))
        return self._entries[name][0]

    def describe(self, name: str) -> str:
        """Returns the one-line description given at registration."""
        self.get(name)
        return self._entries[name][1]

    def remove(self, name: str) -> None:
        """Takes an entry out again; for tests and problem files read twice."""
        self.get(name)
        del self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))


PROBLEMS: Registry[Callable[[], Any]] = Registry("problem")
"""Problem names to constructors without arguments."""

PROBLEM_GROUPS: Registry[tuple[str, ...]] = Registry("problem group")
"""Names such as `mini8` to the problem names that they stand for."""

HPARAMS_SETS: Registry[Callable[[], Any]] = Registry("hparams set")
"""Names of hparams sets to functions that return one."""


def register_problem(name: str) -> Callable[[type], type]:
    """Returns a class decorator that registers a `Problem` under `name`.

    The first line of the class's docstring becomes its description.
    """

    def decorate(cls: type) -> type:
        def make() -> object:
            problem = cls()
            problem.name = name
            return problem

        PROBLEMS.register(name, make, _first_line(cls))
        return cls

    return decorate


def register_hparams_set(function: Callable[[], T]) -> Callable[[], T]:
    """Registers a function that returns an `HParams` under the function's name."""
    HPARAMS_SETS.register(function.__name__, function, _first_line(function))
    return function


def problem_names(text: str) -> list[str]:
    """Returns the problem names in `a-b-group`, groups expanded, in order.

    Raises:
        UserError: If a name is unknown or occurs twice, or `text` is empty.
    """
    names: list[str] = []
    for name in text.split("-"):
        if name in PROBLEM_GROUPS:
            names.extend(PROBLEM_GROUPS.get(name))
        elif name in PROBLEMS:
            names.append(name)
        else:
            known = [*PROBLEMS, *PROBLEM_GROUPS]
            raise UserError(unknown("problem or problem group", name, known))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"--problems={text} names {', '.join(twice)} more than once; "
            "every problem of a run is given once"
        )
    return names


def _first_line(documented: object) -> str:
    doc = (documented.__doc__ or "").strip()
    return doc.splitlines()[0] if doc else ""
