"""A small training run whose every update depends on all of its state."""

import json

import keras
import numpy as np
import tensorflow as tf

from t2t_multimodel.data.batch_plan import BatchPlan
from t2t_multimodel.data.batching import Buckets
from t2t_multimodel.data.train_reader import ReaderGroup
from t2t_multimodel.training import checksums
from t2t_multimodel.training.checkpoint import Checkpoints
from t2t_multimodel.training.optimizer import Adam, variables_by_path

NUM_EXAMPLES = 10


class Net(keras.Model):
    """A net with a layer in a list for each problem: what TensorFlow's misses."""

    def __init__(self, problems=("a", "b"), units=3):
        super().__init__(name="net")
        self.heads = [keras.layers.Dense(units, name=f"head_{p}") for p in problems]
        for head in self.heads:
            head.build((None, 4))
        self.built = True


def plan(seed, reader=(0, 1)):
    """Returns one of the readers of a data set of ten examples, two a batch."""
    bucket_of = np.arange(NUM_EXAMPLES) % 2
    buckets = Buckets((8, 16), (2, 2))
    return BatchPlan(
        np.arange(NUM_EXAMPLES), bucket_of, buckets, seed=seed, reader=reader
    )


class Run:
    """The run; `own` and `count` say which readers of each problem it has."""

    def __init__(
        self, directory, problems=("a", "b"), units=3, own=(0,), count=1, **options
    ):
        self.net = Net(problems, units)
        self.variables = variables_by_path(self.net.weights)
        for i, variable in enumerate(self.variables.values()):
            variable.assign(tf.random.stateless_normal(variable.shape, seed=(0, i)))
        self.adam = Adam(self.variables)
        self.step = 0
        self.readers = {
            name: ReaderGroup(count, {k: plan(ord(name[0]), (k, count)) for k in own})
            for name in problems
        }
        self.checkpoints = Checkpoints(
            directory,
            model=self.net,
            optimizer=self.adam,
            readers=self.readers,
            **options,
        )

    def save(self):
        path = self.checkpoints.save(self.step)
        self.checkpoints.wait()
        return path

    def restored(self, **options):
        self.step = self.checkpoints.restore_latest(**options)
        return self

    def train(self, num_steps):
        for _ in range(num_steps):
            drawn = [
                float(sum(next(reader).numbers))
                for group in self.readers.values()
                for reader in group.own.values()
            ]
            gradients = [
                tf.fill(v.shape, drawn[0] - float(i) * drawn[-1])
                for i, v in enumerate(self.variables.values())
            ]
            if self.step % 2:
                gradients[-1] = None
            self.adam.apply(gradients, 5.0)
            self.step += 1
        return self

    def state(self):
        everything = [*self.variables.values(), *self.adam.slots.values()]
        readers = [
            reader.get_state()
            for group in self.readers.values()
            for reader in group.own.values()
        ]
        return [v.numpy() for v in everything] + [self.adam.get_state(), readers]


def assert_same_state(left, right):
    for a, b in zip(left.state(), right.state(), strict=True):
        np.testing.assert_array_equal(a, b)


def rewrite(path, **fields):
    """Changes fields of a checkpoint's description as its writer could have."""
    file = path / "checkpoint.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    sums = path / checksums.CHECKSUMS_FILE
    changed = checksums.from_json(sums.read_text())
    changed[file.name] = checksums.checksum_of(file)
    sums.write_text(checksums.to_json(changed))
