"""One training step on many replicas, with the same result as on one."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from t2t_multimodel.training.optimizer import Adam
from t2t_multimodel.training.packing import add_packed, cast_packed
from t2t_multimodel.training.problem_gradients import (
    ProblemGradients,
    ProblemResult,
    Sums,
)
from t2t_multimodel.training.replicas import Assignment
from t2t_multimodel.training.step import StepOutcome, apply_mean

_COLUMNS = 4  # of the table of a step: loss, total, targets, whether it is not finite

# The step has no Python control flow over tensors.
_as_written = tf.autograph.experimental.do_not_convert


class ReplicatedStep:
    """`TrainStep` on the replicas of a strategy.

    Each replica computes its problems one after the other. Then gradients, losses and
    counts are summed over the replicas in one all-reduce, and every replica updates its
    copy alike, clipping after the sum.

    Replicas that share a problem sum its losses, targets and the statistics of its
    experts before they differentiate; see `ProblemGradients`.

    Args:
        problems: What each problem's gradients are; the model, like the optimizer, was
            made in the scope of the replicas' strategy.
        optimizer: Of the model's trainable variables, in their order.
        assignment: Which replica computes what.
        seed: With the step number decides every random draw.
    """

    def __init__(
        self,
        problems: ProblemGradients,
        optimizer: Adam,
        *,
        assignment: Assignment,
        seed: int,
    ) -> None:
        self.problems = problems
        self.optimizer = optimizer
        self.assignment = assignment
        self.seed = seed
        self.reduced_bytes = 0
        """Bytes that the last traced step gives to its all-reduce, a replica."""
        self._functions: dict[tuple, Callable] = {}
        self._traced: dict[tuple, Callable] = {}

    def run(
        self,
        names: Sequence[str],
        batches: Sequence[Mapping[str, dict]],
        step: int,
        learning_rate: float,
        *,
        stop: bool = False,
    ) -> StepOutcome:
        """Computes and updates; all workers call it with the same names and step.

        Args:
            names: Problems of the step.
            batches: For each replica of this process, problem name to batch.
            step: Number of the step; seeds dropout and gating noise.
            learning_rate: T2T's number.
            stop: Whether this worker asks all to stop.
        """
        table, norm, stops = self._call(names, batches, step, learning_rate, stop, True)
        losses, totals, counts, unsound = table.numpy().T.tolist()
        bad = [name for name, count in zip(names, unsound, strict=True) if count]
        return StepOutcome(
            dict(zip(names, losses, strict=True)),
            dict(zip(names, totals, strict=True)),
            {name: int(count) for name, count in zip(names, counts, strict=True)},
            math.nan if bad else float(norm),
            tuple(bad),
            float(stops) > 0,
        )

    def dry_run(
        self, names: Sequence[str], batches: Sequence[Mapping[str, dict]]
    ) -> None:
        """Computes all that `run` does, and updates nothing."""
        self._call(names, batches, 0, 0.0, False, False)

    def close(self) -> None:
        """Nothing to end here; see `TrainStep`."""

    def _call(self, names, batches, step, learning_rate, stop, is_wanted):
        names = tuple(names)
        local = range(self.assignment.replicas.num_local)
        own = [self.assignment.own(index, names) for index in local]
        if names not in self._functions:
            self._functions[names] = tf.function(
                functools.partial(self._step, names, own),
                input_signature=self._signature(own),
                autograph=False,
            )
        inputs = tuple(
            {
                name: self.problems.inputs(
                    name,
                    batches[index][name],
                    seed=self.seed,
                    step=step,
                    reader=self.assignment.shares[name].own[index] or 0,
                )
                for name in own[index]
            }
            for index in local
        )
        return self._functions[names](
            inputs,
            tf.constant(learning_rate, tf.float32),
            tf.constant(float(stop)),
            tf.constant(is_wanted),
        )

    def _signature(self, own: Sequence[Sequence[str]]) -> list:
        signature = self.problems.input_signature
        return [
            tuple({name: signature(name) for name in each} for each in own),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.bool),
        ]

    def _step(self, names, own, inputs, learning_rate, stop, is_wanted):
        """Traces the step of all replicas of this process."""
        strategy = self.assignment.replicas.strategy

        @_as_written
        def of_replica():
            context = tf.distribute.get_replica_context()
            replica = int(tf.get_static_value(context.replica_id_in_sync_group))
            index = replica - self.assignment.replicas.first
            packed, rows = self._gradients(names, own[index], inputs[index], index)
            table = tf.stack([rows.get(n, tf.zeros([_COLUMNS])) for n in names])
            used = self._used(names)
            packed = self._filled(packed, used)
            sent = [part for part in packed if part is not None]
            # Tensors of two dtypes do not go together.
            sent += [tf.cast(x, sent[0].dtype) for x in (table, tf.identity(stop))]
            self.reduced_bytes = sum(
                part.shape.num_elements() * part.dtype.size for part in sent
            )
            *summed, table, stops = context.all_reduce(tf.distribute.ReduceOp.SUM, sent)
            table, stops = (tf.cast(tensor, tf.float32) for tensor in (table, stops))
            parts = iter(summed)
            packed = [None if part is None else next(parts) for part in packed]
            count = len(names) if self.assignment.is_joint else 1
            is_sound = tf.equal(tf.reduce_sum(table[:, -1]), 0.0)
            norm = apply_mean(
                self.problems,
                self.optimizer,
                used,
                count,
                packed,
                learning_rate,
                is_wanted & is_sound,
            )
            return table, norm, stops

        results = strategy.run(of_replica)
        local = strategy.experimental_local_results
        return tuple(local(result)[0] for result in results)

    def _gradients(self, names, own, inputs, index):
        """Returns the sum of a replica's gradients, and a row for each problem."""
        summed: list = []
        rows = {}
        for name in own:
            # One after the other: what a problem keeps for its backward pass is much
            # more than its gradients.
            with tf.control_dependencies(summed[:1]):
                result = self._problem(name, names, inputs[name], index)
            rows[name] = self._row(name, result, index)
            packed = cast_packed(
                result.packed, self.problems.hparams.gradient_sum_dtype
            )
            summed = add_packed(summed, packed) if summed else packed
        return summed, rows

    def _problem(self, name, names, inputs, index) -> ProblemResult:
        if self.assignment.shares[name].count > 1:
            # An all-reduce cannot be within an inner function.
            over_replicas = functools.partial(self._over_replicas, name, names)
            return self.problems(name, *inputs, over_replicas=over_replicas)
        key = (index, self.problems.key(name))
        if key not in self._traced:
            self._traced[key] = self.problems.function(name)
        return self._traced[key](*inputs)

    def _over_replicas(self, name: str, names: Sequence[str], sums: Sums) -> Sums:
        context = tf.distribute.get_replica_context()
        # Other replicas sum other problems: each has its row of one table.
        sizes = [tensor.shape.num_elements() for tensor in sums]
        row = tf.concat([tf.reshape(tensor, [-1]) for tensor in sums], axis=0)
        row = tf.cast(row, tf.float64)  # in which the order of replicas leaves no trace
        row = tf.pad(row, [[0, self.problems.num_sums() - sum(sizes)]])
        index = names.index(name)
        table = tf.pad(row[None], [[index, len(names) - 1 - index], [0, 0]])
        row = context.all_reduce(tf.distribute.ReduceOp.SUM, table)[index]
        pieces = tf.split(tf.cast(row[: sum(sizes)], tf.float32), sizes)
        return [
            tf.reshape(piece, tensor.shape)
            for piece, tensor in zip(pieces, sums, strict=True)
        ]

    def _row(self, name: str, result: ProblemResult, index: int) -> tf.Tensor:
        """Returns the problem's row of the table; see `_COLUMNS`."""
        present = [part for part in result.packed if part is not None]
        is_finite = tf.math.is_finite(
            tf.linalg.global_norm(present)
        ) & tf.math.is_finite(result.total)
        # Those that share a problem all have its sums already: one tells them.
        tells = self.assignment.shares[name].own[index] == 0
        values = [result.loss, result.total, result.num_targets]
        told = values if tells else [tf.zeros([])] * len(values)
        return tf.stack([*told, 1.0 - tf.cast(is_finite, tf.float32)])

    def _used(self, names: Sequence[str]) -> tuple[bool, ...]:
        """Returns whether the step has a gradient for each variable.

        All variables of a model are used by some problem of it, which may be on
        another replica.
        """
        if self.assignment.is_joint:
            return self.problems.trains()
        return self.problems.used(names[0])

    def _filled(self, packed: list, used: Sequence[bool]) -> list:
        """Puts zeros where another replica may have a gradient."""
        packing = self.problems.packing
        vector, *large = packed
        filled = [
            tf.zeros(packing.shapes[i], vector.dtype)
            if part is None and used[i]
            else part
            for i, part in zip(packing.large, large, strict=True)
        ]
        return [vector, *filled]
