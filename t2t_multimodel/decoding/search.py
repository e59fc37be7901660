"""From encoded inputs to outputs: greedy, drawn, or by beam search."""

from typing import NamedTuple

import tensorflow as tf

from t2t_multimodel.data.reserved_ids import EOS_ID, PAD_ID
from t2t_multimodel.decoding.beam import beam_search, length_penalty
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.greedy import greedy_ids_and_log_probs
from t2t_multimodel.decoding.sampling import sample_ids_and_log_probs
from t2t_multimodel.models.multimodel import Encoded, MultiModel

NO_SCORE = -5e6
"""Where a beam search found fewer outputs than asked for, scores are below this."""


class SearchResult(NamedTuple):
    """The outputs of B inputs, n of each: of a beam search best first.

    Attributes:
        ids: `(B, n, T)` int32, EOS included where an output came to it, then 0; T is
            what the longest output needed.
        scores: `(B, n)` float32, log-probability over length penalty. Of a beam
            search they are T2T's: the log-probability itself where no hypothesis of
            the input came to EOS, and -1e7 where there are fewer than n.
        log_probs: `(B, n)` float32, what the model gives the ids, EOS included, its
            probabilities being those of all symbols but padding.
    """

    ids: tf.Tensor
    scores: tf.Tensor
    log_probs: tf.Tensor


def search(
    model: MultiModel,
    encoded: Encoded,
    problem: str,
    max_lengths: tf.Tensor,
    hparams: DecodeHParams,
    input_numbers: tf.Tensor | None = None,
) -> SearchResult:
    """Decodes as the hyperparameters say; runs in a graph, also an exported one.

    What an input gives does not depend on the others of its batch.

    Args:
        model: The model.
        encoded: The inputs, from `model.encode`.
        problem: Name of a problem with text targets.
        max_lengths: `(B,)` int32, symbols after which a row ends without EOS.
        hparams: `beam_size`, `alpha`; or `temperature`, `top_k`,
            `samples_per_input`, `seed`.
        input_numbers: `(B,)` int32, which the random numbers of an input go by; its
            place in the batch if not given.
    """
    if hparams.beam_size > 1:
        ids, scores = beam_search(
            model,
            encoded,
            problem,
            max_lengths,
            num_beams=hparams.beam_size,
            alpha=hparams.alpha,
        )
        ended = tf.reduce_any(ids == EOS_ID, axis=-1)
        log_probs = tf.where(ended, scores * _penalty(ids, hparams.alpha), scores)
        return SearchResult(ids, scores, log_probs)
    if hparams.temperature:
        if input_numbers is None:
            input_numbers = tf.range(tf.shape(max_lengths)[0])
        ids, log_probs = sample_ids_and_log_probs(
            model,
            encoded,
            problem,
            max_lengths,
            input_numbers=input_numbers,
            temperature=hparams.temperature,
            top_k=hparams.top_k,
            num_samples=hparams.samples_per_input,
            seed=hparams.seed,
        )
    else:
        ids, log_probs = greedy_ids_and_log_probs(model, encoded, problem, max_lengths)
    shape = [tf.shape(max_lengths)[0], hparams.num_outputs]
    ids = tf.reshape(ids, [*shape, tf.shape(ids)[1]])
    log_probs = tf.reshape(log_probs, shape)
    return SearchResult(ids, log_probs / _penalty(ids, hparams.alpha), log_probs)


def _penalty(ids: tf.Tensor, alpha: float) -> tf.Tensor:
    lengths = tf.reduce_sum(tf.cast(ids != PAD_ID, tf.int32), axis=-1)
    return length_penalty(lengths, alpha)
