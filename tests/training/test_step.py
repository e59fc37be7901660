"""A step's gradients and updates are what the definitions say, to the bit where due."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import vocabularies
from t2t_multimodel.data.features import Image
from t2t_multimodel.data.train_reader import TrainReader
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.layers import random_scope
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.packing import GradientPacking, add_packed
from t2t_multimodel.training.problem_gradients import ProblemGradients
from t2t_multimodel.training.step import TrainStep
from tests.decoding import tiny_run

SEED, STEP = 3, 17
SMOOTHING, COEFFICIENT = 0.1, 0.3
BETA1, BETA2 = 0.5, 0.75
MULTIPLIERS = {"look_tiny": 2.5, "parse_tiny": 0.5}
HPARAMS = (
    f"{tiny_run.HPARAMS},dropout=0.0,attention_dropout=0.0,"
    f"label_smoothing={SMOOTHING},moe_loss_coef={COEFFICIENT}"
)


class WideCaption(tiny_run.Caption):
    """The pictures of `caption_tiny` in another size: same nets, other shapes."""

    name = "caption_wide"
    data_name = "caption_tiny"
    inputs = Image(height_px=16, width_px=24)


class Tiny:
    """A model, a batch of each of its problems, and train steps to go with them."""

    def __init__(self, data_dir, problems, hparams):
        words = vocabularies.load(tiny_run.WORDS, data_dir, "")
        specs = [
            ProblemSpec(p.name, p.inputs, p.targets, {"words": words.vocab_size})
            for p in problems
        ]
        self.hparams = make_hparams("multimodel_tiny", hparams)
        self.model = make_model(specs, self.hparams, seed=5)
        self.paths = list(variables_by_path(self.model.trainable_variables))
        generator = np.random.default_rng(7)
        for weight in self.model.trainable_variables:  # gates begin at zero
            noise = generator.normal(size=weight.shape) * 0.1
            weight.assign(weight.numpy() + noise.astype("float32"))
        readers = {
            p.name: TrainReader(p, data_dir, batch_size=512, seed=1) for p in problems
        }
        self.batches = {name: next(reader) for name, reader in readers.items()}
        self.element_specs = {name: r.element_spec for name, r in readers.items()}

    def train_step(self, *, weight_decay=0.0, seed=SEED):
        problems = ProblemGradients(
            self.model,
            dataclasses.replace(self.hparams, weight_decay=weight_decay),
            element_specs=self.element_specs,
            loss_multipliers={n: MULTIPLIERS.get(n, 1.0) for n in self.batches},
        )
        variables = variables_by_path(self.model.trainable_variables)
        optimizer = Adam(variables, beta1=BETA1, beta2=BETA2)
        return TrainStep(problems, optimizer, seed=seed, num_parallel=2)

    def weights(self):
        return [variable.numpy() for variable in self.model.trainable_variables]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("step") / "data"
    tiny_run.write_data(data_dir)
    return data_dir


@pytest.fixture(scope="module")
def tiny(data_dir):
    """All kinds of problems; two of them share all, two others all but the sizes."""
    return Tiny(data_dir, [*tiny_run.problems(), WideCaption()], HPARAMS)


@pytest.fixture(scope="module")
def step(tiny):
    return tiny.train_step()


@pytest.fixture(scope="module")
def joint(tiny, step):
    return step.gradients(tiny.batches, STEP)


@pytest.fixture(scope="module")
def dropping(data_dir):
    """One problem under dropout, without experts."""
    parse = tiny_run.problems()[-1]
    hparams = f"{tiny_run.HPARAMS},dropout=0.5,attention_dropout=0.5,use_moe=False"
    return Tiny(data_dir, [parse], hparams)


def own_gradients(tiny, name):
    """Returns a problem's own gradients and loss, from plain TensorFlow, eagerly."""
    model, batch = tiny.model, tiny.batches[name]
    words = np.random.SeedSequence([SEED, STEP, list(tiny.batches).index(name)])
    seed = words.generate_state(2, np.uint32).view(np.int32)
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        with random_scope(tf.constant(seed)):
            output = model(batch, problem=name, training=True)
        size = output.logits.shape[-1]
        label, others = 1 - SMOOTHING, SMOOTHING / (size - 1)
        wanted = tf.one_hot(batch["targets"], size, label, others)
        entropy = -label * np.log(label) - SMOOTHING * np.log(others)
        losses = -tf.reduce_sum(wanted * tf.nn.log_softmax(output.logits), -1) - entropy
        if model.spec(name).is_classification:
            counted = tf.ones_like(losses)
        else:
            counted = tf.cast(batch["targets"] > 0, tf.float32)
        loss = tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)
        uneven = tf.add_n(
            [
                tf.math.reduce_variance(x) / tf.reduce_mean(x) ** 2
                for statistics in output.balance
                for x in statistics
            ]
        )
        total = MULTIPLIERS.get(name, 1.0) * loss + COEFFICIENT * uneven
    gradients = [
        None if g is None else tf.convert_to_tensor(g).numpy()
        for g in tape.gradient(total, variables)
    ]
    return gradients, float(loss), float(total)


