"""Raw inputs, as clients send them, to what the model reads; all in the graph."""

from collections.abc import Mapping

import tensorflow as tf

from t2t_multimodel.data import audio_features, encoded_images
from t2t_multimodel.data.features import Audio, Feature, Image
from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.data.text_graph import TextGraph
from t2t_multimodel.errors import UserError


def raw_signature(feature: Feature) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of a signature, by their names.

    Args:
        feature: What goes in. A text is a `"text"`, an image the bytes of a PNG or
            JPEG file, an `"image"`. Sounds are a `"waveform"` `(B, samples)` float32
            within [-1, 1], padded to the longest with anything, and `"num_samples"`
            `(B,)` int32, how many of each row are its own.

    Raises:
        UserError: If inputs of this kind cannot be served.
    """
    batch = tf.TensorSpec([None], tf.string)
    match feature.kind:
        case "text":
            return {"text": batch}
        case "image":
            return {"image": batch}
        case "audio":
            return {
                "waveform": tf.TensorSpec([None, None], tf.float32),
                "num_samples": tf.TensorSpec([None], tf.int32),
            }
        case kind:
            raise UserError(f"inputs of kind {kind} cannot be exported")


def model_features(
    feature: Feature, raw: Mapping[str, tf.Tensor], text: TextGraph | None
) -> dict[str, tf.Tensor]:
    """Returns what `MultiModel.encode` takes, equal to what the data pipeline gives.

    Args:
        feature: What goes in.
        raw: Batches named as in `raw_signature`.
        text: Encodes texts.
    """
    if feature.kind == "text":
        return {"inputs": _ids(raw["text"], text)}
    if feature.kind == "image":
        return {"inputs": _images(raw["image"], feature)}
    return _sounds(raw["waveform"], raw["num_samples"], feature)


def _ids(texts: tf.Tensor, text: TextGraph) -> tf.Tensor:
    ids = text.encode(texts)
    ends = tf.fill([ids.nrows(), 1], EOS_ID)
    return tf.concat([ids, ends], axis=1).to_tensor()


def _images(encoded: tf.Tensor, feature: Image) -> tf.Tensor:
    return tf.map_fn(
        lambda one: encoded_images.decode_image(one, feature),
        encoded,
        fn_output_signature=tf.uint8,
    )


def _sounds(
    waveforms: tf.Tensor, num_samples: tf.Tensor, feature: Audio
) -> dict[str, tf.Tensor]:
    tf.debugging.assert_positive(
        num_samples, "every sound needs at least one sample: num_samples"
    )
    tf.debugging.assert_less_equal(
        num_samples,
        tf.shape(waveforms)[1],
        "num_samples is larger than what there is in waveform",
    )
    if feature.form == "waveform":
        is_sample = tf.sequence_mask(num_samples, tf.shape(waveforms)[1])
        inputs = tf.where(is_sample, waveforms, 0.0)[:, : tf.reduce_max(num_samples)]
        return {"inputs": inputs, "inputs_length": num_samples}
    # Each alone: its spectrogram is normalised by its own mean and variance.
    rows = tf.map_fn(
        lambda row: audio_features.log_mel_spectrogram(row[0][: row[1]], feature),
        (waveforms, num_samples),
        fn_output_signature=tf.RaggedTensorSpec(
            [None, feature.num_bins], tf.float32, ragged_rank=0
        ),
    )
    lengths = tf.cast(rows.row_lengths(), tf.int32)
    return {"inputs": rows.to_tensor(), "inputs_length": lengths}
