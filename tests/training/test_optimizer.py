import keras
import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.optimizer import (
    Adam,
    variables_by_path,
    weight_decay_gradient,
)


def _variables(**shapes):
    return {
        path: tf.Variable(tf.random.stateless_normal(shape, seed=(1, i)))
        for i, (path, shape) in enumerate(shapes.items())
    }


def _gradients(variables, step):
    return [
        tf.random.stateless_normal(v.shape, seed=(2 + step, i))
        for i, v in enumerate(variables.values())
    ]


def _numpy_adam(start, gradients, rate, beta1=0.85, beta2=0.997, epsilon=1e-6):
    """T2T's formula, in double precision, one variable."""
    x, m, v = start.astype("float64"), 0.0, 0.0
    for t, gradient in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        alpha = rate / 500 * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        x = x - alpha * m / (np.sqrt(v) + epsilon)
    return x


@pytest.mark.parametrize("in_graph", [False, True])
def test_equals_t2ts_formula(in_graph):
    variables = _variables(a=(3, 4), b=(5,))
    start = [v.numpy() for v in variables.values()]
    optimizer = Adam(variables)
    apply = tf.function(optimizer.apply) if in_graph else optimizer.apply
    steps = [_gradients(variables, step) for step in range(5)]

    for gradients in steps:
        apply(gradients, tf.constant(20.0))

    for i, variable in enumerate(variables.values()):
        want = _numpy_adam(start[i], [s[i].numpy() for s in steps], 20.0)
        np.testing.assert_allclose(variable, want, rtol=1e-5, atol=1e-6)


def test_divisor_one_is_keras_adam():
    mine, theirs = _variables(a=(3, 4)), _variables(a=(3, 4))
    optimizer = Adam(
        mine, beta1=0.9, beta2=0.98, epsilon=1e-9, learning_rate_divisor=1.0
    )
    keras_variable = keras.Variable(theirs["a"])
    keras_adam = keras.optimizers.Adam(0.01, beta_1=0.9, beta_2=0.98, epsilon=1e-9)
    for step in range(4):
        gradients = _gradients(mine, step)
        optimizer.apply(gradients, 0.01)
        keras_adam.apply([gradients[0]], [keras_variable])
    np.testing.assert_allclose(mine["a"], keras_variable.value, rtol=1e-5, atol=1e-6)


def test_a_variable_without_a_gradient_is_left_alone():
    variables = _variables(used=(4,), unused=(4,))
    optimizer = Adam(variables)
    optimizer.apply(_gradients(variables, 0), 1.0)
    everything = {**variables, **optimizer.slots}
    before = {path: v.numpy() for path, v in everything.items()}

    optimizer.apply([_gradients(variables, 1)[0], None], 1.0)

    for path, variable in everything.items():
        unchanged = np.array_equal(before[path], variable.numpy())
        assert unchanged == path.startswith("unused"), path
    assert optimizer.get_state() == {"used": 2, "unused": 1}


def test_a_late_variable_gets_the_bias_correction_of_a_first_update():
    variables = _variables(early=(4,), late=(4,))
    optimizer = Adam(variables)
    for step in range(20):
        optimizer.apply([_gradients(variables, step)[0], None], 1.0)
    start = variables["late"].numpy()
    gradients = _gradients(variables, 20)
    optimizer.apply(gradients, 1.0)
    want = _numpy_adam(start, [gradients[1].numpy()], 1.0)
    np.testing.assert_allclose(variables["late"], want, rtol=1e-6)


def test_slices_count_as_the_dense_gradient():
    ids, rows = tf.constant([0, 0, 2]), tf.ones((3, 2))
    slices = tf.IndexedSlices(rows, ids, dense_shape=tf.constant([3, 2]))
    results = []
    for gradient in (slices, tf.convert_to_tensor(slices)):
        variables = _variables(table=(3, 2))
        optimizer = Adam(variables, clip_grad_norm=1.0)
        norm = optimizer.apply([gradient], 1.0)
        assert float(norm) == pytest.approx(np.sqrt(2 * 2**2 + 2 * 1))
        optimizer.apply([gradient], 1.0)
        results.append(variables["table"].numpy())
    np.testing.assert_array_equal(*results)