def assert_same(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


def differ(left, right):
    return any(
        not np.array_equal(a, b)
        for a, b in zip(left.packed, right.packed, strict=True)
        if a is not None
    )


def test_joint_gradients_are_the_sum_of_the_problems_own(tiny, step, joint):
    wanted = [None] * len(tiny.paths)
    for name in tiny.batches:
        own, loss, total = own_gradients(tiny, name)
        assert float(joint.losses[name]) == pytest.approx(loss, rel=1e-4), name
        assert float(joint.totals[name]) == pytest.approx(total, rel=1e-4), name
        wanted = [
            a if b is None else b if a is None else a + b
            for a, b in zip(wanted, own, strict=True)
        ]
    got = step.problems.packing.unpack(joint.packed, joint.used)
    scale = max(np.abs(g).max() for g in wanted if g is not None)
    for path, a, b in zip(tiny.paths, got, wanted, strict=True):
        assert (a is None) == (b is None), path
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5 * scale, err_msg=path)


def test_a_step_repeats_itself_to_the_bit(tiny, step, joint):
    # A table that three gradients meet in, and positions that five layers read.
    for _ in range(20):
        again = step.gradients(tiny.batches, STEP)
        assert_same(
            [part for part in again.packed if part is not None],
            [part for part in joint.packed if part is not None],
        )


def test_losses_are_means_over_targets_that_count(tiny, joint):
    for name, count in joint.num_targets.items():
        targets = tiny.batches[name]["targets"].numpy()
        is_label = targets.ndim == 1
        assert int(count) == (targets.size if is_label else (targets != 0).sum())


def test_problems_with_equal_nets_and_sizes_share_their_trace(step, joint):
    assert set(step.problems.element_specs) == set(joint.losses)
    assert (
        len(step._functions) == len(step.problems.element_specs) - 1
    )  # translate and parse


def test_an_update_takes_the_mean_and_the_decay_of_matrices(tiny, step, joint):
    decay = 0.7
    before = tiny.weights()
    updating = tiny.train_step(weight_decay=decay)
    norm = updating.update(joint, learning_rate=0.0)
    summed = step.problems.packing.unpack(joint.packed, joint.used)
    wanted = []
    for path, total, weight in zip(tiny.paths, summed, before, strict=True):
        first_moment = updating.optimizer.slots[f"{path}/m"].numpy()
        if total is None:
            assert not first_moment.any(), path
            continue
        mean = total.numpy() / len(tiny.batches)
        if weight.ndim > 1:
            # Of decay times half the mean square.
            mean = mean + decay * weight / weight.size
        wanted.append(mean)
        np.testing.assert_allclose(
            first_moment, (1 - BETA1) * mean, rtol=1e-4, atol=1e-7, err_msg=path
        )
    length = np.sqrt(sum((mean.astype(np.float64) ** 2).sum() for mean in wanted))
    assert norm == pytest.approx(length, rel=1e-4)
    assert_same(tiny.weights(), before)


def test_the_number_computed_side_by_side_changes_no_bit(tiny, step, joint):
    step.num_parallel = 1
    try:
        alone = step.gradients(tiny.batches, STEP)
    finally:
        step.num_parallel = 2
    assert_same(alone.packed, joint.packed)
    assert alone.used == joint.used
    again = step.gradients(tiny.batches, STEP)
    assert_same(again.packed, joint.packed)
    assert differ(step.gradients(tiny.batches, STEP + 1), joint)  # gating noise


