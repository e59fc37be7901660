"""Floating-point operations of a pass, counted from the layers that ran.

Counted are products: matrix products and convolutions, a multiply and an add each.
Norms, activations, softmax, look-ups and the optimizer are left out, as is usual; they
are what keeps a step below the speed of the machine's matrix product. Work is counted
as the network defines it, not as a kernel may do it: an expert counts for the positions
that chose it, without padding, and masked attention counts in full.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from t2t_multimodel import layers, modalities

TRAINING_FACTOR = 3
"""A training step costs a forward pass and two products for each of its products."""


class FlopCount:
    """Running totals of a `counted_flops` block.

    Attributes:
        by_layer: Class name to floating-point operations of the forward pass.
    """

    def __init__(self) -> None:
        self.by_layer: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Operations of the forward pass."""
        return sum(self.by_layer.values())

    def add(self, layer: str, multiply_adds: int) -> None:
        """Adds multiply-adds, two operations each."""
        self.by_layer[layer] = self.by_layer.get(layer, 0) + 2 * int(multiply_adds)


def separable_conv_1d(layer, y, x) -> int:
    """Depthwise over the input's depth, then pointwise; per output position."""
    depth = x.shape[-1]
    return _positions(y) * (layer.kernel_size * depth + depth * layer.filters)


def conv_step_2d(layer, y, x, padding_mask=None) -> int:
    """The same in two dimensions, or an ordinary convolution."""
    depth, taps = x.shape[-1], int(np.prod(layer.kernel_size))
    if layer.separable:
        return _positions(y) * (taps * depth + depth * layer.filters)
    return _positions(y) * taps * depth * layer.filters


def attention(layer, y, queries, memory, *args, **kwargs) -> int:
    """Four projections, and two products a pair of positions."""
    (batch, targets, depth), sources = queries.shape, memory.shape[1]
    projections = 2 * batch * targets * depth * layer.depth
    projections += 2 * batch * sources * memory.shape[-1] * layer.depth
    return projections + 2 * batch * targets * sources * layer.depth


def mixture_of_experts(layer, y, x, padding_mask=None, training=False) -> int:
    """Gate and noise for every position; k experts for each real one."""
    depth = x.shape[-1]
    real = _positions(x) if padding_mask is None else int(np.sum(padding_mask))
    gating = 2 * _positions(x) * depth * layer.num_experts
    return gating + real * layer.k * 2 * depth * layer.hidden_size


def dense(layer, y, inputs, training=None) -> int:
    """A matrix product."""
    return _positions(y) * inputs.shape[-1] * layer.units


def logits(layer, y, x) -> int:
    """The products with the rows of the softmax table."""
    return _positions(y) * layer.depth * layer.vocab_size


FORMULAS: dict[tuple[type, str], Callable[..., int]] = {
    (layers.SeparableConv1D, "call"): separable_conv_1d,
    (layers.ConvStep2D, "call"): conv_step_2d,
    (layers.MultiHeadAttention, "call"): attention,
    (layers.MixtureOfExperts, "call"): mixture_of_experts,
    (keras.layers.Dense, "call"): dense,
    (modalities.LanguageModality, "logits"): logits,
}
"""Multiply-adds of a method's call, from the layer, the result and the arguments."""


@contextlib.contextmanager
def counted_flops() -> Iterator[FlopCount]:
    """Counts what layers compute inside the block; run them eagerly."""
    count = FlopCount()
    originals = {key: getattr(*key) for key in FORMULAS}
    for (cls, method), formula in FORMULAS.items():
        setattr(cls, method, _counting(originals[cls, method], formula, count))
    try:
        yield count
    finally:
        for (cls, method), original in originals.items():
            setattr(cls, method, original)


def _counting(
    original: Callable[..., Any], formula: Callable[..., int], count: FlopCount
) -> Callable[..., Any]:
    @functools.wraps(original)  # Keras looks at the signature
    def call(self, *args, **kwargs):
        y = original(self, *args, **kwargs)
        count.add(type(self).__name__, formula(self, y, *args, **kwargs))
        return y

    return call


def _positions(x) -> int:
    """Returns how many vectors a tensor holds."""
    shape = (x[0] if isinstance(x, tuple) else x).shape
    return int(np.prod(shape[:-1]))
