"""Inputs of every problem of the tiny run, as clients send them."""

import numpy as np
import tensorflow as tf

from tests.decoding import tiny_run

TEXTS = [
    "the red cat sat on the mat",
    "",
    "a dog",
    "Ünseen_ 語\0 \\u words\nand lines " * 3,
    "red mats run on dogs",
]


def images():
    """Returns PNG and JPEG files of the problems' size and of others."""
    generator = np.random.default_rng(3)
    pixels = generator.integers(0, 256, (24, 40, 3)).astype("uint8")
    grey = generator.integers(0, 256, (16, 16, 1)).astype("uint8")
    return [
        tiny_run.png(generator),
        tf.io.encode_jpeg(pixels).numpy(),
        tiny_run.png(generator, 9),
        tf.io.encode_png(grey).numpy(),
    ]


def waves():
    """Returns sounds of other lengths, one shorter than a window of the spectrum."""
    generator = np.random.default_rng(4)
    return [tiny_run.wave(generator, samples) for samples in (1700, 3, 2500, 900)]


def raw_inputs(problem):
    """Returns what `Decoder.decode` takes."""
    return {"text": TEXTS, "image": images(), "audio": waves()}[problem.inputs.kind]


def tensors(problem, raw):
    """Returns a batch as a signature takes it, sounds padded with what is no zero."""
    if problem.inputs.kind != "audio":
        return {problem.inputs.kind: tf.constant(raw)}
    lengths = np.array([len(wave) for wave in raw], np.int32)
    padded = np.full((len(raw), lengths.max()), 0.5, np.float32)
    for row, wave in zip(padded, raw, strict=True):
        row[: len(wave)] = wave
    return {"waveform": tf.constant(padded), "num_samples": tf.constant(lengths)}
