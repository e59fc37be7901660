"""The modality nets: the paper's shapes, no dead weights, no effect of padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.errors import UserError
from t2t_multimodel.layers import random_scope
from t2t_multimodel.modalities import (
    AudioModality,
    CategoricalModality,
    ImageModality,
    LanguageModality,
)
from t2t_multimodel.modalities.image import standardize


def rng(seed=0):
    return np.random.default_rng(seed)


def images(*shape):
    return rng().integers(0, 256, size=shape).astype("uint8")


def sounds(*shape):
    return rng().normal(size=shape).astype("float32")


def run_language(net, ids):
    return net.logits(net.embed_inputs(ids) + net.embed_targets(ids))


def _language(**kwargs):
    net = LanguageModality(5, 8, **kwargs)
    net.build()
    return net, lambda: run_language(net, np.arange(5)[None])


def _image(norm="position"):
    net = ImageModality(16, stem_filters=(4, 6), filters=(8,), norm=norm)
    net.build((None, None, None, 3))
    return net, lambda: net(images(2, 24, 24, 3))


def _audio(form, shape, bin_stride=1):
    net = AudioModality(
        16, form, compression=2, bin_stride=bin_stride, filter_multiplier=4
    )
    net.build((None, *(None if n > 8 else n for n in shape[1:])))
    lengths = np.array([shape[1], shape[1] - 5], "int32")
    return net, lambda: net(sounds(*shape), lengths)[0]


def _categorical(mask):
    net = CategoricalModality((6, 10, 12))
    net.build((None, None, None, 8))
    masks = {"none": None, "masked": np.arange(6)[None, :, None] < [[[6]], [[3]]]}
    padding_mask = masks[mask]
    if padding_mask is not None:
        padding_mask = np.broadcast_to(padding_mask, (2, 6, 4))
    return net, lambda: net(sounds(2, 6, 4, 8), padding_mask=padding_mask)


NETS = {
    "language_three_tables": _language,
    "language_shared": lambda: _language(shared=True),
    "image": _image,
    "image_normed_as_pictures": lambda: _image("picture"),
    "audio_spectrogram": lambda: _audio("spectrogram", (2, 24, 8)),
    "audio_spectrogram_strided_bins": lambda: _audio("spectrogram", (2, 24, 8), 2),
    "audio_waveform": lambda: _audio("waveform", (2, 40)),
    "categorical": lambda: _categorical("none"),
    "categorical_masked": lambda: _categorical("masked"),
}


@pytest.mark.parametrize("name", NETS)
def test_every_weight_gets_a_gradient(name):
    net, run = NETS[name]()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(3 * run()))
    values = [w.value for w in net.trainable_weights]
    assert len(values) == len(net.weights)
    for weight, gradient in zip(
        net.trainable_weights, tape.gradient(loss, values), strict=True
    ):
        assert gradient is not None, weight.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path


@pytest.mark.parametrize("name", NETS)
def test_a_net_is_rebuilt_from_its_config(name):
    net, _ = NETS[name]()
    again = type(net).from_config(net.get_config())
    assert again.get_config() == net.get_config()


def test_the_image_net_turns_299_pixels_into_19_positions():
    net = ImageModality(8, stem_filters=(2, 2), filters=(2, 4))
    assert net.compute_output_shape((1, 299, 299, 3)) == (1, 19, 19, 8)
    assert net(images(1, 299, 299, 3)).shape == (1, 19, 19, 8)


def test_norm_of_pictures_leaves_a_flat_background_weaker_than_a_thing():
    rng = np.random.default_rng(3)
    picture = 128 + rng.normal(size=(1, 32, 32, 3))
    picture[:, 8:16, 8:16] = (240, 20, 60)

    def strength(norm):
        net = ImageModality(16, stem_filters=(8, 8), filters=(8,), norm=norm)
        net.build((None, None, None, 3))
        output = np.asarray(net.stem_1(picture.astype("float32")))
        deviation = output.std(axis=-1)[0]  # 16 x 16
        return deviation[12:, 12:].mean() / deviation[4:8, 4:8].mean()

    keras.utils.set_random_seed(1)
    assert strength("picture") < 0.85 < 0.9 < strength("position")


def test_the_papers_image_net_has_the_papers_filters():
    net = ImageModality(1024)
    net.build((None, None, None, 3))
    layers = (net.stem_1, net.stem_2, *net.blocks)
    assert [layer.filters for layer in layers] == [32, 64, 128, 256, 1024]
    assert not net.stem_1.activation and net.stem_2.activation


def test_brightness_and_contrast_of_a_picture_do_not_matter():
    net, _ = _image()
    dark = images(1, 24, 24, 3) // 4
    np.testing.assert_allclose(net(dark), net(dark * 3 + 20), rtol=1e-3, atol=1e-4)


def test_standardized_pictures_have_mean_0_and_deviation_1():
    x = standardize(images(2, 5, 7, 3)).numpy()
    np.testing.assert_allclose(x.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std((1, 2, 3)), 1, rtol=1e-5)


def test_a_picture_of_one_colour_becomes_zeros():
    flat = np.full((1, 4, 4, 3), 77, "uint8")
    np.testing.assert_array_equal(standardize(flat), np.zeros((1, 4, 4, 3)))


def test_the_papers_audio_net_has_the_papers_filters_and_t2ts_ninth_block():
    net = AudioModality(1024)
    filters = [block.filters for block in net.blocks]
    assert filters == [2, 4, 8, 16, 32, 64, 128, 256, 1024]
    assert {block.strides for block in net.blocks} == {(2, 1)}
    shape, mask_shape = net.compute_output_shape((1, 1024, 80))
    assert shape == (1, 2, 80, 1024) and mask_shape == (1, 2)


@pytest.mark.parametrize(
    "form, bin_stride, shape, expected",
    [
        ("spectrogram", 1, (2, 40, 6), (2, 5, 6, 8)),
        ("spectrogram", 2, (2, 40, 6), (2, 5, 1, 8)),
        ("waveform", 2, (2, 40), (2, 5, 1, 8)),
    ],
)
def test_audio_output_shapes(form, bin_stride, shape, expected):
    net = AudioModality(8, form, compression=2, bin_stride=bin_stride)
    lengths = np.array([40, 17], "int32")
    x, mask = net(sounds(*shape), lengths)
    assert x.shape == expected
    assert net.compute_output_shape(shape)[0] == expected
    np.testing.assert_array_equal(mask.numpy().sum(1), [5, 3])  # ceil(length / 8)
    np.testing.assert_array_equal(x.numpy()[1, 3:], 0)


def kinds_of_output(net, x):
    """Returns how many different vectors a step makes of the positions of `x`."""
    vectors = net(x).numpy()
    return len(np.unique(vectors.reshape(-1, vectors.shape[-1]).round(3), axis=0))


def test_how_loud_it_is_gets_through_the_first_block():
    # A separable convolution of one channel and a layer norm keep only the sign.
    net = AudioModality(8, compression=2, bin_stride=2, filter_multiplier=8)
    lengths = np.array([32], "int32")
    soft, loud = (np.full((1, 32, 8), level, "f") for level in (0.5, 1.5))
    assert np.abs(net(soft, lengths)[0] - net(loud, lengths)[0]).max() > 0.1
    assert np.abs(net(-soft, lengths)[0] - net(-loud, lengths)[0]).max() > 0.1
    x = sounds(1, 32, 16)
    three = np.stack([x, -x, np.ones_like(x)], axis=-1)
    assert kinds_of_output(net.blocks[0].step_1, three) > 400
    assert kinds_of_output(net.blocks[0].shortcut, three) > 100


def test_shades_of_grey_get_through_the_first_step():
    net = ImageModality(8, stem_filters=(8, 8), filters=())
    net.build((None, None, None, 1))
    grey = standardize(images(1, 32, 32, 1))
    assert kinds_of_output(net.stem_1, grey) > 200


@pytest.fixture(scope="module", params=["spectrogram", "waveform"])
def audio_net(request):
    return AudioModality(8, request.param, compression=2, filter_multiplier=3)


@pytest.mark.parametrize("length", [1, 16, 17, 22, 23])
@pytest.mark.parametrize("padded", [24, 25, 31, 40])
def test_padding_does_not_change_what_is_heard(audio_net, length, padded):
    net, form = audio_net, audio_net.form
    bins = (6,) if form == "spectrogram" else ()
    row = sounds(1, length, *bins)
    long_row = np.concatenate([row, np.full((1, padded - length, *bins), 9, "f")], 1)
    lengths = np.array([length], "int32")
    alone, alone_mask = net(row, lengths)
    batched, mask = net(long_row, lengths)
    count = int(alone_mask.numpy().sum())
    assert count == int(mask.numpy().sum()) == -(-length // 8)
    np.testing.assert_allclose(
        batched[:, :count], alone[:, :count], rtol=1e-4, atol=1e-5
    )


def test_audio_of_an_unknown_form_is_refused():
    with pytest.raises(UserError, match="form='mp3' must be 'spectrogram' or"):
        AudioModality(8, "mp3")


@pytest.mark.parametrize("grid", [(19, 19), (7, 1), (1, 1), (5, 8)])
def test_the_categorical_net_pools_any_grid(grid):
    net = CategoricalModality((6, 10, 12))
    assert net(sounds(2, *grid, 8)).shape == (2, 12)
    everything_real = np.ones((2, *grid), bool)
    np.testing.assert_allclose(
        net(sounds(2, *grid, 8), padding_mask=everything_real).shape, (2, 12)
    )


@pytest.mark.parametrize("rows", [1, 4, 5])
@pytest.mark.parametrize("padded", [6, 7, 12])
def test_padding_does_not_change_a_class(rows, padded):
    net = CategoricalModality((6, 10, 12))
    x = sounds(1, rows, 3, 8)
    longer = np.concatenate([x, np.full((1, padded - rows, 3, 8), 9, "f")], axis=1)
    mask = np.broadcast_to((np.arange(padded) < rows)[None, :, None], (1, padded, 3))
    alone = net(x, padding_mask=np.ones((1, rows, 3), bool))
    np.testing.assert_allclose(
        net(longer, padding_mask=mask), alone, rtol=1e-4, atol=1e-5
    )


def test_a_row_without_anything_real_is_finite():
    net = CategoricalModality((6, 10, 12))
    summary = net(sounds(1, 4, 3, 8), padding_mask=np.zeros((1, 4, 3), bool))
    assert np.isfinite(summary).all()


def test_padding_embeds_to_zeros_and_the_rest_to_unit_variance():
    net = LanguageModality(2000, 64)
    net.build()
    embedded = net.embed_inputs(np.arange(2000)[None]).numpy()[0]
    np.testing.assert_array_equal(embedded[0], 0)
    assert abs(embedded[1:].std() - 1) < 0.02
    np.testing.assert_allclose(embedded[7], net.inputs_table.numpy()[7] * 8, rtol=1e-6)
    np.testing.assert_array_equal(net.embed_targets(np.array([[0]])), 0)


def test_tables_are_three_or_one():
    three, shared = (LanguageModality(5, 8, shared=s) for s in (False, True))
    for net in (three, shared):
        net.build()
    assert len(three.weights) == 3 and len(shared.weights) == 1
    ids = np.array([[1, 2]])
    assert np.abs(three.embed_inputs(ids) - three.embed_targets(ids)).max() > 0
    np.testing.assert_array_equal(shared.embed_inputs(ids), shared.embed_targets(ids))


def test_logits_are_products_with_the_table():
    net = LanguageModality(5, 8, shared=True)
    net.build()
    x = sounds(1, 3, 8)
    expected = x @ net.softmax_table.numpy().T
    np.testing.assert_allclose(net.logits(x), expected, rtol=1e-4, atol=1e-5)


def test_hidden_symbols_are_hidden_in_training_only():
    net = LanguageModality(50, 8, symbol_dropout=0.5)
    net.build()
    ids = np.full((1, 400), 7, "int32")
    assert np.all(np.any(net.embed_inputs(ids), axis=-1))
    with random_scope(np.array([1, 2], "int32")):
        shown = np.any(net.embed_inputs(ids, training=True), axis=-1)
    assert 0.4 < shown.mean() < 0.6


def test_half_precision_nets_score_in_float32():
    net = LanguageModality(5, 8, dtype="mixed_bfloat16")
    net.build()
    assert net.embed_inputs(np.array([[1, 2]])).dtype == tf.bfloat16
    assert net.logits(tf.zeros((1, 2, 8), tf.bfloat16)).dtype == tf.float32
    image_net = ImageModality(
        8, stem_filters=(2, 2), filters=(), dtype="mixed_bfloat16"
    )
    image_net.build((None, None, None, 3))
    policies = {layer.dtype_policy.name for layer in image_net._flatten_layers()}
    assert policies == {"mixed_bfloat16"}
    assert keras.backend.standardize_dtype(image_net(images(1, 8, 8, 3)).dtype) == (
        "bfloat16"
    )


def test_a_frequent_symbols_gradient_adds_up_in_float32():
    net = LanguageModality(5, 4, dtype="mixed_bfloat16")
    net.build()
    with tf.GradientTape() as tape:
        embedded = net.embed_inputs(np.full((30, 100), 3, "int32"))
        total = tf.reduce_sum(tf.cast(embedded, "float32"))
    gradient = tf.convert_to_tensor(tape.gradient(total, net.inputs_table.value))
    want = np.zeros((5, 4))
    want[3] = 3000 * 2  # each times the root of the depth
    np.testing.assert_array_equal(gradient, want)


def test_half_precision_classes_are_means_of_all_positions():
    """Of more than 256, which is where bfloat16 stops to count."""
    x = sounds(2, 40, 40, 8)
    real = np.arange(40)[None, :, None] < np.array([40, 36])[:, None, None]
    padding_mask = np.broadcast_to(real, (2, 40, 40))
    results = []
    for policy in ("float32", "mixed_bfloat16"):
        net = CategoricalModality((6, 10, 12), dtype=policy)
        net.build((None, None, None, 8))
        weights = np.random.default_rng(1)
        net.set_weights([weights.normal(0, 0.5, w.shape) for w in net.get_weights()])
        results.append(keras.ops.cast(net(x, padding_mask), "float32"))
    np.testing.assert_allclose(results[1], results[0], rtol=0.05, atol=0.01)
