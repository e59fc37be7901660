"""The manifest of a data set: what the shards are, written when they are complete.

It lets the trainer say, before the first step, that data is missing, cut off, or
encoded with another vocabulary than the one that is there now.
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from t2t_multimodel.data import shards, versioned_json, vocabularies
from t2t_multimodel.data.feature_json import feature_to_json
from t2t_multimodel.data.features import Feature
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

FORMAT_VERSION = 1


@runtime_checkable
class HasSourceState(Protocol):
    """A problem that can tell when the files it is made from have changed."""

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a text that differs when a source file does; empty if none is there.

        Args:
            tmp_dir: Folder with the sources that have no path of their own.
        """
        ...


def path(data_dir: str | os.PathLike[str], data_name: str) -> pathlib.Path:
    """Returns the path of a manifest."""
    return pathlib.Path(data_dir) / f"{data_name}.manifest.json"


def describe(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    tmp_dir: pathlib.Path,
    *,
    seed: int,
    max_cases: int = 0,
) -> dict[str, Any]:
    """Returns what the shards of a problem depend on.

    Two generations with an equal description write equal shards. The problem must
    not be reversed; the vocabularies must be in `data_dir`.
    """
    described = _description(problem, data_dir) | {
        "format_version": FORMAT_VERSION,
        "problem": problem.data_name,
        "num_shards": dict(problem.num_shards),
        "seed": seed,
        "max_cases": max_cases,
    }
    if isinstance(problem, HasSourceState):
        described["source_state"] = problem.source_state(tmp_dir)
    return described


def read(data_dir: str | os.PathLike[str], data_name: str) -> dict[str, Any] | None:
    """Returns the manifest of a data set, `None` if there is none.

    Raises:
        UserError: If the file is no manifest, or one of a later version.
    """
    file = path(data_dir, data_name)
    remedy = "delete this manifest and generate the data again"
    try:
        return versioned_json.read(file, FORMAT_VERSION, remedy)
    except FileNotFoundError:
        return None


def write(
    data_dir: str | os.PathLike[str], data_name: str, manifest: dict[str, Any]
) -> None:
    """Writes a manifest, whole or not at all."""
    file = path(data_dir, data_name)
    unfinished = file.with_name(f"unfinished.{file.name}")
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(file)


def check_ready(problems: Sequence[Problem], data_dir: str | os.PathLike[str]) -> None:
    """Checks, before anything is trained or evaluated, that all data is there.

    Shards without a manifest are taken to be T2T's own; of them only the names and
    the vocabulary file can be checked.

    Raises:
        UserError: If data is missing, incomplete, cut off, or made for other
            features or another vocabulary; the message ends with the command to run.
    """
    for problem in problems:
        command = vocabularies.datagen_command(data_dir, [problem.name])
        manifest = read(data_dir, problem.data_name)
        if manifest is None and shards.find_shards(
            data_dir, problem.data_name, "train"
        ):
            vocabularies.encoders_for(problem, data_dir)
            continue
        if manifest is None:
            raise UserError(
                f"no data of problem {problem.name!r} in {data_dir}; make it with: "
                f"{command}"
            )
        if not manifest.get("complete"):
            raise UserError(
                f"the data of problem {problem.name!r} in {data_dir} was not made to "
                f"the end; continue with: {command}"
            )
        vocabularies.encoders_for(problem, data_dir)
        _check_description(problem, data_dir, manifest, command)
        _check_shards(problem, data_dir, manifest, command)


def _check_description(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    manifest: dict[str, Any],
    command: str,
) -> None:
    expected = _description(problem, data_dir)
    for side in ("inputs", "targets"):
        stored = manifest.get("features", {}).get(side)
        if stored != expected["features"][side]:
            raise UserError(
                f"the {side} of the data of problem {problem.name!r} in {data_dir} "
                f"were made as {stored}, the problem now declares "
                f"{expected['features'][side]}; make the data again with: {command}"
            )
    for file, digest in expected["vocabularies"].items():
        stored = manifest.get("vocabularies", {}).get(file)
        if stored != digest:
            raise UserError(
                f"the data of problem {problem.name!r} in {data_dir} was encoded with "
                f"another {file} than the one there now; put the old file back, or "
                f"make the data again with: {command}"
            )


def _check_shards(
    problem: Problem,
    data_dir: str | os.PathLike[str],
    manifest: dict[str, Any],
    command: str,
) -> None:
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            file = pathlib.Path(data_dir) / shard["name"]
            if not file.is_file():
                raise UserError(
                    f"shard {file} of problem {problem.name!r} is missing; make it "
                    f"again with: {command}"
                )
            size = file.stat().st_size
            if size != shard["bytes"]:
                raise UserError(
                    f"shard {file} of problem {problem.name!r} has {size} bytes, it "
                    f"was written with {shard['bytes']}; make it again with: {command}"
                )


def _description(problem: Problem, data_dir: str | os.PathLike[str]) -> dict[str, Any]:
    stored = (problem.inputs, problem.targets)
    if problem.is_reversed:
        stored = stored[::-1]
    digests = {}
    for vocabulary in sorted(problem.vocabularies(), key=lambda v: v.file_name):
        if vocabulary.target_size:
            file = pathlib.Path(data_dir) / vocabulary.file_name
            digests[vocabulary.file_name] = vocabularies.file_sha256(file)
    return {
        "features": {
            side: _stored_part(feature)
            for side, feature in zip(("inputs", "targets"), stored, strict=True)
        },
        "vocabularies": digests,
    }


def _stored_part(feature: Feature) -> dict[str, Any]:
    """Returns the fields that change what stands in a record."""
    described = feature_to_json(feature)
    # Images are stored as they come, resized and varied when read; a space is only a
    # number that the model is told.
    for field in ("space", "height_px", "width_px", "channels", "augmentation"):
        described.pop(field, None)
    return described
