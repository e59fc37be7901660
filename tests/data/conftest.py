"""Small problems of every kind, with data made here."""

import pathlib
import struct
import zlib

import numpy as np
import pytest

from t2t_multimodel.data.features import (
    BYTES,
    Audio,
    ClassLabel,
    Image,
    Text,
    Vocabulary,
)
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.problems.problem import Problem

WORDS = ("one", "two", "three", "red", "green", "circle", "square", "left of")
SPECTROGRAM = Audio(form="spectrogram", sample_rate_hz=8000, num_bins=20)
WAVEFORM = Audio(form="waveform", sample_rate_hz=8000)


def png(pixels):
    """Returns an (H, W, 3) uint8 array as PNG, without any library."""
    height, width, _ = pixels.shape

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def sentence(rng, longest=30):
    return " ".join(rng.choice(WORDS, size=rng.integers(1, longest)))


def raw(feature, rng):
    match feature.kind:
        case "text":
            return sentence(rng)
        case "image":
            return png(rng.integers(0, 256, (8, 6, 3), dtype=np.uint8))
        case "audio":
            size = rng.integers(400, 3000)
            return rng.uniform(-0.5, 0.5, size).astype(np.float32)
        case _:
            return int(rng.integers(len(feature.names)))


class ToyProblem(Problem):
    """Examples of any two features."""

    num_shards = {"train": 3, "dev": 1}

    def __init__(self, inputs, targets, name="toy", examples=40):
        self.inputs = inputs
        self.targets = targets
        self.name = name
        self.num_examples = examples
        self.batch_size_multiplier = 8

    def examples(self, split, *, tmp_dir, seed):
        rng = np.random.default_rng([seed, len(split)])
        for _ in range(self.num_examples if split == "train" else 7):
            yield {"inputs": raw(self.inputs, rng), "targets": raw(self.targets, rng)}


FEATURES = {
    "bytes": Text(space=SpaceId.ENGLISH_CHARACTERS, vocabulary=BYTES),
    "tokens": Text(space=SpaceId.GERMAN_TOKENS, vocabulary=Vocabulary("toy", 60)),
    "image": Image(height_px=8, width_px=6),
    "spectrogram": SPECTROGRAM,
    "waveform": WAVEFORM,
    "label": ClassLabel(names=("cat", "dog", "owl")),
}


@pytest.fixture
def toy():
    def make(inputs="bytes", targets="tokens", **kwargs):
        return ToyProblem(FEATURES[inputs], FEATURES[targets], **kwargs)

    return make


@pytest.fixture
def generated(toy, tmp_path):
    """Returns a function that makes a toy problem and its data."""
    from t2t_multimodel.data.generate import generate

    def make(
        inputs="bytes", targets="tokens", **kwargs
    ) -> tuple[Problem, pathlib.Path]:
        problem = toy(inputs, targets, **kwargs)
        generate(
            [problem], tmp_path, tmp_path / "tmp", num_processes=1, say=lambda _: None
        )
        return problem, tmp_path

    return make
