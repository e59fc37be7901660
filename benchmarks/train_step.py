"""Speed and cost of a training step: `python -m benchmarks.train_step --help`.

Synthetic batches, the whole step (forward, backward, clipping, Adam). Run from the
repository's root. Prints, for each kind of step, the time of a step and what follows
from it, the operations by count (`flop_count`), and their share of the rate at which
the machine multiplies matrices in the same run.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from t2t_multimodel.training.cpu_memory import keep_freed_memory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keep_freed_memory()  # as the trainer does

import tensorflow as tf  # noqa: E402

from benchmarks.flop_count import TRAINING_FACTOR, counted_flops  # noqa: E402
from t2t_multimodel.data.features import (  # noqa: E402
    Audio,
    ClassLabel,
    Image,
    Text,
    Vocabulary,
)
from t2t_multimodel.data.spaces import SpaceId  # noqa: E402
from t2t_multimodel.hparams import HParams, make_hparams  # noqa: E402
from t2t_multimodel.models.factory import make_model  # noqa: E402
from t2t_multimodel.models.problem_spec import ProblemSpec  # noqa: E402
from t2t_multimodel.training.determinism import repeat_exactly  # noqa: E402
from t2t_multimodel.training.optimizer import make_adam  # noqa: E402
from t2t_multimodel.training.problem_gradients import (  # noqa: E402
    ProblemGradients,
)
from t2t_multimodel.training.step import TrainStep  # noqa: E402


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shapes:
    """Sizes of the synthetic problems.

    Args:
        vocab_size: Sub-words.
        text_length: Tokens of each side of a text.
        image_size_px: Rows and columns of a picture.
        image_rows: Pictures of a batch.
        classes: Classes of a picture.
        audio_frames: Frames of an utterance.
        audio_bins: Bins of its spectrogram.
        audio_rows: Utterances of a batch.
    """

    vocab_size: int = 8192
    text_length: int = 32
    image_size_px: int = 64
    image_rows: int = 8
    classes: int = 1000
    audio_frames: int = 800
    audio_bins: int = 80
    audio_rows: int = 4


SHAPES = {
    "mini": Shapes(
        vocab_size=512,
        text_length=16,
        classes=8,
        audio_frames=256,
        audio_bins=32,
    ),
    "full": Shapes(image_size_px=299, image_rows=2),
}
"""`mini`: as the miniature world's; `full`: as the paper's corpora."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A setting that Tensor2Tensor was timed in, on two cores.

    Args:
        kind: Kind of step.
        hparams_set: Our set.
        overrides: What makes it T2T's size.
        shapes: Sizes of the batches.
        t2t: Target tokens or examples a second of T2T.
    """

    kind: str
    hparams_set: str
    overrides: str
    shapes: Shapes
    t2t: float


_CIFAR = Shapes(image_size_px=32, image_rows=16, classes=10)
_SLICENET = "hidden_size=192,moe_num_experts=8,moe_hidden_size=192,batch_size=512"

COMPARISONS = {
    "multimodel_tiny, EN-DE": Comparison("text", "multimodel_tiny", "", Shapes(), 1300),
    "SliceNet body, EN-DE": Comparison(
        "text", "multimodel_base", _SLICENET, Shapes(), 1230
    ),
    "multimodel_base, EN-DE": Comparison("text", "multimodel_base", "", Shapes(), 88),
    "CIFAR-10": Comparison("image", "multimodel_tiny", "", _CIFAR, 10),
    "ImageNet, 299 px": Comparison("image", "multimodel_tiny", "", SHAPES["full"], 2.7),
}
"""T2T's rates are target tokens a second for text, pictures a second for pictures."""

KINDS = ("text", "image", "audio", "joint")


def specs_of(kind: str, shapes: Shapes) -> list[ProblemSpec]:
    """Returns the problems of a kind of step."""
    vocabulary = Vocabulary("synthetic", shapes.vocab_size)
    english = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=vocabulary)
    german = Text(space=SpaceId.GERMAN_TOKENS, vocabulary=vocabulary)
    picture = Image(height_px=shapes.image_size_px, width_px=shapes.image_size_px)
    names = tuple(f"class_{i}" for i in range(shapes.classes))
    speech = Audio(form="spectrogram", num_bins=shapes.audio_bins)
    sides = {
        "text": (english, german),
        "image": (picture, ClassLabel(names=names)),
        "audio": (speech, english),
    }
    sizes = {"synthetic": shapes.vocab_size}
    return [
        ProblemSpec(name, *pair, sizes)
        for name, pair in sides.items()
        if kind in (name, "joint")
    ]


