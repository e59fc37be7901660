"""Layer normalization."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class LayerNorm(keras.layers.Layer):
    """Normalizes every position over its depth, then scales and shifts it.

    Paper 2.1, LN over the hidden units of each position; epsilon from T2T v1.0.3.
    Mean and variance are computed in float32 whatever the dtype policy.

    Args:
        epsilon: Added to the variance.

    Call arguments:
        x: `(..., C)` activations.

    Returns:
        `(..., C)`, in the dtype the layer computes in.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        depth = input_shape[-1]
        self.scale = self.add_weight(name="scale", shape=(depth,), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(depth,), initializer="zeros")
        self.built = True

    def call(self, x):
        wide = ops.cast(x, "float32")
        centred = wide - ops.mean(wide, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        normalized = ops.cast(centred * ops.rsqrt(variance + self.epsilon), x.dtype)
        return normalized * self.scale + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon}
