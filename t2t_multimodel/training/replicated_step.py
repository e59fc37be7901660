"""One training step on many replicas, with the same result as on one."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from t2t_multimodel.hparams import HParams
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.training.optimizer import Adam
from t2t_multimodel.training.packing import add_packed
from t2t_multimodel.training.problem_gradients import (
    ProblemGradients,
    ProblemResult,
    Sums,
    seed_words,
)
from t2t_multimodel.training.replicas import Replicas
from t2t_multimodel.training.step import StepOutcome, apply_mean

_COLUMNS = 4  # of the table of a step: loss, total, targets, whether it is not finite

# The step has no Python control flow over tensors.
_as_written = tf.autograph.experimental.do_not_convert


class ReplicatedStep:
    """`TrainStep` on the replicas of a strategy.

    Each replica computes its problems one after the other (`Replicas.problems_of`).
    Then gradients, losses and counts are summed over the replicas in one all-reduce,
    and every replica updates its copy alike, clipping after the sum.

    Replicas that share a problem sum its losses, targets and the statistics of its
    experts before they differentiate; see `ProblemGradients`.

    Args:
        replicas: The replicas; model and optimizer were made in their strategy's
            scope.
        is_joint: Whether a step takes all problems.

    The others are those of `TrainStep`.
    """

    def __init__(
        self,
        model: MultiModel,
        optimizer: Adam,
        hparams: HParams,
        *,
        replicas: Replicas,
        is_joint: bool,
        loss_multipliers: Mapping[str, float],
        element_specs: Mapping[str, dict],
        seed: int,
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        self.problems = ProblemGradients(model, hparams, element_specs, frozen)
        self.optimizer = optimizer
        self.hparams = hparams
        self.replicas = replicas
        self.is_joint = is_joint
        self.loss_multipliers = dict(loss_multipliers)
        self.seed = seed
        self.names = list(element_specs)
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
        local = range(self.replicas.num_local)
        own = [self._own(index, names) for index in local]
        if names not in self._functions:
            self._functions[names] = tf.function(
                functools.partial(self._step, names, own),
                input_signature=self._signature(own),
                autograph=False,
            )
        features, seeds = [], []
        for index, problems in enumerate(own):
            features.append(
                {n: self.problems.features(n, batches[index][n]) for n in problems}
            )
            seeds.append({n: tf.constant(self._seed(index, n, step)) for n in problems})
        return self._functions[names](
            tuple(features),
            tuple(seeds),
            tf.constant(learning_rate, tf.float32),
            tf.constant(float(stop)),
            tf.constant(is_wanted),
        )

    def _own(self, index: int, names: Sequence[str]) -> tuple[str, ...]:
        """Returns the problems of a step that replica `index` here computes."""
        replica = self.replicas.first + index
        return self.replicas.problems_of(replica, names, joint=self.is_joint)

    def _seed(self, index: int, name: str, step: int):
        share = self.replicas.readers(self.names, joint=self.is_joint)[name]
        reader = share.own[index]
        return seed_words(self.seed, step, self.names.index(name), reader or 0)

    def _signature(self, own: Sequence[Sequence[str]]) -> list:
        return [
            tuple({n: self.problems.feature_specs(n) for n in each} for each in own),
            tuple({n: tf.TensorSpec([2], tf.int32) for n in each} for each in own),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.bool),
        ]

    def _step(self, names, own, features, seeds, learning_rate, stop, is_wanted):
        """Traces the step of all replicas of this process."""

        @_as_written
        def of_replica():
            context = tf.distribute.get_replica_context()
            replica = int(tf.get_static_value(context.replica_id_in_sync_group))
            index = replica - self.replicas.first
            packed, rows = self._gradients(
                names, own[index], features[index], seeds[index], replica
            )
            table = tf.stack([rows.get(n, tf.zeros([_COLUMNS])) for n in names])
            used = self._used(names)
            packed = self._filled(packed, used)
            sent = [part for part in packed if part is not None]
            # One tensor in all replicas would not be taken for a value of each.
            sent += [table, tf.identity(stop)]
            self.reduced_bytes = sum(
                part.shape.num_elements() * part.dtype.size for part in sent
            )
            *summed, table, stops = context.all_reduce(tf.distribute.ReduceOp.SUM, sent)
            parts = iter(summed)
            packed = [None if part is None else next(parts) for part in packed]
            count = len(names) if self.is_joint else 1
            is_sound = tf.equal(tf.reduce_sum(table[:, -1]), 0.0)
            norm = apply_mean(
                self.optimizer,
                self.hparams,
                self.problems,
                used,
                count,
                packed,
                learning_rate,
                is_wanted & is_sound,
            )
            return table, norm, stops

        results = self.replicas.strategy.run(of_replica)
        first = self.replicas.strategy.experimental_local_results
        return tuple(first(result)[0] for result in results)

    def _gradients(self, names, problems, features, seeds, replica):
        """Returns the sum of a replica's gradients, and a row for each problem."""
        summed: list = []
        rows = {}
        for name in problems:
            # One after the other: what a problem keeps for its backward pass is much
            # more than its gradients.
            before = summed[:1]
            with tf.control_dependencies(before):
                result = self._problem(
                    name, names, features[name], seeds[name], replica
                )
            rows[name] = self._row(name, result, replica)
            packed = result.packed
            summed = add_packed(summed, packed) if summed else packed
        return summed, rows

    def _problem(self, name, names, features, seed, replica) -> ProblemResult:
        multiplier = tf.constant(self.loss_multipliers[name], tf.float32)
        if not self._shares(name):
            key = (replica, self.problems.key(name))
            if key not in self._traced:

                def alone(features, seed, loss_multiplier):
                    return self.problems(name, features, seed, loss_multiplier)

                self._traced[key] = tf.function(alone, autograph=False)
            return self._traced[key](features, seed, multiplier)
        # An all-reduce cannot be within an inner function.
        return self.problems(
            name,
            features,
            seed,
            multiplier,
            over_replicas=functools.partial(self._over_replicas, name, names),
        )

    def _shares(self, name: str) -> bool:
        """Whether several replicas have a batch of the problem."""
        share = self.replicas.readers(self.names, joint=self.is_joint)[name]
        return share.count > 1

    def _over_replicas(self, name: str, names: Sequence[str], sums: Sums) -> Sums:
        context = tf.distribute.get_replica_context()
        if not self.is_joint:
            return context.all_reduce(tf.distribute.ReduceOp.SUM, list(sums))
        # Other replicas sum other problems: each has its row of one table.
        sizes = [tensor.shape.num_elements() for tensor in sums]
        row = tf.concat([tf.reshape(tensor, [-1]) for tensor in sums], axis=0)
        row = tf.pad(row, [[0, self.problems.num_sums() - sum(sizes)]])
        index = names.index(name)
        table = tf.pad(row[None], [[index, len(names) - 1 - index], [0, 0]])
        row = context.all_reduce(tf.distribute.ReduceOp.SUM, table)[index]
        pieces = tf.split(row[: sum(sizes)], sizes)
        return [
            tf.reshape(piece, tensor.shape)
            for piece, tensor in zip(pieces, sums, strict=True)
        ]

    def _row(self, name: str, result: ProblemResult, replica: int) -> tf.Tensor:
        """Returns the problem's row of the table; see `_COLUMNS`."""
        share = self.replicas.readers(self.names, joint=self.is_joint)[name]
        present = [part for part in result.packed if part is not None]
        is_finite = tf.math.is_finite(
            tf.linalg.global_norm(present)
        ) & tf.math.is_finite(result.total)
        # Those that share a problem all have its sums already: one tells them.
        tells = share.own[replica - self.replicas.first] == 0
        values = [result.loss, result.total, result.num_targets]
        told = values if tells else [tf.zeros([])] * len(values)
        return tf.stack([*told, 1.0 - tf.cast(is_finite, tf.float32)])

    def _used(self, names: Sequence[str]) -> tuple[bool, ...]:
        """Returns whether the step has a gradient for each variable.

        All variables of a model are used by some problem of it, which may be on
        another replica.
        """
        if self.is_joint:
            return self.problems.trains()
        return self.problems.used(names[0])

    def _filled(self, packed: list, used: Sequence[bool]) -> list:
        """Puts zeros where another replica may have a gradient."""
        packing = self.problems.packing
        vector, *large = packed
        filled = [
            tf.zeros(packing.shapes[i]) if part is None and used[i] else part
            for i, part in zip(packing.large, large, strict=True)
        ]
        return [vector, *filled]
