"""One run and one decoder for all tests here: making and tracing them takes seconds."""

import pytest

from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import Decoder, load_decoder


@pytest.fixture(scope="session")
def run(shared_run):
    return shared_run


@pytest.fixture(scope="session")
def decoder(run):
    return load_decoder(run, hparams=DecodeHParams(batch_size=2, extra_length=3))[0]


@pytest.fixture
def decoded_rows(monkeypatch):
    """The prepared inputs that decoders are given, as they are."""
    rows = []
    decode = Decoder.decode_prepared

    def kept(self, problem, prepared, **options):
        rows.extend(prepared)
        return decode(self, problem, prepared, **options)

    monkeypatch.setattr(Decoder, "decode_prepared", kept)
    return rows
