"""What training pictures go through, so that no picture is seen twice alike."""

import tensorflow as tf

_P_CROP = 0.8
_ENLARGED = 360 / 299
_INCEPTION_AREA = (0.08, 1.0)
_INCEPTION_ASPECT_RATIO = (3 / 4, 4 / 3)


def augment(
    image: tf.Tensor, size_px: tuple[int, int], augmentation: str, seed: tf.Tensor
) -> tf.Tensor:
    """Returns a random variant of a picture; the same seed gives the same one.

    `flip` mirrors left and right for every other picture. `crop` takes four pictures
    of five 360/299 times too large and cuts the size wanted from anywhere (T2T v1.0.x
    for ImageNet), then flips. `inception` cuts a part of 8 % to 100 % of the area with
    sides of 3:4 to 4:3 (Szegedy et al. 2015, through `tf.image`), then flips.

    Args:
        image: `(height, width, channels)` uint8, of any size.
        size_px: Rows and columns wanted.
        augmentation: One of `features.AUGMENTATIONS`.
        seed: `(2,)` int64.

    Returns:
        `(*size_px, channels)` uint8.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    if augmentation == "crop":
        image = _cropped(image, size_px, seeds[0], seeds[1])
    elif augmentation == "inception":
        image = resized(_part(image, seeds[0]), size_px)
    else:
        image = resized(image, size_px)
    if augmentation != "none":
        image = tf.image.stateless_random_flip_left_right(image, seeds[2])
    return image


def resized(image: tf.Tensor, size_px: tuple[int, int]) -> tf.Tensor:
    """Returns `(*size_px, channels)` uint8, the picture itself if it has that size."""

    def resize() -> tf.Tensor:
        scaled = tf.image.resize(image, size_px, antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 255.0)), tf.uint8)

    same = tf.reduce_all(tf.equal(tf.shape(image)[:2], size_px))
    return tf.ensure_shape(
        tf.cond(same, lambda: image, resize), (*size_px, image.shape[-1])
    )


def _cropped(
    image: tf.Tensor, size_px: tuple[int, int], crop_seed: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    enlarged_px = tuple(round(length_px * _ENLARGED) for length_px in size_px)

    def crop() -> tf.Tensor:
        shape = (*size_px, image.shape[-1])
        return tf.image.stateless_random_crop(
            resized(image, enlarged_px), shape, crop_seed
        )

    return tf.cond(
        tf.random.stateless_uniform((), seed, alg="philox") < _P_CROP,
        crop,
        lambda: resized(image, size_px),
    )


def _part(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        tf.zeros((1, 0, 4)),
        seed,
        min_object_covered=0.0,
        aspect_ratio_range=_INCEPTION_ASPECT_RATIO,
        area_range=_INCEPTION_AREA,
        use_image_if_no_bounding_boxes=True,
    )
    part = tf.slice(image, begin, size)
    return tf.ensure_shape(part, (None, None, image.shape[-1]))
