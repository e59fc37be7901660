"""One export of all kinds of problems, for all tests here: tracing takes seconds."""

import pytest
import tensorflow as tf

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import load_decoder
from t2t_multimodel.export.saved_model import export_run

HPARAMS = DecodeHParams(extra_length=3)


@pytest.fixture(scope="session")
def run(shared_run):
    return shared_run


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory):
    return export_run(run, tmp_path_factory.mktemp("exports"), hparams=HPARAMS)


@pytest.fixture(scope="session")
def loaded(exported):
    return tf.saved_model.load(str(exported.path))


@pytest.fixture(scope="session")
def decoder(run):
    return load_decoder(run, hparams=HPARAMS)[0]
