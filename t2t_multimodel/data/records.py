"""Where things stand in `tf.Example` records of T2T's schema, and records to batches.

The keys are Tensor2Tensor's (v1.0.x and v1.4.4), so that its shards can be read and
ours can be read by it. A record always stands in the order in which the problem was
generated; a reversed problem reads the same record with the sides exchanged.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from t2t_multimodel.data import encoded_images, wav_bytes
from t2t_multimodel.data.features import Audio, Feature
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

SIDES = ("inputs", "targets")
_LABEL_KEY = "image/class/label"
IMAGE_ID_KEY = "image/image_id"
"""Of a caption's picture: TensorFlow's im2txt; T2T's captions have no such thing."""


@dataclasses.dataclass(frozen=True)
class StoredSide:
    """Where one side of a problem stands in a record.

    Args:
        name: `"inputs"` or `"targets"`, as the problem sees it.
        feature: What it is.
        key: Key of the ids, the label or the samples.
        prefix: Before the keys of an image or sound, where two would collide.
        says_what: `"image"` or `"audio"` if it is a text about one, which must not be
            empty; an empty line in a text corpus is an empty line.
    """

    name: str
    feature: Feature
    key: str
    prefix: str = ""
    says_what: str = ""


def stored_features(problem: Problem) -> tuple[Feature, Feature]:
    """Returns (inputs, targets) in the order of the records."""
    if problem.is_reversed:
        return problem.targets, problem.inputs
    return problem.inputs, problem.targets


def stored_sides(problem: Problem) -> tuple[StoredSide, StoredSide]:
    """Returns where the two sides stand, in the order of the records."""
    first, second = stored_features(problem)
    names = SIDES[::-1] if problem.is_reversed else SIDES
    # T2T keeps whatever belongs to an image, a caption too, under the label's key.
    of_image = first.kind == "image" and second.kind in ("text", "class_label")
    return (
        StoredSide(names[0], first, "inputs"),
        StoredSide(
            names[1],
            second,
            _LABEL_KEY if of_image else "targets",
            "targets/" if first.kind == second.kind else "",
            first.kind if first.kind in ("image", "audio") else "",
        ),
    )


@tf.autograph.experimental.do_not_convert
def parse_batch(
    problem: Problem,
    records: tf.Tensor,
    lengths: Mapping[str, tf.Tensor],
    *,
    wav_bytes_inputs: bool = False,
    seeds: tf.Tensor | None = None,
    image_ids: bool = False,
) -> dict[str, tf.Tensor]:
    """Returns the batch that the model sees; runs in a graph.

    Args:
        problem: Says what the two sides are.
        records: `(B,)` serialised examples.
        lengths: Scalar int32 by side: what to pad a text (in tokens) or a sound (in
            frames or samples) to.
        wav_bytes_inputs: Whether the stored inputs are sound as T2T's TIMIT problems
            wrote it; see `holds_wav_bytes`.
        seeds: `(B, 2)` int64 that decide the augmentation of training pictures;
            `None` leaves pictures as they are.
        image_ids: Whether to tell which records are of the same picture.

    Returns:
        Text `(B, L)` int32, padded with 0; images `(B, H, W, C)` uint8; sound
        `(B, frames, bins)` or `(B, samples)` float32 with `<side>_length` `(B,)`
        int32; class labels `(B,)` int32. With `image_ids`,
        `image_id` `(B,)` int64: the same for captions of the same picture, -1 where
        records do not tell, as T2T's do not.
    """
    sides = stored_sides(problem)
    spec: dict[str, Any] = {}
    for side in sides:
        spec |= _spec(side)
    if wav_bytes_inputs:
        spec |= wav_bytes.spec()
    if image_ids:
        spec[IMAGE_ID_KEY] = tf.io.FixedLenFeature([], tf.int64, default_value=-1)
    fields = tf.io.parse_example(records, spec)
    if wav_bytes_inputs:
        fields[wav_bytes.KEY] = wav_bytes.waveforms(fields)
    batch: dict[str, tf.Tensor] = {}
    for side in sides:
        length = lengths.get(side.name)
        batch |= _DECODERS[side.feature.kind](side, fields, length, seeds)
    if image_ids:
        batch["image_id"] = fields[IMAGE_ID_KEY]
    return batch


