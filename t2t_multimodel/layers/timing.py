"""Timing signals: sines and cosines that tell positions apart."""

import math
from typing import Any

import numpy as np
from keras import ops

# T2T v1.0.3 signs only the first channels: 16 sines, then 16 cosines.
_T2T_TIMESCALES = 16
_MAX_TIMESCALE = 1e4  # positions a radian, of the slowest wave


def timing_signal(
    length: Any, depth: int, kind: str = "interleaved", *, start: Any = 0
) -> Any:
    """Returns the signal of positions `start` to `start + length - 1`.

    Args:
        length: Number of positions L, an integer or a scalar tensor.
        depth: Number of channels C.
        kind: `"interleaved"`: paper 2.2, channels 2d and 2d+1 are the sine and cosine
            of position * 10000^(-2d/depth). `"concatenated"`: T2T v1.4.4, depth/2
            sines, then depth/2 cosines. `"t2t_32"`: T2T v1.0.3, 16 sines, 16 cosines
            and zeros.
        start: First position, an integer or a scalar tensor; with a `length` of 1 also
            `(B,)`, one position for each row.

    Returns:
        `(L, C)` float32, or `(B, C)`.

    Raises:
        ValueError: on another `kind`, or on a depth below 32 with `"t2t_32"`.
    """
    if kind == "interleaved":
        waves = math.ceil(depth / 2)
        rates = _MAX_TIMESCALE ** (-2 * np.arange(waves) / depth)
    elif kind == "concatenated":
        waves = depth // 2
        rates = _geometric_rates(waves)
    elif kind == "t2t_32":
        waves = _T2T_TIMESCALES
        rates = _geometric_rates(waves)
        if depth < 2 * waves:
            raise ValueError(f"kind='t2t_32' needs a depth of 32, got depth={depth}")
    else:
        raise ValueError(
            f"kind must be 'interleaved', 'concatenated' or 't2t_32', got {kind!r}"
        )
    positions = ops.cast(ops.arange(length, dtype="int32") + start, "float32")
    angles = positions[:, None] * ops.convert_to_tensor(rates.astype("float32"))
    sines, cosines = ops.sin(angles), ops.cos(angles)  # (L, waves)
    if kind == "interleaved":
        signal = ops.reshape(ops.stack([sines, cosines], axis=-1), (-1, 2 * waves))
        return signal[:, :depth]  # an odd depth ends with a sine
    signal = ops.concatenate([sines, cosines], axis=-1)
    return ops.pad(signal, ((0, 0), (0, depth - 2 * waves)))


def _geometric_rates(waves: int) -> np.ndarray:
    """Radians a position of `waves` timescales from 1 to 10^4."""
    return _MAX_TIMESCALE ** (-np.arange(waves) / max(waves - 1, 1))
