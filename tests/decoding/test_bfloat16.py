"""What was trained in bfloat16 is decoded and exported in float32."""

import functools
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import Decoder, load_decoder
from t2t_multimodel.export.saved_model import export_run
from t2t_multimodel.models.factory import make_model
from t2t_multimodel.training.run_directory import read_run
from tests.decoding import tiny_run


@functools.cache  # and not at import: other modules have devices to set up first
def picture():
    return tiny_run.png(np.random.default_rng(3))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs with the same weights, trained in float32 and in bfloat16."""
    in_float32 = tiny_run.write_tiny_run(tmp_path_factory.mktemp("tiny"))
    folder = in_float32.output_dir.with_name("bfloat16")
    shutil.copytree(in_float32.output_dir, folder)
    path = folder / "hparams.json"
    hparams = json.loads(path.read_text(encoding="utf-8"))
    hparams["compute_dtype"] = "bfloat16"
    path.write_text(json.dumps(hparams), encoding="utf-8")
    return in_float32, read_run(folder)


def classes(run):
    decoder, _ = load_decoder(run, problem_names=["look_tiny"])
    assert decoder.model.compute_dtype == "float32"
    (result,) = decoder.decode("look_tiny", [picture()])
    return result.classes


def test_a_run_in_bfloat16_decodes_as_one_in_float32(runs):
    assert [run.hparams.compute_dtype for run in runs] == ["float32", "bfloat16"]
    assert classes(runs[1]) == classes(runs[0])


def test_a_run_in_bfloat16_is_exported_in_float32(runs, tmp_path):
    exported = export_run(runs[1], tmp_path, problem_names=["look_tiny"])
    signature = tf.saved_model.load(str(exported.path)).signatures["look_tiny"]
    (name,) = signature.structured_input_signature[1]
    outputs = signature(**{name: tf.constant([picture()])})
    got = {
        value.dtype.name: value.numpy().ravel().tolist() for value in outputs.values()
    }
    want = [found.probability for found in classes(runs[0])]
    np.testing.assert_allclose(sorted(got["float32"]), sorted(want), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_model_in_training_decodes_in_bfloat16(runs, beam_size):
    """As the trainer does for its metrics of decoded examples."""
    run = runs[1]
    specs = [spec for spec in run.specs() if spec.name == "translate_tiny"]
    model = make_model(specs, run.hparams)
    assert model.compute_dtype == "bfloat16"
    hparams = DecodeHParams(batch_size=2, extra_length=3, beam_size=beam_size)
    decoder = Decoder(model, [run.problem("translate_tiny")], run.encoders, hparams)
    (result,) = decoder.decode("translate_tiny", [tiny_run.SENTENCES[0]])
    assert all(np.isfinite(output.score) for output in result.outputs)
