"""What stands in for attention in the ablation without it."""

import keras
from keras import ops

from t2t_multimodel.layers import LayerNorm


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class PositionalAlignment(keras.layers.Layer):
    """Brings the source to the target without attention (ours).

    Neither the paper nor T2T says how its model without attention reads the source.
    Here each target position gets the source's mean and, as in ByteNet, the source
    position of the same index, each through a pointwise convolution.

    Args:
        depth: Depth of every position (C).

    Call arguments:
        x: `(B, T, C)`.
        source: `(B, S, C)`, zeros at padding.
        source_padding_mask: `(B, S)` bool, False at padding.

    Returns:
        `(B, T, C)`: LN(x + what was read).
    """

    def __init__(self, depth: int, *, kernel_initializer="orthogonal", **kwargs):
        super().__init__(**kwargs)
        self.depth = depth
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.mean_projection, self.aligned_projection = (
            keras.layers.Dense(
                depth,
                use_bias=False,
                kernel_initializer=self.kernel_initializer.clone(),  # another draw
                name=name,
                dtype=self.dtype_policy,
            )
            for name in ("mean_projection", "aligned_projection")
        )
        self.norm = LayerNorm(name="norm", dtype=self.dtype_policy)

    def build(self, x_shape=None, source_shape=None):
        shape = (None, None, self.depth)
        for layer in (self.mean_projection, self.aligned_projection, self.norm):
            layer.build(shape)

    def call(self, x, source, source_padding_mask=None, training=False):
        length = ops.shape(x)[1]
        mean, aligned = self.project_source(source, source_padding_mask)
        aligned = ops.pad(aligned, [(0, 0), (0, length), (0, 0)])[:, :length]
        return self.norm(x + (mean + aligned))

    def project_source(self, source, source_padding_mask=None):
        """Projects a source `(B, S, C)`; the mask is `(B, S)` bool.

        Returns:
            The mean `(B, 1, C)` and every position `(B, S, C)`, projected.
        """
        # In float32: bfloat16 has no 257.
        total = ops.sum(ops.cast(source, "float32"), axis=1, keepdims=True)
        if source_padding_mask is None:
            count = ops.cast(ops.shape(source)[1], "float32")
        else:
            real = ops.cast(source_padding_mask, "float32")
            count = ops.maximum(ops.sum(real, axis=1), 1)[:, None, None]
        mean = ops.cast(total / count, source.dtype)
        return self.mean_projection(mean), self.aligned_projection(source)

    def initial_state(self, batch_size, room, num_hypotheses=1):
        """Returns nothing: what was before does not matter."""
        del batch_size, room, num_hypotheses
        return ()

    def extend_state(self, state, capacity):
        """Returns the state as it is."""
        del capacity
        return state

    def step(self, x, state, source, cursor):
        """Computes one position, in inference.

        Args:
            x: `(R, C)`, the position's target.
            state: From `initial_state`.
            source: From `project_source`, of the B inputs.
            cursor: A `Cursor`: which position it is.

        Returns:
            `(R, C)` and the state.
        """
        mean, aligned = source
        length = ops.shape(aligned)[1]
        # Nothing, past the end of the source.
        read = ops.take(aligned, ops.minimum(cursor.position, length - 1), axis=1)
        read = ops.where(cursor.position < length, read, ops.zeros_like(read))
        grouped = ops.reshape(x, (ops.shape(aligned)[0], -1, self.depth))
        x = grouped + (mean + read[:, None])
        return self.norm(ops.reshape(x, (-1, self.depth))), state

    def compute_output_shape(
        self, x_shape, source_shape, source_padding_mask_shape=None
    ):
        return x_shape

    def get_config(self):
        return super().get_config() | {
            "depth": self.depth,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
