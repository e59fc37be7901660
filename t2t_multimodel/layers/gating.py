"""Noisy top-k gating: which experts a position goes to (Shazeer et al. 2017)."""

import math
from typing import Any, NamedTuple

from keras import ops


class Gating(NamedTuple):
    """Which experts each position goes to, and how evenly they are used.

    Attributes:
        experts: `(P, K)` int32, the chosen experts, the strongest first.
        gates: `(P, K)` float32, their weights; they sum to 1, or to 0 at padding.
        importance: `(E,)` float32, sum of the gates of each expert.
        load: `(E,)` float32, (smooth) number of positions of each expert.
    """

    experts: Any
    gates: Any
    importance: Any
    load: Any


def top_k_gating(
    logits: Any, k: int, *, stddev: Any = None, noise: Any = None, real: Any = None
) -> Gating:
    """Chooses `k` experts for each position.

    As T2T v1.0.3, but padding is left out of the statistics. With noise, the load is
    the sum of the probabilities that the position would choose the expert if its
    noise were drawn again, which has a gradient; without (or if all experts are
    chosen), the number of positions that chose it.

    Args:
        logits: `(P, E)` float32, one row a position.
        k: Number of experts a position.
        stddev: `(P, E)` standard deviation of the noise, or `None` for no noise.
        noise: `(P, E)` standard normal numbers, given together with `stddev`.
        real: `(P,)` bool, False at padding, or `None`.
    """
    num_experts = logits.shape[-1]
    noisy = logits if noise is None else logits + noise * stddev
    smooth = noise is not None and k < num_experts
    values, experts = ops.top_k(noisy, k + 1 if smooth else k)
    chosen = values[:, :k]
    gates = ops.exp(chosen - ops.logsumexp(chosen, axis=-1, keepdims=True))
    experts = ops.cast(experts[:, :k], "int32")
    if real is not None:
        gates = ops.where(real[:, None], gates, 0.0)
    importance = ops.segment_sum(
        ops.reshape(gates, (-1,)), ops.reshape(experts, (-1,)), num_experts
    )
    if smooth:
        weakest_in, strongest_out = values[:, k - 1 : k], values[:, k : k + 1]
        threshold = ops.where(noisy > strongest_out, strongest_out, weakest_in)
        position_load = _normal_cdf((logits - threshold) / stddev)  # (P, E)
        if real is not None:
            position_load = ops.where(real[:, None], position_load, 0.0)
        load = ops.sum(position_load, axis=0)
    else:
        load = ops.segment_sum(
            ops.cast(ops.reshape(gates, (-1,)) > 0, "float32"),
            ops.reshape(experts, (-1,)),
            num_experts,
        )
    return Gating(experts, gates, importance, load)


def moe_balance_loss(importance: Any, load: Any) -> Any:
    """Returns CV^2(importance) + CV^2(load), the cost of uneven use of the experts.

    Not yet multiplied by its coefficient. Sum both over replicas first.

    Args:
        importance: `(E,)` sums of gates.
        load: `(E,)` loads.

    Returns:
        Scalar float32.
    """
    return cv_squared(importance) + cv_squared(load)


def cv_squared(x: Any) -> Any:
    """Returns the squared coefficient of variation of `x` `(E,)`, 0 if it is all 0."""
    x = ops.cast(x, "float32")
    return ops.var(x) / (ops.square(ops.mean(x)) + 1e-10)


def _normal_cdf(x: Any) -> Any:
    return 0.5 * (1 + ops.erf(x * math.sqrt(0.5)))
