"""Training pictures vary, each in its own repeatable way; held-out ones never do."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import augmentation, pipeline
from t2t_multimodel.data.features import AUGMENTATIONS, Image
from t2t_multimodel.data.train_reader import TrainReader
from t2t_multimodel.errors import UserError

SIZE_PX = (12, 16)


def gradient(height, width):
    """A picture whose first channel grows to the right and whose second downwards."""
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.stack([columns / width, rows / height, 0 * rows], axis=-1)
    return tf.constant(np.round(picture * 255), tf.uint8)


def variants(name, count, image=None, size_px=SIZE_PX):
    image = gradient(*SIZE_PX) if image is None else image
    return [
        augmentation.augment(image, size_px, name, tf.constant([7, i], tf.int64))
        for i in range(count)
    ]


def grows_to_the_right(picture):
    red = picture.numpy()[..., 0].astype(int)
    return red[:, -1].mean() > red[:, 0].mean()


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("size_px", [SIZE_PX, (10, 30)])
def test_same_seed_same_picture(name, size_px):
    first, second = (variants(name, 4, size_px=size_px) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.dtype == tf.uint8
        assert one.shape == (*size_px, 3)
        np.testing.assert_array_equal(one, other)


def test_none_only_resizes():
    picture = gradient(*SIZE_PX)
    for got in variants("none", 3):
        np.testing.assert_array_equal(got, picture)
    small = augmentation.resized(picture, (6, 8))
    for got in variants("none", 3, size_px=(6, 8)):
        np.testing.assert_array_equal(got, small)


def test_flip_mirrors_every_other_picture():
    picture = gradient(*SIZE_PX).numpy()
    got = variants("flip", 200)
    mirrored = [bool(np.all(g.numpy() == picture[:, ::-1])) for g in got]
    for was_mirrored, g in zip(mirrored, got, strict=True):
        assert was_mirrored or np.all(g.numpy() == picture)
    # Four standard deviations of a fair coin.
    assert abs(sum(mirrored) - 100) < 4 * np.sqrt(50)


@pytest.mark.parametrize("name", ["flip", "crop", "inception"])
def test_up_stays_up_and_both_sides_occur(name):
    got = variants(name, 60)
    assert 10 < sum(map(grows_to_the_right, got)) < 50
    for picture in got:
        green = picture.numpy()[..., 1].astype(int)
        assert np.all(np.diff(green, axis=0) >= 0)


def test_crop_enlarges_four_of_five_and_cuts_anywhere():
    got = [picture.numpy().astype(int) for picture in variants("crop", 200)]
    # An enlarged picture loses a sixth of its rows, and with them of its range.
    spans = np.array([picture[-1, 0, 1] - picture[0, 0, 1] for picture in got])
    whole = spans == spans.max()
    assert abs(whole.sum() - 40) < 4 * np.sqrt(200 * 0.8 * 0.2)
    lost = 1 - spans[~whole].mean() / spans.max()
    assert abs(lost - (1 - 299 / 360)) < 0.06
    tops = {picture[0, 0, 1] for picture in got}
    assert len(tops) > 2


def test_inception_cuts_parts_of_all_sizes():
    picture = gradient(64, 64)
    got = variants("inception", 80, image=picture, size_px=(16, 16))
    spans = np.array([np.ptp(g.numpy()[..., 1].astype(int)) for g in got]) / 255
    assert spans.min() < 0.5
    assert spans.max() > 0.8


def test_training_pictures_vary_from_epoch_to_epoch_and_held_out_ones_do_not(generated):
    problem, data_dir = generated("image", "label", examples=12)
    arguments = {"batch_size": 64, "examples_per_batch": 12}

    def epochs(augmentation_, count=3):
        problem.inputs = dataclasses.replace(problem.inputs, augmentation=augmentation_)
        read = itertools.islice(
            TrainReader(problem, data_dir, seed=3, **arguments), count
        )
        return [
            batch["inputs"].numpy()[np.argsort(batch["example_id"])] for batch in read
        ]

    plain = epochs("none")
    assert all(np.array_equal(plain[0], other) for other in plain[1:])
    varied = epochs("crop")
    assert not np.array_equal(varied[0], varied[1])
    for one, other in zip(varied, epochs("crop"), strict=True):
        np.testing.assert_array_equal(one, other)
    held_out = pipeline.eval_dataset(problem, data_dir, "train", **arguments)
    (batch,) = held_out.as_numpy_iterator()
    np.testing.assert_array_equal(batch["inputs"], plain[0])


def test_unknown_augmentation_is_refused():
    with pytest.raises(UserError, match="'crops'; did you mean 'crop'"):
        Image(height_px=8, width_px=8, augmentation="crops")
