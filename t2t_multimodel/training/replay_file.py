"""The file of a bad step: all that is needed to compute it again.

`bad_step-<step>.json` in the output directory has the step, the seed and each batch by
its record numbers; the folder `bad_step-<step>` the weights. In a group every worker
knows its own batches alone: the others write `bad_step-<step>.worker-<worker>.json`.
"""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from t2t_multimodel.data import versioned_json
from t2t_multimodel.data.batch_plan import PlannedBatch
from t2t_multimodel.data.shard_index import Place
from t2t_multimodel.data.train_reader import ReaderGroup
from t2t_multimodel.errors import UserError
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.training.checkpoint import checkpoint_path, write_weights
from t2t_multimodel.training.optimizer import variables_by_path
from t2t_multimodel.training.step import StepOutcome

_FORMAT_VERSION = 1
_NAME = re.compile(r"bad_step-(\d+)(?:\.worker-(\d+))?\.json")


class BadBatch(NamedTuple):
    """A batch of a bad step.

    Attributes:
        problem: Whose it is.
        reader: Number of the reader among those of the problem; with the seed, step
            and problem it decides dropout and gating noise.
        planned: Bucket, record numbers and turns.
        places: Shard, record number within it and byte of each record.
    """

    problem: str
    reader: int
    planned: PlannedBatch
    places: Sequence[Place]


class Written(NamedTuple):
    """What of a bad step this worker knew, and wrote.

    Attributes:
        batches: Its own batches.
        told: Words for the user: how to compute the step again.
    """

    batches: list[BadBatch]
    told: str


@dataclasses.dataclass(frozen=True)
class BadStep:
    """A step as its files describe it.

    Attributes:
        step: Its number; that of the first is 1.
        random_seed: The run's.
        not_finite: Problem name to what was not finite, `loss` or `gradient`.
        losses: Problem name to the loss that it had, in nats.
        frozen: Paths of variables that did not train.
        data_dir: Where the shards were.
        batches: Those of all workers.
        weights: Checkpoint of the weights that it was computed with.
    """

    step: int
    random_seed: int
    not_finite: Mapping[str, str]
    losses: Mapping[str, float]
    frozen: frozenset[str]
    data_dir: pathlib.Path
    batches: Sequence[BadBatch]
    weights: pathlib.Path


class ReplayWriter:
    """Writes bad steps of a run; every worker of a group has one.

    Args:
        output_dir: Folder of the run.
        data_dir: Folder of its shards.
        model: The model; the chief writes its weights.
        readers: Problem name to its readers, of which this worker's own are told.
        random_seed: The run's.
        frozen: Paths of variables that do not train.
        worker: Number of this worker; 0 is the chief.
        num_workers: Workers of the group.
    """

    def __init__(
        self,
        output_dir: pathlib.Path,
        *,
        data_dir: pathlib.Path,
        model: MultiModel,
        readers: Mapping[str, ReaderGroup],
        random_seed: int,
        frozen: frozenset[str] = frozenset(),
        worker: int = 0,
        num_workers: int = 1,
    ) -> None:
        self.output_dir = output_dir
        self._data_dir = data_dir
        self._model = model
        self._readers = readers
        self._random_seed = random_seed
        self._frozen = frozen
        self._worker = worker
        self._num_workers = num_workers

    def write(
        self, step: int, outcome: StepOutcome, not_finite: Mapping[str, str]
    ) -> Written:
        """Writes the step that was just computed, with the weights as they are.

        A step that was not finite changed no weight, so that they are what it was
        computed with. If the disk is full, say, that is told instead.

        Args:
            step: Its number.
            outcome: What came of it.
            not_finite: Problem name to what was not finite.
        """
        batches = self._batches(list(outcome.losses))
        path = self.output_dir / file_name(step, self._worker)
        try:
            if self._worker == 0:
                paths = variables_by_path(self._model.weights)
                values = {
                    name: tf.convert_to_tensor(weight).numpy()
                    for name, weight in paths.items()
                }
                write_weights(path.with_suffix(""), step, values)
            _replace(path, self._content(step, outcome, not_finite, batches))
        except (OSError, tf.errors.OpError, UserError) as error:
            told = str(error).splitlines()[0]
            return Written(batches, f"{path} could not be written ({told})")
        chief = self.output_dir / file_name(step)
        return Written(batches, f"t2t-mm-trainer --replay={chief} computes it again")

    def _batches(self, names: Sequence[str]) -> list[BadBatch]:
        """Returns the batches that the own readers handed out last."""
        return [
            BadBatch(name, number, planned, reader.places(planned.numbers))
            for name in names
            for number, reader in sorted(self._readers[name].own.items())
            if (planned := reader.last_plan) is not None
        ]

    def _content(
        self,
        step: int,
        outcome: StepOutcome,
        not_finite: Mapping[str, str],
        batches: Sequence[BadBatch],
    ) -> dict[str, Any]:
        return {
            "format_version": _FORMAT_VERSION,
            "step": step,
            "random_seed": self._random_seed,
            "worker": self._worker,
            "num_workers": self._num_workers,
            "data_dir": str(self._data_dir.absolute()),
            "not_finite": dict(not_finite),
            # JSON has no word for those that are not finite.
            "losses": {name: str(loss) for name, loss in outcome.losses.items()},
            "gradient_norm": str(outcome.norm),
            "frozen": sorted(self._frozen),
            "batches": [_batch_to_json(batch) for batch in batches],
        }


