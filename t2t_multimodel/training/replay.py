"""A bad step computed again, each batch for itself: where does it go wrong?"""

import math
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from t2t_multimodel.data.train_reader import TrainReader
from t2t_multimodel.errors import UserError
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.training.checkpoint import load_weights
from t2t_multimodel.training.problem_gradients import ProblemGradients
from t2t_multimodel.training.replay_file import BadBatch, BadStep, read_bad_step
from t2t_multimodel.training.run_directory import Run, read_run

_VARIABLES_NAMED = 3
_OPERATION = re.compile(r'executing op "(\w+)"')


class ReplayedBatch(NamedTuple):
    """What a batch of a bad step gave when it was computed again.

    Attributes:
        batch: The batch.
        loss: Its loss per target, in nats.
        gradient_norm: Global norm of its gradients.
        bad_inputs: What of the batch itself is not finite: keys.
        bad_gradients: Paths of the variables whose gradient is not finite.
        origin: The layer and operation that first gave a number that is not finite;
            empty if that was not found, or if the batch itself is not finite.
    """

    batch: BadBatch
    loss: float
    gradient_norm: float
    bad_inputs: Sequence[str]
    bad_gradients: Sequence[str]
    origin: str

    @property
    def is_finite(self) -> bool:
        """Whether loss and gradients are numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


class Replay(NamedTuple):
    """A bad step that was computed again.

    Attributes:
        bad_step: The step.
        batches: Its batches, in the order of the problems.
    """

    bad_step: BadStep
    batches: Sequence[ReplayedBatch]

    @property
    def is_finite(self) -> bool:
        """Whether nothing bad was found."""
        return all(batch.is_finite for batch in self.batches)


def replay(
    path: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> Replay:
    """Computes a bad step again: same weights, batches and random draws.

    A joint step is taken apart: each batch gives its own loss and gradients, on this
    device, whatever devices it was computed on.

    Args:
        path: The file that the run wrote, in its output directory.
        data_dir: Where the shards are, if they have moved.

    Raises:
        UserError: If a file or data is missing, or the data is not what it was.
    """
    path = pathlib.Path(path)
    bad_step = read_bad_step(path)
    run = read_run(path.parent)
    data_dir = pathlib.Path(data_dir or bad_step.data_dir)
    names = [problem.name for problem in run.problems]
    batches = sorted(
        bad_step.batches, key=lambda batch: (names.index(batch.problem), batch.reader)
    )
    used = {batch.problem for batch in batches}
    readers = {
        name: _reader(run, name, data_dir, bad_step.random_seed)
        for name in names
        if name in used
    }
    try:
        tensors = [_read(readers[batch.problem], batch) for batch in batches]
        model = make_model(run.specs(), run.hparams, seed=bad_step.random_seed)
        load_weights(bad_step.weights, model)
        gradients = ProblemGradients(
            model,
            run.hparams,
            element_specs={name: r.element_spec for name, r in readers.items()},
            loss_multipliers={p.name: p.loss_multiplier for p in run.problems},
            frozen=bad_step.frozen,
        )
        functions: dict[tuple, Callable] = {}
        return Replay(
            bad_step,
            [
                _replayed(gradients, functions, bad_step, batch, features)
                for batch, features in zip(batches, tensors, strict=True)
            ],
        )
    finally:
        for reader in readers.values():
            reader.close()


def replay_lines(replayed: Replay) -> list[str]:
    """Returns the table and the verdict, line by line."""
    rows = [("problem", "loss", "gradient norm", "then", "not finite now")]
    for result in replayed.batches:
        name, reader = result.batch.problem, result.batch.reader
        rows.append(
            (
                f"{name} (reader {reader})" if reader else name,
                f"{result.loss:.6g}",
                f"{result.gradient_norm:.6g}",
                replayed.bad_step.not_finite.get(name, "finite"),
                "; ".join(_findings(result)) or "-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    step = replayed.bad_step.step
    if replayed.is_finite:
        lines.append(
            f"step {step}: not reproduced, every loss and gradient is finite. The sum "
            "over problems, or the device that it ran on, may be what made it so"
        )
        return lines
    bad = dict.fromkeys(r.batch.problem for r in replayed.batches if not r.is_finite)
    lines.append(f"step {step}: not finite again in {', '.join(bad)}")
    return lines


def _findings(result: ReplayedBatch) -> list[str]:
    findings = []
    if result.bad_inputs:
        findings.append(f"the batch itself ({', '.join(result.bad_inputs)})")
    if not math.isfinite(result.loss):
        findings.append("the loss")
    if result.origin:
        findings.append(f"first in {result.origin}")
    if result.bad_gradients:
        named = ", ".join(result.bad_gradients[:_VARIABLES_NAMED])
        more = len(result.bad_gradients) - _VARIABLES_NAMED
        findings.append(
            f"the gradients of {named}" + (f" and {more} more" if more > 0 else "")
        )
    return findings


def _reader(run: Run, name: str, data_dir: pathlib.Path, seed: int) -> TrainReader:
    problem = run.problem(name)
    run.check_data(problem, data_dir)
    return TrainReader(
        problem,
        data_dir,
        batch_size=run.hparams.batch_size,
        max_length=run.hparams.max_length,
        seed=seed,
    )


def _read(reader: TrainReader, batch: BadBatch) -> dict[str, tf.Tensor]:
    """Returns the batch, read again from where it stood."""
    tensors = reader.batch_of(*batch.planned)
    places = reader.places(batch.planned.numbers)
    for then, now in zip(batch.places, places, strict=True):
        if (then.path.name, *then[1:]) != (now.path.name, *now[1:]):
            raise UserError(
                f"the data of {batch.problem} is not what the step was computed with: "
                f"{then} is now {now}; give the --data_dir of the run as it was"
            )
    return tensors


def _replayed(
    gradients: ProblemGradients,
    functions: dict[tuple, Callable],
    bad_step: BadStep,
    batch: BadBatch,
    tensors: Mapping[str, tf.Tensor],
) -> ReplayedBatch:
    name = batch.problem
    inputs = gradients.inputs(
        name,
        tensors,
        seed=bad_step.random_seed,
        step=bad_step.step - 1,  # counted from 1, and its random draws from 0
        reader=batch.reader,
    )
    key = gradients.key(name)
    if key not in functions:
        functions[key] = gradients.function(name)
    computed = functions[key](*inputs)
    model = gradients.model
    by_path = {
        variable.path: gradient
        for variable, gradient in zip(
            model.trainable_variables,
            gradients.packing.unpack(computed.packed, gradients.used(name)),
            strict=True,
        )
        if gradient is not None
    }
    norm = float(tf.linalg.global_norm(list(by_path.values())))
    result = ReplayedBatch(
        batch=batch,
        loss=float(computed.loss),
        gradient_norm=norm,
        bad_inputs=[key for key, value in inputs[0].items() if not _is_finite(value)],
        bad_gradients=[
            p for p, gradient in by_path.items() if not _is_finite(gradient)
        ],
        origin="",
    )
    if result.is_finite or result.bad_inputs:
        return result
    features, seed, _ = inputs
    return result._replace(
        origin=_origin(lambda: gradients.forward(name, features, seed))
    )


def _origin(compute: Callable[[], object]) -> str:
    """Returns the layer and operation that first give a number that is not finite.

    Args:
        compute: Computes the loss, operation by operation.
    """
    tf.debugging.enable_check_numerics()
    try:
        compute()
    except tf.errors.InvalidArgumentError as error:
        found = _OPERATION.search(str(error))
        layer, trace = "", error.__traceback__
        while trace is not None:
            owner = trace.tb_frame.f_locals.get("self")
            if isinstance(owner, keras.layers.Layer):
                layer = owner.path
            trace = trace.tb_next
        where = layer or "the loss"
        return f"{where} ({found[1]})" if found else where
    finally:
        tf.debugging.disable_check_numerics()
    return "the backward pass"


def _is_finite(value: tf.Tensor) -> bool:
    if not value.dtype.is_floating:
        return True
    return bool(tf.reduce_all(tf.math.is_finite(value)))
