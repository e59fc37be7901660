"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint is a directory `model.ckpt-<step>` in the output directory:

* `variables.*`: weights and optimizer slots, each under its path, in TensorFlow's
  checkpoint format (`tf.train.load_checkpoint` reads it);
* `data-<problem>.*`: the position in that problem's data;
* `checkpoint.json`: step, names and shapes of the variables, and the states of the
  objects that live on the host.

It is written under another name and renamed when all of it is on the disk, so a
directory of that name is always whole.

Variables go by path and not by position or by attribute: more problems never shift
them, and none is missed (`tf.train.Checkpoint` silently misses Keras layers that are
in a list).
"""

import json
import os
import pathlib
import re
import shutil
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.optimizer import Adam, variables_by_path

_NAME = re.compile(r"model\.ckpt-(\d+)")
_PARTIAL = ".partial"
_WEIGHTS = "weights"  # first part of the names of variables
_SLOTS = "optimizer"
_FORMAT_VERSION = 1
_NAMED_AT_MOST = 5  # differences told in an error


class Stateful(Protocol):
    """What has a state on the host, e.g. a `ProblemChoice`."""

    def get_state(self) -> Any:
        """Returns the state as JSON can write it."""

    def set_state(self, state: Any) -> None:
        """Takes what `get_state` returned."""


class Checkpoints:
    """Saves and restores the state of a run.

    With several workers each one makes a `Checkpoints` of the iterators that it owns,
    and all call `save` at the same step; variables and states are equal on all, so
    the chief's are written. As positions are stored by problem, a run may go on with
    another number of workers.

    Args:
        directory: The output directory; made if it is not there.
        model: The built model; all its weights are kept.
        optimizer: `Adam`; its slots and counts are kept.
        iterators: Problem name to `tf.data` iterator.
        states: Name to another object with a state on the host.
        keep_max: Checkpoints to keep, the newest; 0 means all.
        is_chief: Whether this worker writes variables and tidies up.
        barrier: Called in `save` when this worker's files are on the disk; returns
            when that is so on all workers.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        model: Any,
        optimizer: Adam,
        iterators: Mapping[str, Any] | None = None,
        states: Mapping[str, Stateful] | None = None,
        keep_max: int = 20,
        is_chief: bool = True,
        barrier: Callable[[], None] = lambda: None,
    ) -> None:
        self.directory = pathlib.Path(directory)
        self.keep_max = keep_max
        self.is_chief = is_chief
        self._variables = _named(_WEIGHTS, variables_by_path(model.weights))
        self._variables |= _named(_SLOTS, optimizer.slots)
        self._states: dict[str, Stateful] = {"optimizer": optimizer, **(states or {})}
        self._iterators = {
            name: tf.train.Checkpoint(iterator=iterator)
            for name, iterator in (iterators or {}).items()
        }
        self._barrier = barrier
        self._last_step: int | None = None  # saved or restored
        if is_chief:
            self.directory.mkdir(parents=True, exist_ok=True)
            # What a run that was killed had begun to write or to remove.
            for partial in self.directory.glob(f"model.ckpt-*{_PARTIAL}"):
                shutil.rmtree(partial)

    def save(self, step: int) -> pathlib.Path:
        """Writes a checkpoint, unless the step was just saved or restored.

        Args:
            step: Updates done.

        Returns:
            Its directory.
        """
        final = checkpoint_path(self.directory, step)
        if step == self._last_step:
            return final
        partial = final.with_name(final.name + _PARTIAL)
        partial.mkdir(parents=True, exist_ok=True)
        for name, iterator in self._iterators.items():
            file = _data_file(name)
            iterator.write(str(partial / file))
            _sync_all(partial, f"{file}.")
        if self.is_chief:
            _write_variables(partial, self._variables)
            (partial / "checkpoint.json").write_text(self._description(step))
            _sync_all(partial, "variables.")
            _sync_all(partial, "checkpoint.")
        self._barrier()
        if self.is_chief:
            _sync(partial)
            if final.exists():  # of a run that went on from an earlier step
                _remove(final)
            os.rename(partial, final)
            _sync(self.directory)
            steps = checkpoint_steps(self.directory)
            for old in steps[: -self.keep_max] if self.keep_max else []:
                _remove(checkpoint_path(self.directory, old))
        self._last_step = step
        return final

    def restore_latest(self, *, strict: bool = True) -> int:
        """Brings back the newest checkpoint; see `restore`.

        Returns:
            Its step; 0 if there is none, and then nothing is changed.
        """
        step = self.latest_step()
        if step is None:
            return 0
        self.restore(step, strict=strict)
        return step

    def restore(self, step: int, *, strict: bool = True) -> None:
        """Brings back the state of a step.

        Args:
            step: The step.
            strict: Whether the checkpoint must hold exactly the variables and
                positions of this run. Otherwise what it lacks keeps its first value,
                and what else it has is not read: how a run goes on with more or
                fewer problems.

        Raises:
            UserError: If that checkpoint is not there, or holds other variables; the
                message names them.
        """
        path = checkpoint_path(self.directory, step)
        description = _read_description(path)
        _check(path, description["variables"], self._variables, strict=strict)
        stored = description["variables"]
        _read_variables(path, {n: v for n, v in self._variables.items() if n in stored})
        for name, owner in self._states.items():
            if name in description["states"]:
                owner.set_state(description["states"][name])
        for name, iterator in self._iterators.items():
            file = path / _data_file(name)
            if file.with_name(f"{file.name}.index").exists():
                iterator.read(str(file)).assert_consumed()
            elif strict:
                raise UserError(
                    f"{path} has no position in the data of {name!r}; it was trained "
                    "without that problem"
                )
        self._last_step = step

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint, `None` if there is none."""
        steps = checkpoint_steps(self.directory)
        return steps[-1] if steps else None

    def _description(self, step: int) -> str:
        description = {
            "format_version": _FORMAT_VERSION,
            "step": step,
            "variables": {n: v.shape.as_list() for n, v in self._variables.items()},
            "states": {n: state.get_state() for n, state in self._states.items()},
        }
        return json.dumps(description) + "\n"


def checkpoint_path(directory: str | os.PathLike, step: int) -> pathlib.Path:
    """Returns where the checkpoint of a step is."""
    return pathlib.Path(directory) / f"model.ckpt-{step}"


def checkpoint_steps(directory: str | os.PathLike) -> list[int]:
    """Returns the steps of the checkpoints in an output directory, rising."""
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return []
    names = [_NAME.fullmatch(path.name) for path in directory.iterdir()]
    return sorted(int(name[1]) for name in names if name)


def load_weights(path: str | os.PathLike, model: Any) -> int:
    """Reads the weights of a model, and nothing else of a checkpoint.

    Args:
        path: A checkpoint, or an output directory, whose latest one is taken.
        model: A built Keras model. The checkpoint may hold more than it has, as one
            of a run with more problems does.

    Returns:
        The step of the checkpoint.

    Raises:
        UserError: If there is no checkpoint, or it lacks a weight of the model or
            has it in another shape.
    """
    path = pathlib.Path(path)
    if not (path / "checkpoint.json").exists():
        steps = checkpoint_steps(path)
        if not steps:
            raise UserError(
                f"{path} is no checkpoint, and there is none in it; give the "
                "--output_dir of a trained run, or one of its model.ckpt-<step>"
            )
        path = checkpoint_path(path, steps[-1])
    description = _read_description(path)
    wanted = _named(_WEIGHTS, variables_by_path(model.weights))
    stored = {n: s for n, s in description["variables"].items() if n in wanted}
    _check(path, stored, wanted, strict=True)
    _read_variables(path, wanted)
    return description["step"]


def read_weights(path: str | os.PathLike) -> tuple[int, dict[str, np.ndarray]]:
    """Returns the step of a checkpoint, and its weights by their paths.

    Raises:
        UserError: If there is no such checkpoint, or it cannot be read.
    """
    path = pathlib.Path(path)
    description = _read_description(path)
    reader = tf.train.load_checkpoint(str(path / "variables"))
    names = [n for n in description["variables"] if n.startswith(f"{_WEIGHTS}/")]
    weights = {n.removeprefix(f"{_WEIGHTS}/"): reader.get_tensor(n) for n in names}
    return description["step"], weights


def write_weights(
    directory: str | os.PathLike, step: int, weights: Mapping[str, np.ndarray]
) -> pathlib.Path:
    """Writes a checkpoint of weights alone: to be decoded, not to be trained on.

    Args:
        directory: The folder that it is made in; a checkpoint of that step there is
            replaced.
        step: What it is called after.
        weights: Path of each to its value.

    Returns:
        Its directory.
    """
    final = checkpoint_path(directory, step)
    partial = final.with_name(final.name + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {n: tf.constant(value) for n, value in _named(_WEIGHTS, weights).items()}
    _write_variables(partial, tensors)
    description = {
        "format_version": _FORMAT_VERSION,
        "step": step,
        "variables": {n: t.shape.as_list() for n, t in tensors.items()},
        "states": {},
    }
    (partial / "checkpoint.json").write_text(json.dumps(description) + "\n")
    _sync_all(partial, "")
    if final.exists():
        _remove(final)
    os.rename(partial, final)
    _sync(final.parent)
    return final


def _named(group: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{group}/{path}": variable for path, variable in variables.items()}


def _data_file(problem_name: str) -> str:
    return f"data-{urllib.parse.quote(problem_name, safe='')}"


def _write_variables(directory: pathlib.Path, variables: Mapping[str, Any]) -> None:
    # The operation under tf.train.Checkpoint, which itself takes three times as long
    # for many small variables since it first walks through a graph of objects.
    with tf.device("CPU:0"):
        tf.raw_ops.SaveV2(
            prefix=str(directory / "variables"),
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=[tf.convert_to_tensor(value) for value in variables.values()],
        )


def _read_variables(directory: pathlib.Path, variables: Mapping[str, Any]) -> None:
    for names in _chunks(list(variables)):
        with tf.device("CPU:0"):
            tensors = tf.raw_ops.RestoreV2(
                prefix=str(directory / "variables"),
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                dtypes=[variables[name].dtype for name in names],
            )
        for name, tensor in zip(names, tensors, strict=True):
            variables[name].assign(tensor)


def _chunks(names: list[str], size: int = 64) -> Iterator[list[str]]:
    """Cuts the list, so that no second copy of a large model is held in memory."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _check(
    path: pathlib.Path,
    stored: Mapping[str, list[int]],
    variables: Mapping[str, Any],
    *,
    strict: bool,
) -> None:
    """Refuses a checkpoint whose variables are not those of the run."""
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


def _shortened(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _NAMED_AT_MOST
    text = ", ".join(names[:_NAMED_AT_MOST])
    return f"{text} and {more} more" if more > 0 else text


def _read_description(path: pathlib.Path) -> dict[str, Any]:
    file = path / "checkpoint.json"
    if not file.exists():
        steps = ", ".join(map(str, checkpoint_steps(path.parent))) or "none"
        raise UserError(f"no checkpoint {path}; steps there are: {steps}")
    try:
        description = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"{file} is not JSON ({error}); copy it anew") from error
    if description.get("format_version") != _FORMAT_VERSION:
        raise UserError(
            f"{file} has format version {description.get('format_version')}, this "
            f"program reads {_FORMAT_VERSION}; use the version that wrote it"
        )
    return description


def _sync(path: pathlib.Path) -> None:
    """Returns when a file or directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_all(directory: pathlib.Path, prefix: str) -> None:
    for file in directory.iterdir():
        if file.name.startswith(prefix):
            _sync(file)


def _remove(path: pathlib.Path) -> None:
    """Removes a checkpoint; a kill leaves none of it under its good name."""
    removed = path.with_name(f"{path.name}.old{_PARTIAL}")
    os.rename(path, removed)
    shutil.rmtree(removed)
