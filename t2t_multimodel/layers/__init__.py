"""Layers of the network: plain arguments, `keras.ops` only.

Shapes in docstrings:

    B  batch                    C  depth (channels)
    T  target positions         V  vocabulary
    S  source positions         N  attention heads
    G  hypotheses of an input   R  rows of a decoding step, B * G
    L  positions of either      E  experts
    H  rows of an image         K  experts a position
    W  columns of an image      P  positions of a batch, B * L

`training` is the only switch between training and inference; a `padding_mask` is bool
and True at real positions. Layers that draw random numbers in training do so inside
`random_scope(seed)`.
"""

from t2t_multimodel.layers.attention import MultiHeadAttention
from t2t_multimodel.layers.attention_block import (
    AttentionBlock,
    AttentionState,
    SourceMemory,
)
from t2t_multimodel.layers.conv import (
    ConvBlock,
    ConvStep,
    SeparableConv1D,
    zero_padding,
)
from t2t_multimodel.layers.conv2d import ConvStep2D
from t2t_multimodel.layers.cursor import Cursor
from t2t_multimodel.layers.dropout import Dropout
from t2t_multimodel.layers.gating import moe_balance_loss
from t2t_multimodel.layers.moe import MixtureOfExperts, MixtureOfExpertsBlock
from t2t_multimodel.layers.norm import LayerNorm
from t2t_multimodel.layers.random_scope import next_seed, random_scope
from t2t_multimodel.layers.timing import timing_signal

__all__ = [
    "AttentionBlock",
    "AttentionState",
    "ConvBlock",
    "ConvStep",
    "ConvStep2D",
    "Cursor",
    "Dropout",
    "LayerNorm",
    "MixtureOfExperts",
    "MixtureOfExpertsBlock",
    "MultiHeadAttention",
    "SeparableConv1D",
    "SourceMemory",
    "moe_balance_loss",
    "next_seed",
    "random_scope",
    "timing_signal",
    "zero_padding",
]
