"""`multimodel_paper` has what the paper states (arXiv 1706.05137, section 2), counted.

Numbers without weights are read off the hyperparameters; the rest off the network that
they make with every width cut down, so that it is built in seconds.
"""

import dataclasses

import keras
import numpy as np
import pytest

from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.layers import AttentionBlock, ConvBlock, MixtureOfExperts
from t2t_multimodel.modalities import AudioModality, ImageModality
from t2t_multimodel.models.decoder import Mixer
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec

PAPER = make_hparams("multimodel_paper")
WIDTHS = {
    "hidden_size": 16,
    "moe_hidden_size": 2,
    "image_stem_filters": (4, 4),
    "image_filters": (4, 4),
    "categorical_filters": (4, 6, 8),
    "initializer": "uniform_unit_scaling",  # quicker to draw than orthogonal
}
PERTURBATIONS = 8  # of each position; a maximum or a ReLU may hide one of them
WORDS = Vocabulary("words", 8192)
ENGLISH = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=WORDS)
GERMAN = Text(space=SpaceId.GERMAN_TOKENS, vocabulary=WORDS)
PICTURE = Image(height_px=299, width_px=299)
CLASSES = ClassLabel(names=("red", "green"))


def spec(name, inputs, targets):
    return ProblemSpec(name, inputs, targets, {"words": 30})


SPECS = [
    spec("translation", ENGLISH, GERMAN),
    spec("classes", PICTURE, CLASSES),
    spec("captions", PICTURE, ENGLISH),
    spec("speech", Audio(form="spectrogram"), ENGLISH),
    spec("wave", Audio(form="waveform"), ENGLISH),
]


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def model():
    return make_model(SPECS, dataclasses.replace(PAPER, **WIDTHS))


def layers_of(model, kind):
    """Returns the layers of a class, each once, in the order of the network."""
    return [x for x in model._flatten_layers(include_self=False) if type(x) is kind]


def kernels_and_dilations(steps):
    return [(step.conv.kernel_size, step.conv.dilation) for step in steps]


# Numbers of the hyperparameters.


def test_body_is_1024_deep_with_dropout_of_two_fifths():
    assert PAPER.hidden_size == 1024
    assert PAPER.dropout == 0.4
    assert PAPER.timing == "interleaved"
    assert WORDS.target_size == 8192  # one 8k vocabulary of sub-words for all text


@pytest.mark.parametrize(
    ("name", "experts"), [("multimodel_paper", 240), ("multimodel_paper_single", 60)]
)
def test_experts(name, experts):
    hparams = make_hparams(name)
    assert (hparams.moe_num_experts, hparams.moe_k) == (experts, 4)


def test_one_set_of_hyperparameters_but_for_the_number_of_experts():
    joint, single = (
        dataclasses.asdict(make_hparams(f"multimodel_paper{part}"))
        for part in ("", "_single")
    )
    assert {k for k in joint if joint[k] != single[k]} == {"moe_num_experts"}


def test_joint_training_gives_every_problem_a_worker():
    assert PAPER.problem_choice == "distributed"
    assert PAPER.clip_grad_norm > 0  # Adam with clipping; no numbers in the paper


# Counts of the network.


def test_encoder_is_six_conv_blocks_with_experts_in_the_middle(model):
    encoder = model.encoder
    assert len(encoder.blocks) == 6 and encoder.moe_after == 3
    assert encoder.moe.moe.num_experts == 240 and encoder.moe.moe.k == 4
    assert not any(block.causal for block in encoder.blocks)


def test_mixer_is_attention_and_two_conv_blocks(model):
    assert len(model.mixer.blocks) == 2
    assert type(model.mixer.attention) is AttentionBlock


def test_decoder_is_four_times_block_and_attention_with_experts_in_the_middle(model):
    decoder = model.decoder
    assert len(decoder.blocks) == len(decoder.attentions) == 4
    assert decoder.moe_after == 2
    assert decoder.moe.moe.num_experts == 240 and decoder.moe.moe.k == 4


def test_there_are_no_others(model):
    assert len(layers_of(model, ConvBlock)) == 6 + 2 + 4
    assert len(layers_of(model, AttentionBlock)) == 1 + 4
    assert len(layers_of(model, MixtureOfExperts)) == 2


