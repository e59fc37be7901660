"""Files that T2T wrote are read as they are, and ours follow the same schema.

The shards of `tests/golden/shards` were taken by the original's readers.
"""

import itertools
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import manifest, pipeline, serialization
from t2t_multimodel.data.features import BYTES, Audio, Text, Vocabulary
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.text_encoder import ByteTextEncoder, SubwordTextEncoder
from t2t_multimodel.data.train_reader import TrainReader
from t2t_multimodel.errors import UserError

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "shards"
VOCABULARY = Vocabulary("endefr", 8192)
ENGLISH = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=VOCABULARY)
TIMIT = "audio_timit_characters_tune"


def examples_of(name):
    """Returns the fields of every record of a golden shard."""
    dataset = tf.data.TFRecordDataset(str(GOLDEN / f"{name}-dev-00000-of-00001"))
    return [
        tf.train.Example.FromString(record).features.feature
        for record in dataset.as_numpy_iterator()
    ]


def write_split(folder, name, split, fields_of_records):
    with tf.io.TFRecordWriter(f"{folder}/{name}-{split}-00000-of-00001") as writer:
        for fields in fields_of_records:
            features = tf.train.Features(feature=fields)
            writer.write(tf.train.Example(features=features).SerializeToString())


def ints(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


@pytest.fixture
def timit(toy, tmp_path):
    """The problem of the golden sound, in a folder that T2T could have filled."""
    for split in ("train", "dev"):
        shutil.copy(
            GOLDEN / f"{TIMIT}-dev-00000-of-00001",
            tmp_path / f"{TIMIT}-{split}-00000-of-00001",
        )
    problem = toy("waveform", "bytes", name=TIMIT)
    problem.inputs = Audio(form="waveform")
    problem.batch_size_multiplier = 256
    return problem


def rows_of(problem, folder, split="dev"):
    """Returns waveform and target ids of every example, without padding."""
    dataset = pipeline.eval_dataset(problem, folder, split, batch_size=1024)
    return [
        (sound[:length], [i for i in ids if i])
        for batch in dataset.as_numpy_iterator()
        for sound, length, ids in zip(
            batch["inputs"], batch["inputs_length"], batch["targets"], strict=True
        )
    ]


def test_timit_bytes_are_read_as_the_samples_that_they_are(timit, tmp_path):
    manifest.check_ready([timit], tmp_path)
    rows = rows_of(timit, tmp_path)
    for fields, (sound, ids) in zip(examples_of(TIMIT), rows, strict=True):
        data = bytes(fields["inputs"].int64_list.value)
        want = np.frombuffer(data, "<i2").astype(np.float32) / 2**15
        np.testing.assert_array_equal(sound, want)
        assert ids == list(fields["targets"].int64_list.value)
    texts = [ByteTextEncoder().decode(ids[:-1]) for _, ids in rows]
    assert all(text.isascii() and text.isprintable() for text in texts)


def test_timit_shards_can_be_trained_on(timit, tmp_path):
    reader = TrainReader(timit, tmp_path, batch_size=1024, seed=1)
    for batch in itertools.islice(reader, 6):
        assert batch["inputs"].dtype == np.float32
        assert np.abs(batch["inputs"]).max() <= 1.0
        assert batch["inputs_length"].numpy().max() <= batch["inputs"].shape[1]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_of_wav_samples(timit, tmp_path, width, channels):
    half = 256**width // 2
    frames = [[-half, 0], [half - 1, 1], [-1, -half]]
    values = [sample for frame in frames for sample in frame[:channels]]
    offset = half if width == 1 else 0  # WAV: bytes are unsigned, all else is signed
    data = b"".join(
        (value + offset).to_bytes(width, "little", signed=not offset)
        for value in values
    )
    fields = {
        "inputs": ints(*data),
        "audio/sample_count": ints(3),
        "audio/sample_width": ints(width),
        "targets": ints(1),
    }
    if channels == 2:
        fields["audio/channel_count"] = ints(2)
    write_split(tmp_path, TIMIT, "dev", [fields])
    [(sound, _)] = rows_of(timit, tmp_path)
    want = np.mean(np.array(values).reshape(3, channels) / half, axis=1)
    np.testing.assert_allclose(sound, want, atol=1e-7)


def test_timit_is_no_spectrogram(timit, tmp_path):
    timit.inputs = Audio(form="spectrogram")
    with pytest.raises(UserError, match=r"bytes of sound.*Audio\(form='waveform'\)"):
        rows_of(timit, tmp_path)


@pytest.mark.parametrize(
    "inputs, width, message",
    [
        ((1, 2, 3), 2, r"3 integers are no sound of audio/sample_count=2 .*=2 bytes"),
        ((1, 300), 1, "integers of the sound go from 1 to 300; expected bytes"),
        ((1, -1), 1, "integers of the sound go from -1 to 1; expected bytes"),
    ],
)
def test_other_integers_are_not_taken_for_sound(
    timit, tmp_path, inputs, width, message
):
    fields = {
        "inputs": ints(*inputs),
        "audio/sample_count": ints(2),
        "audio/sample_width": ints(width),
        "targets": ints(1),
    }
    write_split(tmp_path, TIMIT, "dev", [fields])
    with pytest.raises(UserError, match=message):
        rows_of(timit, tmp_path)


def test_a_vocabulary_of_t2t_reads_and_writes_the_ids_of_its_shard(toy, tmp_path):
    name = "wmt_ende_tokens_8k"
    shutil.copy(
        GOLDEN / f"{name}-dev-00000-of-00001", tmp_path / f"{name}-train-00000-of-00001"
    )
    # T2T v1.0.x's name of the file; v1.1.1 to v1.2.5 and this package say vocab.endefr.
    shutil.copy(GOLDEN / "tokens.vocab.8192", tmp_path / VOCABULARY.file_name)
    problem = toy(name=name)
    problem.inputs = problem.targets = ENGLISH
    manifest.check_ready([problem], tmp_path)
    encoder = SubwordTextEncoder.from_file(tmp_path / VOCABULARY.file_name)
    for fields in examples_of(name):
        for side in ("inputs", "targets"):
            *ids, end = fields[side].int64_list.value
            text = encoder.decode(ids)
            assert (end, encoder.encode(text)) == (1, ids)
            assert text.strip()
    encoder.save(tmp_path / "again")
    same = (tmp_path / "again").read_bytes() == (
        GOLDEN / "tokens.vocab.8192"
    ).read_bytes()
    assert same


def types_of(fields):
    return {name: feature.WhichOneof("kind") for name, feature in fields.items()}


def our_types(problem, example):
    encoders = {"inputs": ByteTextEncoder(), "targets": ByteTextEncoder()}
    record = serialization.serialize(problem, example, encoders)
    return types_of(tf.train.Example.FromString(record).features.feature)


@pytest.mark.parametrize(
    "golden, kinds",
    [("wmt_ende_tokens_8k", ("bytes", "bytes")), ("image_cifar10", ("image", "label"))],
)
def test_our_records_have_t2ts_names_and_types(toy, golden, kinds):
    problem = toy(*kinds)
    example = next(problem.examples("train", tmp_dir=None, seed=1))
    for fields in examples_of(golden):
        assert types_of(fields) == our_types(problem, example)


def test_our_sound_has_the_names_of_timit_and_the_types_of_wsj(toy):
    # T2T's reader: integers (bytes) where "timit" is in the name, else floats.
    wsj = types_of(examples_of(TIMIT)[0]) | {"inputs": "float_list"}
    for form in ("spectrogram", "waveform"):
        problem = toy(form, "bytes")
        example = next(problem.examples("train", tmp_dir=None, seed=1))
        assert our_types(problem, example) == wsj
    assert problem.targets.vocabulary == BYTES
