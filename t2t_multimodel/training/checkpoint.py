"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint is a folder `model.ckpt-<step>` in the output directory, with the files
that `checkpoint_files` names. It is written while training goes on, under another
name, and gets its own when all of it is on the disk (`staging`): a folder of that name
is always whole, unless something damages it later. Check sums show that, and then the
one before it is used.
"""

import concurrent.futures
import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import disk
from t2t_multimodel.data.batch_plan import redeal
from t2t_multimodel.errors import UserError
from t2t_multimodel.training import checkpoint_files as files
from t2t_multimodel.training.checkpoint_directory import (
    checkpoint_path,
    checkpoint_steps,
    is_checkpoint_name,
    last_good,
    newest_whole,
    put_aside,
    read_description,
    remove_old,
)
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.staging import Staging, clear_unfinished


class Stateful(Protocol):
    """What has a state on the host, e.g. a `ProblemChoice`."""

    def get_state(self) -> Any:
        """Returns the state as JSON can write it."""

    def set_state(self, state: Any) -> None:
        """Takes what `get_state` returned."""


class Readers(Protocol):
    """Those who share the data of a problem: a `train_reader.ReaderGroup`."""

    @property
    def count(self) -> int:
        """Readers in the whole run."""

    @property
    def own(self) -> Mapping[int, Stateful]:
        """Those of this process, by their number."""


@dataclasses.dataclass(frozen=True)
class _Snapshot:
    """What is to be written, as it was when `save` was called."""

    step: int
    description: str
    tensors: Mapping[str, tf.Tensor]  # name to value; none but the chief's
    reader_states: Mapping[str, str]  # file name to content


class Checkpoints:
    """Saves and restores the state of a run.

    With several workers each makes one, and all call `save` at the same step. Weights
    and states are equal on all, so that the chief's are written; of the readers, each
    writes its own. A run may go on with another number of readers: what they had not
    given out yet is dealt anew. The workers share the output directory.

    The chief's must be made before another worker calls `save`, since it clears away
    what a run that was killed has left.

    Args:
        directory: The output directory; made if it is not there.
        model: The built model; all its weights are kept.
        optimizer: `Adam`; its slots and counts are kept.
        readers: Problem name to those who read its data.
        states: Name to another object with a state on the host.
        keep_max: Checkpoints to keep, the newest whole ones; 0 means all.
        worker: Number of this process; 0 is the chief.
        num_workers: Processes of the run.

    Raises:
        UserError: If the directory cannot be made or written.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        model: Any,
        optimizer: Adam,
        readers: Mapping[str, Readers] | None = None,
        states: Mapping[str, Stateful] | None = None,
        keep_max: int = 20,
        worker: int = 0,
        num_workers: int = 1,
    ) -> None:
        self.directory = pathlib.Path(directory)
        self.keep_max = keep_max
        self._worker = worker
        self._num_workers = num_workers
        self._variables = files.named(files.WEIGHTS, variables_by_path(model.weights))
        self._variables |= files.named(files.SLOTS, optimizer.slots)
        self._states: dict[str, Stateful] = {"optimizer": optimizer, **(states or {})}
        self._readers = dict(readers or {})
        self._last_step: int | None = None  # saved or restored
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._writing: concurrent.futures.Future[None] | None = None
        if self._is_chief:
            with disk.writing(self.directory):
                self.directory.mkdir(parents=True, exist_ok=True)
            clear_unfinished(self.directory, "model.ckpt-*")

    @property
    def _is_chief(self) -> bool:
        return self._worker == 0

    def save(self, step: int) -> pathlib.Path:
        """Writes a checkpoint, unless the step was just saved or restored.

        What is written is the state at the call; it may change when this returns.
        Waits first until the last checkpoint is written.

        Args:
            step: Updates done.

        Returns:
            Its folder; it is there, and whole, after `wait`.

        Raises:
            UserError: If the last one could not be written.
        """
        self.wait()
        final = checkpoint_path(self.directory, step)
        if step == self._last_step:
            return final
        self._writing = self._thread.submit(self._write, self._snapshot(step))
        self._last_step = step
        return final

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Returns when what `save` began is written, by this worker at least.

        Args:
            timeout_seconds: It returns after this time in any case.

        Raises:
            UserError: If it could not be written; nothing of it is left.
        """
        if self._writing is None:
            return
        # Ctrl-C may end this.
        concurrent.futures.wait([self._writing], timeout_seconds)
        if not self._writing.done():
            return
        writing, self._writing = self._writing, None
        if writing.exception() is not None:
            self._last_step = None
        writing.result()

    def raise_failure(self) -> None:
        """Raises what `wait` would raise, if that is known; returns at once."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def restore_latest(self, *, strict: bool = True) -> int:
        """Brings back the newest whole checkpoint; see `restore`.

        Those that turn out damaged are warned of, and put aside by the chief under
        the name `model.ckpt-<step>.damaged`.

        Returns:
            Its step; 0 if there is none, and then nothing is changed.

        Raises:
            UserError: If there are checkpoints, and all of them are damaged.
        """
        step, damaged = newest_whole(
            self.directory, functools.partial(self.restore, strict=strict)
        )
        if self._is_chief:
            for bad in damaged:
                put_aside(self.directory, bad)
        return step or 0

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
            DamagedError: If a file of it is damaged.
        """
        path = checkpoint_path(self.directory, step)
        description = read_description(path)
        stored = description["variables"]
        files.check_variables(path, stored, self._variables, strict=strict)
        lacking = [n for n in self._readers if n not in description["readers"]]
        if strict and lacking:
            raise UserError(
                f"{path} has no position in the data of {lacking[0]!r}; it was trained "
                "without that problem"
            )
        present = {n: v for n, v in self._variables.items() if n in stored}
        files.read_variables(path, present)
        for name, owner in self._states.items():
            if name in description["states"]:
                owner.set_state(description["states"][name])
        for name, group in self._readers.items():
            if name in description["readers"]:
                count = description["readers"][name]
                states = redeal(
                    files.read_reader_states(path, name, count), group.count
                )
                for index, reader in group.own.items():
                    reader.set_state(states[index])
        self._last_step = step

    def latest_step(self) -> int | None:
        """Returns the step of the newest checkpoint on the disk, `None` if none is.

        Waits for the one that is being written; if that fails, says nothing of it.
        """
        if self._writing is not None:
            concurrent.futures.wait([self._writing])
        steps = checkpoint_steps(self.directory)
        return steps[-1] if steps else None

    def _snapshot(self, step: int) -> _Snapshot:
        reader_states = {
            files.reader_file(name, index, group.count): json.dumps(reader.get_state())
            for name, group in self._readers.items()
            for index, reader in group.own.items()
        }
        if not self._is_chief:
            return _Snapshot(step, "", {}, reader_states)
        description = files.describe(
            step,
            self._variables,
            {name: owner.get_state() for name, owner in self._states.items()},
            {name: group.count for name, group in self._readers.items()},
        )
        # In a processor's memory this copies nothing: an update in place of a variable
        # that somebody has read makes it a new copy.
        with tf.device("CPU:0"):
            tensors = {name: tf.identity(v) for name, v in self._variables.items()}
        return _Snapshot(step, description, tensors, reader_states)

    def _write(self, snapshot: _Snapshot) -> None:
        """Writes this worker's part; the chief then commits. Runs in the thread."""
        final = checkpoint_path(self.directory, snapshot.step)
        try:
            staging = Staging(final, self._worker, self._num_workers)
            try:
                for name, content in snapshot.reader_states.items():
                    staging.write(name, content)
                if self._is_chief:
                    files.write_variables(
                        staging, snapshot.description, snapshot.tensors
                    )
                staging.finish_part()
                if self._is_chief:
                    staging.commit()
            except Exception:
                staging.discard()
                raise
            if self._is_chief:
                remove_old(self.directory, self.keep_max, snapshot.step)
        except UserError as error:
            raise UserError(f"{error}; {last_good(self.directory)}") from error


