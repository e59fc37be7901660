"""The whole network: shapes, causality, padding, gradients, ablations, checkpoints."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.layers import moe_balance_loss, random_scope
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec

VOCAB_SIZE = 23
WORDS = Vocabulary("words", 32)
BYTES = Vocabulary("letters", 0)
SMALL = (
    "hidden_size=16,num_heads=4,moe_num_experts=4,moe_hidden_size=8,"
    "image_stem_filters=(4,4),image_filters=(6,),audio_compression=2,"
    "audio_filter_multiplier=4,categorical_filters=(8,12,16),large_kernel_dilation=2,"
    "num_encoder_blocks=2"
)


def text(space=SpaceId.ENGLISH_TOKENS, vocabulary=WORDS):
    return Text(space=space, vocabulary=vocabulary)


ENGLISH, GERMAN = text(), text(SpaceId.GERMAN_TOKENS)
LETTERS = text(SpaceId.ENGLISH_CHARACTERS, BYTES)
PICTURE = Image(height_px=16, width_px=16)
SPEECH = Audio(form="spectrogram", num_bins=4)
WAVE = Audio(form="waveform")
COLOURS = ClassLabel(names=("red", "green", "blue"))

FEATURES = {
    "text_to_text": (ENGLISH, GERMAN),
    "text_to_text_rev": (GERMAN, ENGLISH),
    "image_to_label": (PICTURE, COLOURS),
    "image_to_text": (PICTURE, ENGLISH),
    "speech_to_text": (SPEECH, ENGLISH),
    "wave_to_text": (WAVE, ENGLISH),
    "speech_to_label": (SPEECH, COLOURS),
    "text_to_label": (ENGLISH, ClassLabel(names=("true", "false"))),
    "letters_to_text": (LETTERS, ENGLISH),
    "image_to_letters": (PICTURE, LETTERS),
}
DECODED = [name for name, (_, t) in FEATURES.items() if t.kind == "text"]
SEQUENCES = [name for name, (i, _) in FEATURES.items() if i.kind != "image"]


def spec(name):
    inputs, targets = FEATURES[name]
    sizes = {"words": VOCAB_SIZE, "letters": 258}
    return ProblemSpec(name, inputs, targets, sizes)


@functools.cache
def model_of(names=tuple(FEATURES), hparams_set="multimodel_tiny", seed=0):
    hparams = make_hparams(hparams_set, SMALL)
    model = make_model([spec(name) for name in names], hparams, seed=seed)
    generator = np.random.default_rng(7)
    for weight in model.weights:
        # Gates start at zero, where all experts tie; a trained model is not there.
        noise = generator.normal(size=weight.shape) * 0.05
        weight.assign(weight.numpy() + noise.astype("float32"))
    return model


def ids(generator, *shape):
    return generator.integers(2, VOCAB_SIZE, size=shape).astype("int32")


def batch_of(name, seed=3):
    """Returns 2 examples: source lengths 9 or 40 and 30, target length 6."""
    generator = np.random.default_rng(seed)
    inputs, targets = FEATURES[name]
    batch = {}
    if inputs.kind == "text":
        batch["inputs"] = ids(generator, 2, 9)
    elif inputs.kind == "image":
        batch["inputs"] = generator.integers(0, 256, (2, 16, 16, 3)).astype("uint8")
    else:
        shape = (2, 40, 4) if inputs.form == "spectrogram" else (2, 40)
        batch["inputs"] = generator.normal(size=shape).astype("float32")
        batch["inputs_length"] = np.array([40, 30], "int32")
    if targets.kind == "text":
        batch["targets"] = ids(generator, 2, 6)
    else:
        batch["targets"] = np.array([0, 1], "int32")
    return batch


def logits_of(model, batch, name):
    return model(batch, problem=name).logits.numpy()


@pytest.mark.parametrize("name", FEATURES)
def test_logits_have_a_score_for_each_symbol_or_class(name):
    output = model_of()(batch_of(name), problem=name)
    targets = FEATURES[name][1]
    is_text = targets.kind == "text"
    vocab_size = 258 if targets is LETTERS else VOCAB_SIZE
    expected = (2, 6, vocab_size) if is_text else (2, len(targets.names))
    assert output.logits.shape == expected
    assert output.logits.dtype == tf.float32
    assert np.isfinite(output.logits).all()
    assert len(output.balance) == (2 if is_text else 1)


@pytest.mark.parametrize("name", DECODED)
@pytest.mark.parametrize(
    "hparams_set", ["multimodel_tiny", "multimodel_tiny_no_attention"]
)
def test_no_position_sees_its_own_or_a_later_target(name, hparams_set):
    model, batch = model_of(hparams_set=hparams_set), batch_of(name)
    # Row 0 is the original; row 1 + t has another symbol at position t.
    rows = {key: np.repeat(value[:1], 7, axis=0) for key, value in batch.items()}
    for t in range(6):
        rows["targets"][1 + t, t] = 2 + (rows["targets"][0, t] - 1) % (VOCAB_SIZE - 2)
    logits = logits_of(model, rows, name)
    for t in range(6):
        np.testing.assert_allclose(
            logits[1 + t, : t + 1], logits[0, : t + 1], rtol=1e-4, atol=2e-5
        )
        if t < 5:
            assert np.abs(logits[1 + t, t + 1] - logits[0, t + 1]).max() > 1e-4


def pad_inputs(batch, name, count, fill):
    """Returns the batch with `count` more positions of padding on its inputs."""
    x = batch["inputs"]
    fill = 0 if FEATURES[name][0].kind == "text" else fill
    widths = [(0, 0), (0, count)] + [(0, 0)] * (x.ndim - 2)
    return batch | {"inputs": np.pad(x, widths, constant_values=fill)}


@pytest.mark.parametrize("name", SEQUENCES)
def test_padding_of_the_inputs_changes_nothing(name):
    batch = batch_of(name)
    longer = pad_inputs(batch, name, count=5, fill=9.0)
    np.testing.assert_allclose(
        logits_of(model_of(), longer, name),
        logits_of(model_of(), batch, name),
        rtol=1e-4,
        atol=2e-5,
    )


@pytest.mark.parametrize("name", DECODED)
def test_padding_of_the_targets_changes_nothing(name):
    batch = batch_of(name)
    longer = batch | {"targets": np.pad(batch["targets"], [(0, 0), (0, 5)])}
    np.testing.assert_allclose(
        logits_of(model_of(), longer, name)[:, :6],
        logits_of(model_of(), batch, name),
        rtol=1e-4,
        atol=2e-5,
    )


@pytest.mark.parametrize("name", FEATURES)
def test_a_row_does_not_depend_on_the_rest_of_its_batch(name):
    batch = batch_of(name)
    if FEATURES[name][0].kind == "text":
        batch["inputs"][1, 4:] = 0
    both = logits_of(model_of(), batch, name)
    for row in range(2):
        alone = {key: value[row : row + 1] for key, value in batch.items()}
        if row and FEATURES[name][0].kind == "text":
            alone["inputs"] = alone["inputs"][:, :4]
        np.testing.assert_allclose(
            logits_of(model_of(), alone, name)[0], both[row], rtol=1e-4, atol=2e-5
        )


def joint_loss(model, names, training=False):
    """Returns a smooth number that depends on every problem, and its experts."""
    total = 0.0
    for index, name in enumerate(names):
        with random_scope(np.array([index, 5], "int32")):
            output = model(batch_of(name), problem=name, training=training)
        total += tf.reduce_sum(tf.sin(output.logits))
        for importance, load in output.balance:
            total += 0.1 * moe_balance_loss(importance, load)
    return total


@pytest.mark.parametrize("part", ["", "_no_moe", "_no_attention"])
def test_every_variable_gets_a_gradient_from_the_joint_loss(part):
    model = model_of(hparams_set=f"multimodel_tiny{part}")
    with tf.GradientTape() as tape:
        loss = joint_loss(model, FEATURES, training=True)
    variables = model.trainable_variables
    assert len(variables) == len(model.weights)
    gradients = tape.gradient(loss, [v.value for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        dense = tf.convert_to_tensor(gradient)
        assert np.isfinite(dense).all(), variable.path
        assert np.abs(dense).max() > 0, variable.path


def test_each_problem_gives_gradients_to_its_own_nets_only():
    model = model_of()
    with tf.GradientTape() as tape:
        loss = joint_loss(model, ["image_to_label"])
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    reached = {
        v.path.removeprefix("multimodel/").split("/")[0]
        for v, g in zip(model.trainable_variables, gradients, strict=True)
        if g is not None
    }
    assert reached == {"image_3", "encoder", "categorical", "label_image_to_label"}


@pytest.mark.parametrize("name", ["text_to_text", "image_to_text"])
def test_the_first_word_depends_on_the_command_token_alone(name):
    model, batch = model_of(), batch_of(name)
    before = logits_of(model, batch, name)
    row = int(FEATURES[name][1].space)
    table = model.command_table.numpy()
    try:
        changed = table.copy()
        changed[row] = np.random.default_rng(1).normal(size=table.shape[1])
        model.command_table.assign(changed)
        assert np.abs(logits_of(model, batch, name)[:, 0] - before[:, 0]).max() > 1e-3
        changed = np.zeros_like(table)
        changed[row] = table[row]  # rows of other spaces are not read
        model.command_table.assign(changed)
        np.testing.assert_allclose(logits_of(model, batch, name), before, atol=1e-5)
    finally:
        model.command_table.assign(table)


def test_target_spaces_share_everything_but_the_command_token():
    # Same source, same targets: English or German is what the command token says.
    model = model_of()
    batch = batch_of("text_to_text")
    to_german = logits_of(model, batch, "text_to_text")
    to_english = logits_of(model, batch, "text_to_text_rev")
    assert np.abs(to_german[:, 0] - to_english[:, 0]).max() > 1e-3


def test_problems_share_the_nets_of_their_kind():
    model = model_of()
    nets = {name for name in vars(model) if name.startswith("net_")}
    assert nets == {
        "net_language_words",
        "net_language_letters",
        "net_image_3",
        "net_audio_spectrogram_4",
        "net_audio_waveform_1",
        "net_categorical",
        "net_label_image_to_label",
        "net_label_speech_to_label",
        "net_label_text_to_label",
    }


def test_without_experts_there_is_nothing_to_balance():
    model = model_of(hparams_set="multimodel_tiny_no_moe")
    for name in FEATURES:
        assert model(batch_of(name), problem=name).balance == []
    assert not [w.path for w in model.weights if "moe" in w.path]


def test_without_attention_the_source_still_matters():
    model = model_of(hparams_set="multimodel_tiny_no_attention")
    assert not [w.path for w in model.weights if "attention/query" in w.path]
    batch = batch_of("text_to_text")
    other = batch | {"inputs": batch["inputs"][::-1].copy()}
    first, second = (logits_of(model, b, "text_to_text") for b in (batch, other))
    assert np.abs(first - second).max() > 1e-3


def test_models_of_class_labels_alone_have_no_decoder():
    model = model_of(names=("image_to_label", "text_to_label"))
    assert model.mixer is None and model.decoder is None
    assert not [w.path for w in model.weights if "decoder" in w.path]
    assert logits_of(model, batch_of("image_to_label"), "image_to_label").shape == (
        2,
        3,
    )
    with tf.GradientTape() as tape:
        loss = joint_loss(model, ["image_to_label", "text_to_label"], training=True)
    values = [v.value for v in model.trainable_variables]
    # The table's rows for targets and the softmax wait for a problem that decodes.
    idle = [
        v.path
        for v, g in zip(
            model.trainable_variables, tape.gradient(loss, values), strict=True
        )
        if g is None
    ]
    assert all("targets_table" in path or "softmax_table" in path for path in idle)


def test_an_unknown_problem_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'image_to_text'"):
        model_of()(batch_of("image_to_text"), problem="image_to_txt")


def test_weights_are_drawn_from_the_seed_and_have_distinct_paths():
    names = ("text_to_text", "image_to_label")
    hparams = make_hparams("multimodel_tiny", SMALL)
    one, same, other = (
        make_model([spec(n) for n in names], hparams, seed=s) for s in (1, 1, 2)
    )
    paths = [w.path for w in one.weights]
    assert len(set(paths)) == len(paths)
    assert [w.path for w in same.weights] == paths
    for a, b in zip(one.weights, same.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    differing = [
        a.path
        for a, b in zip(one.weights, other.weights, strict=True)
        if np.any(np.asarray(a) != np.asarray(b))
    ]
    assert any("embedding" in p or "table" in p for p in differing)


def test_the_initializer_of_the_hparams_reaches_every_kernel():
    specs = [spec(n) for n in ("image_to_label", "speech_to_text")]
    one, half = (
        make_model(specs, make_hparams("multimodel_tiny", f"{SMALL},{gain}"))
        for gain in ("initializer_gain=1.0", "initializer_gain=0.5")
    )
    others = ("table", "/scale", "/bias", "/gate", "/noise")
    for a, b in zip(one.weights, half.weights, strict=True):
        factor = 1.0 if a.path.endswith(others) else 0.5
        np.testing.assert_allclose(b, factor * a.numpy(), rtol=1e-5, err_msg=a.path)


@pytest.mark.parametrize("part", ["", "_no_attention"])
def test_no_two_kernels_are_drawn_alike(part):
    specs = [spec(n) for n in ("text_to_text", "image_to_label", "speech_to_text")]
    model = make_model(specs, make_hparams(f"multimodel_tiny{part}", SMALL))
    kernels = [w for w in model.weights if len(w.shape) > 1 and np.ptp(w.numpy()) > 0]
    starts = {w.numpy().ravel()[:4].tobytes() for w in kernels}
    assert len(starts) == len(kernels)


def test_adding_a_problem_keeps_the_paths_of_the_others():
    few, more = (
        {w.path for w in model_of(names=names).weights}
        for names in (("text_to_text", "image_to_label"), tuple(FEATURES))
    )
    assert few < more


def test_a_checkpoint_holds_every_weight(tmp_path):
    names = ("text_to_text", "image_to_label", "speech_to_text")
    source, target = (model_of(names=names, seed=seed) for seed in (11, 12))
    saved = tf.train.Checkpoint(
        **{w.path.replace("/", "."): w.value for w in source.weights}
    ).write(str(tmp_path / "weights"))
    stored = [
        name
        for name, _ in tf.train.list_variables(saved)
        if name.endswith(".ATTRIBUTES/VARIABLE_VALUE") and "save_counter" not in name
    ]
    assert len(stored) == len(source.weights)
    tf.train.Checkpoint(
        **{w.path.replace("/", "."): w.value for w in target.weights}
    ).read(saved).assert_consumed()
    for a, b in zip(source.weights, target.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    np.testing.assert_array_equal(
        logits_of(source, batch_of("speech_to_text"), "speech_to_text"),
        logits_of(target, batch_of("speech_to_text"), "speech_to_text"),
    )


@pytest.mark.parametrize("name", ["text_to_text", "image_to_label", "speech_to_text"])
def test_a_traced_call_of_unknown_shape_equals_the_eager_one(name):
    model, batch = model_of(), batch_of(name)
    signature = {
        key: tf.TensorSpec(
            [
                None,
                *(
                    None if key != "inputs" or i == 0 else n
                    for i, n in enumerate(v.shape[1:])
                ),
            ],
            v.dtype,
        )
        for key, v in batch.items()
    }
    traced = tf.function(
        lambda features: model(features, problem=name).logits,
        input_signature=[signature],
        autograph=False,
    )
    np.testing.assert_allclose(
        traced(batch), logits_of(model, batch, name), rtol=1e-4, atol=2e-5
    )


def test_training_draws_are_decided_by_the_seed():
    model, batch = model_of(), batch_of("text_to_text")

    def run(seed):
        with random_scope(np.array([seed, 0], "int32")):
            return model(batch, problem="text_to_text", training=True).logits.numpy()

    np.testing.assert_array_equal(run(1), run(1))
    assert np.abs(run(1) - run(2)).max() > 1e-3
