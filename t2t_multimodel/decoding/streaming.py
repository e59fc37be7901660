"""One input decoded symbol by symbol, so that words can be shown as they come."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.data.text_encoder import TextEncoder
from t2t_multimodel.decoding.greedy import likeliest
from t2t_multimodel.decoding.traced import features_signature, tensors
from t2t_multimodel.decoding.walk import ROOM_POSITIONS, without_padding
from t2t_multimodel.models.multimodel import MultiModel


class Streamer:
    """Greedy decoding that gives each symbol away as soon as it is known.

    The same as `search` with one hypothesis, but that its state goes in and out of a
    traced function of one position, and so can be left at any of them.

    Args:
        model: The model; its weights may change between calls.
    """

    def __init__(self, model: MultiModel) -> None:
        self.model = model
        self._begin: dict[str, Any] = {}
        self._step: dict[str, Any] = {}

    def ids(
        self, features: dict[str, Any], inputs_of: str, outputs_of: str, max_length: int
    ) -> Iterator[int]:
        """Yields the likeliest ids one by one, up to EOS and without it.

        Args:
            features: The `"inputs"` of a batch of one.
            inputs_of: Problem whose inputs they are.
            outputs_of: Problem with text targets whose outputs are wanted.
            max_length: Most symbols.
        """
        source, state = self._beginning(inputs_of)(tensors(features))
        step = self._stepping(outputs_of)
        last = tf.zeros([1], tf.int32)
        for position in range(max_length):
            if position % ROOM_POSITIONS == 0:
                state = self.model.extend_state(state, position + ROOM_POSITIONS)
            last, state = step(last, state, source)
            symbol = int(last.numpy()[0])
            if symbol == EOS_ID:
                return
            yield symbol

    def _beginning(self, problem: str) -> Any:
        if problem not in self._begin:
            model = self.model

            def begin(features):
                source = model.project_source(model.encode(features, problem))
                return source, model.initial_state(1, 0)

            inputs = features_signature(model.spec(problem).inputs)
            self._begin[problem] = tf.function(
                begin, input_signature=[inputs], autograph=False
            ).get_concrete_function()
        return self._begin[problem]

    def _stepping(self, problem: str) -> Any:
        if problem not in self._step:
            model = self.model

            def step(last, state, source):
                logits, state = model.step(last, state, source, problem)
                last = likeliest(state.cursor.position, without_padding(logits))
                return last, state

            self._step[problem] = tf.function(
                step, reduce_retracing=True, autograph=False
            )
        return self._step[problem]


def text_pieces(ids: Iterator[int], encoder: TextEncoder) -> Iterator[str]:
    """Yields a text piece by piece, a word as soon as no further symbol changes it.

    Args:
        ids: Of the text, as they are decoded.
        encoder: Turns them into text.
    """
    known: list[int] = []
    shown = ""
    for symbol in ids:
        known.append(symbol)
        # The last word may still grow, and takes the space before it with it.
        settled = encoder.decode(known).rpartition(" ")[0]
        if len(settled) > len(shown):
            yield settled[len(shown) :]
            shown = settled
    rest = encoder.decode(known)[len(shown) :]
    if rest:
        yield rest
