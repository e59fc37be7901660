"""Writing to a disk that may be full: one clear line, and no half file."""

import contextlib
import errno
import os
import pathlib
import sys
from collections.abc import Iterator

from t2t_multimodel.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Tells in one line that a file or folder could not be written.

    Raises:
        UserError: Instead of an `OSError`, or of TensorFlow's error for the same.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise _mistake(path, reason, full=error.errno in _FULL) from None
    except Exception as error:
        # TensorFlow's own file writers; if one was at work, it is loaded.
        if "tensorflow" not in sys.modules:
            raise
        import tensorflow as tf

        if not isinstance(error, tf.errors.OpError):
            raise
        full = isinstance(error, tf.errors.ResourceExhaustedError)
        reason = os.strerror(errno.ENOSPC) if full else error.message.splitlines()[0]
        raise _mistake(path, reason, full=full) from None


def replace(unfinished: pathlib.Path, path: pathlib.Path) -> None:
    """Gives a written file its final name once its content is on the disk."""
    with open(unfinished, "rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def _mistake(path: str | os.PathLike[str], reason: str, *, full: bool) -> UserError:
    hint = "make room" if full else "see to it that the folder can be written"
    return UserError(
        f"cannot write {path}: {reason}; {hint} and start the same command again, "
        "which goes on where it stopped"
    )
