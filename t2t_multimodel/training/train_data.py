"""What a run trains on: a reader for each replica that shares a problem."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from t2t_multimodel.data.batching import largest_batch
from t2t_multimodel.data.pipeline import training_buckets
from t2t_multimodel.data.shard_index import load_index
from t2t_multimodel.data.train_reader import ReaderGroup, TrainReader
from t2t_multimodel.training.replicas import Assignment, ReaderShare
from t2t_multimodel.training.run_config import RunConfig


class TrainData:
    """The training data of all problems, as far as this process reads them.

    Args:
        config: The run.
        assignment: Which replica reads what.

    Attributes:
        readers: Problem name to its readers.
        element_specs: Problem name to the element spec of its batches, also of problems
            that only other processes read.

    Raises:
        UserError: If data is missing or broken.
    """

    def __init__(self, config: RunConfig, assignment: Assignment) -> None:
        self._config = config
        self._assignment = assignment
        self.readers: dict[str, ReaderGroup] = {}
        self.element_specs: dict[str, dict] = {}
        for problem in config.problems:
            share = assignment.shares[problem.name]
            own = {
                number: self._reader(problem, number, share)
                for number in share.own
                if number is not None
            }
            self.readers[problem.name] = ReaderGroup(share.count, own)
            known = own or {0: self._reader(problem, 0, share)}
            self.element_specs[problem.name] = next(iter(known.values())).element_spec

    def next_batches(self, names: Sequence[str]) -> list[dict[str, dict]]:
        """Returns, for each replica of this process, its batches of a step by problem.

        Args:
            names: Problems of the step.
        """
        batches = []
        for index in range(self._assignment.replicas.num_local):
            own = {}
            for name in self._assignment.own(index, names):
                number = self._assignment.shares[name].own[index]
                if number is not None:
                    own[name] = next(self.readers[name].own[number])
            batches.append(own)
        return batches

    def largest_batches(self, names: Sequence[str]) -> list[dict[str, dict]]:
        """Returns what `next_batches` might at most; see `batching.largest_batch`."""
        largest = {}
        for problem in self._config.problems:
            if problem.name in names:
                buckets = training_buckets(
                    problem, self._config.data_dir, **self._config.batching
                )
                arrays: Mapping[str, np.ndarray] = largest_batch(problem, buckets)
                largest[problem.name] = {k: tf.constant(v) for k, v in arrays.items()}
        return [
            {name: largest[name] for name in self._assignment.own(index, names)}
            for index in range(self._assignment.replicas.num_local)
        ]

    def sizes(self) -> dict[str, int]:
        """Returns problem name to its number of training examples."""
        return {
            problem.name: len(load_index(problem, self._config.data_dir, "train"))
            for problem in self._config.problems
        }

    def close(self) -> None:
        """Ends the threads that read ahead."""
        for group in self.readers.values():
            for reader in group.own.values():
                reader.close()

    def _reader(self, problem, number: int, share: ReaderShare) -> TrainReader:
        config = self._config
        return TrainReader(
            problem,
            config.data_dir,
            seed=config.random_seed,
            reader=(number, share.count),
            skip_bad_examples=config.skip_bad_examples,
            **config.batching,
        )
