"""Data that is missing, stale or damaged is told before the first step."""

import json
import re

import pytest

from t2t_multimodel.data import manifest, vocabularies
from t2t_multimodel.data.text_encoder import SubwordTextEncoder
from t2t_multimodel.errors import UserError


def command(data_dir):
    return re.escape(f"t2t-mm-datagen --data_dir={data_dir} --problems=toy")


def test_complete_data_passes(generated):
    problem, data_dir = generated()
    manifest.check_ready([problem], data_dir)


def test_missing_data(toy, tmp_path):
    with pytest.raises(
        UserError, match="no data of problem 'toy'.*" + command(tmp_path)
    ):
        manifest.check_ready([toy()], tmp_path)


def test_another_vocabulary(generated):
    problem, data_dir = generated()
    SubwordTextEncoder.build({"other": 9}, 1).save(data_dir / "vocab.toy.60")
    with pytest.raises(UserError, match="encoded with another vocab.toy.60"):
        manifest.check_ready([problem], data_dir)


def test_no_vocabulary(generated):
    problem, data_dir = generated()
    (data_dir / "vocab.toy.60").unlink()
    with pytest.raises(UserError, match="no vocabulary.*" + command(data_dir)):
        manifest.check_ready([problem], data_dir)
    with pytest.raises(UserError, match="no vocabulary .*vocab.toy.60"):
        vocabularies.encoders_for(problem, data_dir)


def test_other_features(generated, toy):
    _, data_dir = generated("spectrogram", "bytes")
    with pytest.raises(UserError, match="inputs of the data of problem 'toy'"):
        manifest.check_ready([toy("waveform", "bytes")], data_dir)


def test_another_image_size_or_space_is_no_change(generated, toy):
    _, data_dir = generated("image", "label")
    problem = toy("image", "label")
    problem.inputs = type(problem.inputs)(height_px=99, width_px=99)
    manifest.check_ready([problem], data_dir)


def test_a_missing_shard(generated):
    problem, data_dir = generated()
    (data_dir / "toy-train-00001-of-00003").unlink()
    with pytest.raises(UserError, match="toy-train-00001-of-00003 .*is missing"):
        manifest.check_ready([problem], data_dir)


def test_a_shard_that_is_cut_off(generated):
    problem, data_dir = generated()
    shard = data_dir / "toy-dev-00000-of-00001"
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(UserError, match=f"has {size - 3} bytes.*with {size}"):
        manifest.check_ready([problem], data_dir)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "is not JSON"),
        (json.dumps({"format_version": 99}), "has format version 99"),
        ("[]", "has format version None"),
    ],
)
def test_a_manifest_that_is_none(generated, text, message):
    problem, data_dir = generated()
    (data_dir / "toy.manifest.json").write_text(text)
    with pytest.raises(UserError, match=message):
        manifest.check_ready([problem], data_dir)


def test_shards_of_t2t_need_no_manifest(generated):
    problem, data_dir = generated("bytes", "bytes")
    (data_dir / "toy.manifest.json").unlink()
    manifest.check_ready([problem], data_dir)
