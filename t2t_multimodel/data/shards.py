"""Names of shard files, as T2T gives them, and finding them in a folder."""

import os
import pathlib
import re

from t2t_multimodel.errors import UserError


def shard_name(data_name: str, split: str, index: int, count: int) -> str:
    """Returns T2T's name of a shard: `x-train-00000-of-00010`."""
    return f"{data_name}-{split}-{index:05d}-of-{count:05d}"


def index_path(
    data_dir: str | os.PathLike[str], data_name: str, split: str
) -> pathlib.Path:
    """Returns the path of the index of a split."""
    return pathlib.Path(data_dir) / f"{data_name}.{split}.index.npz"


def find_shards(
    data_dir: str | os.PathLike[str], data_name: str, split: str
) -> list[pathlib.Path]:
    """Returns the shards of a split in order; empty if there are none.

    Raises:
        UserError: If some are missing, or shards of two generations are mixed.
    """
    pattern = re.compile(
        rf"{re.escape(data_name)}-{re.escape(split)}-(\d{{5}})-of-(\d{{5}})"
    )
    folder = pathlib.Path(data_dir)
    found: dict[int, dict[int, pathlib.Path]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match:
            found.setdefault(int(match[2]), {})[int(match[1])] = path
    if not found:
        return []
    if len(found) > 1:
        counts = " and ".join(f"of-{count:05d}" for count in sorted(found))
        raise UserError(
            f"{folder} holds shards {data_name}-{split}-* both {counts}; delete those "
            "that are out of date"
        )
    [(count, shards)] = found.items()
    missing = [index for index in range(count) if index not in shards]
    if missing:
        name = shard_name(data_name, split, missing[0], count)
        raise UserError(
            f"{folder} lacks {len(missing)} of the {count} shards of {data_name} "
            f"{split}, the first is {name}"
        )
    return [shards[index] for index in range(count)]
