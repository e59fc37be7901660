"""Problems over plain files of the user's, declared in a TOML file, without code."""

import pathlib

from t2t_multimodel.data.toml_file import TomlTable, read_tables
from t2t_multimodel.errors import unknown
from t2t_multimodel.problems.from_files import (
    captions,
    images,
    speech,
    text,
    text_classes,
    trees,
)
from t2t_multimodel.problems.from_files.declaration import Kind, positive
from t2t_multimodel.problems.problem import SPLITS, Problem, ReversedProblem
from t2t_multimodel.registry import PROBLEMS

KINDS: dict[str, Kind] = (
    text.KINDS
    | text_classes.KINDS
    | images.KINDS
    | captions.KINDS
    | speech.KINDS
    | trees.KINDS
)
"""Name to kind of problem."""

_COMMON_KEYS = (
    "name",
    "kind",
    *SPLITS,
    "loss_multiplier",
    "batch_size_multiplier",
    "num_shards",
)
_DEFAULT_NUM_SHARDS = 10
# Which file declared a problem, so that reading that file again is no clash.
_DECLARED_IN: dict[str, pathlib.Path] = {}


def load_problem_file(path: str | pathlib.Path) -> list[str]:
    """Registers the problems that a TOML file declares.

    Paths in it are relative to its folder. `docs/your_own_data.md` describes it.

    Returns:
        The names registered, in order.

    Raises:
        UserError: If anything in the file is wrong; file, line and the nearest right
            name are told.
    """
    path = pathlib.Path(path).expanduser().resolve()
    registered = []
    for table in read_tables(path, "problem"):
        name = table.get("name", str)
        kind = table.get("kind", str)
        if kind not in KINDS:
            table.fail(unknown("kind", kind, KINDS), "kind")
        keys, make = KINDS[kind]
        table.check_keys((*_COMMON_KEYS, *keys))
        problem = make(table)
        problem.loss_multiplier = positive(table, "loss_multiplier", float, 1.0)
        problem.batch_size_multiplier = positive(
            table, "batch_size_multiplier", int, problem.batch_size_multiplier
        )
        shards = positive(table, "num_shards", int, _DEFAULT_NUM_SHARDS)
        problem.num_shards = {
            split: shards if split == "train" else 1 for split in problem.splits
        }
        problem.name = name
        problem.source = f"Declared in {path.name}."
        description = f"{kind} of {path.name}."
        registered.append(_register(table, name, problem, description))
        if "also_reversed" in keys and table.get("also_reversed", bool, False):
            turned = ReversedProblem(problem)
            turned.name = f"{name}_rev"
            registered.append(
                _register(table, turned.name, turned, f"{description} Turned round.")
            )
    return registered


def _register(table: TomlTable, name: str, problem: Problem, description: str) -> str:
    if name in PROBLEMS and _DECLARED_IN.get(name) == table.path:
        PROBLEMS.remove(name)
    try:
        PROBLEMS.register(name, lambda: problem, description)
    except ValueError as error:
        table.fail(str(error), "name")
    _DECLARED_IN[name] = table.path
    return name