def holds_wav_bytes(problem: Problem, record: bytes) -> bool:
    """Returns whether the stored inputs are sound as T2T's TIMIT problems wrote it.

    Raises:
        UserError: If they are, and the problem does not read waveforms.
    """
    side = stored_sides(problem)[0]
    if side.feature.kind != "audio" or not wav_bytes.is_in(record):
        return False
    if side.feature.form != "waveform":
        raise UserError(
            f"problem {problem.name!r} declares {side.name} as a "
            f"{side.feature.form}, and its records hold the bytes of sound, as T2T's "
            "TIMIT problems do; declare Audio(form='waveform')"
        )
    return True


@tf.autograph.experimental.do_not_convert
def parse_lengths(problem: Problem, records: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `(B,)` int32 lengths by side: tokens, frames or samples; else 1."""
    sides = stored_sides(problem)
    spec: dict[str, Any] = {}
    for side in sides:
        spec |= _length_spec(side)
    fields = tf.io.parse_example(records, spec) if spec else {}
    lengths = {}
    for side in sides:
        if side.feature.kind == "text":
            length = fields[side.key].row_lengths()
        elif side.feature.kind == "audio":
            length = fields[f"{side.prefix}audio/sample_count"]
        else:
            length = tf.ones_like(records, tf.int32)
        lengths[side.name] = tf.cast(length, tf.int32)
    return lengths


def _spec(side: StoredSide) -> dict[str, Any]:
    match side.feature.kind:
        case "text":
            return {side.key: tf.io.RaggedFeature(tf.int64)}
        case "image":
            key = f"{side.prefix}image/encoded"
            return {key: tf.io.FixedLenFeature([], tf.string)}
        case "audio":
            return {side.key: tf.io.RaggedFeature(tf.float32)} | _length_spec(side)
        case _:
            return {side.key: tf.io.FixedLenFeature([], tf.int64)}


def _length_spec(side: StoredSide) -> dict[str, Any]:
    match side.feature.kind:
        case "text":
            return {side.key: tf.io.RaggedFeature(tf.int64)}
        case "audio":
            key = f"{side.prefix}audio/sample_count"
            return {key: tf.io.FixedLenFeature([], tf.int64)}
        case _:
            return {}


def _decode_text(
    side: StoredSide, fields: Mapping[str, Any], length: tf.Tensor, seeds: Any
) -> dict[str, tf.Tensor]:
    padded = fields[side.key].to_tensor(shape=tf.stack((-1, length)))
    return {side.name: tf.cast(padded, tf.int32)}


def _decode_label(
    side: StoredSide, fields: Mapping[str, Any], length: None, seeds: Any
) -> dict[str, tf.Tensor]:
    return {side.name: tf.cast(fields[side.key], tf.int32)}


def _decode_image(
    side: StoredSide,
    fields: Mapping[str, Any],
    length: None,
    seeds: tf.Tensor | None,
) -> dict[str, tf.Tensor]:
    encoded = fields[f"{side.prefix}image/encoded"]
    if seeds is None or side.feature.augmentation == "none":
        images = tf.map_fn(
            lambda file: encoded_images.decode_image(file, side.feature),
            encoded,
            fn_output_signature=tf.uint8,
        )
    else:
        images = tf.map_fn(
            lambda pair: encoded_images.decode_image(pair[0], side.feature, pair[1]),
            (encoded, seeds),
            fn_output_signature=tf.uint8,
        )
    return {side.name: images}


def _decode_audio(
    side: StoredSide, fields: Mapping[str, Any], length: tf.Tensor, seeds: Any
) -> dict[str, tf.Tensor]:
    feature: Audio = side.feature
    flat = fields[side.key].to_tensor(shape=tf.stack((-1, length * feature.width)))
    if feature.form == "spectrogram":
        flat = tf.reshape(flat, (-1, length, feature.width))
    counts = fields[f"{side.prefix}audio/sample_count"]
    return {side.name: flat, f"{side.name}_length": tf.cast(counts, tf.int32)}


_DECODERS = {
    "text": _decode_text,
    "class_label": _decode_label,
    "image": _decode_image,
    "audio": _decode_audio,
}
