"""The likeliest symbol at every position."""

from typing import Any

import tensorflow as tf

from t2t_multimodel.data.reserved_ids import EOS_ID, PAD_ID
from t2t_multimodel.decoding.walk import Choice, log_probs_of, walk
from t2t_multimodel.models.multimodel import Encoded, MultiModel


def greedy_ids_and_log_probs(
    model: MultiModel, encoded: Encoded, problem: str, max_lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes greedily; runs in a graph, also an exported one.

    Args:
        model: The model.
        encoded: The inputs, from `model.encode`.
        problem: Name of the problem.
        max_lengths: `(B,)` int32, symbols after which a row ends without EOS.

    Returns:
        `(B, T)` int32, EOS included where a row came to it, 0 after its end; T is
        what the longest row needed; and `(B,)` float32, the log-probability that the
        model gives them.
    """
    return one_by_one(model, encoded, problem, max_lengths, likeliest)


def likeliest(position: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns `(R,)` int32, the best symbols of `(R, V)` scores of a position."""
    return tf.argmax(logits, axis=-1, output_type=tf.int32)


def one_by_one(
    model: MultiModel,
    encoded: Encoded,
    problem: str,
    max_lengths: tf.Tensor,
    choose: Any,
    num_hypotheses: int = 1,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes rows that do not compete, each by itself.

    Args:
        model: The model.
        encoded: The B inputs, from `model.encode`.
        problem: Name of the problem.
        max_lengths: `(R,)` int32, symbols after which a row ends without EOS.
        choose: Given the position and the scores `(R, V)`, returns `(R,)` ids.
        num_hypotheses: Rows of each input (G); R = B * G.

    Returns:
        `(R, T)` int32 ids and `(R,)` float32, the log-probability that the model
        gives them.
    """
    longest = tf.reduce_max(max_lengths)

    def extend(position: tf.Tensor, logits: tf.Tensor, carry: Any) -> Choice:
        ids, log_probs, done = carry
        chosen = tf.where(done, PAD_ID, choose(position, logits))
        ids += chosen[:, None] * tf.one_hot(position, longest, dtype=tf.int32)
        log_probs += tf.where(done, 0.0, log_probs_of(logits, chosen[:, None])[:, 0])
        done |= (chosen == EOS_ID) | (position + 1 >= max_lengths)
        return Choice(chosen, None, (ids, log_probs, done))

    rows = tf.shape(max_lengths)[0]
    first = (tf.zeros([rows, longest], tf.int32), tf.zeros([rows]), max_lengths <= 0)
    length, (ids, log_probs, _) = walk(
        model,
        encoded,
        problem,
        longest,
        first,
        choose=extend,
        goes_on=lambda position, carry: ~tf.reduce_all(carry[2]),
        num_hypotheses=num_hypotheses,
    )
    return ids[:, :length], log_probs
