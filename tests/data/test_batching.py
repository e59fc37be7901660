"""Buckets: T2T's table, costs of every kind, shapes that are known beforehand."""

import numpy as np
import pytest

from t2t_multimodel.data import batching
from t2t_multimodel.data.features import ClassLabel, Image
from t2t_multimodel.errors import UserError


def test_buckets_of_1024_tokens_are_those_of_t2t():
    buckets = batching.token_buckets(1024)
    assert buckets.boundaries == (
        *(8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768),
        1024,
    )
    assert buckets.batch_sizes == (128, 85, 64, 42, 32, 21, 16, 10, 8, 5, 4, 2, 2, 1, 1)


def test_max_length_is_the_last_boundary():
    buckets = batching.token_buckets(4096, max_length=100)
    assert buckets.boundaries[-2:] == (96, 100)
    assert buckets.batch_sizes[-1] == 40


def test_boundaries_include_their_own_length():
    buckets = batching.token_buckets(1024)
    assert list(buckets.of(np.array([1, 8, 9, 1024, 1025]))) == [0, 0, 1, 14, 15]


def test_imagenet_pictures_are_two_a_batch(toy):
    problem = toy("image", "label")
    problem.inputs = Image(height_px=299, width_px=299)
    problem.batch_size_multiplier = 256
    buckets = batching.problem_buckets(problem, batch_size=1024)
    assert buckets == batching.Buckets((384,), (2,))
    [shapes] = batching.bucket_shapes(problem, buckets)
    assert shapes["inputs"] == (2, 299, 299, 3)
    assert shapes["targets"] == (2,)


def test_a_fixed_number_of_examples(toy):
    problem = toy("image", "label")
    problem.inputs = Image(height_px=299, width_px=299)
    buckets = batching.problem_buckets(problem, batch_size=64, examples_per_batch=32)
    assert buckets.batch_sizes == (32,)


def test_a_caption_has_no_bucket_below_its_picture(toy):
    problem = toy("image", "tokens")
    problem.inputs = Image(height_px=64, width_px=64)
    problem.batch_size_multiplier = 256
    buckets = batching.problem_buckets(problem, batch_size=64)
    assert buckets.boundaries == (16, 24, 32, 48, 64)


def test_sound_is_padded_in_frames_to_what_the_bucket_holds(toy):
    problem = toy("spectrogram", "tokens")  # 20 bins, 8 positions a token
    costs = batching.feature_costs(problem.inputs, np.arange(1, 40), 8)
    assert costs[0] == 3
    buckets = batching.token_buckets(64)
    for frames, bucket in zip(range(1, 40), buckets.of(costs), strict=True):
        if bucket < len(buckets.boundaries):
            boundary = buckets.boundaries[bucket]
            assert frames <= batching.padded_length(problem.inputs, boundary, 8)


def test_the_largest_batch_is_one_of_the_shapes(toy):
    for inputs, targets in (("bytes", "tokens"), ("spectrogram", "bytes")):
        problem = toy(inputs, targets)
        buckets = batching.problem_buckets(problem, batch_size=256)
        batch = batching.largest_batch(problem, buckets)
        shapes = {key: value.shape for key, value in batch.items()}
        assert shapes in batching.bucket_shapes(problem, buckets)
        assert batch["targets"].all()


def test_an_image_that_fits_no_batch_is_told(toy):
    problem = toy("image", "label")
    problem.inputs = Image(height_px=299, width_px=299)
    problem.targets = ClassLabel(names=("a", "b"))
    with pytest.raises(UserError, match="costs 11176 tokens or more.*raise batch_size"):
        batching.problem_buckets(problem, batch_size=1024)


@pytest.mark.parametrize(
    "kwargs", [{"batch_size": 0}, {"batch_size": 1, "max_length": -1}]
)
def test_sizes_that_make_no_sense_are_refused(kwargs):
    with pytest.raises(UserError, match="must be positive"):
        batching.token_buckets(**kwargs)
