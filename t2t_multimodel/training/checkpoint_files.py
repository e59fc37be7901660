"""The files of a checkpoint: how they are written, read and checked.

* `variables.*`: weights and optimizer slots, each under its path, in TensorFlow's
  checkpoint format (`tf.train.load_checkpoint` reads it);
* `data-<problem>.<reader>-of-<readers>.json`: the position of one of the readers that
  share that problem's data;
* `checkpoint.json`: step, names and shapes of the variables, number of readers of each
  problem, and the states of the objects that live on the host;
* `checksums.json`: what all of these must be (`checksums`).

Variables go by path and not by position or by attribute: more problems never shift
them, and none is missed (`tf.train.Checkpoint` silently misses Keras layers that are
in a list).
"""

import json
import pathlib
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from t2t_multimodel.data import disk
from t2t_multimodel.errors import UserError
from t2t_multimodel.training.checksums import (
    CHECKSUMS_FILE,
    DamagedError,
    check_content,
)
from t2t_multimodel.training.staging import Staging

WEIGHTS = "weights"
"""First part of the names of the model's variables."""

SLOTS = "optimizer"
"""First part of the names of the optimizer's."""

_DESCRIPTION_FILE = "checkpoint.json"
_VARIABLES = "variables"
_FORMAT_VERSION = 2
_NAMED_AT_MOST = 5  # differences told in an error


def named(group: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns variables under their names in a checkpoint, for their paths."""
    return {f"{group}/{path}": variable for path, variable in variables.items()}


def describe(
    step: int,
    variables: Mapping[str, Any],
    states: Mapping[str, Any],
    num_readers: Mapping[str, int],
) -> str:
    """Returns the content of `checkpoint.json`.

    Args:
        step: Updates done.
        variables: Name to variable or tensor.
        states: Name to what JSON can write.
        num_readers: Problem name to the readers that share its data.
    """
    description = {
        "format_version": _FORMAT_VERSION,
        "step": step,
        "variables": {n: v.shape.as_list() for n, v in variables.items()},
        "states": states,
        "readers": num_readers,
    }
    return json.dumps(description) + "\n"


def write_variables(
    staging: Staging, description: str, tensors: Mapping[str, tf.Tensor]
) -> None:
    """Writes variables and their description, as the chief's part of a checkpoint.

    Args:
        staging: Where to.
        description: Of `describe`.
        tensors: Name to value.

    Raises:
        UserError: If they cannot be written.
    """
    prefix = staging.directory / _VARIABLES
    # The operation under tf.train.Checkpoint, which itself takes three times as long
    # for many small variables since it first walks through a graph of objects.
    with disk.writing(prefix), tf.device("CPU:0"):
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
    for file in sorted(staging.directory.glob(f"{_VARIABLES}.*")):
        staging.add(file.name)
    staging.write(_DESCRIPTION_FILE, description)


def read_variables(path: pathlib.Path, variables: Mapping[str, Any]) -> None:
    """Assigns what a checkpoint holds to variables, by their names in it."""
    for names in _chunks(list(variables)):
        dtypes = [variables[name].dtype for name in names]
        tensors = _restored(path, names, dtypes)
        for name, tensor in zip(names, tensors, strict=True):
            variables[name].assign(tensor)


def read_tensors(path: pathlib.Path, names: Iterable[str]) -> dict[str, Any]:
    """Returns the NumPy arrays that a checkpoint holds under these names."""
    reader = tf.train.load_checkpoint(str(path / _VARIABLES))
    return {name: reader.get_tensor(name) for name in names}


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """Returns the content of `checkpoint.json`, after a check of all files.

    Raises:
        UserError: If another version of the program wrote it.
        DamagedError: If a file is not what was written.
    """
    try:
        check_content(path)
    except DamagedError:
        if not (path / CHECKSUMS_FILE).exists():
            _refuse_other_version(path)  # the first one had no check sums
        raise
    _refuse_other_version(path)
    return json.loads((path / _DESCRIPTION_FILE).read_text(encoding="utf-8"))


def check_variables(
    path: pathlib.Path,
    stored: Mapping[str, list[int]],
    variables: Mapping[str, Any],
    *,
    strict: bool,
) -> None:
    """Refuses a checkpoint whose variables are not those of the run.

    Args:
        path: The checkpoint.
        stored: Name to shape of what it holds.
        variables: Name to variable of the run.
        strict: Whether it must hold exactly these.

    Raises:
        UserError: If it lacks some, has others besides or in another shape.
    """
    other_shape = [
        f"{name} {tuple(stored[name])} instead of {tuple(variable.shape)}"
        for name, variable in variables.items()
        if name in stored and stored[name] != variable.shape.as_list()
    ]
    differences = [("has in another shape", other_shape)]
    if strict:
        differences.append(("lacks", [n for n in variables if n not in stored]))
        differences.append(("has besides", [n for n in stored if n not in variables]))
    parts = [f"{what} {_shortened(names)}" for what, names in differences if names]
    if parts:
        raise UserError(
            f"checkpoint {path} has {len(stored)} variables, this run "
            f"{len(variables)}: it {'; it '.join(parts)}; use the problems and "
            "hyperparameters that it was trained with"
        )


def reader_file(problem_name: str, index: int, count: int) -> str:
    """Returns the name of the file of one of a problem's readers."""
    return f"data-{urllib.parse.quote(problem_name, safe='')}.{index}-of-{count}.json"


def read_reader_states(path: pathlib.Path, problem_name: str, count: int) -> list[Any]:
    """Returns the states of all readers of a problem, in their order."""
    files = [path / reader_file(problem_name, index, count) for index in range(count)]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _restored(
    path: pathlib.Path, names: list[str], dtypes: list[tf.DType]
) -> list[tf.Tensor]:
    try:
        with tf.device("CPU:0"):
            return tf.raw_ops.RestoreV2(
                prefix=str(path / _VARIABLES),
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                dtypes=dtypes,
            )
    except tf.errors.OpError as error:
        # After the check of all files: they were removed meanwhile, or the disk fails.
        reason = error.message.splitlines()[0]
        raise DamagedError(f"{path} is damaged: {reason}") from error


def _chunks(names: list[str], size: int = 64) -> Iterator[list[str]]:
    """Cuts the list, so that no second copy of a large model is held in memory."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _shortened(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _NAMED_AT_MOST
    text = ", ".join(names[:_NAMED_AT_MOST])
    return f"{text} and {more} more" if more > 0 else text


def _refuse_other_version(path: pathlib.Path) -> None:
    """Refuses a description of another version; lets one pass that is unreadable."""
    file = path / _DESCRIPTION_FILE
    try:
        version = json.loads(file.read_bytes())["format_version"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if version != _FORMAT_VERSION:
        raise UserError(
            f"{file} has format version {version}, this program reads "
            f"{_FORMAT_VERSION}; use the version that wrote it"
        )
