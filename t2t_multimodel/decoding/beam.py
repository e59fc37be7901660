"""Beam search: T2T's bookkeeping (v1.4.4) on our steps.

Of every input G hypotheses are alive. Each position takes the 2 G best continuations
of all of them; those that end compete with the best that ended before, the G best
others live on. Each input has its own limit and its own end and gives what it gives
alone, where T2T goes on until all inputs of a batch are done.
"""

from typing import NamedTuple

import tensorflow as tf

from t2t_multimodel.data.reserved_ids import EOS_ID
from t2t_multimodel.decoding.walk import Choice, walk
from t2t_multimodel.models.multimodel import Encoded, MultiModel

_INFINITY = 1e7  # T2T's: below any score, and still a number


class Beams(NamedTuple):
    """The hypotheses of B inputs, best first.

    Attributes:
        alive_ids: `(B, G, T)` int32, 0 where there is nothing yet.
        alive_log_probs: `(B, G)` float32.
        finished_ids: `(B, G, T)` int32, EOS included, 0 after it.
        finished_scores: `(B, G)` float32, the log-probability over the length
            penalty; -1e7 where fewer have finished.
    """

    alive_ids: tf.Tensor
    alive_log_probs: tf.Tensor
    finished_ids: tf.Tensor
    finished_scores: tf.Tensor


