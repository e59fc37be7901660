"""Exports in processes that do not have this project: the decoder's answers again."""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.decoding import tiny_run
from tests.export import client
from tests.export.requests import raw_inputs, tensors, waves

DOCS = pathlib.Path(__file__).parents[2] / "docs"
# From another folder and without PYTHONPATH, nothing of the checkout is found.
ENVIRONMENT = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
REQUIREMENTS = ["tensorflow>=2.21,<2.22", "tensorflow-text>=2.21.1,<2.22"]


def as_json(tensor):
    if tensor.dtype == tf.string:
        return [base64.b64encode(value).decode() for value in tensor.numpy()]
    return tensor.numpy().tolist()


def run_client(python, export, folder, *more):
    """Returns what a client answers to all inputs of all problems, padded and alone."""
    wanted, batches = [], []
    for problem in tiny_run.problems():
        raw = raw_inputs(problem)
        for batch in (raw, raw[:1], raw[-1:]):
            inputs = tensors(problem, batch)
            wanted.append((problem.name, {n: as_json(t) for n, t in inputs.items()}))
            batches.append((problem, batch))
    (folder / "requests.json").write_text(json.dumps(wanted))
    (folder / "client.py").write_text(pathlib.Path(client.__file__).read_text())
    done = subprocess.run(
        [python, "client.py", export, "requests.json", "answers.json", *more],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads((folder / "answers.json").read_text())
    return zip(batches, answers, strict=True)


def check(decoder, answered):
    for (problem, batch), outputs in answered:
        results = decoder.decode(problem.name, batch)
        if problem.targets.kind == "class_label":
            names = [[scored.name for scored in result.classes] for result in results]
            assert outputs["labels"] == names
            expected = [
                [scored.probability for scored in result.classes] for result in results
            ]
            np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-5)
        else:
            assert outputs["outputs"] == [result.text for result in results]


def test_an_export_needs_nothing_of_this_project(decoder, exported, tmp_path):
    check(decoder, run_client(sys.executable, exported.path, tmp_path, "--block"))


@pytest.mark.slow
def test_an_export_needs_tensorflow_and_tensorflow_text_alone(
    decoder, exported, tmp_path
):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", *REQUIREMENTS]
    subprocess.run(install, check=True)
    find = "from importlib.util import find_spec; print(find_spec('t2t_multimodel'))"
    found = subprocess.run(
        [python, "-c", find],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "None\n"
    check(decoder, run_client(python, exported.path, tmp_path))


def test_the_client_of_the_docs_runs(exported, tmp_path):
    text = (DOCS / "serving.md").read_text(encoding="utf-8")
    code = re.search(r"A client of ten lines\n\n```python\n(.*?)```", text, re.S)[1]
    for requirement in REQUIREMENTS:
        assert f'"{requirement}"' in text
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "1").symlink_to(exported.path)
    picture = tiny_run.png(np.random.default_rng(0))
    (tmp_path / "picture.png").write_bytes(picture)
    sound = tf.audio.encode_wav(waves()[0][:, None], 8000)
    (tmp_path / "sound.wav").write_bytes(sound.numpy())
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "gradient" not in done.stderr
    assert done.stdout.count("outputs") == 2 and done.stdout.count("labels") == 1
