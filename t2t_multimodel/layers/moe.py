"""The sparsely gated mixture of experts (paper 2.3)."""

import keras
from keras import ops

from t2t_multimodel.layers.dispatch import mix_experts
from t2t_multimodel.layers.gating import top_k_gating
from t2t_multimodel.layers.norm import LayerNorm
from t2t_multimodel.layers.observation import is_observed, observe
from t2t_multimodel.layers.random_scope import next_seed


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class MixtureOfExperts(keras.layers.Layer):
    """Sends each position to `k` of E experts and mixes their outputs.

    Shazeer et al. 2017, as in T2T v1.0.3, except that padding is neither routed nor
    counted. An expert is depth -> hidden -> depth with a ReLU and no bias. No
    position is dropped, however uneven the routing, and the cost grows with `k` and
    hardly with E.

    Args:
        num_experts: Number of experts E; paper: 240, or 60 for a single task.
        k: Experts a position; paper: 4.
        hidden_size: Hidden units of an expert.
        kernel_initializer: Initializer of the experts; each expert draws its own.

    Call arguments:
        x: `(B, L, C)` activations.
        padding_mask: `(B, L)` bool, False at padding, or `None`.
        training: Whether the gates are noisy.

    Returns:
        `(y, importance, load)`: `(B, L, C)`, zero at padding, and two `(E,)` float32
        for `moe_balance_loss`.
    """

    def __init__(
        self,
        num_experts: int,
        k: int,
        hidden_size: int,
        *,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 1 <= k <= num_experts:
            raise ValueError(
                f"k must be from 1 to num_experts, got k={k}, num_experts={num_experts}"
            )
        if hidden_size < 1:
            raise ValueError(
                f"hidden_size must be positive, got hidden_size={hidden_size}"
            )
        self.num_experts = num_experts
        self.k = k
        self.hidden_size = hidden_size
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        depth = input_shape[-1]
        # Experts are chosen in float32: rounded logits would tie.
        for name in ("gate", "noise"):
            weight = self.add_weight(
                name=name,
                shape=(depth, self.num_experts),
                initializer="zeros",
                autocast=False,
            )
            setattr(self, f"{name}_kernel", weight)
        self.hidden_kernel = self.add_weight(
            name="hidden",
            shape=(self.num_experts, depth, self.hidden_size),
            initializer=self._expert_initializer,
        )
        self.output_kernel = self.add_weight(
            name="output",
            shape=(self.num_experts, self.hidden_size, depth),
            initializer=self._expert_initializer,
        )
        self.built = True

    def _expert_initializer(self, shape, dtype=None):
        """Draws the kernel of each expert as if it were a layer of its own."""
        config = self.kernel_initializer.get_config()
        drawn = []
        for index in range(shape[0]):
            if isinstance(config.get("seed"), int):  # else equal experts stay equal
                config = config | {"seed": config["seed"] + 1 + index}
            initializer = type(self.kernel_initializer).from_config(config)
            drawn.append(initializer(shape[1:], dtype=dtype))
        return ops.stack(drawn)

    def call(self, x, padding_mask=None, training=False):
        shape = ops.shape(x)
        flat = ops.reshape(x, (-1, x.shape[-1]))  # (P, C)
        real = None if padding_mask is None else ops.reshape(padding_mask, (-1,))
        wide = ops.cast(flat, "float32")
        if real is not None:  # whatever is at padding, also a NaN
            wide = ops.where(real[:, None], wide, 0.0)
            flat = ops.where(real[:, None], flat, ops.zeros_like(flat))
        logits = ops.matmul(wide, self.gate_kernel)
        stddev = noise = None
        if training:
            stddev = ops.softplus(ops.matmul(wide, self.noise_kernel)) + 0.01
            noise = keras.random.normal(
                ops.shape(logits), dtype="float32", seed=next_seed()
            )
        gating = top_k_gating(logits, self.k, stddev=stddev, noise=noise, real=real)
        self._show(gating, shape)
        experts = gating.experts
        if real is not None:  # an expert that is not there: not routed
            experts = ops.where(real[:, None], experts, self.num_experts)
        y = mix_experts(
            flat, gating.gates, experts, self.hidden_kernel, self.output_kernel
        )
        return ops.reshape(y, shape), gating.importance, gating.load

    def _show(self, gating, shape):
        """Shows the gates `(B, L, E)`, 0 where a position has no use for an expert."""
        if is_observed():
            chosen = ops.one_hot(gating.experts, self.num_experts)  # (P, k, E)
            gates = ops.sum(chosen * ops.cast(gating.gates, "float32")[..., None], 1)
            observe(self, "experts", ops.reshape(gates, (*shape[:2], -1)))

    def compute_output_shape(self, x_shape, padding_mask_shape=None):
        return tuple(x_shape), (self.num_experts,), (self.num_experts,)

    def compute_output_spec(self, x, padding_mask=None, training=False):
        statistics = keras.KerasTensor((self.num_experts,), dtype="float32")
        return (
            keras.KerasTensor(x.shape, dtype=self.compute_dtype),
            statistics,
            statistics,
        )

    def get_config(self):
        return super().get_config() | {
            "num_experts": self.num_experts,
            "k": self.k,
            "hidden_size": self.hidden_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class MixtureOfExpertsBlock(keras.layers.Layer):
    """A mixture of experts with its residual path: LN(x + moe(x)).

    The residual and the norm are T2T v1.0.3's; the paper does not say.

    Args:
        num_experts: Number of experts E.
        k: Experts a position.
        hidden_size: Hidden units of an expert.
        kernel_initializer: Initializer of the experts.

    Call arguments:
        x: `(B, L, C)` activations.
        padding_mask: `(B, L)` bool, False at padding, or `None`.
        training: Whether the gates are noisy.

    Returns:
        `(y, importance, load)`: `(B, L, C)` and two `(E,)` float32.
    """

    def __init__(
        self,
        num_experts: int,
        k: int,
        hidden_size: int,
        *,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.moe = MixtureOfExperts(
            num_experts,
            k,
            hidden_size,
            kernel_initializer=kernel_initializer,
            dtype=self.dtype_policy,
            name="moe",
        )
        self.norm = LayerNorm(dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        self.moe.build(input_shape)
        self.norm.build(input_shape)
        self.built = True

    def call(self, x, padding_mask=None, training=False):
        y, importance, load = self.moe(x, padding_mask=padding_mask, training=training)
        return self.norm(x + y), importance, load

    def compute_output_shape(self, x_shape, padding_mask_shape=None):
        return self.moe.compute_output_shape(x_shape)

    def compute_output_spec(self, x, padding_mask=None, training=False):
        return self.moe.compute_output_spec(x)

    def get_config(self):
        moe = self.moe.get_config()
        names = ("num_experts", "k", "hidden_size", "kernel_initializer")
        return super().get_config() | {name: moe[name] for name in names}
