"""Sound files of any kind to a waveform of one channel at the rate wanted.

WAV (PCM of 8 to 32 bits) and NIST SPHERE are read here; FLAC, Ogg, AIFF, WAV of floats
and whatever else libsndfile knows through the package `soundfile`, if it is installed.
What a file is, its first bytes say, not its name.
"""

import importlib
import io
import os
import pathlib

import numpy as np

from t2t_multimodel.data import resampling, sphere, wav_files
from t2t_multimodel.errors import UserError

SUFFIXES = (
    ".wav",
    ".flac",
    ".sph",
    ".wv1",
    ".wv2",
    ".ogg",
    ".opus",
    ".mp3",
    ".aiff",
    ".aif",
    ".au",
)
"""Endings tried, in this order, where a list names a file without one."""


def read_waveform(
    path: str | os.PathLike[str], sample_rate_hz: int, channel: int | None = None
) -> np.ndarray:
    """Returns the waveform of a sound file.

    Args:
        path: A WAV or SPHERE file, or with the package `soundfile` another one.
        sample_rate_hz: The rate wanted; other rates are converted (`resampling`).
        channel: The channel wanted, counted from 1; `None` averages all.

    Returns:
        `(samples,)` float32 within [-1, 1].

    Raises:
        UserError: If the file is missing, cut off, empty, of an unknown kind, or has
            no such channel.
    """
    waveform, rate = read_sound(path, channel)
    resampled = resampling.resample(waveform, rate, sample_rate_hz)
    # Between two samples the sound may be louder than at either.
    return resampled if resampled is waveform else np.clip(resampled, -1.0, 1.0)


def read_sound(
    path: str | os.PathLike[str], channel: int | None = None
) -> tuple[np.ndarray, int]:
    """Returns the waveform of a sound file at its own rate, and that rate in Hz.

    Without TensorFlow; arguments, result and errors are those of `read_waveform`.
    """
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read sound {path}: {error.strerror}") from None
    try:
        samples, rate = _decode(data, path)
        waveform = _one_channel(samples, channel)
        _check(waveform)
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    return waveform, rate


def _decode(data: bytes, path: pathlib.Path) -> tuple[np.ndarray, int]:
    """Returns `(samples, channels)` float32 and the rate."""
    if not data:
        raise UserError("is empty, a file of 0 bytes; take it away or get it again")
    if data.startswith(sphere.MAGIC):
        return sphere.decode(data, path)
    if data.startswith(wav_files.MAGIC):
        try:
            return wav_files.decode(data)
        except wav_files.UnknownWavEncoding as error:
            wav_files.check_whole(data)  # libsndfile takes what is left.
            return _decode_with_soundfile(data, str(error))
    return _decode_with_soundfile(data, "is neither WAV nor SPHERE")


def _decode_with_soundfile(data: bytes, what: str) -> tuple[np.ndarray, int]:
    try:
        soundfile = importlib.import_module("soundfile")
    # OSError: the package is there, and the libsndfile that it needs is not.
    except (ImportError, OSError):
        raise UserError(
            f"{what}; FLAC, Ogg, AIFF and others need the package soundfile: "
            "pip install 't2t-multimodel[audio]', or convert it to 16-bit WAV"
        ) from None
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            expected, rate = file.frames, file.samplerate
            samples = file.read(dtype="float32", always_2d=True)
    except (RuntimeError, TypeError) as error:
        raise UserError(
            f"{what}, and soundfile cannot read it: {_first_line(error)}"
        ) from None
    if len(samples) < expected:
        raise UserError(
            f"is cut off: its header counts {expected} samples, it holds "
            f"{len(samples)}; copy it again from its source"
        )
    return samples, rate


def _one_channel(samples: np.ndarray, channel: int | None) -> np.ndarray:
    if channel is None:
        return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if not 1 <= channel <= samples.shape[1]:
        raise UserError(
            f"has {samples.shape[1]} channels, channel {channel} was asked for; "
            "channels are counted from 1"
        )
    return np.ascontiguousarray(samples[:, channel - 1])


def _check(waveform: np.ndarray) -> None:
    if not waveform.size:
        raise UserError("holds no samples")
    loudest = np.max(np.abs(waveform))
    if not loudest <= 1.0:  # NaN, too
        raise UserError(
            f"has samples up to {loudest}; expected floats within [-1, 1]; scale it"
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
