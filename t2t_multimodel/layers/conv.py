"""Convolutions: the step and the block the body is made of (paper 2.1)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from t2t_multimodel.layers.cursor import Cursor
from t2t_multimodel.layers.depthwise import depthwise_conv
from t2t_multimodel.layers.dropout import Dropout
from t2t_multimodel.layers.norm import LayerNorm
from t2t_multimodel.layers.pointwise import pointwise


def depthwise_initial(initializer, shape, dtype=None):
    """Draws a depthwise kernel `(*window, C, 1)` whose outputs keep the variance.

    Drawn as T2T does, a kernel has entries of 1 / sqrt(window * C). Layer norm hides
    that scale from the outputs but not from Adam, whose steps are then large beside
    the entries and throw small kernels about; hence the factor sqrt(C) (ours).

    Args:
        initializer: Drawn from; cloned first.
        shape: `(*window, C)`.
        dtype: Of the kernel.
    """
    return initializer.clone()((*shape, 1), dtype=dtype) * shape[-1] ** 0.5


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class SeparableConv1D(keras.layers.Layer):
    """Depthwise convolution along the positions, then a pointwise one; no bias.

    Paper 2.1, SepConv. Without `causal` padding is that of TensorFlow's SAME, with it
    all of it is on the left (T2T's LEFT), so that no position sees a later one.

    Args:
        filters: Depth of the output F.
        kernel_size: Number of taps k, in positions.
        dilation: Distance between taps, in positions.
        strides: Distance between outputs, in positions.
        causal: Whether to pad on the left only.
        kernel_initializer: Initializer of both kernels.

    Call arguments:
        x: `(B, L, C)` activations.

    Returns:
        `(B, ceil(L / strides), F)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        dilation: int = 1,
        *,
        strides: int = 1,
        causal: bool = False,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("filters", filters),
            ("kernel_size", kernel_size),
            ("dilation", dilation),
            ("strides", strides),
        ):
            if value < 1:
                raise ValueError(f"{name} must be positive, got {name}={value}")
        if strides > (kernel_size - 1) * dilation + 1:
            raise ValueError(
                "strides must not exceed the window, (kernel_size - 1) * dilation + 1, "
                f"got strides={strides}, kernel_size={kernel_size}, dilation={dilation}"
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.strides = strides
        self.causal = causal
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        depth = input_shape[-1]
        self.depthwise = self.add_weight(
            name="depthwise",
            shape=(self.kernel_size, depth),
            initializer=self._depthwise_initializer,
        )
        self.pointwise = self.add_weight(
            name="pointwise",
            shape=(depth, self.filters),
            initializer=self.kernel_initializer,
        )
        self.built = True

    def _depthwise_initializer(self, shape, dtype=None):
        kernel = depthwise_initial(
            self.kernel_initializer, (shape[0], 1, shape[1]), dtype
        )
        return ops.reshape(kernel, shape)

    @property
    def history(self) -> int:
        """Number of earlier positions a causal output depends on."""
        return (self.kernel_size - 1) * self.dilation

    def call(self, x):
        left = self.history
        if not self.causal:
            # Half of it, less what the last stride leaves unused.
            unused = (ops.shape(x)[1] - 1) % self.strides if self.strides > 1 else 0
            left = (self.history - unused) // 2
        right = self.history - left
        mixed = depthwise_conv(x, self.depthwise, self.dilation, left, right)
        # Strides of the convolution itself would have to be 1 or exclude dilation.
        if self.strides > 1:
            mixed = mixed[:, :: self.strides]
        return pointwise(mixed, self.pointwise)

    def initial_state(self, num_rows: Any) -> tuple[Any, ...]:
        """Returns the state before the first position, zeros.

        One `(kernel_size - 1, R, C)` for each position of a dilation: the inputs a
        dilation apart that the next position reads come first, then those that the
        one after it reads, and so on.
        """
        shape = (self.kernel_size - 1, num_rows, self.depthwise.shape[1])
        zeros = ops.zeros(shape, dtype=self.compute_dtype)
        return (zeros,) * self.dilation

    def step(
        self, x: Any, state: tuple[Any, ...], cursor: Cursor
    ) -> tuple[Any, tuple[Any, ...]]:
        """Computes one position of a causal convolution.

        Args:
            x: `(R, C)`, the position's input.
            state: From `initial_state` or the step before.
            cursor: Which position it is.

        Returns:
            `(R, F)` and the next state.
        """
        before, *others = state
        x = ops.expand_dims(ops.cast(x, before.dtype), 0)
        lags = self.dilation * np.arange(self.kernel_size - 1, 0, -1)
        taps = ops.concatenate([cursor.own_past(before, lags), x])
        mixed = ops.sum(ops.multiply(taps, ops.expand_dims(self.depthwise, 1)), axis=0)
        y = ops.cast(ops.matmul(mixed, self.pointwise), before.dtype)
        # Taking turns moves nothing; only this position's inputs are written anew.
        return y, (*others, ops.concatenate([before[1:], x]))

    def compute_output_shape(self, input_shape):
        batch, length, _ = input_shape
        if length is not None:
            length = -(-length // self.strides)
        return (batch, length, self.filters)

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
            "strides": self.strides,
            "causal": self.causal,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class ConvStep(keras.layers.Layer):
    """One convolution step: ReLU, separable convolution, layer norm.

    Paper 2.1. Padding positions are zeroed on the way in, so a row's result does not
    depend on how far its batch was padded.

    Args:
        filters: Depth of the output F.
        kernel_size: Number of taps, in positions.
        dilation: Distance between taps, in positions.
        causal: Whether a position sees only itself and earlier ones.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        x: `(B, L, C)` activations.
        padding_mask: `(B, L)` bool, False at padding; `None` means none.

    Returns:
        `(B, L, F)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        dilation: int = 1,
        *,
        causal: bool = False,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.conv = SeparableConv1D(
            filters,
            kernel_size,
            dilation,
            causal=causal,
            kernel_initializer=kernel_initializer,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = LayerNorm(dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, x, padding_mask=None):
        x = ops.relu(x)
        if padding_mask is not None:
            x = zero_padding(x, padding_mask)
        return self.norm(self.conv(x))

    def initial_state(self, num_rows: Any) -> Any:
        """Returns the state before the first position."""
        return self.conv.initial_state(num_rows)

    def step(self, x: Any, state: Any, cursor: Cursor) -> tuple[Any, Any]:
        """Computes one position `(R, C)`; returns `(R, F)` and the next state."""
        y, state = self.conv.step(ops.relu(x), state, cursor)
        return self.norm(y), state

    def compute_output_shape(self, x_shape, padding_mask_shape=None):
        return self.conv.compute_output_shape(x_shape)

    def get_config(self):
        conv = self.conv.get_config()
        names = (
            "filters",
            "kernel_size",
            "dilation",
            "causal",
            "kernel_initializer",
        )
        return super().get_config() | {name: conv[name] for name in names}


@keras.saving.register_keras_serializable(package="t2t_multimodel")
class ConvBlock(keras.layers.Layer):
    """Four convolution steps with two residual paths from the block's input.

    Paper 2.1: h1 = step(x), h2 = x + step(h1), h3 = step(h2), h4 = x + step(h3), then
    dropout. T2T v1.0.3 adds x + h2 at the second place instead; the paper is followed.

    Args:
        filters: Depth of input and output C.
        kernel_sizes: Taps of the four steps, in positions.
        dilations: Distance between taps of the four steps, in positions.
        causal: Whether a position sees only itself and earlier ones.
        dropout: Fraction dropped at the end of the block.
        kernel_initializer: Initializer of the kernels.

    Call arguments:
        x: `(B, L, C)` activations.
        padding_mask: `(B, L)` bool, False at padding; `None` means none.
        training: Whether to apply dropout.

    Returns:
        `(B, L, C)`.
    """

    def __init__(
        self,
        filters: int,
        kernel_sizes: tuple[int, int, int, int] = (3, 3, 15, 15),
        dilations: tuple[int, int, int, int] = (1, 1, 1, 8),
        *,
        causal: bool = False,
        dropout: float = 0.0,
        kernel_initializer="orthogonal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, values in (("kernel_sizes", kernel_sizes), ("dilations", dilations)):
            if len(values) != 4:
                raise ValueError(f"{name} needs 4 numbers, got {name}={values}")
        self.filters = filters
        self.kernel_sizes = tuple(kernel_sizes)
        self.dilations = tuple(dilations)
        self.causal = causal
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.steps = tuple(
            ConvStep(
                filters,
                kernel_size,
                dilation,
                causal=causal,
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=f"step_{index}",
            )
            for index, (kernel_size, dilation) in enumerate(
                zip(self.kernel_sizes, self.dilations, strict=True)
            )
        )
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape):
        if input_shape[-1] != self.filters:
            raise ValueError(
                f"the residual needs an input of depth {self.filters} (filters), got "
                f"an input of shape {tuple(input_shape)}"
            )
        for step in self.steps:
            step.build(input_shape)
        self.built = True

    def call(self, x, padding_mask=None, training=False):
        step_0, step_1, step_2, step_3 = self.steps
        h = step_0(x, padding_mask=padding_mask)
        h = x + step_1(h, padding_mask=padding_mask)
        h = step_2(h, padding_mask=padding_mask)
        h = x + step_3(h, padding_mask=padding_mask)
        return self.dropout(h, training=training)

    def initial_state(self, num_rows: Any) -> tuple[Any, ...]:
        """Returns the states of the four steps before the first position."""
        return tuple(step.initial_state(num_rows) for step in self.steps)

    def step(
        self, x: Any, state: tuple[Any, ...], cursor: Cursor
    ) -> tuple[Any, tuple[Any, ...]]:
        """Computes one position of a causal block, in inference.

        Args:
            x: `(R, C)`, the position's input.
            state: From `initial_state` or the step before.
            cursor: Which position it is.

        Returns:
            `(R, C)` and the next state.
        """
        step_0, step_1, step_2, step_3 = self.steps
        h, state_0 = step_0.step(x, state[0], cursor)
        h, state_1 = step_1.step(h, state[1], cursor)
        h, state_2 = step_2.step(x + h, state[2], cursor)
        h, state_3 = step_3.step(h, state[3], cursor)
        return x + h, (state_0, state_1, state_2, state_3)

    def compute_output_shape(self, x_shape, padding_mask_shape=None):
        return x_shape

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "dilations": self.dilations,
            "causal": self.causal,
            "dropout": self.dropout.rate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def zero_padding(x: Any, padding_mask: Any) -> Any:
    """Returns `x` with zeros at padding.

    Args:
        x: Tensor whose first axes are those of `padding_mask`.
        padding_mask: bool, False at padding.

    Returns:
        Tensor of the shape and dtype of `x`. Also a NaN at padding becomes zero.
    """
    extra_axes = len(x.shape) - len(padding_mask.shape)
    axes = tuple(range(-extra_axes, 0))
    return ops.where(ops.expand_dims(padding_mask, axes), x, 0)
