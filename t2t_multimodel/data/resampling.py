"""From one sample rate to another: band-limited interpolation.

Smith's windowed sinc in polyphase form: every output sample is a weighted sum of the
input samples around it, with a Kaiser-windowed sinc cut off a little below the lower
of the two Nyquist frequencies. Width, window and roll-off are those of torchaudio's
and resampy's `kaiser_best`.
"""

import functools
import math

import numpy as np

_ZERO_CROSSINGS = 64
_ROLLOFF = 0.9475937167399596
_KAISER_BETA = 14.769656459379492


def resample(waveform: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Returns a waveform at another rate.

    What is above 0.947 of the lower Nyquist frequency is damped. Silence is taken to
    be before and after.

    Args:
        waveform: `(samples,)` float32.
        from_hz: Its rate.
        to_hz: The rate wanted.

    Returns:
        `(ceil(samples * to_hz / from_hz),)` float32; the same array at the same rate.
    """
    if from_hz == to_hz:
        return waveform
    # Problems are listed without TensorFlow; only making their data needs it.
    import tensorflow as tf

    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    filters, reach = _filters(up, down)
    count = -(-len(waveform) * up // down)
    # One step of the convolution moves by `down` samples and makes `up` new ones.
    padded = np.pad(waveform, (reach, reach + down))
    with tf.device("/CPU:0"):
        made = tf.nn.conv1d(
            padded[None, :, None], filters, stride=down, padding="VALID"
        )
    return np.reshape(made.numpy(), -1)[:count]


@functools.lru_cache(maxsize=8)
def _filters(up: int, down: int) -> tuple[np.ndarray, int]:
    """Returns `(taps, 1, up)` float32 filters, and samples before the first output.

    Args:
        up: Output samples of a period.
        down: Input samples of the same period.
    """
    cutoff = _ROLLOFF * min(1.0, up / down)  # of the input's Nyquist frequency
    half_width = _ZERO_CROSSINGS / cutoff  # in input samples
    reach = math.ceil(half_width)
    taps = np.arange(-reach, reach + down)[:, None]  # (taps, 1)
    distance = taps - np.arange(up) * down / up  # (taps, up)
    inside = np.clip(1.0 - (distance / half_width) ** 2, 0.0, None)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    window[np.abs(distance) > half_width] = 0.0
    kernel = np.sinc(distance * cutoff) * window
    kernel /= kernel.sum(axis=0)  # A constant stays what it is.
    return kernel[:, None, :].astype(np.float32), reach
