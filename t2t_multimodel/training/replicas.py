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

    def problems_of(
        self, replica: int, names: Sequence[str], *, joint: bool
    ) -> tuple[str, ...]:
        """Returns the problems that a replica computes in a step.

        In a joint step of P problems, replica r computes the problems p with
        p mod R == r if R <= P, and the problem r mod P otherwise. A step of one
        problem is shared by all replicas.

        Args:
            replica: Number of the replica.
            names: The problems of the run, in order.
            joint: Whether a step takes all problems.
        """
        if not joint:
            return tuple(names)
        if self.count <= len(names):
            return tuple(names[replica :: self.count])
        return (names[replica % len(names)],)

    def check(self, names: Sequence[str], *, joint: bool) -> None:
        """Refuses a number of replicas that cannot share the problems evenly.

        Raises:
            UserError: If R is above P in joint steps, and no multiple of it.
        """
        if joint and self.count > len(names) and self.count % len(names):
            raise UserError(
                f"{self.count} replicas cannot share a joint step of {len(names)} "
                f"problems: take at most {len(names)}, or a multiple of it"
            )

    def readers(self, names: Sequence[str], *, joint: bool) -> dict[str, ReaderShare]:
        """Returns problem name to the readers that share its examples."""
        if not joint:
            numbers = tuple(self.first + index for index in range(self.num_local))
            return {name: ReaderShare(self.count, numbers) for name in names}
        each = max(1, self.count // len(names))
        shares = {}
        for name in names:
            own = tuple(
                replica // len(names) if self.count > len(names) else 0
                for replica in range(self.first, self.first + self.num_local)
            )
            has = [
                name in self.problems_of(self.first + index, names, joint=True)
                for index in range(self.num_local)
            ]
            shares[name] = ReaderShare(
                each,
                tuple(n if h else None for n, h in zip(own, has, strict=True)),
            )
        return shares