def file_name(step: int, worker: int = 0) -> str:
    """Returns the name of the file that a worker writes of a step."""
    of_worker = f".worker-{worker}" if worker else ""
    return f"bad_step-{step}{of_worker}.json"


def read_bad_step(path: str | os.PathLike) -> BadStep:
    """Returns the step that a file describes, with the parts of all workers.

    Raises:
        UserError: If a file is missing, or not one of these.
    """
    path = pathlib.Path(path)
    name = _NAME.fullmatch(path.name)
    if not name:
        raise UserError(
            f"{path} is no file of a bad step; expected bad_step-<step>.json, which "
            "t2t-mm-trainer writes where a run ends because of one"
        )
    step = int(name[1])
    chief = path.with_name(file_name(step))
    first = _read(chief)
    parts = [first]
    for worker in range(1, first["num_workers"]):
        parts.append(_read(path.with_name(file_name(step, worker))))
    return BadStep(
        step=first["step"],
        random_seed=first["random_seed"],
        not_finite=first["not_finite"],
        losses={name: float(loss) for name, loss in first["losses"].items()},
        frozen=frozenset(first["frozen"]),
        data_dir=pathlib.Path(first["data_dir"]),
        batches=[_batch_from_json(b) for part in parts for b in part["batches"]],
        weights=checkpoint_path(chief.with_suffix(""), first["step"]),
    )


def _read(path: pathlib.Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(
            f"{path} is missing; give a file that t2t-mm-trainer wrote where a run "
            "ended because of a bad step, in the folder of the run"
        )
    remedy = "copy it anew, or use the version of t2t-multimodel that wrote it"
    return versioned_json.read(path, _FORMAT_VERSION, remedy)


def _batch_to_json(batch: BadBatch) -> dict[str, Any]:
    bucket, numbers, turns = batch.planned
    return {
        "problem": batch.problem,
        "reader": batch.reader,
        "bucket": int(bucket),
        "numbers": [int(number) for number in numbers],
        "turns": [int(turn) for turn in turns],
        "places": [[str(p.path), p.record, p.byte_offset] for p in batch.places],
    }


def _batch_from_json(content: Mapping[str, Any]) -> BadBatch:
    return BadBatch(
        content["problem"],
        content["reader"],
        PlannedBatch(content["bucket"], content["numbers"], content["turns"]),
        [Place(pathlib.Path(p), record, at) for p, record, at in content["places"]],
    )


def _replace(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes a file so that it is never seen half written."""
    partial = path.with_name(f"{path.name}.partial")
    # A line for each entry and each batch: people read it, too.
    batches = ",\n  ".join(map(json.dumps, content["batches"]))
    lines = [f"{json.dumps(key)}: {json.dumps(content[key])}" for key in content]
    lines[list(content).index("batches")] = f'"batches": [\n  {batches}\n ]'
    partial.write_text("{\n " + ",\n ".join(lines) + "\n}\n", encoding="utf-8")
    os.replace(partial, path)
