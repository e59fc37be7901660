"""One position after the other, on what the model remembers of those before."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from t2t_multimodel.data.reserved_ids import PAD_ID
from t2t_multimodel.models.multimodel import Encoded, MultiModel

ROOM_POSITIONS = 16
"""Positions that a state grows by: few enough to be written anew at each of them,
many enough for the rest to stay."""


class Choice(NamedTuple):
    """What a search made of the scores of a position.

    Attributes:
        ids: `(R,)` int32, the symbol that each row goes on with.
        parents: `(R,)` int32, the row that each row continues; `None` if each
            continues itself.
        carry: What the search remembers.
    """

    ids: tf.Tensor
    parents: tf.Tensor | None
    carry: Any


def walk(
    model: MultiModel,
    encoded: Encoded,
    problem: str,
    longest: tf.Tensor,
    carry: Any,
    *,
    choose: Callable[[tf.Tensor, tf.Tensor, Any], Choice],
    goes_on: Callable[[tf.Tensor, Any], tf.Tensor],
    num_hypotheses: int = 1,
) -> tuple[tf.Tensor, Any]:
    """Steps through the positions until the search is done; runs in a graph.

    There is room for a few positions more than the search has come to, and not for
    the longest output that there may be: what a position costs goes by the outputs.

    Args:
        model: The model.
        encoded: The B inputs, from `model.encode`.
        problem: Name of the problem.
        longest: Scalar int32, positions after which all searches end.
        carry: What the search remembers at first: tensors in any nest, of shapes that
            stay.
        choose: Given the position, the scores `(R, V)` of its symbols, without a
            chance for padding, and the carry; says how each row goes on.
        goes_on: Given the position and the carry, whether it is to be computed.
        num_hypotheses: Rows of each input (G).

    Returns:
        The number of positions computed and the last carry.
    """
    source = model.project_source(encoded)
    batch = tf.shape(encoded.source)[0]
    # No room yet; as a tensor, since what is extended has no size of its own.
    state = model.initial_state(batch, 0 * longest, num_hypotheses)
    ids = tf.zeros([batch * num_hypotheses], tf.int32)

    def wanted(position, carry):
        return tf.logical_and(position < longest, goes_on(position, carry))

    def extend(position, room, state, ids, carry):
        room = tf.minimum(longest, room + ROOM_POSITIONS)
        state = model.extend_state(state, room)

        def fits(position, state, ids, carry):
            return tf.logical_and(position < room, wanted(position, carry))

        def advance(position, state, ids, carry):
            logits, state = model.step(ids, state, source, problem)
            ids, parents, carry = choose(position, without_padding(logits), carry)
            if parents is not None:
                state = state._replace(cursor=state.cursor.following(parents))
            return position + 1, state, ids, carry

        position, state, ids, carry = tf.while_loop(
            fits, advance, (position, state, ids, carry)
        )
        return position, room, state, ids, carry

    first = (tf.constant(0), tf.constant(0), state, ids, carry)
    # A loop's tensors keep their shapes, except where a state is extended.
    shapes = tf.nest.map_structure(
        lambda now, then: now.shape.most_specific_compatible_shape(then.shape),
        first,
        (*first[:2], model.extend_state(state, longest), *first[3:]),
    )
    position, _, _, _, carry = tf.while_loop(
        lambda position, room, state, ids, carry: wanted(position, carry),
        extend,
        first,
        shape_invariants=shapes,
    )
    return position, carry


def without_padding(logits: tf.Tensor) -> tf.Tensor:
    """Returns `(R, V)` scores where padding, which is no symbol, has no chance."""
    bias = tf.one_hot(PAD_ID, logits.shape[-1], on_value=-float("inf"), off_value=0.0)
    return tf.nn.bias_add(logits, bias)


def log_probs_of(logits: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Returns the `(R, n)` log-probabilities of symbols `(R, n)` by `(R, V)` scores."""
    chosen = tf.gather(logits, ids, batch_dims=1)
    return chosen - tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
