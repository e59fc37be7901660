"""The training loss: cross-entropy with T2T's label smoothing."""

import math
from typing import Any

from keras import ops

from t2t_multimodel.errors import UserError


def label_weights(labels: Any) -> Any:
    """Returns the weight of every label: which ones count.

    Args:
        labels: `(B, T)` ids of a text, of which 0 is padding; or `(B,)` classes,
            all of which count, class 0 too.

    Returns:
        float32 ones and zeros of the shape of `labels`.
    """
    if len(labels.shape) == 1:
        return ops.ones_like(labels, dtype="float32")
    return ops.cast(ops.not_equal(labels, 0), "float32")


def smoothing_constants(
    vocab_size: int, label_smoothing: float
) -> tuple[float, float, float]:
    """Returns what a smoothed target is made of (T2T `smoothing_cross_entropy`).

    Returns:
        Probability of the label, probability of each other symbol, and the entropy
        of the smoothed target in nats, which T2T takes off the loss so that its
        minimum is 0.

    Raises:
        UserError: If `label_smoothing` is not in [0, 1) or there is but one symbol.
    """
    if not 0 <= label_smoothing < 1:
        raise UserError(f"label_smoothing={label_smoothing} must be in [0, 1)")
    if vocab_size < 2:
        raise UserError(f"a softmax over vocab_size={vocab_size} needs 2 symbols")
    confidence = 1.0 - label_smoothing
    low_confidence = label_smoothing / (vocab_size - 1)
    entropy = -confidence * math.log(confidence)
    if low_confidence:
        entropy -= label_smoothing * math.log(low_confidence)
    return confidence, low_confidence, entropy


def padded_cross_entropy(
    logits: Any, labels: Any, label_smoothing: float = 0.1, weights: Any = None
) -> tuple[Any, Any]:
    """Returns the smoothed cross-entropy of a batch, in nats, as a sum and a count.

    T2T v1.0.3 and v1.4.4: cross-entropy with the smoothed target, less the target's
    entropy. Divide the sum by `max(count, 1)`, both added over all replicas first.

    Args:
        logits: `(B, T, V)`, or `(B, V)` for class labels; computed in float32.
        labels: `(B, T)` int, or `(B,)`. If one of logits and labels is shorter than
            the other, and both lengths are known when the graph is made, it is
            filled up with zeros as in T2T.
        label_smoothing: Probability that the target gives to the other symbols.
        weights: Shape of `labels`; `None` means `label_weights(labels)`.

    Returns:
        float32 scalars: weighted sum of the losses, sum of the weights.
    """
    logits, labels = pad_to_same_length(logits, labels)
    weights = label_weights(labels) if weights is None else weights
    losses = smoothed_cross_entropy(logits, labels, label_smoothing)
    return ops.sum(losses * weights), ops.sum(weights)


def smoothed_cross_entropy(
    logits: Any, labels: Any, label_smoothing: float = 0.0
) -> Any:
    """Returns the loss in nats at each position; see `padded_cross_entropy`.

    Args:
        logits: `(..., V)`.
        labels: `(...)` int.

    Returns:
        float32 `(...)`.
    """
    vocab_size = logits.shape[-1]
    confidence, low, entropy = smoothing_constants(vocab_size, label_smoothing)
    shape = ops.shape(labels)
    logits = ops.cast(ops.reshape(logits, (-1, vocab_size)), "float32")
    labels = ops.cast(ops.reshape(labels, (-1, 1)), "int32")

    # With p for the smoothed target and z for the logits, the loss is
    # log(sum(exp(z))) - sum(p z) - entropy. As p is `low` but for the label, a
    # sum over z and z at the label are enough, and no one-hot (B, T, V) is made.
    # The gradient softmax(z) - p by hand takes half the time of the derived one,
    # since exp(z) is kept, and neither log(softmax) nor a sparse gradient is made.
    @ops.custom_gradient
    def loss_of(logits: Any) -> tuple[Any, Any]:
        # With `initial`, a batch of no rows is no error.
        peak = ops.max(logits, axis=-1, keepdims=True, initial=-3e38)
        logits = logits - peak
        exp = ops.exp(logits)
        total = ops.sum(exp, axis=-1, keepdims=True)
        at_label = ops.take_along_axis(logits, labels, axis=-1)
        smooth = ops.sum(logits, axis=-1, keepdims=True) if low else 0.0
        losses = ops.log(total) - (confidence - low) * at_label - low * smooth

        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = args[0] if upstream is None else upstream
            softmax = exp * (upstream / total)
            rest = softmax - low * upstream if low else softmax
            at = (ops.exp(at_label) / total - confidence) * upstream
            rows = ops.arange(ops.shape(labels)[0], dtype="int32")[:, None]
            indices = ops.concatenate([rows, labels], axis=-1)
            return ops.scatter_update(rest, indices, at[:, 0])

        return losses - entropy, gradient

    return ops.reshape(loss_of(logits), shape)


def pad_to_same_length(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Fills up the shorter of `(B, T, V)` logits and `(B, T)` labels with zeros.

    Lengths that are unknown when the graph is made are taken to be equal.
    """
    if len(labels.shape) == 1 or None in (logits.shape[1], labels.shape[1]):
        return logits, labels
    missing = labels.shape[1] - logits.shape[1]
    if missing > 0:
        logits = ops.pad(logits, ((0, 0), (0, missing), (0, 0)))
    elif missing < 0:
        labels = ops.pad(labels, ((0, 0), (0, -missing)))
    return logits, labels
