"""The likeliest symbol at every position, and the likeliest classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.features import Feature
from t2t_multimodel.data.reserved_ids import EOS_ID, PAD_ID
from t2t_multimodel.models.multimodel import Encoded, MultiModel


def greedy_ids(
    model: MultiModel, encoded: Encoded, problem: str, max_lengths: tf.Tensor
) -> tf.Tensor:
    """Returns the ids of greedy decoding; runs in a graph, also an exported one.

    Padding is never chosen: it is no symbol, and no loss teaches the model so.

    Args:
        model: The model.
        encoded: The inputs, from `model.encode`.
        problem: Name of the problem.
        max_lengths: `(B,)` int32, symbols after which a row ends without EOS.

    Returns:
        `(B, T)` int32, EOS included where a row came to it, 0 after its end; T is
        what the longest row needed.
    """
    batch = tf.shape(max_lengths)[0]
    longest = tf.maximum(tf.reduce_max(max_lengths), 1)
    source = model.project_source(encoded)

    def goes_on(position, ids, last, done, state):
        return tf.logical_and(position < longest, ~tf.reduce_all(done))

    def extend(position, ids, last, done, state):
        logits, state = model.step(last, state, source, problem)
        last = tf.where(done, PAD_ID, likeliest(logits))
        ids += last[:, None] * tf.one_hot(position, longest, dtype=tf.int32)
        done |= (last == EOS_ID) | (position + 1 >= max_lengths)
        return position + 1, ids, last, done, state

    ids = tf.zeros((batch, longest), tf.int32)
    state = model.initial_state(batch, longest)
    length, ids, *_ = tf.while_loop(
        goes_on, extend, (0, ids, ids[:, 0], max_lengths <= 0, state)
    )
    return ids[:, :length]


def likeliest(logits: tf.Tensor) -> tf.Tensor:
    """Returns `(B,)` int32, the best symbol of `(B, V)` scores, never padding."""
    return 1 + tf.argmax(logits[:, 1:], axis=-1, output_type=tf.int32)


class GreedyDecoder:
    """Runs a model without targets; one traced function for each problem.

    Args:
        model: The model; its weights may change between calls.
    """

    def __init__(self, model: MultiModel) -> None:
        self.model = model
        self._functions: dict[str, Any] = {}

    def ids(
        self, features: Mapping[str, Any], problem: str, max_lengths: np.ndarray
    ) -> list[list[int]]:
        """Returns the ids of each row, up to EOS and without it.

        Args:
            features: The `"inputs"` of a batch, as the data pipeline makes them.
            problem: Name of a problem with text targets.
            max_lengths: `(B,)` symbols after which a row ends without EOS.
        """
        lengths = tf.constant(max_lengths, tf.int32)
        rows = self._function(problem)(_tensors(features), lengths).numpy()
        return [until_eos(row) for row in rows]

    def probabilities(self, features: Mapping[str, Any], problem: str) -> np.ndarray:
        """Returns `(B, classes)` probabilities of a classification problem.

        Args:
            features: The `"inputs"` of a batch, as the data pipeline makes them.
            problem: Name of the problem.
        """
        return self._function(problem)(_tensors(features)).numpy()

    def _function(self, problem: str):
        if problem not in self._functions:
            model, spec = self.model, self.model.spec(problem)
            signature = [features_signature(spec.inputs)]

            def classes(features):
                encoded = model.encode(features, problem)
                return tf.nn.softmax(model.classify(encoded, problem))

            def ids(features, max_lengths):
                encoded = model.encode(features, problem)
                return greedy_ids(model, encoded, problem, max_lengths)

            if not spec.is_classification:
                signature.append(tf.TensorSpec([None], tf.int32))
            function = tf.function(
                classes if spec.is_classification else ids, input_signature=signature
            )
            # The concrete one: TensorFlow warns of retracing where it meets several
            # functions that were made in one place.
            self._functions[problem] = function.get_concrete_function()
        return self._functions[problem]


def _tensors(features: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    return {name: tf.convert_to_tensor(value) for name, value in features.items()}


def features_signature(feature: Feature) -> dict[str, tf.TensorSpec]:
    """Returns the specs of a batch of inputs of any size and length."""
    if feature.kind == "text":
        return {"inputs": tf.TensorSpec([None, None], tf.int32)}
    if feature.kind == "image":
        shape = [None, feature.height_px, feature.width_px, feature.channels]
        return {"inputs": tf.TensorSpec(shape, tf.uint8)}
    spectrogram = feature.form == "spectrogram"
    shape = [None, None, feature.width] if spectrogram else [None, None]
    return {
        "inputs": tf.TensorSpec(shape, tf.float32),
        "inputs_length": tf.TensorSpec([None], tf.int32),
    }


def until_eos(ids: np.ndarray) -> list[int]:
    """Returns the ids before the first EOS or padding."""
    ended = np.flatnonzero((ids == EOS_ID) | (ids == PAD_ID))
    return ids[: ended[0] if ended.size else None].tolist()
