"""Waveforms to log-mel spectrograms.

Tensor2Tensor never published how its spectrograms were made; 25 ms windows every
10 ms and 80 mel bins are its later Librispeech settings (v1.3), the rest is ours.
"""

import functools

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.features import Audio
from t2t_multimodel.errors import UserError

LOWEST_HZ = 20.0
"""Lower edge of the first mel bin (T2T's Librispeech problems)."""

# Below the power of 16-bit rounding noise: silence stays finite, speech is untouched.
_FLOOR = 1e-6


def frame_sizes(feature: Audio) -> tuple[int, int, int]:
    """Returns window, hop and FFT length of a spectrogram, in samples."""
    window = round(feature.frame_seconds * feature.sample_rate_hz)
    hop = round(feature.hop_seconds * feature.sample_rate_hz)
    return window, hop, 1 << (window - 1).bit_length()


def num_frames(num_samples: int, feature: Audio) -> int:
    """Returns the frames of a waveform; a shorter one than a window gives one."""
    window, hop, _ = frame_sizes(feature)
    return 1 + max(0, num_samples - window) // hop


@tf.autograph.experimental.do_not_convert
def log_mel_spectrogram(waveform: tf.Tensor, feature: Audio) -> tf.Tensor:
    """Returns the normalised log-mel spectrogram of one utterance; runs in a graph.

    Hann windows, magnitudes of the FFT, `num_bins` triangular mel filters from 20 Hz
    to half the sample rate, logarithm. Each utterance is then shifted and scaled to
    mean 0 and standard deviation 1 over all its frames and bins together, so that
    loudness and microphone gain do not matter and the shape of the spectrum is kept.

    Args:
        waveform: `(samples,)` float32 within [-1, 1].
        feature: Says rate, window, hop and bins.

    Returns:
        `(frames, num_bins)` float32.
    """
    window, hop, fft = frame_sizes(feature)
    missing = tf.maximum(0, window - tf.shape(waveform)[0])
    waveform = tf.pad(waveform, [[0, missing]])
    magnitudes = tf.abs(tf.signal.stft(waveform, window, hop, fft))
    mel = tf.matmul(magnitudes, _mel_filters(feature))
    logs = tf.math.log(mel + _FLOOR)
    mean, variance = tf.nn.moments(logs, axes=(0, 1))
    return (logs - mean) * tf.math.rsqrt(variance + _FLOOR)


def log_mel_spectrogram_numpy(waveform: np.ndarray, feature: Audio) -> np.ndarray:
    """Returns `log_mel_spectrogram` of an array, on the CPU and traced once."""
    with tf.device("/CPU:0"):
        return _traced(feature)(waveform).numpy()


@functools.cache
def _mel_matrix(feature: Audio) -> np.ndarray:
    *_, fft = frame_sizes(feature)
    with tf.device("/CPU:0"), tf.init_scope():
        return tf.signal.linear_to_mel_weight_matrix(
            feature.num_bins,
            fft // 2 + 1,
            feature.sample_rate_hz,
            LOWEST_HZ,
            feature.sample_rate_hz / 2,
        ).numpy()


def _mel_filters(feature: Audio) -> tf.Tensor:
    filters = _mel_matrix(feature)
    if not np.all(filters.max(axis=0) > 0.0):
        empty = int(np.sum(filters.max(axis=0) == 0.0))
        spacing = feature.sample_rate_hz / (2.0 * (filters.shape[0] - 1))
        raise UserError(
            f"num_bins={feature.num_bins} is too many: {empty} mel bins are narrower "
            f"than the {spacing:.0f} Hz between the lines of the spectrum; give fewer "
            "bins or longer frames"
        )
    return tf.constant(filters)


@functools.cache
def _traced(feature: Audio):
    return tf.function(
        functools.partial(log_mel_spectrogram, feature=feature),
        input_signature=[tf.TensorSpec((None,), tf.float32)],
        autograph=False,
    )
