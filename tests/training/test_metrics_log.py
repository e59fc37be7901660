import json
import math

import numpy as np
import pytest

from t2t_multimodel.errors import UserError
from t2t_multimodel.training.metrics_log import (
    FILE_NAME,
    MetricsLog,
    Record,
    read_metrics,
)


def _write(log, steps):
    for step in steps:
        log.write(step, "image_mini", "train", "loss", 1.0 / step)
        if step % 2 == 0:
            log.write(step, "größe", "dev", "accuracy", 0.5)
            log.write(step, "größe", "dev", "bleu", step)
    log.close()


def test_a_line_is_an_object_with_five_fields(tmp_path):
    _write(MetricsLog(tmp_path / FILE_NAME), [1])
    line = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(line) == {
        "step": 1,
        "problem": "image_mini",
        "split": "train",
        "metric": "loss",
        "value": 1.0,
    }


@pytest.mark.parametrize("half_a_line", ["", '{"step": 6, "prob', '{"step": 6, "ü'])
def test_the_file_of_a_continued_run_is_that_of_one_that_never_stopped(
    tmp_path, half_a_line
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    _write(MetricsLog(whole / FILE_NAME), range(1, 9))
    _write(MetricsLog(stopped / FILE_NAME), range(1, 6))
    with (stopped / "metrics.jsonl").open("ab") as file:
        file.write(half_a_line.encode()[:-1])  # may end within a letter
    _write(MetricsLog(stopped / FILE_NAME, restored_step=4), range(5, 9))
    want, got = ((d / "metrics.jsonl").read_bytes() for d in (whole, stopped))
    assert got == want


def test_a_run_that_begins_anew_begins_a_new_file(tmp_path):
    _write(MetricsLog(tmp_path / FILE_NAME), [3, 4])
    _write(MetricsLog(tmp_path / FILE_NAME), [1])
    assert [record.step for record in read_metrics(tmp_path)] == [1]


def test_an_evaluation_takes_the_place_of_the_same_one_before(tmp_path):
    path = tmp_path / FILE_NAME
    _write(MetricsLog(path), [1, 2])
    log = MetricsLog(path, restored_step=2)
    assert log.has(2, "größe", "dev", "bleu") and not log.has(1, "", "dev", "bleu")
    log.write_evaluation(2, "dev", {("größe", "bleu"): 7.0, ("größe", "wer"): 0.5})
    assert log.has(2, "größe", "dev", "wer")
    log.write_evaluation(2, "dev", {("größe", "wer"): 0.25})
    log.write(3, "größe", "train", "loss", 1.0)
    log.close()
    found = [r[1:] for r in read_metrics(path) if r.step == 2 and r.split == "dev"]
    assert found == [
        ("größe", "dev", "accuracy", 0.5),
        ("größe", "dev", "bleu", 7.0),
        ("größe", "dev", "wer", 0.25),
    ]
    assert len([*read_metrics(path)]) == 6


def test_lines_are_there_before_the_log_is_closed(tmp_path):
    log = MetricsLog(tmp_path / FILE_NAME)
    log.write(np.int64(7), "", "train", "learning_rate", np.float32(0.25))
    assert [*read_metrics(tmp_path)] == [Record(7, "", "train", "learning_rate", 0.25)]
    log.close()


def test_values_that_json_cannot_hold_come_back_as_nan(tmp_path):
    log = MetricsLog(tmp_path / FILE_NAME)
    log.write(1, "a", "train", "loss", math.inf)
    log.write(1, "a", "train", "norm", math.nan)
    log.close()
    assert "Infinity" not in (tmp_path / "metrics.jsonl").read_text()
    assert all(math.isnan(record.value) for record in read_metrics(tmp_path))


def test_a_broken_line_is_named(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"step": 2}\n')
    with pytest.raises(UserError, match="line 1 of .* is not a metric"):
        MetricsLog(tmp_path / FILE_NAME)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no .*metrics.jsonl; give the --output_dir"):
        next(read_metrics(tmp_path))
