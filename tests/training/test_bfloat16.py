"""Training in bfloat16 follows training in float32."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.models.problem_spec import ProblemSpec
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.problem_gradients import ProblemGradients
from t2t_multimodel.training.step import TrainStep

VOCAB_SIZE = 12
ENGLISH, GERMAN = (
    Text(space=space, vocabulary=Vocabulary("words", 32))
    for space in (SpaceId.ENGLISH_TOKENS, SpaceId.GERMAN_TOKENS)
)
COLOURS = ClassLabel(names=("red", "green", "blue"))
SPECS = {
    name: ProblemSpec(name, *features, {"words": VOCAB_SIZE})
    for name, features in {
        "reverse": (ENGLISH, GERMAN),
        "colour": (Image(height_px=16, width_px=16), COLOURS),
        "speech": (Audio(form="spectrogram", num_bins=VOCAB_SIZE), ENGLISH),
    }.items()
}
HPARAMS = (
    "hidden_size=32,num_heads=4,num_encoder_blocks=1,num_mixer_blocks=0,"
    "num_decoder_blocks=1,moe_num_experts=4,moe_hidden_size=32,large_kernel_size=5,"
    "large_kernel_dilation=2,image_stem_filters=(4,8),image_filters=(8,),"
    "audio_compression=1,audio_filter_multiplier=4,categorical_filters=(16,24,32)"
)
LEARNING_RATE = 0.5


def batches_of(names, step):
    """Returns new examples of each problem: each is a rule and can be learned."""
    rng = np.random.default_rng([5, step])
    ids = rng.integers(2, VOCAB_SIZE, (16, 6)).astype("int32")
    labels = rng.integers(0, 3, 8).astype("int32")
    pictures = rng.integers(0, 60, (8, 16, 16, 3))
    pictures[np.arange(8), 4:12, 4:12, labels] += 150
    words = rng.integers(2, VOCAB_SIZE, (8, 5)).astype("int32")
    frames = np.repeat(np.eye(VOCAB_SIZE)[words], 4, axis=1) * 3
    batches = {
        "reverse": {"inputs": ids, "targets": ids[:, ::-1]},
        "colour": {"inputs": pictures.astype("uint8"), "targets": labels},
        "speech": {
            "inputs": (frames + rng.normal(0, 0.3, frames.shape)).astype("float32"),
            "inputs_length": np.full(8, 20, "int32"),
            "targets": words,
        },
    }
    return {
        name: {key: tf.constant(value) for key, value in batches[name].items()}
        for name in names
    }


def losses_of(names, changes, num_steps):
    """Trains; returns the losses `(num_steps, problems)`."""
    hparams = make_hparams("multimodel_tiny", f"{HPARAMS},{changes}")
    model = make_model([SPECS[name] for name in names], hparams, seed=3)
    optimizer = Adam(variables_by_path(model.trainable_variables), clip_grad_norm=2.0)
    batches = batches_of(names, 0)
    gradients = ProblemGradients(
        model,
        hparams,
        element_specs=tf.nest.map_structure(tf.TensorSpec.from_tensor, batches),
        loss_multipliers=dict.fromkeys(names, 1.0),
    )
    step = TrainStep(gradients, optimizer, seed=1)
    losses = []
    for number in range(num_steps):
        batches = batches_of(names, number)
        outcome = step.run(names, [batches], number, LEARNING_RATE)
        assert outcome.is_finite
        losses.append([outcome.losses[name] for name in names])
    step.close()
    kept = [*model.weights, *optimizer.slots.values()]
    assert {tf.as_dtype(variable.dtype) for variable in kept} == {tf.float32}
    return np.array(losses)


def check_losses_follow(names, num_steps, *, window_steps, band, changes=""):
    """Means of windows differ by at most `band` of what they fall by.

    Args:
        names: The problems.
        num_steps: Steps of both runs.
        window_steps: Steps whose losses are averaged.
        band: For the mean of the problems, and three times that for each of them.
        changes: Of the hyperparameters.
    """
    in_float32, in_bfloat16 = (
        losses_of(names, f"{changes}compute_dtype={compute_dtype}", num_steps)
        .reshape(-1, window_steps, len(names))
        .mean(axis=1)
        for compute_dtype in ("float32", "bfloat16")
    )
    assert (in_float32[-1] < 0.9 * in_float32[0]).all()  # something was learned
    assert (in_bfloat16 != in_float32).any()  # bfloat16 it was
    fall = in_float32[0] - in_float32[-1]
    apart = in_bfloat16 - in_float32
    assert np.abs(apart.mean(axis=1)).max() < band * fall.mean(), apart
    assert (np.abs(apart) < 3 * band * fall).all(), apart


def test_losses_follow_those_of_float32_for_20_steps():
    check_losses_follow(
        ["reverse"], 20, window_steps=5, band=0.03, changes="use_moe=false,"
    )


@pytest.mark.slow
def test_losses_follow_those_of_float32_for_200_steps():
    check_losses_follow(list(SPECS), 200, window_steps=20, band=0.03)
