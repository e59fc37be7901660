"""The gradients of one problem by one batch, on one device or as a share of many."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_multimodel.hparams import HParams
from t2t_multimodel.layers import moe_balance_loss, random_scope
from t2t_multimodel.models.multimodel import MultiModel, net_key
from t2t_multimodel.training.losses import padded_cross_entropy
from t2t_multimodel.training.packing import GradientPacking

Sums = list
"""Sum of losses, number of targets, then importance and load of each MoE layer."""


class ProblemResult(NamedTuple):
    """What a batch of a problem gives.

    Attributes:
        packed: Its gradients, packed; of the loss times the multiplier, plus the
            balance loss of the experts.
        loss: Loss per target, in nats, without balance loss and multiplier.
        total: What was differentiated.
        num_targets: Targets that `loss` is a mean of.
    """

    packed: list
    loss: tf.Tensor
    total: tf.Tensor
    num_targets: tf.Tensor


class ProblemGradients:
    """Differentiates a problem's loss by the variables that train.

    The mean over targets and the experts' balance are of all replicas that share the
    problem: what they are made of is summed over the replicas between the forward and
    the backward pass, so that each replica's gradient is its share of the one that
    all examples in one batch would give.

    Args:
        model: The model; built.
        hparams: Label smoothing, the coefficient of the balance loss, weight decay.
        element_specs: Problem name to the element spec of its batches.
        loss_multipliers: Problem name to T2T's `loss_multiplier`.
        frozen: Paths of variables that stay as they are, their moments too.
    """

    def __init__(
        self,
        model: MultiModel,
        hparams: HParams,
        *,
        element_specs: Mapping[str, dict],
        loss_multipliers: Mapping[str, float],
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        self.model = model
        self.hparams = hparams
        self.element_specs = dict(element_specs)
        self.loss_multipliers = dict(loss_multipliers)
        trainable = model.trainable_variables
        self.packing = GradientPacking([v.shape for v in trainable])
        self._trains = [v.path not in frozen for v in trainable]
        self._used: dict[tuple, tuple[bool, ...]] = {}

    def key(self, name: str) -> tuple:
        """Returns what problems that can share a traced function have in common."""
        spec = self.model.spec(name)
        # Pictures of two sizes share their net, but are traced apart.
        shapes = tuple(
            (key, tuple(tensor.shape.as_list()))
            for key, tensor in sorted(self.element_specs[name].items())
        )
        return net_key(spec.inputs, name), net_key(spec.targets, name), shapes

    def trains(self) -> tuple[bool, ...]:
        """Returns whether each variable trains at all."""
        return tuple(self._trains)

    def used(self, name: str) -> tuple[bool, ...]:
        """Returns whether a problem that was traced trains each variable."""
        return self._used[self.key(name)]

    def inputs(
        self, name: str, batch: Mapping, *, seed: int, step: int, reader: int = 0
    ) -> tuple[dict, tf.Tensor, tf.Tensor]:
        """Returns what is computed with: features, random seed, loss multiplier.

        Args:
            name: The problem.
            batch: A batch of it.
            seed: The run's.
            step: Number of the step, from 0.
            reader: Which of the problem's readers the batch is of.
        """
        features = {key: batch[key] for key in self.element_specs[name]}
        space = tf.constant(int(self.model.spec(name).target_space_id))
        index = list(self.model.specs).index(name)
        return (
            features | {"target_space_id": space},
            tf.constant(_seed_words(seed, step, index, reader)),
            tf.constant(self.loss_multipliers[name], tf.float32),
        )

    def input_signature(self, name: str) -> tuple:
        """Returns the specs of what `inputs` gives, for batches of any size."""
        command = {"target_space_id": tf.TensorSpec([], tf.int32)}
        return (
            dict(self.element_specs[name]) | command,
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([], tf.float32),
        )

    def function(self, name: str) -> tf.types.experimental.PolymorphicFunction:
        """Returns a new traced function for all problems with the key of this one.

        It takes what `inputs` returns.
        """

        def compute(features, seed, loss_multiplier):
            return self(name, features, seed, loss_multiplier)

        return tf.function(
            compute,
            input_signature=self.input_signature(name),
            autograph=False,
            # Optimised by itself, it rounds alike wherever it is called from.
            experimental_attributes={"_noinline": True},
        )

    def num_sums(self) -> int:
        """Returns the most values that any problem has to sum over its replicas."""
        parts = (self.model.encoder, self.model.decoder)
        layers = [part.moe for part in parts if part is not None and part.moe]
        return 2 + 2 * len(layers) * self.hparams.moe_num_experts

    def __call__(
        self,
        name: str,
        features: Mapping,
        seed: tf.Tensor,
        loss_multiplier: tf.Tensor,
        over_replicas: Callable[[Sums], Sums] = lambda sums: sums,
    ) -> ProblemResult:
        """Computes a batch; for use in a traced function, as `function` gives it.

        Args:
            name: The problem.
            features: This and the next two are from `inputs`.
            seed: `(2,)` int32; decides dropout and gating noise.
            loss_multiplier: Scalar.
            over_replicas: Sums the values over the replicas that share the problem.
        """
        # Keras variables do not take part in tf.gradients; their values do.
        trainable = self.model.trainable_variables
        variables = [v.value for v, t in zip(trainable, self._trains, strict=True) if t]
        loss_sum, num_targets, *statistics = self.forward(name, features, seed)
        all_loss, all_targets, *all_statistics = over_replicas(
            [loss_sum, num_targets, *statistics]
        )
        all_targets_or_1 = tf.maximum(all_targets, 1.0)
        loss = all_loss / all_targets_or_1
        balance = self._balance_loss(all_statistics)
        found = iter(
            _gradients(
                [loss_sum, *statistics],
                variables,
                [
                    loss_multiplier / all_targets_or_1,
                    *_gradients([balance], all_statistics),
                ],
            )
        )
        # The optimizer's arithmetic is for dense tensors: slices with repeated rows
        # would be counted wrongly in norms and moments.
        gradients = [next(found) if trains else None for trains in self._trains]
        dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        self._used[self.key(name)] = tuple(g is not None for g in dense)
        total = loss_multiplier * loss + balance
        return ProblemResult(self.packing.pack(dense), loss, total, all_targets)

    def forward(self, name: str, features: Mapping, seed: tf.Tensor) -> Sums:
        """Computes a batch up to what is summed over replicas; arguments as above."""
        with random_scope(seed):
            output = self.model(features, problem=name, training=True)
        is_label = self.model.spec(name).is_classification
        labels = features["targets"]
        weights = tf.ones_like(labels, tf.float32) if is_label else None
        loss_sum, num_targets = padded_cross_entropy(
            output.logits, labels, self.hparams.label_smoothing, weights=weights
        )
        statistics = (tensor for pair in output.balance for tensor in pair)
        return [loss_sum, num_targets, *statistics]

    def _balance_loss(self, statistics: Sums):
        pairs = zip(statistics[::2], statistics[1::2], strict=True)
        losses = (moe_balance_loss(*pair) for pair in pairs)
        return self.hparams.moe_loss_coef * sum(losses, start=tf.constant(0.0))


def _gradients(ys: list, xs: list, grad_ys: list | None = None) -> list:
    """Returns the gradient of the sum of `ys` by each of `xs`, the same at every call.

    A tape would add up three gradients of a tensor in one operation, which begins with
    whichever of them is in memory that may be overwritten: chance. These are pairs.
    """
    tree = tf.AggregationMethod.EXPERIMENTAL_TREE
    return tf.gradients(ys, xs, grad_ys, aggregation_method=tree)


def _seed_words(seed: int, step: int, problem_index: int, reader: int) -> np.ndarray:
    """Returns two int32 words that differ for every seed, step, problem and reader."""
    # Of a problem's only reader as if there were none: the draws of a joint step do
    # not depend on the number of replicas then.
    numbers = [seed, step, problem_index, *([reader] if reader else [])]
    words = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return words.astype(np.int64).astype(np.int32)
