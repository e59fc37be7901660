"""The reader is measured against the model, and one that is too slow is told."""

import re

import pytest

from benchmarks import input_pipeline
from t2t_multimodel.data.features import BYTES, Text
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.problems.problem import Problem

TINY = (
    "batch_size=64,hidden_size=8,num_heads=2,num_encoder_blocks=1,num_mixer_blocks=1,"
    "num_decoder_blocks=1,moe_num_experts=2,moe_hidden_size=4,moe_k=1,"
    "large_kernel_size=3,large_kernel_dilation=2"
)
ROW = re.compile(r"\| words \| ([\d.]+) \| ([\d,]+) \| ([\d.,]+) \| ")


class Words(Problem):
    """Words of one length, so that all batches are of one shape."""

    name = "words"
    inputs = targets = Text(space=SpaceId.ENGLISH_CHARACTERS, vocabulary=BYTES)
    num_shards = {"train": 1}

    def examples(self, split, *, tmp_dir, seed):
        """Yields them."""
        for number in range(40):
            yield {"inputs": f"word {number:02}", "targets": f"{number:02} drow"}


@pytest.fixture
def words_alone(monkeypatch):
    monkeypatch.setattr(input_pipeline, "PROBLEMS", {"text": ("words",)})
    monkeypatch.setattr(input_pipeline, "_OWN", {"words": Words})


@pytest.mark.slow
def test_rates_of_the_reader_and_of_the_model_are_printed(words_alone, capsys):
    status = input_pipeline.main(["--seconds=0.01", f"--hparams={TINY}"])
    out = capsys.readouterr().out
    examples_a_batch, reader, model = (
        float(number.replace(",", "")) for number in ROW.search(out).groups()
    )
    assert 1 <= examples_a_batch <= 8 and model > 0
    assert status == (reader / model < input_pipeline.FLOOR)


@pytest.mark.parametrize(
    ("reader", "status", "told"),
    [(49.0, 1, "below 5 times: words"), (51.0, 0, "load of the machine")],
)
def test_a_reader_below_the_floor_is_told(
    words_alone, monkeypatch, capsys, reader, status, told
):
    rates = input_pipeline.Rates(examples_a_batch=3.0, reader=reader, model=10.0)
    monkeypatch.setattr(input_pipeline, "measure", lambda *given: rates)
    assert input_pipeline.main([]) == status
    out = capsys.readouterr().out
    assert f"| words | 3.0 | {reader:.0f} | 10.0 | {reader / 10:.1f} |" in out
    assert told in out.splitlines()[-1]