def test_dropout_goes_by_seed_and_step(dropping):
    step = dropping.train_step()
    first = step.gradients(dropping.batches, STEP)
    assert_same(step.gradients(dropping.batches, STEP).packed, first.packed)
    assert differ(step.gradients(dropping.batches, STEP + 1), first)
    step.seed += 1
    assert differ(step.gradients(dropping.batches, STEP), first)


def test_problems_of_a_step_drop_different_activations(tiny, step):
    # Equal batches of two problems that share all but their number in the run.
    batch = tiny.batches["translate_tiny"]
    first, second = (
        step.gradients({name: batch}, STEP) for name in ("translate_tiny", "parse_tiny")
    )
    assert differ(first, second)


def test_what_a_problem_does_not_use_stays_as_it_is(tiny):
    updating = tiny.train_step(weight_decay=0.7)
    before = dict(zip(tiny.paths, tiny.weights(), strict=True))
    try:
        result = updating.gradients({"look_tiny": tiny.batches["look_tiny"]}, STEP)
        updating.update(result, learning_rate=1.0)
        after = dict(zip(tiny.paths, tiny.weights(), strict=True))
        untouched = [
            path for path, used in zip(tiny.paths, result.used, strict=True) if not used
        ]
        counts = updating.optimizer.get_state()
        for path in tiny.paths:
            slots = [updating.optimizer.slots[f"{path}/{slot}"] for slot in "mv"]
            if path in untouched:
                np.testing.assert_array_equal(after[path], before[path], path)
                assert not any(slot.numpy().any() for slot in slots), path
            assert counts[path] == (path not in untouched)
        parts = {path.split("/")[1] for path in untouched}
        assert {"decoder", "mixer", "language_words"} <= parts
        assert any("look_tiny" in path for path in tiny.paths if path not in untouched)
        assert any((after[path] != before[path]).any() for path in tiny.paths)
    finally:
        for variable, value in zip(
            tiny.model.trainable_variables, before.values(), strict=True
        ):
            variable.assign(value)


def test_a_gradient_that_is_not_finite_updates_nothing(tiny, joint):
    updating = tiny.train_step()
    before = tiny.weights()
    broken = [part if part is None else part * np.inf for part in joint.packed]
    norm = updating.update(joint._replace(packed=broken), learning_rate=1.0)
    assert not np.isfinite(norm)
    assert_same(tiny.weights(), before)
    assert not any(updating.optimizer.get_state().values())


def packing(small_elements):
    shapes = [(2, 3), (), (4,), (5, 2), (6,)]
    shapes = [tf.TensorShape(shape) for shape in shapes]
    generator = np.random.default_rng(0)
    gradients = [
        tf.constant(generator.normal(size=shape.as_list()), tf.float32)
        for shape in shapes
    ]
    return GradientPacking(shapes, small_elements), gradients


@pytest.mark.parametrize("small_elements", [1, 6, 7, 100])
def test_packed_gradients_come_back(small_elements):
    pack, gradients = packing(small_elements)
    packed = pack.pack(gradients)
    assert_same(pack.unpack(packed, [True] * 5), gradients)
    doubled = pack.unpack(add_packed(packed, packed), [True] * 5)
    assert_same(doubled, [2 * gradient for gradient in gradients])


def test_only_tensors_below_the_limit_share_the_vector():
    pack, gradients = packing(6)  # sizes 6, 1, 4, 10, 6
    vector, *large = pack.pack(gradients)
    assert vector.shape == (1 + 4,)
    assert [tensor.shape for tensor in large] == [(2, 3), (5, 2), (6,)]
    assert GradientPacking([tf.TensorShape([6])], 7).large == []


@pytest.mark.parametrize("small_elements", [1, 6, 100])
def test_gradients_that_are_none_stay_none(small_elements):
    pack, gradients = packing(small_elements)
    some = [gradients[0], None, gradients[2], None, None]
    others = [None, None, gradients[2], gradients[3], None]
    got = pack.unpack(
        add_packed(pack.pack(some), pack.pack(others)), [True, False, True, True, False]
    )
    assert got[1] is None and got[4] is None
    wanted = [gradients[0], 2 * gradients[2], gradients[3]]
    assert_same([got[0], got[2], got[3]], wanted)