def test_four_steps_of_every_conv_block(model):
    for block in layers_of(model, ConvBlock):
        steps = kernels_and_dilations(block.steps)
        assert steps == [(3, 1), (3, 1), (15, 1), (15, 8)]
        assert [step.conv.depthwise.shape[0] for step in block.steps] == [3, 3, 15, 15]
        assert block.dropout.rate == 0.4


def test_eight_heads_and_keys_and_values_of_their_own(model):
    for block in layers_of(model, AttentionBlock):
        for attention in (block.self_attention, block.source_attention):
            assert attention.num_heads == 8
            kernels = (attention.key_kernel, attention.value_kernel)
            assert len({id(kernel) for kernel in kernels}) == 2
        # Open in the paper, "two convolutional blocks"; numbers of T2T v1.0.3.
        assert kernels_and_dilations(block.steps) == [(5, 1), (5, 4)]
        assert block.timing == "interleaved"


def test_strides_and_filters_of_the_image_net():
    net = ImageModality(
        PAPER.hidden_size,
        stem_filters=PAPER.image_stem_filters,
        filters=PAPER.image_filters,
    )
    stem = [
        (step.filters, step.kernel_size, step.strides)
        for step in (net.stem_1, net.stem_2)
    ]
    assert stem == [(32, (3, 3), (2, 2)), (64, (3, 3), (1, 1))]
    assert [block.filters for block in net.blocks] == [128, 256, 1024]
    check_conv_res(net.blocks, (2, 2))


@pytest.mark.parametrize("form", ["spectrogram", "waveform"])
def test_strides_and_filters_of_the_audio_net(form):
    net = AudioModality(
        PAPER.hidden_size,
        form,
        compression=PAPER.audio_compression,
        bin_stride=PAPER.audio_spectral_bin_stride,
        filter_multiplier=PAPER.audio_filter_multiplier,
    )
    filters = [block.filters for block in net.blocks]
    # Eight in the paper; the ninth, to the body's depth, is T2T's.
    assert filters == [2**i for i in range(1, 9)] + [1024]
    check_conv_res(net.blocks, (2, 1))  # no stride along the bins


def check_conv_res(blocks, strides):
    for block in blocks:
        steps = [
            (step.filters, step.kernel_size, step.strides, step.separable)
            for step in (block.step_1, block.step_2, block.shortcut)
        ]
        assert block.strides == strides
        assert steps == [
            (block.filters, (3, 3), (1, 1), True),
            (block.filters, (3, 3), (1, 1), True),
            (block.filters, (1, 1), strides, True),
        ]


def test_strides_and_filters_of_the_categorical_net(model):
    assert PAPER.categorical_filters[1:] == (1536, 2048)
    net = model.net_categorical
    steps = [
        (step.kernel_size, step.strides)
        for step in (net.skip, net.step_1, net.step_2, net.step_3, net.step_4)
    ]
    assert steps == [((3, 3), (2, 2))] + [((3, 3), (1, 1))] * 4
    assert model.net_label_classes.kernel.shape == (8, 2)


def test_language_goes_through_one_net(model):
    names = [name for name in vars(model) if name.startswith("net_language")]
    assert names == ["net_language_words"]


# Lengths.


def rng(seed=0):
    return np.random.default_rng(seed)


def test_299_pixels_give_19_by_19_positions(model):
    pictures = rng().integers(0, 256, (1, 299, 299, 3)).astype("uint8")
    encoded = model.encode({"inputs": pictures}, "classes")
    assert encoded.grid == (19, 19)
    assert encoded.source.shape == (1, 361, 16)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 1400])
