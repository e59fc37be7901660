"""One function a problem, from raw inputs to what a user reads."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from t2t_multimodel.data.features import Feature
from t2t_multimodel.data.reserved_ids import PAD_ID
from t2t_multimodel.data.text_encoder import TextEncoder
from t2t_multimodel.data.text_graph import TextGraph, text_graph, until_eos
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import NON_TEXT_LENGTH, TOP_CLASSES
from t2t_multimodel.decoding.search import search
from t2t_multimodel.export.front_end import model_features, raw_signature
from t2t_multimodel.models.multimodel import DecodingState, Encoded, MultiModel
from t2t_multimodel.problems.problem import Problem

Tensors = dict[str, tf.Tensor]


def make_signatures(
    model: MultiModel,
    problems: Sequence[Problem],
    encoders: Mapping[str, TextEncoder],
    hparams: DecodeHParams,
) -> dict[str, Any]:
    """Returns a concrete function of each problem, by its name.

    Texts come out as `"outputs"` with their `"scores"`, `(B,)`, or with
    `return_beams` `(B, n)`, best first; class labels as the likeliest `"labels"`,
    their `"probabilities"` and `"classes"`, their indices, all `(B, n)`.

    What problems have in common is one function that all of them call: it stands once
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
        """Returns the decoded texts, of each input the best or all of them."""
        encoded, lengths = self._encode(problem, raw)
        ids, scores = self._search(problem)(
            encoded.source,
            encoded.padding_mask,
            lengths,
            tf.constant(int(problem.targets.space)),
        )
        if not self.hparams.return_beams:
            ids, scores = ids[:, :1], scores[:, :1]
        text = self._text(problem.targets.vocabulary.name)
        texts = text.decode(until_eos(tf.reshape(ids, [-1, tf.shape(ids)[2]])))
        if self.hparams.return_beams:
            return {"outputs": tf.reshape(texts, tf.shape(scores)), "scores": scores}
        return {"outputs": texts, "scores": scores[:, 0]}

    def _encode(self, problem: Problem, raw: Tensors) -> tuple[Encoded, tf.Tensor]:
        """Returns the encoded inputs, and `(B,)` int32, the longest outputs."""
        feature, name = problem.inputs, problem.name

        def embed(raw):
            text = None
            if feature.kind == "text":
                text = self._text(feature.vocabulary.name)
            features = model_features(feature, raw, text)
            lengths = _max_lengths(features["inputs"], feature, self.hparams)
            return *self.model.embed_inputs(features, name), lengths

        def encode(x, padding_mask):
            return self.model.encoder(x, padding_mask=padding_mask)[0]

        embedded = self._once(
            ("embed", _what_is_read(feature)), embed, [raw_signature(feature)]
        )
        encoder = self._once("encode", encode, self._sequence_signature())
        x, padding_mask, grid, lengths = embedded(raw)
        source = encoder(x, padding_mask)
        return Encoded(source, padding_mask, grid, balance=[]), lengths

    def _search(self, problem: Problem) -> Any:
        def search_outputs(source, padding_mask, lengths, target_space_id):
            model = _WithCommand(self.model, target_space_id)
            encoded = Encoded(source, padding_mask, grid=(), balance=[])
            found = search(model, encoded, problem.name, lengths, self.hparams)
            return found.ids, found.scores

        signature = [
            *self._sequence_signature(),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
        vocabulary = problem.targets.vocabulary.name
        return self._once(("search", vocabulary), search_outputs, signature)

    def _sequence_signature(self) -> list[tf.TensorSpec]:
        shape = [None, None, self.model.depth]
        return [
            tf.TensorSpec(shape, self.model.compute_dtype),
            tf.TensorSpec([None, None], tf.bool),
        ]

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


class _WithCommand:
    """A model as the search sees it, with a command token that comes as a tensor."""

    def __init__(self, model: MultiModel, target_space_id: tf.Tensor) -> None:
        self._model = model
        self._target_space_id = target_space_id
        self.project_source = model.project_source
        self.initial_state = model.initial_state
        self.extend_state = model.extend_state

    def step(
        self, ids: tf.Tensor, state: DecodingState, source: Any, problem: str
    ) -> tuple[tf.Tensor, DecodingState]:
        """See `MultiModel.step`."""
        return self._model.step(
            ids, state, source, problem, target_space_id=self._target_space_id
        )


def _what_is_read(feature: Feature) -> Hashable:
    """Returns what is equal for inputs that are encoded alike."""
    if feature.kind == "text":
        return feature.vocabulary.name
    if feature.kind == "image":  # augmentation is for training alone
        return feature.height_px, feature.width_px, feature.channels
    return dataclasses.astuple(feature)


def _max_lengths(
    inputs: tf.Tensor, feature: Feature, hparams: DecodeHParams
) -> tf.Tensor:
    """Returns `(B,)` int32, the decoder's limits, by the row."""
    if feature.kind != "text":
        return tf.fill([tf.shape(inputs)[0]], NON_TEXT_LENGTH)
    lengths = tf.reduce_sum(tf.cast(inputs != PAD_ID, tf.int32), axis=1)
    return lengths + hparams.extra_length