def test_clips_by_the_global_norm_of_the_gradients_given():
    gradients = [tf.fill((4,), 3.0), None, tf.fill((4,), 4.0)]  # norm 10
    scaled = [g if g is None else g / 5.0 for g in gradients]
    results = []
    for clip, given in ((2.0, gradients), (0.0, scaled)):
        variables = _variables(a=(4,), b=(4,), c=(4,))
        optimizer = Adam(variables, clip_grad_norm=clip, epsilon=1.0)
        norm = optimizer.apply(given, 1.0)
        assert float(norm) == pytest.approx(10.0 if clip else 2.0)
        results.append(np.concatenate(list(variables.values())))
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_small_gradients_are_not_scaled_up():
    plain, clipped = _variables(a=(4,)), _variables(a=(4,))
    gradient = [tf.fill((4,), 1e-3)]
    Adam(plain, epsilon=1.0).apply(gradient, 1.0)
    Adam(clipped, epsilon=1.0, clip_grad_norm=2.0).apply(gradient, 1.0)
    np.testing.assert_array_equal(plain["a"], clipped["a"])


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_broken_gradient_shows_in_the_norm_and_changes_nothing(in_graph, broken):
    variables = _variables(a=(4,), b=(4,))
    optimizer = Adam(variables, clip_grad_norm=2.0)
    apply = tf.function(optimizer.apply) if in_graph else optimizer.apply
    apply(_gradients(variables, 0), 1.0)
    everything = [*variables.values(), *optimizer.slots.values()]
    before = [v.numpy() for v in everything]

    norm = apply([tf.fill((4,), broken), tf.ones((4,))], 1.0)

    assert not np.isfinite(norm)
    for old, variable in zip(before, everything, strict=True):
        np.testing.assert_array_equal(variable, old)
    assert optimizer.get_state() == {"a": 1, "b": 1}


def test_no_gradient_at_all_changes_nothing():
    variables = _variables(a=(4,))
    before = variables["a"].numpy()
    optimizer = Adam(variables)
    assert float(optimizer.apply([None], 1.0)) == 0.0
    np.testing.assert_array_equal(variables["a"], before)


def test_a_list_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 gradients for 2 variables"):
        Adam(_variables(a=(1,), b=(1,))).apply([None], 1.0)


def test_state_goes_by_path():
    first = Adam(_variables(a=(1,), b=(1,)))
    first.apply([tf.ones(1), None], 1.0)
    more = Adam(_variables(new=(1,), b=(1,), a=(1,)))
    more.set_state(first.get_state())
    assert more.get_state() == {"new": 0, "b": 0, "a": 1}


def test_equal_paths_are_refused():
    layers = [keras.layers.Dense(2, name="same") for _ in range(2)]
    for layer in layers:
        layer.build((None, 3))
    with pytest.raises(UserError, match="two variables have the path 'same/kernel'"):
        variables_by_path(layers[0].weights + layers[1].weights)


def test_two_replicas_equal_one(two):
    strategy = two.strategy
    with strategy.scope():
        variables = _variables(a=(3, 4), b=(5,))
        optimizer = Adam(variables, clip_grad_norm=0.5)
    single = _variables(a=(3, 4), b=(5,))
    single_optimizer = Adam(single, clip_grad_norm=0.5)

    @tf.function
    def step(gradients):
        def replica(gradients):
            context = tf.distribute.get_replica_context()
            half = [gradient / 2 for gradient in gradients]
            return optimizer.apply(context.all_reduce("SUM", half), 9.0)

        return strategy.run(replica, args=(gradients,))

    for i in range(3):
        gradients = _gradients(single, i)
        norms = strategy.experimental_local_results(step(gradients))
        want = single_optimizer.apply(gradients, 9.0)
        np.testing.assert_allclose(norms, [want, want], rtol=1e-6)
    for path in single:
        for copy in strategy.experimental_local_results(variables[path]):
            np.testing.assert_allclose(copy, single[path], rtol=1e-6, atol=1e-7)
    assert optimizer.get_state() == single_optimizer.get_state()


def test_weight_decay_is_of_half_the_mean_square_of_matrices():
    kernel = tf.Variable([[2.0, -3.0, 1.0], [0.5, 4.0, -1.0]])
    with tf.GradientTape() as tape:
        loss = 0.7 * 0.5 * tf.reduce_mean(kernel**2)
    np.testing.assert_allclose(
        weight_decay_gradient(kernel, 0.7), tape.gradient(loss, kernel), rtol=1e-6
    )
    assert weight_decay_gradient(kernel, 0.0) is None
    assert weight_decay_gradient(tf.Variable([1.0, 2.0]), 0.7) is None
