"""A run of random weights with one problem of every kind, for the tests here."""

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import serialization
from t2t_multimodel.data.features import Audio, ClassLabel, Image, Text, Vocabulary
from t2t_multimodel.data.shards import shard_name
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_encoder import SubwordTextEncoder, count_tokens
from t2t_multimodel.data.vocabularies import encoders_for
from t2t_multimodel.hparams import make_hparams
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.training.checkpoint import Checkpoints
from t2t_multimodel.training.optimizer import Adam, variables_by_path
from t2t_multimodel.training.run_directory import read_run, write_run

WORDS = Vocabulary("words", 60)
SENTENCES = [
    "the red cat sat on the mat",
    "a dog",
    "the dog saw a cat , and the cat ran",
    "red mats",
    "dogs run on mats",
]
HPARAMS = (
    "hidden_size=16,num_heads=4,num_encoder_blocks=1,num_mixer_blocks=1,"
    "num_decoder_blocks=1,moe_num_experts=4,moe_hidden_size=8,large_kernel_size=3,"
    "image_stem_filters=(4,4),image_filters=(6,),audio_compression=1,"
    "audio_filter_multiplier=4,categorical_filters=(8,12,16),large_kernel_dilation=2"
)
COLOURS = ("red", "green", "blue", "white", "black", "grey")


def text(space=SpaceId.ENGLISH_TOKENS):
    return Text(space=space, vocabulary=WORDS)


def png(generator, size=16):
    pixels = generator.integers(0, 256, (size, size, 3)).astype("uint8")
    return tf.io.encode_png(pixels).numpy()


def wave(generator, samples):
    return generator.uniform(-0.5, 0.5, samples).astype("float32")


class Translate(Problem):
    """Sentences backwards."""

    inputs, targets = text(), text(SpaceId.GERMAN_TOKENS)

    def examples(self, split, *, tmp_dir, seed):
        for sentence in SENTENCES:
            yield {"inputs": sentence, "targets": " ".join(sentence.split()[::-1])}


class Caption(Problem):
    """Three pictures, the first two with two captions each."""

    inputs, targets = Image(height_px=16, width_px=16), text()

    def examples(self, split, *, tmp_dir, seed):
        generator = np.random.default_rng(seed)
        for picture, count in enumerate((2, 2, 1)):
            encoded = png(generator)
            for i in range(count):
                yield {"inputs": encoded, "targets": SENTENCES[picture + i]}


class Look(Problem):
    """Pictures of one of six colours."""

    inputs, targets = Image(height_px=16, width_px=16), ClassLabel(names=COLOURS)

    def examples(self, split, *, tmp_dir, seed):
        generator = np.random.default_rng(seed)
        for label in (0, 3, 3, 5):
            yield {"inputs": png(generator), "targets": label}


class Listen(Problem):
    """Noise that stands for speech."""

    inputs = Audio(form="spectrogram", sample_rate_hz=8000, num_bins=8)
    targets = text()

    def examples(self, split, *, tmp_dir, seed):
        generator = np.random.default_rng(seed)
        for length, sentence in zip((900, 2500, 1600), SENTENCES, strict=False):
            yield {"inputs": wave(generator, length), "targets": sentence}


class Parse(Translate):
    """Sentences to trees."""

    targets = text(SpaceId.PARSE_TOKENS)

    def examples(self, split, *, tmp_dir, seed):
        yield {"inputs": "the cat", "targets": "NP DT NN /NP"}


def problems():
    made = []
    for name, cls in (
        ("translate_tiny", Translate),
        ("caption_tiny", Caption),
        ("look_tiny", Look),
        ("listen_tiny", Listen),
        ("parse_tiny", Parse),
    ):
        problem = cls()
        problem.name = name
        made.append(problem)
    return made


def write_data(data_dir):
    """Writes the vocabulary, and the same examples as train and test split."""
    data_dir.mkdir()
    SubwordTextEncoder.build(count_tokens(SENTENCES), 1).save(
        data_dir / WORDS.file_name
    )
    for problem in problems():
        encoders = encoders_for(problem, data_dir)
        for split in ("train", "test"):
            path = data_dir / shard_name(problem.data_name, split, 0, 1)
            with tf.io.TFRecordWriter(str(path)) as writer:
                for example in problem.examples(split, tmp_dir=data_dir, seed=1):
                    writer.write(serialization.serialize(problem, example, encoders))


def write_tiny_run(folder):
    """Writes data and a checkpoint of random weights; returns the run."""
    data_dir, output_dir = folder / "data", folder / "run"
    write_data(data_dir)
    hparams = make_hparams("multimodel_tiny", HPARAMS)
    write_run(output_dir, problems(), hparams, data_dir=data_dir)
    run = read_run(output_dir)
    model = make_model(run.specs(), hparams, seed=5)
    generator = np.random.default_rng(7)
    for weight in model.weights:
        noise = generator.normal(size=weight.shape) * 0.3
        weight.assign(weight.numpy() + noise.astype("float32"))
    optimizer = Adam(variables_by_path(model.trainable_variables))
    checkpoints = Checkpoints(output_dir, model=model, optimizer=optimizer)
    checkpoints.save(7)
    checkpoints.wait()
    return run
