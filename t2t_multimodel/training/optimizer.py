"""Adam with T2T's numbers, on explicit lists of gradients."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import HParams

T2T_LEARNING_RATE_DIVISOR = 500.0
"""T2T's Adam divides the learning rate it is given by this."""


class Adam:
    """Adam in T2T's form, which leaves variables without a gradient alone.

    With t updates of a variable so far, this one included:

        m += (g - m) (1 - beta1);  v += (g^2 - v) (1 - beta2)
        variable -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)

    where `rate` is the learning rate given over `learning_rate_divisor`.

    * A gradient of `None` leaves its variable, both moments and t as they are: a step
      on one problem touches only what that problem uses. (T2T's graph gave zeros
      there, which still move a variable.) t is counted per variable, so that one
      that is first used at step 1000 gets the bias correction of a first update.
    * Gradients are dense: slices are summed by row, and every row of an embedding
      moves in every update, as in Keras. T2T's lazy Adam moved only the rows that
      were looked up; the two are the same where a table is also the softmax's.
    * Clipping by the global norm comes first, so give it gradients that are already
      summed over replicas.

    The slots are made in the scope in which the optimizer is made, and live under the
    paths of their variables: more problems never shift them.

    Args:
        variables: Path to variable (`keras.Variable.value`), in the order of the
            gradients.
        beta1: Decay of the mean of gradients, an update.
        beta2: Decay of the mean of squared gradients, an update.
        epsilon: Added to the root of the second moment.
        clip_grad_norm: Largest global norm; 0 means no clipping.
        learning_rate_divisor: 500 as in T2T, so that `learning_rate` is T2T's number;
            1 for Adam as published.
    """

    def __init__(
        self,
        variables: Mapping[str, tf.Variable],
        *,
        beta1: float = 0.85,
        beta2: float = 0.997,
        epsilon: float = 1e-6,
        clip_grad_norm: float = 0.0,
        learning_rate_divisor: float = T2T_LEARNING_RATE_DIVISOR,
    ) -> None:
        self.variables = dict(variables)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.clip_grad_norm = clip_grad_norm
        self.learning_rate_divisor = learning_rate_divisor
        self.slots: dict[str, tf.Variable] = {}
        for path, variable in self.variables.items():
            for slot in ("m", "v"):
                self.slots[f"{path}/{slot}"] = tf.Variable(
                    tf.zeros(variable.shape, variable.dtype), trainable=False
                )
        self._num_updates = tf.Variable(
            tf.zeros([len(self.variables)], tf.int64), trainable=False
        )

    def apply(
        self,
        gradients: Sequence[Any],
        learning_rate: Any,
        is_wanted: tf.Tensor | bool = True,
    ) -> tf.Tensor:
        """Updates the variables; for use in a `tf.function` or without one.

        Args:
            gradients: A tensor, slices or `None` for each variable, in order.
            learning_rate: T2T's number, float or scalar tensor.
            is_wanted: Whether to update at all, bool or scalar tensor.

        Returns:
            float32 scalar: the global norm of the gradients before clipping. If it is
            not finite, nothing was updated or counted.

        Raises:
            ValueError: If there is not one gradient a variable.
        """
        if len(gradients) != len(self.variables):
            raise ValueError(
                f"{len(gradients)} gradients for {len(self.variables)} variables; "
                "give None for a variable without one"
            )
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        if not used:
            return tf.zeros(())
        dense = [tf.convert_to_tensor(gradients[i]) for i in used]
        norm = tf.linalg.global_norm(dense)
        rate = tf.cast(learning_rate, tf.float32) / self.learning_rate_divisor

        def update() -> tf.Tensor:
            self._update(used, self._clipped(dense, norm), rate)
            return norm

        return tf.cond(tf.math.is_finite(norm) & is_wanted, update, lambda: norm)

    def _clipped(self, gradients: list[tf.Tensor], norm: tf.Tensor) -> list[tf.Tensor]:
        if not self.clip_grad_norm:
            return gradients
        factor = self.clip_grad_norm / tf.maximum(norm, self.clip_grad_norm)
        return [gradient * factor for gradient in gradients]

    def _update(
        self, used: list[int], gradients: list[tf.Tensor], rate: tf.Tensor
    ) -> None:
        paths = list(self.variables)
        powers = self._count(used)
        for index, gradient, beta1_power, beta2_power in zip(
            used, gradients, *powers, strict=True
        ):
            path = paths[index]
            # One fused kernel a variable, with just the formula above: half the time
            # of three assignments, both for many small and for large variables.
            tf.raw_ops.ResourceApplyAdam(
                var=self.variables[path].handle,
                m=self.slots[f"{path}/m"].handle,
                v=self.slots[f"{path}/v"].handle,
                beta1_power=beta1_power,
                beta2_power=beta2_power,
                lr=rate,
                beta1=self.beta1,
                beta2=self.beta2,
                epsilon=self.epsilon,
                grad=gradient,
            )

    def _count(self, used: list[int]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Counts an update of the variables `used`; returns beta1^t and beta2^t."""
        mask = [int(i in set(used)) for i in range(len(self.variables))]
        # On this replica's copy, as below: the replicas count alike, and waiting for
        # each other within tf.cond is not supported.
        handle = self._num_updates.handle
        tf.raw_ops.AssignAddVariableOp(
            resource=handle, value=tf.constant(mask, tf.int64)
        )
        counts = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.int64)
        updates = tf.cast(tf.gather(counts, used), tf.float32)
        return tf.unstack(self.beta1**updates), tf.unstack(self.beta2**updates)

    def get_state(self) -> dict[str, int]:
        """Returns the number of updates of every variable, by path, for saving."""
        counts = self._num_updates.numpy()
        return {p: int(n) for p, n in zip(self.variables, counts, strict=True)}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Takes the counts of `get_state`; variables not in it begin at 0."""
        self._num_updates.assign([state.get(path, 0) for path in self.variables])


def make_adam(variables: Iterable[Any], hparams: HParams) -> Adam:
    """Returns the optimizer of Keras variables that hyperparameters describe."""
    return Adam(
        variables_by_path(variables),
        beta1=hparams.optimizer_adam_beta1,
        beta2=hparams.optimizer_adam_beta2,
        epsilon=hparams.optimizer_adam_epsilon,
        clip_grad_norm=hparams.clip_grad_norm,
    )


def variables_by_path(variables: Iterable[Any]) -> dict[str, tf.Variable]:
    """Returns path to TensorFlow variable for Keras variables, in their order.

    Raises:
        UserError: If two have the same path; give their layers different names.
    """
    by_path: dict[str, tf.Variable] = {}
    for variable in variables:
        if variable.path in by_path:
            raise UserError(
                f"two variables have the path {variable.path!r}; "
                "give their layers different names"
            )
        by_path[variable.path] = variable.value
    return by_path


def weight_decay_gradient(variable: Any, weight_decay: float) -> Any:
    """Returns the gradient of T2T v1.0.x's weight decay by one variable.

    The decay is `weight_decay` times half the *mean* square of each variable of rank
    2 or more, so that T2T's 3.0 is mild. (v1.4.4 took the sum.) As a gradient rather
    than a loss it leaves variables alone that a step does not use.

    Args:
        variable: Tensor or variable of known shape.
        weight_decay: The factor.

    Returns:
        A tensor of the variable's shape, or `None` for vectors and scalars.
    """
    if not weight_decay or len(variable.shape) < 2:
        return None
    return weight_decay / variable.shape.num_elements() * variable
