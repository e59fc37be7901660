"""One function a problem, from raw inputs to what a user reads."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from t2t_multimodel.data.features import Feature
from t2t_multimodel.data.reserved_ids import PAD_ID
from t2t_multimodel.data.text_encoder import TextEncoder
from t2t_multimodel.data.text_graph import TextGraph, text_graph, until_eos
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import NON_TEXT_LENGTH, TOP_CLASSES
from t2t_multimodel.decoding.greedy import greedy_ids
from t2t_multimodel.export.front_end import model_features, raw_signature
from t2t_multimodel.models.multimodel import Encoded, MultiModel
from t2t_multimodel.problems.problem import Problem

Tensors = dict[str, tf.Tensor]


def make_signatures(
    model: MultiModel,
    problems: Sequence[Problem],
    encoders: Mapping[str, TextEncoder],
    hparams: DecodeHParams,
) -> dict[str, Any]:
    """Returns a concrete function of each problem, by its name.

    What two problems have in common is one function that both call: it stands once
    in the export, and loading takes as long as there are operations.

    Args:
        model: The model.
        problems: Problems of the model.
        encoders: Vocabulary name to text encoder.
        hparams: How texts are decoded.

    Raises:
        UserError: If a problem or vocabulary has no form in a graph.
    """
    parts = _Parts(model, encoders, hparams)
    signatures = {}
    for problem in problems:
        is_class = problem.targets.kind == "class_label"
        answer = parts.classes if is_class else parts.outputs
        specs = raw_signature(problem.inputs)
        traced = tf.function(_answering(answer, problem), autograph=False)
        signatures[problem.name] = traced.get_concrete_function(
            **{n: tf.TensorSpec(s.shape, s.dtype, n) for n, s in specs.items()}
        )
    return signatures


def _answering(
    answer: Callable[[Problem, Tensors], Tensors], problem: Problem
) -> Callable[..., Tensors]:
    return lambda **raw: answer(problem, raw)


class _Parts:
    """The functions that problems share, each traced when it is first called."""

    def __init__(
        self,
        model: MultiModel,
        encoders: Mapping[str, TextEncoder],
        hparams: DecodeHParams,
    ) -> None:
        self.model = model
        self.encoders = encoders
        self.hparams = hparams
        self._made: dict[Hashable, Any] = {}

    def classes(self, problem: Problem, raw: Tensors) -> Tensors:
        """Returns the likeliest classes, best first."""
        names = problem.targets.names
        encoded, _ = self._encode(problem, raw)
        scores = self.model.classify(encoded, problem.name)
        best, index = tf.math.top_k(tf.nn.softmax(scores), min(TOP_CLASSES, len(names)))
        labels = tf.gather(tf.constant(names), index)
        return {"labels": labels, "probabilities": best, "classes": index}

    def outputs(self, problem: Problem, raw: Tensors) -> Tensors:
        """Returns the decoded texts."""
        encoded, lengths = self._encode(problem, raw)
        text = self._text(problem.targets.vocabulary.name)
        ids = self._search(problem)(encoded.source, encoded.padding_mask, lengths)
        return {"outputs": text.decode(until_eos(ids))}

    def _encode(self, problem: Problem, raw: Tensors) -> tuple[Encoded, tf.Tensor]:
        """Returns the encoded inputs, and `(B,)` int32, the longest outputs."""
        feature, name = problem.inputs, problem.name

        def encode(raw):
            text = None
            if feature.kind == "text":
                text = self._text(feature.vocabulary.name)
            features = model_features(feature, raw, text)
            encoded = self.model.encode(features, name)
            lengths = _max_lengths(features["inputs"], feature, self.hparams)
            return encoded.source, encoded.padding_mask, encoded.grid, lengths

        # Languages differ to the reader alone.
        of = feature.vocabulary.name if feature.kind == "text" else feature
        function = self._once(("encode", of), encode, [raw_signature(feature)])
        source, padding_mask, grid, lengths = function(raw)
        return Encoded(source, padding_mask, grid, balance=[]), lengths

    def _search(self, problem: Problem) -> Any:
        def search(source, padding_mask, lengths):
            encoded = Encoded(source, padding_mask, grid=(), balance=[])
            return greedy_ids(self.model, encoded, problem.name, lengths)

        targets = problem.targets
        signature = [
            tf.TensorSpec([None, None, self.model.depth], self.model.compute_dtype),
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([None], tf.int32),
        ]
        return self._once(
            ("search", targets.vocabulary.name, targets.space), search, signature
        )

    def _text(self, vocabulary: str) -> "_Text":
        if ("text", vocabulary) not in self._made:
            self._made["text", vocabulary] = _Text(self.encoders[vocabulary])
        return self._made["text", vocabulary]

    def _once(self, key: Hashable, function: Callable, signature: list) -> Any:
        """Returns the traced function of the first call with this key."""
        if key not in self._made:
            self._made[key] = tf.function(
                function, input_signature=signature, autograph=False
            ).get_concrete_function()
        return self._made[key]


class _Text:
    """A text encoder of one traced function each way."""

    def __init__(self, encoder: TextEncoder) -> None:
        graph: TextGraph = text_graph(encoder)
        self.encode = tf.function(
            graph.encode, input_signature=[tf.TensorSpec([None], tf.string)]
        )
        self.decode = tf.function(
            graph.decode, input_signature=[tf.TensorSpec([None, None], tf.int32)]
        )


def _max_lengths(
    inputs: tf.Tensor, feature: Feature, hparams: DecodeHParams
) -> tf.Tensor:
    """Returns `(B,)` int32, the decoder's limits, by the row."""
    if feature.kind != "text":
        return tf.fill([tf.shape(inputs)[0]], NON_TEXT_LENGTH)
    lengths = tf.reduce_sum(tf.cast(inputs != PAD_ID, tf.int32), axis=1)
    return lengths + hparams.extra_length
