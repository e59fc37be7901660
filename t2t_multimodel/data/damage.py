"""What TensorFlow raises where the bytes of a shard are not what was written."""

import re
import textwrap

import tensorflow as tf

_LONGEST_CHARACTERS = 160

DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.InvalidArgumentError,
    # TensorFlow cites a record that does not parse, and then cannot decode its words.
    UnicodeDecodeError,
)
"""What reading or parsing a damaged record raises."""

UNREADABLE = (
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)
"""What reading raises if a shard or the disk under it is gone."""


def words_of(error: tf.errors.OpError | UnicodeDecodeError) -> str:
    """Returns what TensorFlow says of one of these, in short, without names of nodes.

    Args:
        error: One of `DAMAGE` or `UNREADABLE`.
    """
    if isinstance(error, UnicodeDecodeError):
        message = error.object.decode("ascii", "backslashreplace")
    else:
        message = error.message
    first = message.strip().splitlines()[0]
    plain = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]|assertion failed:", "", first)
    return textwrap.shorten(plain.strip(" []"), _LONGEST_CHARACTERS, placeholder=" ...")