def batch_of(name: str, shapes: Shapes, batch_size: int) -> dict[str, np.ndarray]:
    """Returns a full batch of random numbers, nothing of it padding."""
    rng = np.random.default_rng(0)

    def ids(rows):
        shape = (rows, shapes.text_length)
        return rng.integers(2, shapes.vocab_size, shape).astype(np.int32)

    if name == "text":
        rows = max(1, batch_size // shapes.text_length)
        return {"inputs": ids(rows), "targets": ids(rows)}
    if name == "image":
        shape = (shapes.image_rows, shapes.image_size_px, shapes.image_size_px, 3)
        labels = rng.integers(0, shapes.classes, shapes.image_rows).astype(np.int32)
        return {"inputs": rng.integers(0, 256, shape, np.uint8), "targets": labels}
    shape = (shapes.audio_rows, shapes.audio_frames, shapes.audio_bins)
    return {
        "inputs": rng.normal(size=shape).astype(np.float32),
        "inputs_length": np.full(shapes.audio_rows, shapes.audio_frames, np.int32),
        "targets": ids(shapes.audio_rows),
    }


class Step:
    """A training step on synthetic batches.

    Args:
        kind: One of `KINDS`.
        hparams: Size of the model and of text batches.
        shapes: Sizes of the problems.
        num_parallel: Problems computed side by side.
    """

    def __init__(
        self, kind: str, hparams: HParams, shapes: Shapes, num_parallel: int = 1
    ) -> None:
        specs = specs_of(kind, shapes)
        self.model = make_model(specs, hparams)
        self.arrays = {
            s.name: batch_of(s.name, shapes, hparams.batch_size) for s in specs
        }
        self.batches = tf.nest.map_structure(tf.constant, self.arrays)
        gradients = ProblemGradients(
            self.model,
            hparams,
            element_specs=tf.nest.map_structure(
                tf.TensorSpec.from_tensor, self.batches
            ),
            loss_multipliers={s.name: 1.0 for s in specs},
        )
        optimizer = make_adam(self.model.trainable_variables, hparams)
        self.train_step = TrainStep(
            gradients, optimizer, seed=0, num_parallel=num_parallel
        )
        self._number = 0

    def run(self) -> float:
        """Takes one step; returns its seconds."""
        began = time.perf_counter()
        result = self.train_step.gradients(self.batches, self._number)
        self.train_step.update(result, learning_rate=0.01)
        self._number += 1
        return time.perf_counter() - began

    @property
    def num_tokens(self) -> int:
        """Target tokens of a step."""
        targets = (batch["targets"] for batch in self.arrays.values())
        return sum(t.size for t in targets if t.ndim == 2)

    @property
    def num_examples(self) -> int:
        """Examples of a step."""
        return sum(len(batch["targets"]) for batch in self.arrays.values())

    def flops(self) -> int:
        """Returns the operations of a step, by count."""
        with counted_flops() as count:
            for name, batch in self.batches.items():
                self.model(batch, problem=name)
        return TRAINING_FACTOR * count.total

    def parameters(self) -> tuple[int, int]:
        """Returns all parameters, and those that one position passes."""
        total = active = 0
        for weight in self.model.weights:
            size = int(np.prod(weight.shape))
            total += size
            expert = "/moe/" in weight.path and len(weight.shape) == 3
            active += size * self._k // weight.shape[0] if expert else size
        return total, active

    @property
    def _k(self) -> int:
        return self.train_step.problems.hparams.moe_k


def matrix_product_flops(size: int = 2048, repeats: int = 5) -> float:
    """Returns the operations a second of a float32 matrix product; the best of some."""
    a = tf.random.normal((size, size))
    product = tf.function(lambda: tf.matmul(a, a)[0, 0])
    float(product())
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        float(product())
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


def measure(step: Step, repeats: int) -> dict[str, Any]:
    """Returns the figures of a step; the time is the median of `repeats`."""
    first_seconds = step.run()
    step.run()
    seconds = statistics.median(step.run() for _ in range(repeats))
    peak = matrix_product_flops()
    parameters, active = step.parameters()
    flops = step.flops()
    return {
        "parameters": parameters,
        "parameters_a_position": active,
        "first_step_seconds": first_seconds,
        "step_ms": 1000 * seconds,
        "target_tokens_a_second": step.num_tokens / seconds,
        "examples_a_second": step.num_examples / seconds,
        "gflop_a_step": flops / 1e9,
        "gflop_a_second": flops / seconds / 1e9,
        "matmul_gflop_a_second": peak / 1e9,
        "share_of_matmul": flops / seconds / peak,
        # Of the whole process, which has held all settings measured so far.
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yields the lines of a Markdown table, one setting a column."""
    yield "| | " + " | ".join(rows) + " |"
    yield "| --- |" + " ---: |" * len(rows)
    for figure in next(iter(rows.values())):
        cells = (_readable(figures[figure]) for figures in rows.values())
        yield f"| {figure.replace('_', ' ')} | " + " | ".join(cells) + " |"


def _readable(number: float) -> str:
    if isinstance(number, int) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def compare(repeats: int) -> dict[str, dict[str, Any]]:
    """Measures every setting of `COMPARISONS`, with T2T's rate and the ratio."""
    rows = {}
    for name, setting in COMPARISONS.items():
        hparams = make_hparams(setting.hparams_set, setting.overrides)
        figures = measure(Step(setting.kind, hparams, setting.shapes), repeats)
        rate = "target_tokens" if setting.kind == "text" else "examples"
        ours = figures[f"{rate}_a_second"]
        ratio = {"t2t_a_second": setting.t2t, "times_t2t": ours / setting.t2t}
        rows[name] = ratio | figures
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what the flags say and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hparams_set", default="multimodel_mini")
    parser.add_argument("--hparams", default="", help="overrides: name=value,...")
    parser.add_argument("--shapes", choices=SHAPES, default="mini")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--repeats", type=int, default=10, help="steps timed")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    parser.add_argument(
        "--compare_t2t",
        action="store_true",
        help="measure the settings that Tensor2Tensor was timed in instead",
    )
    parser.add_argument(
        "--num_parallel",
        type=int,
        default=1,
        help="problems of a joint step side by side; the trainer takes one a core",
    )
    args = parser.parse_args(argv)
    repeat_exactly()
    if args.num_parallel > 1:
        each = max(1, (os.cpu_count() or 1) // args.num_parallel)
        tf.config.threading.set_intra_op_parallelism_threads(each)
        tf.config.threading.set_inter_op_parallelism_threads(args.num_parallel)
    if args.compare_t2t:
        rows = compare(args.repeats)
    else:
        hparams = make_hparams(args.hparams_set, args.hparams)
        shapes = SHAPES[args.shapes]
        rows = {}
        for kind in args.kinds:
            step = Step(kind, hparams, shapes, args.num_parallel)
            rows[kind] = measure(step, args.repeats)
    print(*table(rows), sep="\n")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