def length_penalty(length: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns ((5 + length) / 6) ^ alpha; the length counts EOS."""
    return tf.pow((5.0 + tf.cast(length, tf.float32)) / 6.0, alpha)


def first_beams(batch_size: tf.Tensor, num_beams: int, longest: tf.Tensor) -> Beams:
    """Returns the beams before the first symbol: one hypothesis, none finished."""
    ids = tf.zeros([batch_size, num_beams, longest], tf.int32)
    log_probs = tf.constant([[0.0] + [-float("inf")] * (num_beams - 1)])
    none = tf.fill([batch_size, num_beams], -_INFINITY)
    return Beams(ids, tf.tile(log_probs, [batch_size, 1]), ids, none)


def grow(
    beams: Beams, position: tf.Tensor, logits: tf.Tensor, alpha: float
) -> tuple[Beams, tf.Tensor, tf.Tensor]:
    """Continues the hypotheses that are alive by one symbol.

    Args:
        beams: The beams.
        position: Scalar int32, index of the symbol.
        logits: `(B * G, V)` scores of it.
        alpha: Of the length penalty.

    Returns:
        The next beams; `(B, G)` int32 symbols and `(B, G)` int32 indices of the
        hypotheses continued, of those that are alive now.
    """
    num_beams = beams.alive_ids.shape[1]
    log_probs, symbols, parents = _candidates(beams.alive_log_probs, logits)
    ended = symbols == EOS_ID
    scores = log_probs / length_penalty(position + 1, alpha)

    _, chosen = tf.math.top_k(tf.where(ended, scores - _INFINITY, scores), num_beams)
    alive_symbols = tf.gather(symbols, chosen, batch_dims=1)
    alive_parents = tf.gather(parents, chosen, batch_dims=1)
    # What has ended lives on only where nothing else is left; T2T would continue it.
    alive_log_probs = tf.gather(
        tf.where(ended, -float("inf"), log_probs), chosen, batch_dims=1
    )
    here = tf.one_hot(position, tf.shape(beams.alive_ids)[2], dtype=tf.int32)
    alive_ids = tf.gather(beams.alive_ids, alive_parents, batch_dims=1)
    alive_ids += alive_symbols[..., None] * here

    finished_scores, chosen = tf.math.top_k(
        tf.concat(
            [beams.finished_scores, tf.where(ended, scores, scores - _INFINITY)], axis=1
        ),
        num_beams,
    )
    batch = tf.shape(symbols)[0]
    old = tf.tile(tf.range(num_beams)[None], [batch, 1])
    origin = tf.concat([old, num_beams + parents], axis=1)
    added = tf.concat([tf.zeros_like(old), symbols], axis=1)
    finished_ids = tf.gather(
        tf.concat([beams.finished_ids, beams.alive_ids], axis=1),
        tf.gather(origin, chosen, batch_dims=1),
        batch_dims=1,
    )
    finished_ids += tf.gather(added, chosen, batch_dims=1)[..., None] * here
    grown = Beams(alive_ids, alive_log_probs, finished_ids, finished_scores)
    return grown, alive_symbols, alive_parents


def cannot_improve(beams: Beams, max_lengths: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns `(B,)` bool: no hypothesis can overtake one that is finished.

    T2T's rule: the worst finished score, of however many have finished, is above what
    the best alive would have at the longest length.

    Args:
        beams: The beams.
        max_lengths: `(B,)` int32, most symbols.
        alpha: Of the length penalty.
    """
    best_alive = beams.alive_log_probs[:, 0] / length_penalty(max_lengths, alpha)
    finished = is_finished(beams)
    worst = tf.reduce_min(tf.where(finished, beams.finished_scores, 0.0), axis=1)
    return tf.reduce_any(finished, axis=1) & (worst > best_alive)


def is_finished(beams: Beams) -> tf.Tensor:
    """Returns `(B, G)` bool: which of `finished_scores` are of a hypothesis."""
    return beams.finished_scores > -_INFINITY / 2


def beam_search(
    model: MultiModel,
    encoded: Encoded,
    problem: str,
    max_lengths: tf.Tensor,
    *,
    num_beams: int,
    alpha: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Searches the best outputs; runs in a graph.

    Args:
        model: The model.
        encoded: The inputs, from `model.encode`.
        problem: Name of the problem.
        max_lengths: `(B,)` int32, most symbols of each row.
        num_beams: Hypotheses of each input (G).
        alpha: Of the length penalty; 0 is none.

    Returns:
        `(B, G, T)` int32 ids and `(B, G)` float32 scores, best first. Where no
        hypothesis finished in time they are those that were alive, with their
        log-probabilities (T2T); where some did, places left over are 0 and -1e7.
    """
    batch, longest = tf.shape(max_lengths)[0], tf.reduce_max(max_lengths)

    def choose(position, logits, carry) -> Choice:
        beams, done = carry
        grown, symbols, parents = grow(beams, position, logits, alpha)
        stays = tf.reshape(done, [-1, 1])
        grown = Beams(
            *(
                tf.where(stays[..., None] if now.shape.rank == 3 else stays, now, then)
                for now, then in zip(beams, grown, strict=True)
            )
        )
        done |= cannot_improve(grown, max_lengths, alpha)
        done |= position + 1 >= max_lengths
        rows = parents + num_beams * tf.range(batch)[:, None]
        return Choice(tf.reshape(symbols, [-1]), tf.reshape(rows, [-1]), (grown, done))

    length, (beams, _) = walk(
        model,
        encoded,
        problem,
        longest,
        (first_beams(batch, num_beams, longest), max_lengths <= 0),
        choose=choose,
        goes_on=lambda position, carry: ~tf.reduce_all(carry[1]),
        num_hypotheses=num_beams,
    )
    ids, scores = best(beams)
    return ids[:, :, :length], scores


def best(beams: Beams) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the ids and scores of what finished, or else of what is alive."""
    any_finished = tf.reduce_any(is_finished(beams), axis=1)[:, None]
    return (
        tf.where(any_finished[..., None], beams.finished_ids, beams.alive_ids),
        tf.where(any_finished, beams.finished_scores, beams.alive_log_probs),
    )


def _candidates(
    alive_log_probs: tf.Tensor, logits: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns log-probabilities, symbols and parents of the best, each `(B, 2 G)`."""
    num_beams = alive_log_probs.shape[1]
    # Of one hypothesis none but its own 2 G best can be among the 2 G best of all.
    each = min(2 * num_beams, logits.shape[-1])
    values, symbols = top_k_of_many(logits, each)
    values -= tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
    values = tf.reshape(values, [-1, num_beams, each]) + alive_log_probs[..., None]
    log_probs, chosen = tf.math.top_k(
        tf.reshape(values, [-1, num_beams * each]), 2 * num_beams
    )
    symbols = tf.reshape(symbols, [-1, num_beams * each])
    return log_probs, tf.gather(symbols, chosen, batch_dims=1), chosen // each


def top_k_of_many(values: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `tf.math.top_k` does of `(R, V)`, sooner where V is large.

    The k largest are in the k stretches with the largest maxima, and maxima are found
    several numbers at a time, where `top_k` compares one after the other.
    """
    width = 64
    size = values.shape[-1]
    count = size // width
    if count <= 2 * k:
        return tf.math.top_k(values, k)
    stretches = tf.reshape(values[:, : count * width], [-1, count, width])
    _, chosen = tf.math.top_k(tf.reduce_max(stretches, axis=-1), k)
    # In their order: of equal numbers the first goes first, as in `top_k`.
    chosen = tf.sort(chosen, axis=-1)
    kept = tf.reshape(tf.gather(stretches, chosen, batch_dims=1), [-1, k * width])
    places = tf.reshape(chosen[..., None] * width + tf.range(width), [-1, k * width])
    rest = tf.broadcast_to(
        tf.range(count * width, size), [tf.shape(values)[0], size - count * width]
    )
    largest, index = tf.math.top_k(
        tf.concat([kept, values[:, count * width :]], axis=1), k
    )
    places = tf.concat([places, rest], axis=1)
    return largest, tf.gather(places, index, batch_dims=1)
