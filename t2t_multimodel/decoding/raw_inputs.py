"""What a user hands in, a line or a file, to what the model reads."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import audio_features, encoded_images, sound_files
from t2t_multimodel.data.features import Audio, Feature, Image
from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.errors import UserError

RawInput = str | os.PathLike | bytes | np.ndarray
"""A text; a path to or the bytes of a picture; a path to or the samples of a sound."""


def read_input(feature: Feature, raw: RawInput, encoder: Any = None) -> np.ndarray:
    """Returns one input, prepared exactly as in the training data.

    Args:
        feature: What the input is.
        raw: Text: a `str`. Image: path or PNG or JPEG bytes. Audio: path of a WAV,
            SPHERE or (with `soundfile`) FLAC file of any rate, or a float32 waveform
            within [-1, 1] at the feature's rate.
        encoder: The text encoder of a text.

    Returns:
        Text `(S,)` int32 with EOS; image `(H, W, channels)` uint8; spectrogram
        `(frames, bins)` or waveform `(samples,)` float32.

    Raises:
        UserError: If the input cannot be read.
    """
    match feature.kind:
        case "text":
            if not isinstance(raw, str):
                raise UserError(f"expected a text, got {type(raw).__name__}")
            return np.array([*encoder.encode(raw), EOS_ID], np.int32)
        case "image":
            return _read_image(feature, raw)
        case "audio":
            return _read_audio(feature, raw)
        case kind:
            raise UserError(f"inputs of kind {kind} cannot be decoded")


def batch_inputs(feature: Feature, rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the inputs of a batch, each padded with zeros to the longest.

    Args:
        feature: What the inputs are.
        rows: From `read_input`.
    """
    if feature.kind == "image":
        return {"inputs": np.stack(rows)}
    lengths = np.array([len(row) for row in rows], np.int32)
    shape = (len(rows), lengths.max(), *rows[0].shape[1:])
    padded = np.zeros(shape, rows[0].dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    batch = {"inputs": padded}
    return batch if feature.kind == "text" else batch | {"inputs_length": lengths}


def _read_image(feature: Image, raw: RawInput) -> np.ndarray:
    name = "the image"
    if not isinstance(raw, bytes):
        name, raw = f"image {raw}", _read_bytes(raw)
    try:
        encoded_images.image_format(raw)
        with tf.device("/CPU:0"):
            return encoded_images.decode_image(tf.constant(raw), feature).numpy()
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except tf.errors.InvalidArgumentError as error:
        raise UserError(
            f"{name} is broken: {_first_line(error.message)}; give a whole PNG or "
            "JPEG file"
        ) from None


def _read_audio(feature: Audio, raw: RawInput) -> np.ndarray:
    if isinstance(raw, np.ndarray):
        waveform = raw
    else:
        waveform = sound_files.read_waveform(_path(raw), feature.sample_rate_hz)
    if waveform.ndim != 1 or waveform.dtype != np.float32 or not waveform.size:
        raise UserError(
            "expected a float32 waveform of one dimension with at least one sample, "
            f"got {waveform.dtype} of shape {waveform.shape}"
        )
    if feature.form == "waveform":
        return waveform
    return audio_features.log_mel_spectrogram_numpy(waveform, feature)


def _read_bytes(raw: Any) -> bytes:
    path = _path(raw)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _path(raw: Any) -> pathlib.Path:
    if not isinstance(raw, str | os.PathLike):
        raise UserError(f"expected the path of a file, got {type(raw).__name__}")
    if "\0" in os.fspath(raw):  # else a ValueError of the operating system's
        raise UserError(f"{os.fspath(raw)!r} is not the path of a file")
    return pathlib.Path(raw).expanduser()


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
