"""Sound as T2T's TIMIT problems stored it: the bytes of a WAV file, one integer each.

Where all other records hold samples, those of T2T v1.0.x's `audio_timit_*` hold every
byte of the samples as an int64, with the number of samples, their width in bytes and
(not always) the number of channels beside. T2T's network read the bytes themselves;
here they become the waveform that they stand for.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from t2t_multimodel.errors import UserError

KEY = "inputs"
COUNT_KEY = "audio/sample_count"
_WIDTH_KEY = "audio/sample_width"
_CHANNELS_KEY = "audio/channel_count"


def is_in(record: bytes) -> bool:
    """Returns whether a record holds sound as bytes.

    Args:
        record: A serialised example of a problem whose stored inputs are sound.

    Raises:
        UserError: If it holds integers that are not the bytes of that many samples.
    """
    fields = tf.train.Example.FromString(record).features.feature
    values = fields[KEY].int64_list.value
    if not values:
        return False
    count, width, channels = (
        next(iter(fields[key].int64_list.value), 1 if key == _CHANNELS_KEY else 0)
        for key in (COUNT_KEY, _WIDTH_KEY, _CHANNELS_KEY)
    )
    if len(values) != count * width * channels or not 1 <= width <= 4:
        raise UserError(
            f"{len(values)} integers are no sound of {COUNT_KEY}={count} samples of "
            f"{_WIDTH_KEY}={width} bytes in {_CHANNELS_KEY}={channels} channels; "
            "expected one integer a byte, as T2T's TIMIT problems write them"
        )
    if min(values) < 0 or max(values) > 255:
        raise UserError(
            f"the integers of the sound go from {min(values)} to {max(values)}; "
            "expected bytes, 0..255, as T2T's TIMIT problems write them"
        )
    return True


def spec() -> dict[str, Any]:
    """Returns what `tf.io.parse_example` needs to know."""
    whole_number = tf.io.FixedLenFeature([], tf.int64)
    return {
        KEY: tf.io.RaggedFeature(tf.int64),
        COUNT_KEY: whole_number,
        _WIDTH_KEY: whole_number,
        _CHANNELS_KEY: tf.io.FixedLenFeature([], tf.int64, default_value=1),
    }


@tf.autograph.experimental.do_not_convert
def waveforms(fields: Mapping[str, Any]) -> tf.RaggedTensor:
    """Returns `(B, samples)` ragged float32 within [-1, 1]; runs in a graph.

    Samples are little-endian; of one byte they are unsigned, of more they are signed
    (WAV). Channels are averaged.

    Args:
        fields: What was parsed with `spec`.
    """

    def one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:
        values, count, width, channels = row
        parts = tf.reshape(values, tf.stack((count, channels, width)))
        shifted = tf.bitwise.left_shift(parts, 8 * tf.range(width))
        unsigned = tf.reduce_sum(shifted, axis=-1)
        half = tf.bitwise.left_shift(tf.constant(1, tf.int64), 8 * width - 1)
        negative = tf.where(unsigned >= half, unsigned - 2 * half, unsigned)
        signed = tf.where(tf.equal(width, 1), unsigned - half, negative)
        samples = tf.cast(signed, tf.float32) / tf.cast(half, tf.float32)
        return tf.reduce_mean(samples, axis=1)

    return tf.map_fn(
        one,
        tuple(fields[key] for key in (KEY, COUNT_KEY, _WIDTH_KEY, _CHANNELS_KEY)),
        fn_output_signature=tf.RaggedTensorSpec((None,), tf.float32, ragged_rank=0),
    )
