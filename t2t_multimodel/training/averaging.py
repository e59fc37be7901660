"""The mean of several checkpoints, which decodes better than the last one alone."""

import os
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.checkpoint import (
    checkpoint_path,
    checkpoint_steps,
    read_weights,
    write_weights,
)
from t2t_multimodel.training.run_directory import PROBLEMS_FILE, Run

_RUN_FILES = ("hparams.json", "vocab.*", PROBLEMS_FILE)  # that one last


def last_checkpoints(
    output_dir: str | os.PathLike, num_checkpoints: int
) -> list[pathlib.Path]:
    """Returns the newest checkpoints of a run, rising.

    Raises:
        UserError: If there are fewer.
    """
    steps = checkpoint_steps(output_dir)
    if len(steps) < num_checkpoints:
        have = ", ".join(map(str, steps)) or "none"
        raise UserError(
            f"{output_dir} has {len(steps)} checkpoints (steps: {have}), not "
            f"{num_checkpoints}; give a smaller --num_last_checkpoints"
        )
    return [checkpoint_path(output_dir, step) for step in steps[-num_checkpoints:]]


def average_checkpoints(
    run: Run, checkpoints: Sequence[pathlib.Path], averaged_dir: str | os.PathLike
) -> pathlib.Path:
    """Writes the mean of the weights (T2T's avg_checkpoints).

    The optimizer's slots and the positions in the data are left out: the result is to
    be decoded and exported, not to be trained on.

    Args:
        run: The run.
        checkpoints: Which to average; the result is called after the highest step.
        averaged_dir: Folder for the result; can be used as an output directory.

    Returns:
        The checkpoint that was written.

    Raises:
        UserError: If a checkpoint is missing, or they have not the same weights.
    """
    averaged_dir = pathlib.Path(averaged_dir)
    if averaged_dir.resolve() == run.output_dir.resolve():
        raise UserError(
            f"--averaged_dir={averaged_dir} is the run's own folder, whose checkpoints "
            "are trained on; give another one"
        )
    steps, sums, first = [], {}, {}
    for path in checkpoints:
        step, weights = read_weights(path)
        first = first or weights
        _check_same(weights, first, path, checkpoints[0])
        steps.append(step)
        for name, value in weights.items():
            sums[name] = sums.get(name, 0.0) + value.astype(np.float64)
    means = {
        name: (total / len(steps)).astype(first[name].dtype)
        for name, total in sums.items()
    }
    written = write_weights(averaged_dir, max(steps), means)
    for pattern in _RUN_FILES:
        for source in run.output_dir.glob(pattern):
            partial = averaged_dir / f"{source.name}.partial"
            shutil.copyfile(source, partial)
            os.replace(partial, averaged_dir / source.name)
    return written


def _check_same(weights, first, path, first_path) -> None:
    differing = sorted(
        name
        for name in weights.keys() | first.keys()
        if name not in weights
        or name not in first
        or weights[name].shape != first[name].shape
    )
    if differing:
        raise UserError(
            f"{path} and {first_path} have not the same weights (first difference: "
            f"{differing[0]}); average checkpoints of one run"
        )