def load_weights(path: str | os.PathLike, model: Any) -> int:
    """Reads the weights of a model, and nothing else of a checkpoint.

    Args:
        path: A checkpoint, or an output directory, whose newest whole one is taken.
        model: A built Keras model. The checkpoint may hold more than it has, as one
            of a run with more problems does.

    Returns:
        The step of the checkpoint.

    Raises:
        UserError: If there is no checkpoint, or it lacks a weight of the model or
            has it in another shape, or the one that was named is damaged.
    """
    path = pathlib.Path(path)
    if is_checkpoint_name(path.name) or (path / "checkpoint.json").exists():
        return _load_weights(path, model)
    step, _ = newest_whole(
        path, lambda step: _load_weights(checkpoint_path(path, step), model)
    )
    if step is None:
        raise UserError(
            f"{path} is no checkpoint, and there is none in it; give the "
            "--output_dir of a trained run, or one of its model.ckpt-<step>"
        )
    return step


def _load_weights(path: pathlib.Path, model: Any) -> int:
    description = read_description(path)
    wanted = files.named(files.WEIGHTS, variables_by_path(model.weights))
    stored = {n: s for n, s in description["variables"].items() if n in wanted}
    files.check_variables(path, stored, wanted, strict=True)
    files.read_variables(path, wanted)
    return description["step"]


def read_weights(path: str | os.PathLike) -> tuple[int, dict[str, np.ndarray]]:
    """Returns the step of a checkpoint, and its weights by their paths.

    Raises:
        UserError: If there is no such checkpoint, or it is damaged.
    """
    path = pathlib.Path(path)
    description = read_description(path)
    prefix = f"{files.WEIGHTS}/"
    names = [n for n in description["variables"] if n.startswith(prefix)]
    tensors = files.read_tensors(path, names)
    return description["step"], {n.removeprefix(prefix): tensors[n] for n in names}


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
        Its folder.

    Raises:
        UserError: If it cannot be written.
    """
    final = checkpoint_path(directory, step)
    clear_unfinished(final.parent, "model.ckpt-*")
    with tf.device("CPU:0"):
        named = files.named(files.WEIGHTS, weights)
        tensors = {name: tf.constant(value) for name, value in named.items()}
    staging = Staging(final)
    try:
        files.write_variables(staging, files.describe(step, tensors, {}, {}), tensors)
        staging.finish_part()
        staging.commit()
    except Exception:
        staging.discard()
        raise
    return final