@pytest.mark.parametrize("problem, columns", [("speech", 80), ("wave", 1)])
def test_audio_gives_a_position_for_512_frames_or_samples(
    model, problem, columns, length
):
    shape = (1, length, 80) if problem == "speech" else (1, length)
    features = {
        "inputs": rng().normal(size=shape).astype("float32"),
        "inputs_length": np.array([length], "int32"),
    }
    encoded = model.encode(features, problem)
    rows = -(-length // 512)  # nine strides of 2
    assert encoded.grid == (rows, columns)
    assert encoded.source.shape == (1, rows * columns, 16)
    assert np.all(encoded.padding_mask)


# Order: command token first, nothing later seen.


def ids(seed, *shape):
    return rng(seed).integers(2, 30, size=shape).astype("int32")


def test_the_decoder_starts_from_the_command_token(model, monkeypatch):
    read = []
    of_mixer = Mixer.call

    def call(self, x, *args, **kwargs):
        read.append(x)
        return of_mixer(self, x, *args, **kwargs)

    monkeypatch.setattr(Mixer, "call", call)
    features = {"inputs": ids(0, 2, 7), "targets": ids(1, 2, 5)}
    model(features, problem="translation")
    command = model.command_table[int(SpaceId.GERMAN_TOKENS)]
    words = model.net_language_words.embed_targets(features["targets"])
    for row in read[0]:
        np.testing.assert_array_equal(row[0], command)
    np.testing.assert_array_equal(read[0][:, 1:], words[:, :-1])


def test_mixer_and_decoder_pad_on_the_left_only(model):
    blocks = (*model.mixer.blocks, *model.decoder.blocks)
    attentions = (model.mixer.attention, *model.decoder.attentions)
    steps = [step for layer in (*blocks, *attentions) for step in layer.steps]
    assert len(steps) == 6 * 4 + 5 * 2
    assert all(step.conv.causal for step in steps)
    length = 12
    features = {"inputs": ids(0, 1, 7), "targets": ids(1, 1, length)}
    rows = {key: np.repeat(x, length + 1, axis=0) for key, x in features.items()}
    for t in range(length):  # row 1 + t has another word at position t
        rows["targets"][1 + t, t] = 2 + (rows["targets"][0, t] - 1) % 28
    logits = model(rows, problem="translation").logits.numpy()
    changed = np.abs(logits[1:] - logits[0]).max(axis=-1) > 1e-4  # word, position
    np.testing.assert_array_equal(changed, np.tri(length, k=-1).T.astype(bool))


# Receptive fields: kernels, dilations and strides say what perturbed inputs show.


def extents(layer, axis=0):
    """Returns the convolutions and pools that a layer's output goes through.

    Each is (taps, dilation, stride, causal) along an axis of the positions.
    """
    if hasattr(layer, "blocks"):
        parts = [getattr(layer, name, None) for name in ("stem_1", "stem_2")]
        parts = [part for part in (*parts, *layer.blocks) if part is not None]
        return [e for part in parts for e in extents(part, axis)]
    if hasattr(layer, "steps"):
        return [e for step in layer.steps for e in extents(step, axis)]
    if hasattr(layer, "shortcut"):  # a ConvRes: two steps and a pool of 3
        steps = extents(layer.step_1, axis) + extents(layer.step_2, axis)
        return [*steps, (3, 1, layer.strides[axis], False)]
    if hasattr(layer, "conv"):
        conv = layer.conv
        return [(conv.kernel_size, conv.dilation, conv.strides, conv.causal)]
    return [(layer.kernel_size[axis], 1, layer.strides[axis], False)]


def field(layer, axis=0):
    """Returns the number of input positions that an output can depend on."""
    size, distance = 1, 1
    for taps, dilation, stride, _ in extents(layer, axis):
        size += (taps - 1) * dilation * distance
        distance *= stride
    return size


def field_of_output(layer, index, length):
    """Returns first and last input position that output `index` depends on."""
    lengths = [length]
    for *_, stride, _ in extents(layer):
        lengths.append(-(-lengths[-1] // stride))
    first = last = index
    backwards = zip(reversed(extents(layer)), reversed(lengths[:-1]), strict=True)
    for (taps, dilation, stride, causal), before in backwards:
        history = (taps - 1) * dilation
        padding = max((-(-before // stride) - 1) * stride + history + 1 - before, 0)
        left = history if causal else padding // 2
        first, last = first * stride - left, last * stride - left + history
    return first, last


def let_the_edges_speak(layer):
    """Gives the outermost taps the most weight, as rims are hard to see otherwise."""
    for seed, weight in enumerate(layer.weights):
        if weight.path.endswith("depthwise"):
            kernel = rng(seed).choice([-1.0, 1.0], weight.shape)
            kernel[1:-1] *= 0.05
            if kernel.ndim == 4:  # of rows and columns
                kernel[:, 1:-1] *= 0.05
            weight.assign(kernel)


def measured_field(run, x, index, candidates):
    """Returns which of the input positions change output `index` when perturbed."""
    rows = np.repeat(x, PERTURBATIONS, axis=0)
    change = rng(5).normal(size=rows[:, 0].shape).astype("float32") * 10
    # Of the same shape, as the rounding of a row may depend on its place in a batch.
    unchanged = keras.ops.convert_to_numpy(run(rows))[:, index]
    found = []
    for position in candidates:
        perturbed = rows.copy()
        perturbed[:, position] += change
        y = keras.ops.convert_to_numpy(run(perturbed))[:, index]
        if np.any(y != unchanged):
            found.append(position)
    return found


def around(first, last):
    return [first - 1, first, (first + last) // 2, last, last + 1]


@pytest.mark.parametrize("causal", [False, True])
def test_a_conv_block_sees_131_positions(model, causal):
    block = (model.decoder if causal else model.encoder).blocks[0]
    assert field(block) == 131
    fresh = ConvBlock(16, causal=causal)
    fresh.build((None, None, 16))
    let_the_edges_speak(fresh)
    x = rng().normal(size=(1, 300, 16)).astype("float32")
    first, last = field_of_output(block, 150, 300)
    assert (first, last) == ((20, 150) if causal else (85, 215))
    seen = measured_field(fresh, x, 150, around(first, last))
    assert seen == [first, (first + last) // 2, last]


def test_the_encoder_sees_781_positions(model):
    assert field(model.encoder) == 781
    let_the_edges_speak(model.encoder)
    real = np.ones((PERTURBATIONS, 900), bool)

    def run(x):
        return model.encoder(x, padding_mask=real)[0]

    x = rng().normal(size=(1, 900, 16)).astype("float32")
    first, last = field_of_output(model.encoder, 450, 900)
    assert (first, last) == (60, 840)
    seen = measured_field(run, x, 450, around(first, last))
    assert seen == [first, (first + last) // 2, last]


def test_the_convolutions_of_attention_see_21_positions(model):
    block = model.mixer.attention
    assert field(block) == 21
    x = rng().normal(size=(1, 60, 16)).astype("float32")

    def run(x):
        return block.steps[1](block.steps[0](x))

    seen = measured_field(run, x, 40, range(60))
    assert seen == list(range(20, 41))
    assert field_of_output(block, 40, 60) == (20, 40)


def test_a_position_of_a_picture_sees_91_pixels(model):
    net = model.net_image_3
    assert field(net) == 91
    let_the_edges_speak(net)

    def run(x):  # standardisation, which sees the whole picture, comes before
        for layer in (net.stem_1, net.stem_2, *net.blocks):
            x = layer(x)
        return x[:, :, x.shape[2] // 2]

    # Rows; a narrow picture will do, as columns are treated alike.
    x = rng().normal(size=(1, 299, 24, 3)).astype("float32")
    first, last = field_of_output(net, 9, 299)
    assert last - first == 90 and (first + last) // 2 in range(140, 160)
    seen = measured_field(run, x, 9, around(first, last))
    assert seen == [first, (first + last) // 2, last]


def test_a_position_of_speech_sees_3067_frames(model):
    assert field(model.net_audio_spectrogram_80) == 3067
    assert field(model.net_audio_waveform_1) == 3067
    net = AudioModality(
        16, "waveform", filter_multiplier=4, kernel_initializer="glorot_uniform"
    )
    net.build((None, None))
    let_the_edges_speak(net)
    lengths = np.full((PERTURBATIONS,), 8192, "int32")

    def run(x):
        return net(x, lengths)[0]

    x = rng().normal(size=(1, 8192)).astype("float32")
    first, last = field_of_output(net, 8, 8192)
    assert last - first == 3066
    seen = measured_field(run, x, 8, around(first, last))
    assert seen == [first, (first + last) // 2, last]


def test_a_position_of_speech_sees_55_bins(model):
    assert field(model.net_audio_spectrogram_80, axis=1) == 55
    net = AudioModality(16, filter_multiplier=4, kernel_initializer="glorot_uniform")
    net.build((None, None, 80))
    let_the_edges_speak(net)

    def run(x):  # one frame: the grid is (B, 1, bins, channels)
        x = np.stack([x, -x, np.ones_like(x)], axis=-1)[:, None]
        for block in net.blocks:
            x = block(x)
        return x[:, 0]

    x = rng().normal(size=(1, 80)).astype("float32")
    assert measured_field(run, x, 40, around(40 - 27, 40 + 27)) == [13, 40, 67]
