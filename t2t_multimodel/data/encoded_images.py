"""Pictures as PNG and JPEG files: their format, and their pixels in a graph."""

import tensorflow as tf

from t2t_multimodel.data import augmentation
from t2t_multimodel.data.features import Image
from t2t_multimodel.errors import UserError


def image_format(encoded: bytes) -> str:
    """Returns `"png"` or `"jpeg"`.

    Raises:
        UserError: If the bytes are neither.
    """
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if encoded.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    raise UserError(
        f"the image begins with {encoded[:8]!r}, which is neither PNG nor JPEG; "
        "convert it to one of them"
    )


@tf.autograph.experimental.do_not_convert
def decode_image(
    encoded: tf.Tensor, feature: Image, seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns `(height_px, width_px, channels)` uint8, resized where it differs.

    Args:
        encoded: Scalar string, a PNG or JPEG file.
        feature: Says size and augmentation.
        seed: `(2,)` int64 to vary the picture by; `None` leaves it as it is.
    """
    image = tf.io.decode_image(
        encoded, channels=feature.channels, expand_animations=False
    )
    size_px = (feature.height_px, feature.width_px)
    if seed is None:
        return augmentation.resized(image, size_px)
    return augmentation.augment(image, size_px, feature.augmentation, seed)
