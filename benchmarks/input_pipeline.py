"""The input pipeline against the model: `python -m benchmarks.input_pipeline --help`.

For each modality: examples a second that the reader alone delivers (shards to batches,
as training reads them), and that a training step of the model consumes on the same
batches. The reader should be several times faster than the model, so that it costs
training little. Data is made in a temporary folder; run from the repository's root.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from t2t_multimodel.training.cpu_memory import keep_freed_memory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keep_freed_memory()  # as the trainer does

import tensorflow as tf  # noqa: E402

from t2t_multimodel.data import vocabularies  # noqa: E402
from t2t_multimodel.data.features import (  # noqa: E402
    BYTES,
    Audio,
    ClassLabel,
    Image,
    Text,
)
from t2t_multimodel.data.generate import generate  # noqa: E402
from t2t_multimodel.data.spaces import SpaceId  # noqa: E402
from t2t_multimodel.data.train_reader import TrainReader  # noqa: E402
from t2t_multimodel.hparams import HParams, make_hparams  # noqa: E402
from t2t_multimodel.models.factory import make_model  # noqa: E402
from t2t_multimodel.models.problem_spec import ProblemSpec  # noqa: E402
from t2t_multimodel.problems import Problem, make_problem  # noqa: E402
from t2t_multimodel.training.determinism import repeat_exactly  # noqa: E402
from t2t_multimodel.training.optimizer import make_adam  # noqa: E402
from t2t_multimodel.training.problem_gradients import (  # noqa: E402
    ProblemGradients,
)
from t2t_multimodel.training.step import TrainStep  # noqa: E402

FLOOR = 5.0
"""How many times faster than the model the reader should be."""


class Photographs(Problem):
    """JPEG files of the usual size of ImageNet's, cropped as training crops them."""

    name = "photographs_299"
    inputs = Image(height_px=299, width_px=299, augmentation="crop")
    targets = ClassLabel(names=tuple(f"class_{i}" for i in range(1000)))
    num_shards = {"train": 2}
    batch_size_multiplier = 256

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[dict[str, Any]]:
        """Yields coarse noise, enlarged: as smooth as a photograph."""
        rng = np.random.default_rng(seed)
        while True:
            coarse = rng.integers(0, 256, (38, 50, 3)).astype(np.float32)
            pixels = tf.cast(tf.image.resize(coarse, (375, 500), "bicubic"), tf.uint8)
            encoded = tf.io.encode_jpeg(pixels, quality=90).numpy()
            yield {"inputs": encoded, "targets": int(rng.integers(1000))}


class Utterances(Problem):
    """Eight seconds of noise at 16 kHz, and as many letters as are said in them."""

    name = "utterances_80_bins"
    inputs = Audio(form="spectrogram")
    targets = Text(space=SpaceId.ENGLISH_CHARACTERS, vocabulary=BYTES)
    num_shards = {"train": 2}
    batch_size_multiplier = 512

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[dict[str, Any]]:
        """Yields them."""
        rng = np.random.default_rng(seed)
        while True:
            waveform = rng.uniform(-0.5, 0.5, 8 * 16000).astype(np.float32)
            letters = rng.integers(97, 123, 100)
            yield {"inputs": waveform, "targets": bytes(letters.tolist()).decode()}


PROBLEMS = {
    "text": ("translate_ende_mini", "parsing_mini_tokens"),
    "image": ("image_mini", "caption_mini_tokens", "photographs_299"),
    "audio": ("audio_mini_tokens", "utterances_80_bins"),
}
"""Modality to the problems that are measured."""

_OWN = {kind.name: kind for kind in (Photographs, Utterances)}


class Rates(NamedTuple):
    """Examples a second.

    Attributes:
        examples_a_batch: Examples of a batch, in the mean.
        reader: What the reader alone delivers.
        model: What training steps alone consume.
    """

    examples_a_batch: float
    reader: float
    model: float


def measure(
    problem: Problem, data_dir: pathlib.Path, hparams: HParams, seconds: float
) -> Rates:
    """Returns the rates of one problem.

    Args:
        problem: Its training data is in `data_dir`.
        data_dir: Folder of the shards.
        hparams: Size of the model and of the batches.
        seconds: For how long each of the two runs, once it is warm.
    """
    batches = TrainReader(problem, data_dir, batch_size=hparams.batch_size, seed=0)
    kept = [next(batches) for _ in range(3)]
    sizes = [int(batch["example_id"].shape[0]) for batch in kept]
    began, read = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        read += int(next(batches)["example_id"].shape[0])
    reader = read / (time.perf_counter() - began)
    batches.close()

    step = _train_step(problem, data_dir, hparams, batches.element_spec)
    times: dict[int, list[float]] = {}
    began, number = time.perf_counter(), 0
    while number < 6 or time.perf_counter() - began < seconds:
        which = number % len(kept)
        if number == len(kept):  # All shapes were traced.
            began = time.perf_counter()
        started = time.perf_counter()
        result = step.gradients({problem.name: kept[which]}, number)
        step.update(result, learning_rate=0.01)
        if number >= len(kept):
            times.setdefault(which, []).append(time.perf_counter() - started)
        number += 1
    step_seconds = sum(statistics.median(taken) for taken in times.values())
    return Rates(statistics.mean(sizes), reader, sum(sizes) / step_seconds)


def _train_step(
    problem: Problem, data_dir: pathlib.Path, hparams: HParams, element_spec: Any
) -> TrainStep:
    sizes = {
        vocabulary.name: vocabularies.load(vocabulary, data_dir, "").vocab_size
        for vocabulary in problem.vocabularies()
    }
    spec = ProblemSpec(problem.name, problem.inputs, problem.targets, sizes)
    model = make_model([spec], hparams)
    gradients = ProblemGradients(
        model,
        hparams,
        element_specs={problem.name: element_spec},
        loss_multipliers={problem.name: 1.0},
    )
    return TrainStep(gradients, make_adam(model.trainable_variables, hparams), seed=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what the flags say; returns 1 if a reader is below the floor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--hparams_set", default="multimodel_tiny")
    parser.add_argument("--hparams", default="", help="overrides: name=value,...")
    parser.add_argument("--examples", type=int, default=200, help="of each problem")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement"
    )
    args = parser.parse_args(argv)
    repeat_exactly()
    hparams = make_hparams(args.hparams_set, args.hparams)
    below = []
    print("| problem | examples a batch | reader, examples/s | model | times |")
    print("| --- | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = pathlib.Path(folder)
        for name in [name for kind in args.kinds for name in PROBLEMS[kind]]:
            problem = _OWN[name]() if name in _OWN else make_problem(name)
            generate(
                [problem],
                data_dir,
                data_dir / "tmp",
                num_processes=1,
                max_cases=args.examples,
                say=lambda line: None,
            )
            rates = measure(problem, data_dir, hparams, args.seconds)
            times = rates.reader / rates.model
            print(
                f"| {name} | {rates.examples_a_batch:.1f} | {rates.reader:,.0f} | "
                f"{rates.model:,.1f} | {times:.1f} |",
                flush=True,
            )
            if times < FLOOR:
                below.append(name)
    load = os.getloadavg()[0]
    print(f"load of the machine {load:.1f} on {os.cpu_count()} cores")
    if below:
        print(f"below {FLOOR:g} times: {', '.join(below)}")
    return 1 if below else 0


if __name__ == "__main__":
    raise SystemExit(main())
