"""What every layer promises, whatever it computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel import layers
from tests.layers.table import CASES

NAMES = list(CASES)
SEED = np.array([3, 4], "int32")


def outputs_of(layer, inputs, **kwargs):
    return [np.asarray(y) for y in tf.nest.flatten(layer(*inputs, **kwargs))]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in layers.__all__
        if isinstance(getattr(layers, name), type)
        and issubclass(getattr(layers, name), keras.layers.Layer)
    ],
)
def test_every_exported_layer_is_in_the_table(name):
    assert name in CASES


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_gets_a_gradient(name):
    case = CASES[name]
    layer = case.layer()
    with tf.GradientTape() as tape, layers.random_scope(SEED):
        outputs = tf.nest.flatten(layer(*case.inputs(), **case.training()))
        loss = tf.add_n([tf.reduce_sum(tf.sin(y)) for y in outputs])
    weights = layer.trainable_weights
    for weight, grad in zip(
        weights, tape.gradient(loss, [w.value for w in weights]), strict=True
    ):
        assert grad is not None and np.abs(grad).max() > 0, weight.path


@pytest.mark.parametrize("name", NAMES)
def test_unknown_lengths_give_the_same_numbers(name):
    case = CASES[name]
    layer, inputs = case.layer(), case.inputs()
    signature = [tf.TensorSpec([None] * (x.ndim - 1) + [x.shape[-1]]) for x in inputs]
    traced = tf.function(layer, input_signature=signature, autograph=False)
    for got, want in zip(
        outputs_of(traced, inputs), outputs_of(layer, inputs), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].causal])
def test_causal_layers_do_not_see_the_future(name):
    case = CASES[name]
    layer, inputs = case.layer(), case.inputs()
    changed = [inputs[0].copy(), *inputs[1:]]
    changed[0][:, 5:] *= -2
    before, after = outputs_of(layer, inputs)[0], outputs_of(layer, changed)[0]
    np.testing.assert_allclose(after[:, :5], before[:, :5], rtol=1e-5, atol=1e-5)
    assert np.abs(after[:, 5] - before[:, 5]).max() > 1e-3


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].masked >= 0])
def test_padding_does_not_change_a_row(name):
    case = CASES[name]
    layer, inputs = case.layer(), case.inputs()
    length = inputs[case.masked].shape[1]
    real = outputs_of(layer, inputs)
    for fill in (9.0, -1000.0):
        padded = list(inputs)
        x = inputs[case.masked]
        padding = np.full((x.shape[0], 5, *x.shape[2:]), fill, "float32")
        padded[case.masked] = np.concatenate([x, padding], axis=1)
        mask = np.arange(length + 5)[None] < np.full((x.shape[0], 1), length)
        got = outputs_of(layer, padded, **{case.mask_name: mask})
        got[0] = got[0][:, : real[0].shape[1]]
        for g, w in zip(got, real, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name):
    case = CASES[name]
    layer = case.layer()
    if type(layer).__module__ != "tests.layers.table":
        config = keras.saving.serialize_keras_object(layer)
        again = keras.saving.deserialize_keras_object(config)
    else:
        again = type(layer).from_config(layer.get_config())
    again(*case.inputs())
    again.set_weights(layer.get_weights())
    assert again.get_config() == layer.get_config()
    paths = [w.path for w in layer.weights]
    assert paths == [w.path for w in again.weights]
    for got, want in zip(
        outputs_of(again, case.inputs()), outputs_of(layer, case.inputs()), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", NAMES)
def test_symbolic_shape_is_eager_shape(name):
    case = CASES[name]
    layer = case.make("float32")
    eager = [y.shape for y in outputs_of(layer, case.inputs())]
    symbolic = layer(*[keras.KerasTensor(shape) for shape in case.shapes])
    assert [tuple(y.shape) for y in tf.nest.flatten(symbolic)] == eager
    told = layer.compute_output_shape(*case.shapes)
    told = told if isinstance(told[0], tuple) else (told,)
    assert [tuple(shape) for shape in told] == eager


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_computes_in_bfloat16(name):
    case = CASES[name]
    layer = case.layer("mixed_bfloat16")
    assert all(w.dtype == "float32" for w in layer.weights)
    with layers.random_scope(SEED):
        outputs = tf.nest.flatten(layer(*case.inputs(), **case.training()))
    assert outputs[0].dtype == tf.bfloat16
    assert all(y.dtype == tf.float32 for y in outputs[1:])
    assert all(np.isfinite(tf.cast(y, "float32")).all() for y in outputs)


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].draws])
def test_random_numbers_depend_on_the_seed_only(name):
    case = CASES[name]
    layer, inputs = case.layer(), case.inputs()
    outputs = []
    for seed in ([3, 4], [3, 4], [3, 5]):
        with layers.random_scope(np.array(seed, "int32")):
            outputs.append(outputs_of(layer, inputs, training=True)[0])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-3
    with pytest.raises(RuntimeError, match="random_scope"):
        layer(*inputs, training=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_holds_every_weight(name, tmp_path):
    layer = CASES[name].layer()
    path = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "checkpoint"))
    saved = [n for n, _ in tf.train.list_variables(path) if n.startswith("layer/")]
    assert len(saved) == len(layer.weights)
