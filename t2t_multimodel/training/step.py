"""One training step: the gradients of one or all problems, and the update."""

import collections
import concurrent.futures
import functools
import itertools
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_multimodel.hparams import HParams
from t2t_multimodel.layers import moe_balance_loss, random_scope
from t2t_multimodel.models.multimodel import ModelOutput, MultiModel, net_key
from t2t_multimodel.training.losses import padded_cross_entropy
from t2t_multimodel.training.optimizer import Adam, weight_decay_gradient
from t2t_multimodel.training.packing import GradientPacking, add_packed


class StepResult(NamedTuple):
    """What a step computed, before the update.

    Attributes:
        packed: Sum of the problems' gradients, packed.
        used: Whether any problem of the step uses each variable.
        losses: Problem name to its loss per target, in nats, without the experts'
            balance loss and the loss multiplier.
        totals: Problem name to what was differentiated: the loss times the
            multiplier, plus the balance loss.
        num_targets: Problem name to the number of targets its loss is a mean of.
    """

    packed: list
    used: tuple[bool, ...]
    losses: dict
    totals: dict
    num_targets: dict


class TrainStep:
    """Computes gradients: one traced function for each pair of modality nets.

    A joint step gives the mean of its problems' gradients, each problem's loss being
    `loss_multiplier` times its mean over targets, plus the balance loss of its
    experts (the paper trained with one worker a problem; the synchronous mean is ours).

    Problems with the same nets and sizes, such as all translations, share their
    function, so that eight problems are traced as fast as four. `num_parallel` are
    run at a time, and summed in the order of the problems whichever ends first, so
    that the sum does not depend on it and few sets of gradients wait to be added.

    Args:
        model: The model; built.
        optimizer: Of the model's trainable variables, in their order.
        hparams: Label smoothing, loss coefficients, weight decay.
        loss_multipliers: Problem name to T2T's `loss_multiplier`.
        element_specs: Problem name to the element spec of its batches.
        seed: With the step number decides every random draw.
        num_parallel: Problems of a joint step computed side by side. Small operations
            do not fill several cores; several problems do, at their memory.
    """

    def __init__(
        self,
        model: MultiModel,
        optimizer: Adam,
        hparams: HParams,
        *,
        loss_multipliers: Mapping[str, float],
        element_specs: Mapping[str, dict],
        seed: int,
        num_parallel: int = 1,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.hparams = hparams
        self.loss_multipliers = dict(loss_multipliers)
        self.element_specs = dict(element_specs)
        self.seed = seed
        self.packing = GradientPacking([v.shape for v in model.trainable_variables])
        self._functions: dict[tuple, Callable] = {}
        self._used: dict[tuple, tuple[bool, ...]] = {}
        self._updates: dict[tuple, Callable] = {}
        self._lock = threading.Lock()
        self.num_parallel = num_parallel
        self._pool = concurrent.futures.ThreadPoolExecutor(num_parallel)

    def gradients(self, batches: Mapping[str, dict], step: int) -> StepResult:
        """Returns gradients and losses of one batch of each problem given.

        Args:
            batches: Problem name to batch.
            step: Number of the step; seeds dropout and gating noise.
        """
        names = [name for name in self.element_specs if name in batches]
        waiting = iter(names)
        running: collections.deque = collections.deque()

        def start_next() -> None:
            for name in itertools.islice(waiting, 1):
                job = self._pool.submit(self._run, name, batches[name], step)
                running.append(job)

        for _ in range(self.num_parallel):
            start_next()
        summed, losses, totals, num_targets = None, {}, {}, {}
        for name in names:
            packed, losses[name], totals[name], num_targets[name] = (
                running.popleft().result()
            )
            start_next()
            summed = packed if summed is None else add_packed(summed, packed)
        masks = [self._used[self._key(name)] for name in names]
        used = tuple(map(any, zip(*masks, strict=True)))
        return StepResult(summed, used, losses, totals, num_targets)

    def update(self, result: StepResult, learning_rate: float) -> float:
        """Applies the mean of the problems' gradients.

        Returns:
            The global norm before clipping; nothing is updated if it is not finite.
        """
        key = (result.used, len(result.losses))
        if key not in self._updates:
            self._updates[key] = tf.function(functools.partial(self._apply, *key))
        rate = tf.constant(learning_rate, tf.float32)
        return float(self._updates[key](result.packed, rate))

    def close(self) -> None:
        """Ends the threads, once they are done with what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, name: str, batch: dict, step: int):
        """Returns packed gradients, loss, total and number of targets of a problem."""
        index = list(self.element_specs).index(name)
        seed = tf.constant(_seed_words(self.seed, step, index))
        multiplier = tf.constant(self.loss_multipliers[name], tf.float32)
        space = tf.constant(int(self.model.spec(name).target_space_id))
        batch = {key: batch[key] for key in self.element_specs[name]}
        return self._function(name)(
            batch | {"target_space_id": space}, seed, multiplier
        )

    def _function(self, name: str) -> Callable:
        """Returns the traced function of a problem, shared by those with its nets."""
        key = self._key(name)
        with self._lock:
            if key not in self._functions:
                specs = dict(self.element_specs[name])
                specs["target_space_id"] = tf.TensorSpec([], tf.int32)
                self._functions[key] = tf.function(
                    functools.partial(self._problem_gradients, name),
                    input_signature=[
                        specs,
                        tf.TensorSpec([2], tf.int32),
                        tf.TensorSpec([], tf.float32),
                    ],
                ).get_concrete_function()
            return self._functions[key]

    def _key(self, name: str) -> tuple:
        """Returns what problems that share a function have in common."""
        spec = self.model.spec(name)
        # Pictures of two sizes share their net, but are traced apart.
        shapes = tuple(
            (key, tuple(tensor.shape.as_list()))
            for key, tensor in sorted(self.element_specs[name].items())
        )
        return net_key(spec.inputs, name), net_key(spec.targets, name), shapes

    def _problem_gradients(self, name, batch, seed, loss_multiplier):
        # Keras variables do not take part in tape.gradient's options; values do.
        variables = [v.value for v in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            with random_scope(seed):
                output = self.model(batch, problem=name, training=True)
            loss_sum, num_targets = self._loss(name, batch, output)
            loss = loss_sum / tf.maximum(num_targets, 1.0)
            total = loss_multiplier * loss + self._balance_loss(output)
        gradients = tape.gradient(total, variables)
        # The optimizer's arithmetic is for dense tensors: slices with repeated rows
        # would be counted wrongly in norms and moments.
        dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        self._used[self._key(name)] = tuple(g is not None for g in dense)
        return self.packing.pack(dense), loss, total, num_targets

    def _apply(self, used, count, packed, learning_rate):
        """Updates with the mean gradients, to which the weight decay is added."""
        means = []
        for total, variable in zip(
            self.packing.unpack(packed, used),
            self.model.trainable_variables,
            strict=True,
        ):
            # Of one problem the sum is the mean: no pass over the gradients for it.
            mean = total if total is None or count == 1 else total / count
            decay = weight_decay_gradient(variable.value, self.hparams.weight_decay)
            if mean is not None and decay is not None:
                mean += decay
            means.append(mean)
        return self.optimizer.apply(means, learning_rate)

    def _loss(self, name: str, batch, output: ModelOutput):
        is_label = self.model.spec(name).is_classification
        labels = batch["targets"]
        weights = tf.ones_like(labels, tf.float32) if is_label else None
        return padded_cross_entropy(
            output.logits, labels, self.hparams.label_smoothing, weights=weights
        )

    def _balance_loss(self, output: ModelOutput):
        losses = [moe_balance_loss(*statistics) for statistics in output.balance]
        return self.hparams.moe_loss_coef * tf.add_n([tf.constant(0.0), *losses])


def _seed_words(seed: int, step: int, problem_index: int) -> np.ndarray:
    """Returns two int32 words that differ for every seed, step and problem."""
    sequence = np.random.SeedSequence([seed, step, problem_index])
    return sequence.generate_state(2, np.uint32).astype(np.int64).astype(np.int32)
