"""Two replicas give what one device gives, whatever they share."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec
from t2t_multimodel.training.devices import make_replicas
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.packing import add_packed, cast_packed
from t2t_multimodel.training.problem_gradients import ProblemGradients
from t2t_multimodel.training.replicas import Assignment, Replicas
from t2t_multimodel.training.replicated_step import ReplicatedStep
from t2t_multimodel.training.step import TrainStep
from tests.decoding import tiny_run

# Of two replicas, the first has two problems: their sum is taken in another order.
NAMES = ("look_tiny", "parse_tiny", "translate_tiny")
HPARAMS = f"{tiny_run.HPARAMS},dropout=0.0,attention_dropout=0.0,clip_grad_norm=0.5"
DROPPING = HPARAMS.replace("dropout=0.0", "dropout=0.2")
IDS = tf.TensorSpec([None, None], tf.int32)
SPECS = {
    "look_tiny": {
        "inputs": tf.TensorSpec([None, 16, 16, 3], tf.uint8),
        "targets": tf.TensorSpec([None], tf.int32),
    },
    "parse_tiny": {"inputs": IDS, "targets": IDS},
    "translate_tiny": {"inputs": IDS, "targets": IDS},
}
VOCAB_SIZE = 40


def batch(name, step, rows=5):
    """Returns a made-up batch; halves of it are of unequal size."""
    generator = np.random.default_rng([step, len(name)])
    if name == "look_tiny":
        pixels = generator.integers(0, 256, (rows, 16, 16, 3)).astype("uint8")
        return {"inputs": pixels, "targets": generator.integers(0, 6, rows, "int32")}

    def ids():
        lengths = generator.integers(1, 9, (rows, 1))
        drawn = generator.integers(2, VOCAB_SIZE, (rows, 8))
        return np.where(np.arange(8) < lengths, drawn, 0).astype("int32")

    return {"inputs": ids(), "targets": ids()}


class Run:
    """A model and its step on the replicas given."""

    def __init__(self, replicas, *, is_joint, names=NAMES, seed=3, hparams=HPARAMS):
        self.assignment = Assignment(replicas, names, is_joint=is_joint)
        problems = {problem.name: problem for problem in tiny_run.problems()}
        self.hparams = make_hparams("multimodel_tiny", hparams)
        specs = [
            ProblemSpec(
                n, problems[n].inputs, problems[n].targets, {"words": VOCAB_SIZE}
            )
            for n in names
        ]
        with replicas.strategy.scope():
            self.model = make_model(specs, self.hparams, seed=5)
            generator = np.random.default_rng(7)
            for weight in self.model.trainable_variables:  # gates begin at zero
                noise = generator.normal(size=weight.shape) * 0.1
                weight.assign(weight.numpy() + noise.astype("float32"))
            variables = variables_by_path(self.model.trainable_variables)
            self.optimizer = Adam(variables, clip_grad_norm=0.5)
        gradients = ProblemGradients(
            self.model,
            self.hparams,
            element_specs={name: SPECS[name] for name in names},
            loss_multipliers=dict(zip(names, (2.5, 0.5, 0.7), strict=False)),
        )
        self.first_weights = self.weights()
        make = TrainStep
        if replicas.count > 1:
            make = functools.partial(ReplicatedStep, assignment=self.assignment)
        self.step = make(gradients, self.optimizer, seed=seed)

    def train(self, num_steps, *, stop=False):
        """Returns the outcomes of some steps; one problem a step if not joint."""
        outcomes = []
        for number in range(num_steps):
            names = self.assignment.names
            if not self.assignment.is_joint:
                names = names[number % len(names) :][:1]
            batches = [
                {n: self.part(n, number, index) for n in own}
                for index in range(self.assignment.replicas.count)
                for own in [self.assignment.own(index, names)]
            ]
            outcomes.append(self.step.run(names, batches, number, 2.0, stop=stop))
        return outcomes

    def reset(self):
        """Goes back to where it was made; traced functions stay."""
        for variable, value in zip(self.model.weights, self.first_weights, strict=True):
            variable.assign(value)
        for slot in self.optimizer.slots.values():
            slot.assign(tf.zeros_like(slot))
        self.optimizer.set_state({})

    def part(self, name, number, index):
        share = self.assignment.shares[name]
        whole = batch(name, number)
        return {
            key: tf.constant(value[share.own[index] :: share.count])
            for key, value in whole.items()
        }

    def weights(self):
        return [variable.numpy() for variable in self.model.weights]


@pytest.fixture(scope="module")
def one():
    return Replicas(tf.distribute.get_strategy())


@pytest.fixture
def no_gating_noise(monkeypatch):
    """Noise is drawn for each position of a batch: halves of one draw other numbers."""
    monkeypatch.setattr(
        keras.random, "normal", lambda shape, dtype, seed: tf.zeros(shape, dtype)
    )


def assert_alike(ones, twos, tolerance):
    for a, b in zip(ones, twos, strict=True):
        assert a.num_targets == b.num_targets
        assert a.is_finite and b.is_finite
        for of_a, of_b in ((a.losses, b.losses), (a.totals, b.totals)):
            assert list(of_a) == list(of_b)
            for name, value in of_a.items():
                assert of_b[name] == pytest.approx(value, abs=tolerance), name
        assert b.norm == pytest.approx(a.norm, rel=1e-4)


def largest_difference(left, right):
    return max(
        np.abs(a - b).max(initial=0)
        for a, b in zip(left.weights(), right.weights(), strict=True)
    )


@pytest.fixture(scope="module")
def of_two(two):
    return Run(two, is_joint=True, hparams=DROPPING)


def test_a_joint_step_is_the_same_on_two_replicas_to_the_bit(one, of_two):
    of_two.reset()
    left = Run(one, is_joint=True, hparams=DROPPING)
    assert left.train(3) == of_two.train(3)
    assert largest_difference(left, of_two) == 0
    assert left.optimizer.get_state() == of_two.optimizer.get_state()
    for path, slot in left.optimizer.slots.items():
        np.testing.assert_array_equal(slot, of_two.optimizer.slots[path])


def test_sums_of_gradients_do_not_depend_on_their_order():
    generator = np.random.default_rng(3)
    shape = (8, 4096)
    parts = generator.normal(size=shape) * 10.0 ** generator.integers(-5, 3, shape)
    packed = [[tf.constant(part, tf.float32), None] for part in parts]

    def sum_of(dtype, groups):
        sums = []
        for group in groups:
            each = [cast_packed(packed[i], dtype) for i in group]
            sums.append(functools.reduce(add_packed, each))
        vector, nothing = functools.reduce(add_packed, sums)
        assert nothing is None
        return tf.cast(vector / 8, tf.float32).numpy()

    alone, by_two = [range(8)], [range(0, 8, 2), range(1, 8, 2)]
    np.testing.assert_array_equal(sum_of("float64", alone), sum_of("float64", by_two))
    assert (sum_of("float32", alone) != sum_of("float32", by_two)).any()


@pytest.mark.parametrize(
    "is_joint", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_replicas_that_share_a_problem_give_what_one_batch_gives(
    one, two, no_gating_noise, is_joint
):
    # One problem and two replicas: one has three of its pictures, the other two.
    arguments = {"is_joint": is_joint, "names": ("look_tiny",)}
    left, right = Run(one, **arguments), Run(two, **arguments)
    assert_alike(left.train(3), right.train(3), 1e-4)
    assert largest_difference(left, right) < 1e-5


def test_replicas_drop_and_gate_differently_and_reproducibly(two):
    run = Run(two, is_joint=True, hparams=DROPPING, names=("look_tiny",))
    first, weights = run.train(2, stop=True), run.weights()
    run.reset()
    again = run.train(2)
    assert [o.losses for o in first] == [o.losses for o in again]
    for a, b in zip(weights, run.weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [o.stop for o in first] == [True, True]
    assert [o.stop for o in again] == [False, False]
    seeds = [
        tuple(run.step.problems.inputs("look_tiny", part, seed=3, step=7, reader=r)[1])
        for part in [run.part("look_tiny", 7, 0)]
        for r in range(2)
    ]
    assert seeds[0] != seeds[1]


def test_a_bad_problem_of_one_replica_updates_nothing_on_any(of_two):
    of_two.reset()
    kernels = [v for v in of_two.model.trainable_variables if "look_tiny" in v.path]
    kernels[0].assign(np.full(kernels[0].shape, np.inf))
    before = of_two.weights()
    (outcome,) = of_two.train(1)
    assert outcome.not_finite == ("look_tiny",)
    assert not outcome.is_finite and np.isfinite(outcome.losses["parse_tiny"])
    for a, b in zip(before, of_two.weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_dry_run_updates_nothing(of_two):
    of_two.reset()
    own = [("look_tiny", "translate_tiny"), ("parse_tiny",)]
    batches = [{name: batch(name, 0) for name in names} for names in own]
    of_two.step.dry_run(NAMES, batches)
    for a, b in zip(of_two.first_weights, of_two.weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any(of_two.optimizer.get_state().values())
    # All gradients, a row of four a problem, and the wish to stop; in float64.
    variables = sum(np.prod(v.shape) for v in of_two.model.trainable_variables)
    assert of_two.step.reduced_bytes == 8 * (variables + 4 * len(NAMES) + 1)


PROBLEMS = tuple("abcdefgh")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 16])
def test_every_problem_of_a_joint_step_is_computed_once(count):
    replicas = Replicas(None, num_local=count)
    assignment = Assignment(replicas, PROBLEMS, is_joint=True)
    owned = [assignment.problems_of(r, PROBLEMS) for r in range(count)]
    for problem_index, name in enumerate(PROBLEMS):
        holders = [r for r in range(count) if name in owned[r]]
        assert (
            holders
            == list(range(problem_index % count, count, len(PROBLEMS)))[
                : max(1, count // len(PROBLEMS))
            ]
        )
        share = assignment.shares[name]
        assert share.count == len(holders)
        numbers = [number for number in share.own if number is not None]
        assert numbers == list(range(len(holders)))


def test_workers_know_their_part():
    second = Replicas(None, first=2, num_local=2, worker=1, num_workers=2)
    assert second.count == 4 and not second.is_chief
    shares = Assignment(second, ("a", "b"), is_joint=True).shares
    assert shares["a"].count == 2 and shares["a"].own == (1, None)
    assert shares["b"].own == (None, 1)
    assert Assignment(second, ("a",), is_joint=False).shares["a"].own == (2, 3)


def test_replicas_that_cannot_share_evenly_are_refused():
    with pytest.raises(UserError, match="3 replicas cannot share .* of 2 problems"):
        Assignment(Replicas(None, num_local=3), ("a", "b"), is_joint=True)
    Assignment(Replicas(None, num_local=3), ("a", "b"), is_joint=False)
    Assignment(Replicas(None, num_local=4), ("a", "b"), is_joint=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"worker_gpu": 0}, "--worker_gpu=0 must be positive"),
        ({"all_reduce": "rings"}, "did you mean 'ring'"),
        ({"worker_gpu": 2, "all_reduce": "ring"}, "ring is for several workers"),
        ({"worker_gpu": 9}, "with 2 logical CPUs in this process already"),
        ({"tf_config": "{"}, "TF_CONFIG: it is not JSON"),
        ({"tf_config": '{"cluster": {"ps": ["a:1"]}}'}, "no parameter servers"),
    ],
)
def test_devices_that_are_not_there_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        make_replicas(**arguments)
