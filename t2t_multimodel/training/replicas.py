"""Which replica computes what: the problems and the data of each."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from t2t_multimodel.errors import UserError


@dataclasses.dataclass(frozen=True)
class ReaderShare:
    """The readers that share the examples of one problem.

    Attributes:
        count: Readers in the whole run.
        own: Number of the reader that each replica of this process draws from, by the
            index of the replica within the process; `None` if it draws from none.
    """

    count: int
    own: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Replicas:
    """The replicas of a run: R copies of the model, a device each.

    Attributes:
        strategy: How they act together; the default strategy for one replica.
        first: Number of this process's first replica.
        num_local: Replicas of this process.
        worker: Number of this process; 0 is the chief, which writes and speaks.
        num_workers: Processes.
    """

    strategy: tf.distribute.Strategy
    first: int = 0
    num_local: int = 1
    worker: int = 0
    num_workers: int = 1

    @property
    def count(self) -> int:
        """Replicas of all processes, R."""
        return self.num_local * self.num_workers

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what all have in common."""
        return self.worker == 0

    def agree(self, number: int) -> bool:
        """Waits for all workers; returns whether they gave the same number."""
        if self.num_workers == 1:
            return True

        @tf.function
        def mean_of_all():
            value = tf.constant(float(number), tf.float64)
            reduce = tf.distribute.ReduceOp.MEAN
            return tf.distribute.get_replica_context().all_reduce(reduce, value)

        means = self.strategy.run(mean_of_all)
        mean = self.strategy.experimental_local_results(means)[0]
        return float(mean) == number


class Assignment:
    """Which replica computes which problems, and from whose data.

    In a joint step of P problems, replica r computes the problems p with
    p mod R == r if R <= P, and the problem r mod P otherwise. A step of one problem is
    shared by all replicas.

    Args:
        replicas: The replicas of the run.
        names: Its problems, in order.
        is_joint: Whether every step takes all of them.

    Attributes:
        shares: Problem name to the readers that share its examples.

    Raises:
        UserError: If R is above P in joint steps, and no multiple of it.
    """

    def __init__(
        self, replicas: Replicas, names: Sequence[str], *, is_joint: bool
    ) -> None:
        if is_joint and replicas.count > len(names) and replicas.count % len(names):
            raise UserError(
                f"{replicas.count} replicas cannot share a joint step of {len(names)} "
                f"problems: take at most {len(names)}, or a multiple of it"
            )
        self.replicas = replicas
        self.names = tuple(names)
        self.is_joint = is_joint
        self.shares = {name: self._share(name) for name in self.names}

    def problems_of(self, replica: int, names: Sequence[str]) -> tuple[str, ...]:
        """Returns the problems, of those of a step, that a replica computes.

        Args:
            replica: Its number among all.
            names: Problems of the step.
        """
        if not self.is_joint:
            return tuple(names)
        count = self.replicas.count
        if count <= len(names):
            return tuple(names[replica::count])
        return (names[replica % len(names)],)

    def own(self, index: int, names: Sequence[str]) -> tuple[str, ...]:
        """Returns the same for a replica of this process, by its index in it."""
        return self.problems_of(self.replicas.first + index, names)

    def _share(self, name: str) -> ReaderShare:
        replicas = self.replicas
        local = range(replicas.first, replicas.first + replicas.num_local)
        if not self.is_joint:
            return ReaderShare(replicas.count, tuple(local))
        count = max(1, replicas.count // len(self.names))
        numbers = (
            # Of R <= P replicas each is the only one for its problems.
            replica // len(self.names) if count > 1 else 0
            for replica in local
        )
        has = (name in self.problems_of(replica, self.names) for replica in local)
        own = (n if h else None for n, h in zip(numbers, has, strict=True))
        return ReaderShare(count, tuple(own))
