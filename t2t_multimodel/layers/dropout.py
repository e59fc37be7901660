"""Dropout from stateless randomness."""

import keras
from keras import ops

from t2t_multimodel.layers.random_scope import next_seed


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class Dropout(keras.layers.Layer):
    """Zeroes elements at random in training, and scales the others up.

    Unlike `keras.layers.Dropout` it keeps no state: the mask is a function of the seed
    of the surrounding `random_scope`.

    Args:
        rate: Fraction of the elements to zero, in [0, 1).

    Call arguments:
        x: Tensor of any shape.
        training: Whether to drop; without it the layer returns `x`.

    Returns:
        Tensor of the shape and dtype of `x`.
    """

    def __init__(self, rate: float, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be at least 0 and below 1, got rate={rate}")
        self.rate = rate

    def build(self, input_shape):
        self.built = True

    def call(self, x, training=False):
        if not training or self.rate == 0:
            return x
        draw = keras.random.uniform(ops.shape(x), dtype="float32", seed=next_seed())
        # Scaled before it meets `x`: one product forward, one backward.
        return x * (ops.cast(draw >= self.rate, x.dtype) * (1 / (1 - self.rate)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"rate": self.rate}
