"""A trained run written as a SavedModel that TensorFlow Serving can take."""

import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from t2t_multimodel import __version__
from t2t_multimodel.data.feature_json import feature_to_json
from t2t_multimodel.data.text_encoder import TextEncoder
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.errors import UserError
from t2t_multimodel.export import fixed_hparams
from t2t_multimodel.export.signatures import make_signatures
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.training.checkpoint import load_weights
from t2t_multimodel.training.run_directory import Run

DESCRIPTION_FILE = "export.json"
"""Among the assets: what the signatures take and give."""

DEFAULT_SIGNATURE = "serving_default"

_FORMAT_VERSION = 1


class Exported(NamedTuple):
    """What was written.

    Attributes:
        path: `<export_dir>/<version>`.
        step: Of the checkpoint.
        num_bytes: Of all files.
        num_weight_bytes: Of the weights among them.
    """

    path: pathlib.Path
    step: int
    num_bytes: int
    num_weight_bytes: int


def export_run(
    run: Run,
    export_dir: str | os.PathLike,
    *,
    problem_names: Sequence[str] = (),
    checkpoint_path: str | os.PathLike | None = None,
    hparams: DecodeHParams = DecodeHParams(),  # noqa: B008  (frozen)
) -> Exported:
    """Writes `<export_dir>/<version>`, one above the versions that are there.

    It appears when it is complete. Weights that the problems do not use are left out.
    It computes in float32, also what was trained in bfloat16.

    Args:
        run: The run.
        export_dir: Folder of the versions; made if it is not there.
        problem_names: Problems to serve, the first one also by default; none means
            all.
        checkpoint_path: A checkpoint; `None` takes the latest of the run.
        hparams: How texts are decoded.

    Raises:
        UserError: If there is no such problem or checkpoint, or the folder cannot be
            written.
    """
    check_export_dir(export_dir)
    names = problem_names or [problem.name for problem in run.problems]
    problems = [run.problem(name) for name in names]
    specs = [spec for spec in run.specs() if spec.name in names]
    hparams_in_float32 = dataclasses.replace(run.hparams, compute_dtype="float32")
    model = make_model(specs, hparams_in_float32)
    step = load_weights(checkpoint_path or run.output_dir, model)
    return export_model(
        model, problems, run.encoders, export_dir, step=step, hparams=hparams
    )


def export_model(
    model: MultiModel,
    problems: Sequence[Problem],
    encoders: Mapping[str, TextEncoder],
    export_dir: str | os.PathLike,
    *,
    step: int,
    hparams: DecodeHParams = DecodeHParams(),  # noqa: B008  (frozen)
) -> Exported:
    """Writes a model as `export_run` writes that of a run.

    Args:
        model: The model.
        problems: Problems of the model to serve, the first one also by default.
        encoders: Vocabulary name to text encoder.
        export_dir: Folder of the versions; made if it is not there.
        step: Updates that the model has had.
        hparams: How texts are decoded.

    Raises:
        UserError: If the folder cannot be written.
    """
    check_export_dir(export_dir)
    signatures = make_signatures(model, problems, encoders, hparams)
    module = tf.Module()
    module.weights = _weights_read(model, signatures)
    signatures[DEFAULT_SIGNATURE] = signatures[problems[0].name]
    description = _describe(problems, step, hparams)
    path = _write(pathlib.Path(export_dir), module, signatures, description)
    files = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    num_weight_bytes = sum(
        w.dtype.size * w.shape.num_elements() for w in module.weights
    )
    return Exported(path, step, sum(files), num_weight_bytes)


def check_export_dir(export_dir: str | os.PathLike) -> None:
    """Refuses, before any work is done, a folder that cannot be written.

    Raises:
        UserError: If it is no folder, or neither it nor where it would be made can be
            written.
    """
    folder = pathlib.Path(export_dir).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise UserError(f"cannot export to {export_dir}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"cannot export to {export_dir}: no permission to write in {folder}"
        )


def _weights_read(model: Any, signatures: Mapping[str, Any]) -> list[tf.Variable]:
    """Returns the weights that a signature reads: not those of training alone."""
    captured = {
        id(tensor)
        for signature in signatures.values()
        for tensor in signature.captured_inputs
    }
    return [w.value for w in model.weights if id(w.value.handle) in captured]


def _describe(
    problems: Sequence[Problem], step: int, hparams: DecodeHParams
) -> dict[str, Any]:
    """Returns the content of `export.json`."""
    return {
        "format_version": _FORMAT_VERSION,
        "t2t_multimodel_version": __version__,
        "step": step,
        DEFAULT_SIGNATURE: problems[0].name,
        "decode_hparams": fixed_hparams.to_json(hparams),
        "problems": [
            {
                "name": problem.name,
                "inputs": feature_to_json(problem.inputs),
                "targets": feature_to_json(problem.targets),
            }
            for problem in problems
        ],
    }


def _write(
    export_dir: pathlib.Path,
    module: tf.Module,
    signatures: Mapping[str, Any],
    description: Mapping[str, Any],
) -> pathlib.Path:
    """Writes the next version and returns its folder."""
    # Servers take folders with numbers for names alone, so they do not see this one.
    partial = export_dir / f"partial-{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, DESCRIPTION_FILE)
            text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf-8")
            module.description = tf.saved_model.Asset(str(path))
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(
                module, str(partial), signatures=dict(signatures), options=options
            )
            _forget_gradients(partial / "saved_model.pb")
        return _take_version(partial, export_dir)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot export to {export_dir}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _forget_gradients(path: pathlib.Path) -> None:
    """Takes out the names of gradients, which nobody asks for after an export.

    TensorFlow would warn of their functions, which are not saved, at every loading;
    saved, they would take a fourth of the time that loading takes.
    """
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in saved.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                node.attr.pop("_gradient_op_type", None)
    path.write_bytes(saved.SerializeToString(deterministic=True))


def _take_version(partial: pathlib.Path, export_dir: pathlib.Path) -> pathlib.Path:
    """Gives a complete export the next number."""
    while True:
        numbers = [int(p.name) for p in export_dir.iterdir() if p.name.isdecimal()]
        final = export_dir / str(max(numbers, default=0) + 1)
        try:
            return partial.rename(final)
        except OSError:
            if not final.exists():  # else another export took the number meanwhile
                raise
