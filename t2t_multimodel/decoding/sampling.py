"""Outputs drawn from the model's probabilities."""

import tensorflow as tf

from t2t_multimodel.decoding.greedy import one_by_one
from t2t_multimodel.models.multimodel import Encoded, MultiModel


def sample_ids_and_log_probs(
    model: MultiModel,
    encoded: Encoded,
    problem: str,
    max_lengths: tf.Tensor,
    *,
    input_numbers: tf.Tensor,
    temperature: float,
    top_k: int = 0,
    num_samples: int = 1,
    seed: int = 0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws outputs; runs in a graph.

    What is drawn depends on the seed and the input's number alone: not on the batch
    that the input is in, nor on what was drawn before.

    Args:
        model: The model.
        encoded: The B inputs, from `model.encode`.
        problem: Name of the problem.
        max_lengths: `(B,)` int32, symbols after which a row ends without EOS.
        input_numbers: `(B,)` int32, number of each input.
        temperature: Divides the scores; positive. Near 0 it is greedy decoding.
        top_k: Symbols drawn from, the likeliest; 0 means all.
        num_samples: Outputs drawn of each input (G).
        seed: Of the random numbers.

    Returns:
        `(B * G, T)` int32 ids, 0 after EOS, and `(B * G,)` float32: the
        log-probability that the model gives them, at temperature 1.
    """
    longest = tf.reduce_max(max_lengths)

    def numbers(number: tf.Tensor) -> tf.Tensor:
        # By position first: the first numbers are the same however many are drawn.
        return tf.random.stateless_uniform(
            [longest, num_samples], [seed, number], alg="philox"
        )

    uniform = tf.map_fn(numbers, input_numbers, fn_output_signature=tf.float32)
    uniform = tf.reshape(tf.transpose(uniform, [1, 0, 2]), [longest, -1])  # (T, R)

    def choose(position: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return draw(logits / temperature, uniform[position], top_k)

    limits = tf.repeat(max_lengths, num_samples)
    return one_by_one(model, encoded, problem, limits, choose, num_samples)


def draw(logits: tf.Tensor, uniform: tf.Tensor, top_k: int = 0) -> tf.Tensor:
    """Returns the symbols at which the distribution function passes given numbers.

    Args:
        logits: `(R, V)` scores.
        uniform: `(R,)` numbers within [0, 1).
        top_k: Symbols that may be returned, the likeliest; 0 means all.

    Returns:
        `(R,)` int32.
    """
    ids = None
    if 0 < top_k < logits.shape[-1]:
        logits, ids = tf.math.top_k(logits, top_k)
    likeliest = tf.reduce_max(logits, axis=-1, keepdims=True)
    sums = tf.cumsum(tf.exp(logits - likeliest), axis=-1)
    passed = sums <= uniform[:, None] * sums[:, -1:]
    # A product that was rounded up to the sum itself passes nothing.
    passed = tf.logical_and(passed, sums < sums[:, -1:])
    index = tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)
    return index if ids is None else tf.gather(ids, index, batch_dims=1)
