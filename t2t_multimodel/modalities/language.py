"""The language net: embeddings in, logits over the vocabulary out."""

from typing import Any

import keras
from keras import ops

from t2t_multimodel.layers import next_seed


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class LanguageModality(keras.layers.Layer):
    """Embeds sub-words and scores them (paper 2.5; tables as in T2T v1.0.3).

    Id 0 is padding and embeds to zeros. Embeddings are drawn from N(0, 1/depth) and
    multiplied by sqrt(depth), so that they enter the body with unit variance.

    Args:
        vocab_size: Rows of the tables (V).
        depth: Depth of the body (C).
        shared: Whether inputs, targets and softmax use one table; three if not.
        symbol_dropout: Share of the input symbols hidden in training (T2T v1.4.4).
    """

    def __init__(
        self,
        vocab_size: int,
        depth: int,
        *,
        shared: bool = False,
        symbol_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.depth = depth
        self.shared = shared
        self.symbol_dropout = symbol_dropout

    def build(self, input_shape=None):
        names = ["shared"] if self.shared else ["inputs", "targets", "softmax"]
        tables = {
            name: self.add_weight(
                name=f"{name}_table",
                shape=(self.vocab_size, self.depth),
                initializer=keras.initializers.RandomNormal(stddev=self.depth**-0.5),
                autocast=False,  # so that a frequent symbol's gradients add in float32
            )
            for name in names
        }
        self.inputs_table = tables.get("inputs", tables.get("shared"))
        self.targets_table = tables.get("targets", tables.get("shared"))
        self.softmax_table = tables.get("softmax", tables.get("shared"))

    def embed_inputs(self, ids, training=False):
        """Returns the embeddings `(B, S, C)` of input ids `(B, S)`."""
        if training and self.symbol_dropout:
            shown = keras.random.uniform(ops.shape(ids), seed=next_seed())
            ids = ids * ops.cast(shown >= self.symbol_dropout, ids.dtype)
        return self._embed(self.inputs_table, ids)

    def embed_targets(self, ids):
        """Returns the embeddings `(B, T, C)` of target ids `(B, T)`."""
        return self._embed(self.targets_table, ids)

    def _embed(self, table, ids):
        embedded = ops.cast(ops.take(table, ids, axis=0), self.compute_dtype)
        real = ops.cast(ids != 0, self.compute_dtype)[..., None]
        return embedded * real * self.depth**0.5

    def logits(self, x):
        """Returns `(B, T, V)` float32 scores of `(B, T, C)` body outputs.

        Those of single positions `(R, C)` are `(R, V)`.
        """
        table = ops.cast(self.softmax_table, self.compute_dtype)
        if len(x.shape) == 2:
            # Of few rows and many the many come first: that takes about half as long.
            logits = ops.transpose(ops.matmul(table, ops.transpose(x)))
            return ops.cast(logits, "float32")
        logits = _scores(ops.reshape(x, (-1, self.depth)), table)
        logits = ops.reshape(logits, (*ops.shape(x)[:-1], self.vocab_size))
        return ops.cast(logits, "float32")

    def call(self, ids, training=False):
        """Same as `embed_inputs`."""
        return self.embed_inputs(ids, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.depth)

    def get_config(self):
        return super().get_config() | {
            "vocab_size": self.vocab_size,
            "depth": self.depth,
            "shared": self.shared,
            "symbol_dropout": self.symbol_dropout,
        }


@ops.custom_gradient
def _scores(x: Any, table: Any) -> tuple[Any, Any]:
    """Returns `x` `(P, C)` times the rows of `table` `(V, C)`: `(P, V)`.

    The derived gradient of the table would be that of its transpose, and then be
    transposed: one more pass over the largest matrix of the model.
    """

    def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any]:
        upstream = args[0] if upstream is None else upstream
        d_table = ops.matmul(ops.transpose(upstream), x)
        return ops.matmul(upstream, table), d_table

    return ops.matmul(x, ops.transpose(table)), gradient
