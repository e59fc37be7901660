"""Captions of one picture are references of one output, by what their records say."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import serialization
from t2t_multimodel.data.shards import shard_name
from t2t_multimodel.data.vocabularies import encoders_for
from t2t_multimodel.decoding.decode_hparams import DecodeHParams
from t2t_multimodel.decoding.decoder import load_decoder
from t2t_multimodel.decoding.scoring import Scorer
from t2t_multimodel.decoding.split import decode_split
from t2t_multimodel.training import decode_metrics
from tests.decoding import tiny_run

METRICS = ("bleu", "caption_bleu4", "cider_d")
# Number, pixels and caption. The second and the third picture look alike; captions of
# the first stand apart.
CAPTIONS = [
    (70, 0, "the red cat sat on the mat"),
    (71, 1, "a dog"),
    (71, 1, "the dog saw a cat"),
    (72, 1, "red mats"),
    (72, 1, "dogs run on mats"),
    (70, 0, "a red cat on a mat"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The tiny run, with other test data of its captions."""
    run = tiny_run.write_tiny_run(tmp_path_factory.mktemp("tiny"))
    [problem] = [p for p in run.problems if p.name == "caption_tiny"]
    generator = np.random.default_rng(0)
    pictures = [tiny_run.png(generator) for _ in range(2)]
    path = run.data_dir / shard_name(problem.data_name, "test", 0, 1)
    encoders = encoders_for(problem, run.data_dir)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, pixels, text in CAPTIONS:
            example = {"inputs": pictures[pixels], "targets": text, "image_id": number}
            writer.write(serialization.serialize(problem, example, encoders))
    return run


@pytest.fixture(scope="module")
def decoder(run):
    return load_decoder(
        run,
        problem_names=["caption_tiny"],
        hparams=DecodeHParams(batch_size=2, extra_length=1),
    )[0]


def test_each_picture_is_decoded_once_also_of_two_that_look_alike(
    run, decoder, decoded_rows
):
    decoded = decode_split(decoder, "caption_tiny", run.data_dir, "test")
    assert decoded.groups == [0, 1, 1, 2, 2, 0]
    assert decoded.targets == [text for _, _, text in CAPTIONS]
    assert len(decoded_rows) == 3


@pytest.mark.parametrize(("count", "taken"), [(1, 1), (2, 3), (3, 3), (4, 5), (6, 6)])
def test_the_last_picture_keeps_the_captions_next_to_it(run, decoder, count, taken):
    decoded = decode_split(
        decoder, "caption_tiny", run.data_dir, "test", max_examples=count
    )
    assert len(decoded.results) == len(decoded.groups) == taken


def test_all_captions_of_a_picture_are_references(run, decoder, monkeypatch):
    problem = decoder.problem("caption_tiny")
    monkeypatch.setattr(type(problem), "decode_metrics", METRICS, raising=False)
    scored = Scorer(decoder, run.data_dir).score("caption_tiny", "test")
    texts = [result.text for result in scored.decoded.results]
    outputs = [texts[0], texts[1], texts[3]]
    captions = [text for _, _, text in CAPTIONS]
    references = [
        [captions[0], captions[5]],
        [captions[1], captions[2]],
        [captions[3], captions[4]],
    ]
    values = {metric.name: metric for metric in scored.metrics}
    assert set(values) == {*METRICS, "bleu_1ref"}
    for name in METRICS:
        expected = decode_metrics.DECODE_METRICS[name](outputs, references)
        assert values[name].score == expected
        assert values[name].baseline.num_examples == 3
    [line] = [m.line() for m in scored.metrics if m.name == "cider_d"]
    assert f"{values['cider_d'].score.value:.3f}" in line
    assert "nrefs:2|pictures:3" in line
