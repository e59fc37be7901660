"""Raw examples to `tf.Example` records in T2T's schema; see `records`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import audio_features, encoded_images
from t2t_multimodel.data.raw_example import BadExample, RawExample, materialise
from t2t_multimodel.data.records import IMAGE_ID_KEY, StoredSide, stored_sides
from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem


def serialize(
    problem: Problem,
    example: RawExample | BadExample,
    encoders: Mapping[str, Any],
) -> bytes:
    """Returns the record of a raw example.

    Args:
        problem: Says what the two sides are.
        example: `{"inputs": ..., "targets": ...}` as `Problem.examples` yields it.
        encoders: Text encoders by side, from `vocabularies.encoders_for`.

    Raises:
        UserError: If a side is not what its feature declares, or cannot be read, or
            the example is a `BadExample`; begins with the example's place if it
            tells one.
    """
    if isinstance(example, BadExample):
        raise UserError(f"{example.place}: {example.reason}")
    fields: dict[str, tf.train.Feature] = {}
    for side in stored_sides(problem):
        if side.name not in example:
            raise UserError(
                f"an example of problem {problem.name!r} has no {side.name!r}, only "
                f"{sorted(example)}; every example needs inputs and targets"
            )
        try:
            fields |= _ENCODERS[side.feature.kind](
                side, materialise(example[side.name]), encoders.get(side.name)
            )
        except UserError as error:
            told = f"problem {problem.name!r}, {side.name}: {error}"
            place = str(example.get("place", ""))
            if place and place not in told:
                told = f"{place}: {told}"
            raise UserError(told) from None
    if "image_id" in example:
        fields[IMAGE_ID_KEY] = _ints([example["image_id"]])
    return tf.train.Example(
        features=tf.train.Features(feature=fields)
    ).SerializeToString(deterministic=True)


def _encode_text(side: StoredSide, text: Any, encoder: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        raise UserError(f"expected a str, got {type(text).__name__} {text!r:.60}")
    if side.says_what and not text.strip():
        raise UserError(
            f"expected the words of the {side.says_what}, got the empty text {text!r}"
        )
    return {side.key: _ints([*encoder.encode(text), EOS_ID])}


def _encode_label(side: StoredSide, label: Any, encoder: None) -> dict[str, Any]:
    count = len(side.feature.names)
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        raise UserError(f"expected a class index, got {label!r}")
    if not 0 <= label < count:
        raise UserError(
            f"class index {label} is outside 0..{count - 1} of the {count} class names"
        )
    return {side.key: _ints([int(label)])}


def _encode_image(side: StoredSide, encoded: Any, encoder: None) -> dict[str, Any]:
    if not isinstance(encoded, bytes):
        raise UserError(
            f"expected PNG or JPEG bytes, got {type(encoded).__name__} {encoded!r:.60}"
        )
    kind = encoded_images.image_format(encoded)
    # Training would stop at a picture that cannot be decoded; here its place is known.
    decode = tf.io.decode_png if kind == "png" else tf.io.decode_jpeg
    try:
        with tf.device("/CPU:0"):
            height, width, _ = decode(encoded, side.feature.channels).shape
    except tf.errors.InvalidArgumentError:
        raise UserError(
            f"the {kind.upper()} of {len(encoded)} bytes cannot be decoded; it is cut "
            "off or damaged, put a whole file in its place"
        ) from None
    return {
        f"{side.prefix}image/encoded": _bytes(encoded),
        f"{side.prefix}image/format": _bytes(kind.encode()),
        f"{side.prefix}image/height": _ints([height]),
        f"{side.prefix}image/width": _ints([width]),
    }


def _encode_audio(side: StoredSide, waveform: Any, encoder: None) -> dict[str, Any]:
    samples = np.asarray(waveform)
    if samples.dtype != np.float32 or samples.ndim != 1 or not samples.size:
        raise UserError(
            "expected a float32 waveform of one dimension with at least one sample, "
            f"got {samples.dtype} of shape {samples.shape}"
        )
    if not np.all(np.abs(samples) <= 1.0):
        raise UserError(
            f"samples must be within [-1, 1], got {np.min(samples)}..{np.max(samples)}"
        )
    if side.feature.form == "spectrogram":
        values = audio_features.log_mel_spectrogram_numpy(samples, side.feature)
    else:
        values = samples[:, np.newaxis]
    return {
        side.key: _floats(values),
        f"{side.prefix}audio/sample_count": _ints([values.shape[0]]),
        f"{side.prefix}audio/sample_width": _ints([values.shape[1]]),
    }


_ENCODERS = {
    "text": _encode_text,
    "class_label": _encode_label,
    "image": _encode_image,
    "audio": _encode_audio,
}


def _ints(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _floats(values: np.ndarray) -> tf.train.Feature:
    # The packed wire format by hand: item by item, it would take as long as the FFT.
    data = values.astype("<f4").tobytes()
    packed = b"\x0a" + _varint(len(data)) + data
    return tf.train.Feature(float_list=tf.train.FloatList.FromString(packed))


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
