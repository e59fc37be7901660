"""Where the decoder looked for an output, and which experts it asked."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.byte_encoder import ByteTextEncoder
from t2t_multimodel.data.features import Feature
from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.decoding.decoder import Decoder
from t2t_multimodel.decoding.raw_inputs import batch_inputs
from t2t_multimodel.decoding.streaming import Streamer
from t2t_multimodel.decoding.traced import features_signature, tensors
from t2t_multimodel.layers.observation import Observation, observing


@dataclasses.dataclass(frozen=True)
class Insight:
    """What the model did for one input and its output.

    Attributes:
        problem: Name of the problem.
        inputs: The input as the model sees it: ids `(L,)`, pixels `(H, W, channels)`,
            frames `(L, bins)` or samples `(L,)`.
        input_names: The sub-words of a text, EOS included; empty for others.
        output_names: The sub-words of the output, EOS included; empty for classes.
        source_grid: Rows and columns of the positions that the encoder made of it.
        attention: Layer to weights `(N, T, S)` over the S source positions.
        experts: Layer to gates `(L, E)`: of each position, how much of each expert.
    """

    problem: str
    inputs: np.ndarray
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    source_grid: tuple[int, int]
    attention: Mapping[str, np.ndarray]
    experts: Mapping[str, np.ndarray]


class Observer:
    """Looks into a model as it decodes; one traced function for each problem.

    Args:
        decoder: Decodes.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self._streamer = Streamer(decoder.model)
        self._shown: dict[str, list[Observation]] = {}
        self._functions: dict[str, Any] = {}

    def look_into(self, problem: str, prepared: np.ndarray) -> Insight:
        """Decodes an input and returns what went on inside.

        The likeliest output is found symbol by symbol and then given to the whole
        decoder at once, which does the same as it did.

        Args:
            problem: Name of the problem.
            prepared: The input, from `Decoder.prepare`.
        """
        described = self.decoder.problem(problem)
        features = batch_inputs(described.inputs, [prepared])
        ids: list[int] = []
        if described.targets.kind == "text":
            most = self.decoder.max_length(problem, prepared)
            ids = [*self._streamer.ids(features, problem, problem, most), EOS_ID]
        grid, values = self._function(problem)(
            tensors(features), tf.constant([ids], tf.int32, shape=(1, len(ids)))
        )
        shown = [
            observation._replace(values=value.numpy()[0])
            for observation, value in zip(self._shown[problem], values, strict=True)
        ]
        return Insight(
            problem,
            prepared,
            _names(self.decoder, described.inputs, prepared),
            _names(self.decoder, described.targets, ids),
            tuple(int(side) for side in grid),
            {o.layer: o.values for o in shown if o.layer.endswith("source_attention")},
            {o.layer: o.values for o in shown if o.kind == "experts"},
        )

    def _function(self, problem: str) -> Any:
        if problem not in self._functions:
            model = self.decoder.model
            spec = model.spec(problem)

            def run(features, ids):
                with observing() as seen:
                    encoded = model.encode(features, problem)
                    if not spec.is_classification:
                        model.decode(ids, encoded, problem)
                self._shown[problem] = seen
                return encoded.grid, [observation.values for observation in seen]

            self._functions[problem] = tf.function(
                run,
                input_signature=[
                    features_signature(spec.inputs),
                    tf.TensorSpec([1, None], tf.int32),
                ],
                autograph=False,
            ).get_concrete_function()
        return self._functions[problem]


def _names(decoder: Decoder, feature: Feature, ids: Iterable[int]) -> tuple[str, ...]:
    """Returns the sub-words of a text's ids; nothing for other features."""
    if feature.kind != "text":
        return ()
    encoder = decoder.encoders[feature.vocabulary.name]
    if isinstance(encoder, ByteTextEncoder):
        return tuple("EOS" if i == EOS_ID else encoder.decode([i]) for i in ids)
    names = encoder.subtokens
    return tuple("EOS" if i == EOS_ID else names[i] for i in ids)
