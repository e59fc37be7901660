"""A model's searches and classes as traced functions, one for each route."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.features import Feature
from t2t_multimodel.data.reserved_ids import EOS_ID, PAD_ID
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.search import SearchResult, search
from t2t_multimodel.models.multimodel import MultiModel


class TracedModel:
    """Runs a model without targets; one traced function for each route.

    A route goes from the inputs of a problem to the outputs of the same problem or of
    another one (T2T's `in=` and `ou=`).

    Args:
        model: The model; its weights may change between calls.
        hparams: How texts are searched.
    """

    def __init__(
        self,
        model: MultiModel,
        hparams: DecodeHParams = DecodeHParams(),  # noqa: B008  (frozen)
    ) -> None:
        self.model = model
        self.hparams = hparams
        self._functions: dict[tuple[str, str], Any] = {}

    def search(
        self,
        features: Mapping[str, Any],
        problem: str,
        max_lengths: np.ndarray,
        input_numbers: np.ndarray | None = None,
        *,
        inputs_of: str | None = None,
    ) -> SearchResult:
        """Returns the outputs of a batch, as NumPy arrays.

        Args:
            features: The `"inputs"` of a batch, as the data pipeline makes them.
            problem: Name of a problem with text targets.
            max_lengths: `(B,)` symbols after which a row ends without EOS.
            input_numbers: `(B,)` which random numbers go by; the row if not given.
            inputs_of: Problem whose inputs they are, if another one's.
        """
        if input_numbers is None:
            input_numbers = np.arange(len(max_lengths))
        numbers = (max_lengths, input_numbers)
        result = self._function(inputs_of or problem, problem)(
            tensors(features), *(tf.constant(n, tf.int32) for n in numbers)
        )
        return SearchResult(*(tensor.numpy() for tensor in result))

    def probabilities(
        self,
        features: Mapping[str, Any],
        problem: str,
        *,
        inputs_of: str | None = None,
    ) -> np.ndarray:
        """Returns `(B, classes)` probabilities of a classification problem.

        Args:
            features: The `"inputs"` of a batch, as the data pipeline makes them.
            problem: Name of the problem.
            inputs_of: Problem whose inputs they are, if another one's.
        """
        function = self._function(inputs_of or problem, problem)
        return function(tensors(features)).numpy()

    def _function(self, inputs_of: str, problem: str) -> Callable[..., Any]:
        route = (inputs_of, problem)
        if route not in self._functions:
            model, spec = self.model, self.model.spec(problem)
            signature = [features_signature(model.spec(inputs_of).inputs)]

            def classes(features):
                encoded = model.encode(features, inputs_of)
                return tf.nn.softmax(model.classify(encoded, problem))

            def outputs(features, max_lengths, input_numbers):
                encoded = model.encode(features, inputs_of)
                return search(
                    model, encoded, problem, max_lengths, self.hparams, input_numbers
                )

            if not spec.is_classification:
                signature += [tf.TensorSpec([None], tf.int32)] * 2
            function = tf.function(
                classes if spec.is_classification else outputs,
                input_signature=signature,
                autograph=False,
            )
            # The concrete one: TensorFlow warns of retracing where it meets several
            # functions that were made in one place.
            self._functions[route] = function.get_concrete_function()
        return self._functions[route]


def tensors(features: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Returns a batch of NumPy arrays as tensors."""
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
