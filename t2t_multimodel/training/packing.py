"""Many small gradients as one vector, so that few tensors leave a traced function."""

from collections.abc import Sequence

import tensorflow as tf

SMALL_ELEMENTS = 1 << 15
"""Tensors of fewer elements share the vector; copying a larger one takes longer."""


class GradientPacking:
    """Packs one gradient per variable into a vector and the few large tensors.

    Python spends about as long on handing over a tensor as TensorFlow on adding a
    small one, and a network has hundreds.

    Args:
        shapes: Shape of each variable, in order.
        small_elements: See `SMALL_ELEMENTS`.
    """

    def __init__(
        self,
        shapes: Sequence[tf.TensorShape],
        small_elements: int = SMALL_ELEMENTS,
    ) -> None:
        self.shapes = [tf.TensorShape(shape) for shape in shapes]
        sizes = [shape.num_elements() for shape in self.shapes]
        self.small = [i for i, size in enumerate(sizes) if size < small_elements]
        self.large = [i for i, size in enumerate(sizes) if size >= small_elements]
        self._small_sizes = [sizes[i] for i in self.small]

    def pack(self, gradients: Sequence) -> list:
        """Returns the vector, zeros standing for `None`, and the large tensors."""
        vector = [
            tf.zeros([size])
            if gradients[i] is None
            else tf.reshape(gradients[i], [size])
            for i, size in zip(self.small, self._small_sizes, strict=True)
        ]
        large = [
            None if gradients[i] is None else tf.reshape(gradients[i], self.shapes[i])
            for i in self.large
        ]
        return [tf.concat([tf.zeros([0]), *vector], axis=0), *large]

    def unpack(self, packed: Sequence, used: Sequence[bool]) -> list:
        """Returns one gradient per variable; `None` where `used` is False."""
        vector, *large = packed
        gradients: list = [None] * len(self.shapes)
        pieces = tf.split(vector, self._small_sizes) if self.small else []
        for i, piece in zip(self.small, pieces, strict=True):
            gradients[i] = tf.reshape(piece, self.shapes[i])
        for i, tensor in zip(self.large, large, strict=True):
            gradients[i] = tensor
        return [g if u else None for g, u in zip(gradients, used, strict=True)]


def cast_packed(packed: Sequence, dtype: str) -> list:
    """Returns a packed list in another dtype."""
    return [None if part is None else tf.cast(part, dtype) for part in packed]


def add_packed(total: Sequence, packed: Sequence) -> list:
    """Returns the sum of two packed lists."""
    return [
        a if b is None else b if a is None else a + b
        for a, b in zip(total, packed, strict=True)
    ]
