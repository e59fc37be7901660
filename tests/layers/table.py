"""Every public layer: how to make one, and what to call it with."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from t2t_multimodel import layers


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer of the conformance table.

    Attributes:
        make: Makes the layer, given a dtype policy.
        shapes: Shapes of the positional inputs.
        causal: Whether output position t depends on input positions up to t only.
        masked: Index of the input that has padding, -1 for none.
        mask_name: Name of the mask's argument.
        trains: Whether the layer takes `training`.
        draws: Whether it draws random numbers when `training`.
    """

    make: Callable[[str], keras.layers.Layer]
    shapes: tuple[tuple[int, ...], ...]
    causal: bool = False
    masked: int = -1
    mask_name: str = "padding_mask"
    trains: bool = False
    draws: bool = False

    def layer(self, dtype: str = "float32") -> keras.layers.Layer:
        """Returns a built layer with weights that are not their initial values."""
        layer = self.make(dtype)
        layer(*self.inputs())
        rng = np.random.default_rng(5)
        layer.set_weights(
            [rng.normal(0.3, 0.5, size=w.shape) for w in layer.get_weights()]
        )
        return layer

    def inputs(self, seed: int = 0) -> list[np.ndarray]:
        """Returns inputs of the case's shapes."""
        rng = np.random.default_rng(seed)
        return [rng.normal(size=shape).astype("float32") for shape in self.shapes]

    def training(self, on: bool = True) -> dict[str, bool]:
        """Returns the keyword arguments for a call in training."""
        return {"training": on} if self.trains else {}


class CausalSelfAttention(layers.MultiHeadAttention):
    """Attention of a sequence to its own past, as the attention block uses it."""

    def call(self, queries, memory, padding_mask=None, training=False):
        """Attends to the queries themselves; `memory` only gives its depth."""
        return super().call(queries, queries, causal=True, training=training)


CASES = {
    "LayerNorm": Case(lambda d: layers.LayerNorm(dtype=d), ((2, 12, 8),), causal=True),
    "LayerNorm of pictures": Case(
        lambda d: layers.LayerNorm(axes=(-3, -2, -1), dtype=d), ((2, 5, 4, 3),)
    ),
    "Dropout": Case(
        lambda d: layers.Dropout(0.5, dtype=d),
        ((2, 12, 8),),
        causal=True,
        trains=True,
        draws=True,
    ),
    "SeparableConv1D": Case(
        lambda d: layers.SeparableConv1D(6, 3, 2, dtype=d), ((2, 12, 8),)
    ),
    "SeparableConv1D strided": Case(
        lambda d: layers.SeparableConv1D(6, 3, strides=2, dtype=d), ((2, 12, 8),)
    ),
    "SeparableConv1D causal": Case(
        lambda d: layers.SeparableConv1D(6, 3, 2, causal=True, dtype=d),
        ((2, 12, 8),),
        causal=True,
    ),
    "ConvStep": Case(
        lambda d: layers.ConvStep(6, 3, 2, dtype=d), ((2, 12, 8),), masked=0
    ),
    "ConvStep causal": Case(
        lambda d: layers.ConvStep(6, 3, 2, causal=True, dtype=d),
        ((2, 12, 8),),
        causal=True,
        masked=0,
    ),
    "ConvBlock": Case(
        lambda d: layers.ConvBlock(8, dropout=0.5, dtype=d),
        ((2, 64, 8),),
        masked=0,
        trains=True,
        draws=True,
    ),
    "ConvBlock causal": Case(
        lambda d: layers.ConvBlock(8, causal=True, dropout=0.5, dtype=d),
        ((2, 64, 8),),
        causal=True,
        masked=0,
        trains=True,
        draws=True,
    ),
    "ConvStep2D": Case(
        lambda d: layers.ConvStep2D(6, dtype=d), ((2, 5, 4, 3),), masked=0
    ),
    "ConvStep2D strided": Case(
        lambda d: layers.ConvStep2D(6, (3, 3), (2, 2), separable=False, dtype=d),
        ((2, 5, 4, 3),),
    ),
    "ConvStep2D normed as a picture": Case(
        lambda d: layers.ConvStep2D(6, norm_axes=(-3, -2, -1), dtype=d),
        ((2, 5, 4, 3),),
    ),
    "MultiHeadAttention": Case(
        lambda d: layers.MultiHeadAttention(2, 8, 0.5, dtype=d),
        ((2, 12, 8), (2, 7, 6)),
        causal=True,
        masked=1,
        trains=True,
        draws=True,
    ),
    "MultiHeadAttention causal": Case(
        lambda d: CausalSelfAttention(2, 8, 0.5, dtype=d),
        ((2, 12, 8), (2, 1, 8)),
        causal=True,
        trains=True,
        draws=True,
    ),
    "AttentionBlock": Case(
        lambda d: layers.AttentionBlock(2, 8, attention_dropout=0.5, dtype=d),
        ((2, 12, 8), (2, 7, 6)),
        causal=True,
        masked=1,
        mask_name="source_padding_mask",
        trains=True,
        draws=True,
    ),
    "AttentionBlock self_residual": Case(
        lambda d: layers.AttentionBlock(2, 8, self_residual=True, dtype=d),
        ((2, 12, 8), (2, 7, 6)),
        causal=True,
        masked=1,
        mask_name="source_padding_mask",
        trains=True,
    ),
    "MixtureOfExperts": Case(
        lambda d: layers.MixtureOfExperts(6, 2, 10, dtype=d),
        ((2, 12, 8),),
        causal=True,
        masked=0,
        trains=True,
        draws=True,
    ),
    "MixtureOfExpertsBlock": Case(
        lambda d: layers.MixtureOfExpertsBlock(6, 2, 10, dtype=d),
        ((2, 12, 8),),
        causal=True,
        masked=0,
        trains=True,
        draws=True,
    ),
}
