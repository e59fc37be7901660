"""The checkpoints in an output directory: which there are, are whole, and are kept."""

import logging
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

from t2t_multimodel.data import disk
from t2t_multimodel.errors import UserError
from t2t_multimodel.training import checkpoint_files
from t2t_multimodel.training.checksums import DamagedError, check_complete
from t2t_multimodel.training.staging import remove

_log = logging.getLogger(__name__)
_NAME = re.compile(r"model\.ckpt-(\d+)")
_DAMAGED = ".damaged"


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


def is_checkpoint_name(name: str) -> bool:
    """Returns whether a folder of that name is a checkpoint."""
    return _NAME.fullmatch(name) is not None


def is_complete(directory: str | os.PathLike, step: int) -> bool:
    """Returns whether a checkpoint has all its files in full length (none is read)."""
    try:
        check_complete(checkpoint_path(directory, step))
    except DamagedError:
        return False
    return True


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """Returns what a checkpoint says of itself, after a check of all its files.

    Raises:
        UserError: If it is not there, or another version of the program wrote it.
        DamagedError: If a file of it is damaged.
    """
    if not path.is_dir():
        steps = ", ".join(map(str, checkpoint_steps(path.parent))) or "none"
        raise UserError(f"no checkpoint {path}; steps there are: {steps}")
    return checkpoint_files.read_description(path)


def newest_whole(
    directory: pathlib.Path, read: Callable[[int], Any]
) -> tuple[int | None, list[int]]:
    """Reads the newest checkpoint that is whole, and warns of those that are not.

    Args:
        directory: The output directory. Others may write and remove checkpoints in it
            meanwhile.
        read: Reads that of a step; may raise `DamagedError`.

    Returns:
        The step that was read, `None` if there is no checkpoint; and the damaged ones.

    Raises:
        UserError: If all are damaged.
    """
    damaged: dict[int, DamagedError] = {}
    gone: set[int] = set()
    while True:
        steps = [s for s in checkpoint_steps(directory) if s not in (*damaged, *gone)]
        if not steps:
            break
        step = steps[-1]
        try:
            read(step)
        except UserError as error:
            if not checkpoint_path(directory, step).is_dir():
                gone.add(step)
            elif isinstance(error, DamagedError):
                damaged[step] = error
            else:
                raise
            continue
        for bad, error in damaged.items():
            _log.warning("%s; step %d is used in place of step %d", error, step, bad)
        return step, list(damaged)
    if damaged:
        steps_tried = ", ".join(map(str, damaged))
        raise UserError(
            f"no checkpoint in {directory} is whole (steps {steps_tried}): "
            f"{next(iter(damaged.values()))}; copy a good one there, or remove them to "
            "begin anew"
        )
    return None, []


def last_good(directory: pathlib.Path) -> str:
    """Says from which step a run goes on when a save has failed."""
    whole = [s for s in checkpoint_steps(directory) if is_complete(directory, s)]
    if not whole:
        return "no checkpoint was written before"
    return f"the last checkpoint, of step {whole[-1]}, is whole"


def remove_old(directory: pathlib.Path, keep_max: int, step: int) -> None:
    """Removes what is older than the newest whole checkpoints.

    Args:
        directory: The output directory.
        keep_max: Whole checkpoints to keep; 0 means all.
        step: That of a checkpoint that is kept in any case: the last one written.

    Raises:
        UserError: If one cannot be removed.
    """
    steps = checkpoint_steps(directory)
    whole = [s for s in steps if is_complete(directory, s)]
    if not keep_max or len(whole) <= keep_max:
        return
    for old in steps:
        if old < whole[-keep_max] and old != step:
            path = checkpoint_path(directory, old)
            with disk.writing(path):
                remove(path)


def put_aside(directory: pathlib.Path, step: int) -> None:
    """Renames a damaged checkpoint, so that its step can be saved again.

    Raises:
        UserError: If the directory cannot be written.
    """
    path = checkpoint_path(directory, step)
    aside = path.with_name(path.name + _DAMAGED)
    with disk.writing(aside):
        if aside.exists():
            shutil.rmtree(aside)
        path.rename(aside)
