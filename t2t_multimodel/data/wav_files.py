"""WAV files of PCM samples, 8 to 32 bits wide."""

import io
import wave

import numpy as np

from t2t_multimodel.errors import UserError

MAGIC = b"RIFF"
"""How a WAV file begins."""


class UnknownWavEncoding(UserError):
    """A WAV file that holds something else than PCM, such as floats."""


def decode(data: bytes) -> tuple[np.ndarray, int]:
    """Returns the samples of a WAV file and their rate.

    Args:
        data: The file.

    Returns:
        `(samples, channels)` float32 within [-1, 1], and the rate in Hz.

    Raises:
        UserError: If the file is cut off or broken; `UnknownWavEncoding` if it is not
            PCM. The message begins with the verb, for the caller to name the file.
    """
    try:
        with wave.open(io.BytesIO(data), "rb") as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            rate, expected = file.getframerate(), file.getnframes()
            body = file.readframes(expected)
    except EOFError:
        raise UserError("is cut off in the WAV header") from None
    except wave.Error as error:
        if "unknown format" in str(error):
            raise UnknownWavEncoding(f"is WAV of {error}; expected PCM") from None
        raise UserError(f"is not a WAV file ({error})") from None
    if width > 4 or rate <= 0:
        raise UserError(
            f"has samples of {8 * width} bits at {rate} Hz; expected 8 to 32 bits"
        )
    frames = len(body) // (width * channels)
    if frames < expected:
        raise UserError(
            f"is cut off: its header counts {expected} samples, it holds {frames}; "
            "copy it again from its source"
        )
    return _to_float(body, width).reshape(frames, channels), rate


def check_whole(data: bytes) -> None:
    """Raises if a WAV file is shorter than its first header says.

    Raises:
        UserError: If it is.
    """
    expected = int.from_bytes(data[4:8], "little") + 8
    if len(data) < expected:
        raise UserError(
            f"is cut off: its header counts {expected} bytes, it holds {len(data)}; "
            "copy it again from its source"
        )


def _to_float(body: bytes, width: int) -> np.ndarray:
    raw = np.frombuffer(body, np.uint8).reshape(-1, width)
    if width == 1:  # The only width that is unsigned.
        return (raw[:, 0].astype(np.float32) - 128.0) / np.float32(128.0)
    if width == 3:
        # A zero byte below, so that the sign bit is where int32 has it.
        raw = np.concatenate([np.zeros_like(raw[:, :1]), raw], axis=1)
    samples = np.ascontiguousarray(raw).view("<i2" if width == 2 else "<i4")[:, 0]
    half = 1 << (15 if width == 2 else 31)
    return (samples / np.float64(half)).astype(np.float32)
