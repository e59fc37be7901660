"""Programs that are called as functions, in the process of the tests."""

import functools
import random
import sys

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.bin.t2t_mm_trainer import main
from t2t_multimodel.data import generate
from tests.bin.small_runs import PROBLEM_FILE, flags
from tests.registered_problems import new_ones_forgotten


@pytest.fixture
def leave_the_environment(monkeypatch, forget_new_problems):
    """What a program changes of its process is as it was after the test."""
    # t2t-mm-datagen hides the GPU from its own process.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A problem file and what it is about."""
    folder = tmp_path_factory.mktemp("trainer")
    (folder / "tiny.toml").write_text(PROBLEM_FILE)
    words = "red green blue cat dog mat sat ran saw the".split()
    generator = random.Random(1)
    sentences = [generator.choices(words, k=generator.randint(2, 6)) for _ in range(40)]
    for name, order in (("in.txt", 1), ("out.txt", -1)):
        lines = "".join(f"{' '.join(words[::order])}\n" for words in sentences)
        (folder / name).write_text(lines)
    pixels = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            picture = pixels.integers(0, 256, (16, 16, 3)).astype("uint8")
            file = folder / "pictures" / name / f"{number}.png"
            file.write_bytes(tf.io.encode_png(picture).numpy())
    return folder


@pytest.fixture(scope="module")
def with_data(folder):
    """The folder, after the trainer was told to generate the data itself."""
    one_process = functools.partial(generate.generate, num_processes=1)
    with pytest.MonkeyPatch.context() as patch, new_ones_forgotten():
        patch.setattr(generate, "generate", one_process)
        status = main(
            [*flags(folder, folder / "no"), "--generate_data", "--schedule=evaluate"]
        )
    assert status == 2  # there is nothing to evaluate
    return folder
