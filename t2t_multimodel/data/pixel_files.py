"""Pictures given out as plain numbers: CIFAR-10's batches, MNIST's idx files."""

import codecs
import gzip
import io
import math
import pathlib
import pickle
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from t2t_multimodel.errors import UserError

CIFAR_SHAPE = (32, 32, 3)
_CIFAR_ROW_BYTES = 1 + math.prod(CIFAR_SHAPE)
_IDX_BYTES = 0x08


def cifar_batch(path: pathlib.Path) -> Iterator[tuple[np.ndarray, int]]:
    """Yields the pictures of a batch of CIFAR-10 and their labels.

    Args:
        path: A file of the "python version" (a pickle, which is read without running
            anything that it may hold) or, ending in `.bin`, the "binary version".

    Yields:
        `(32, 32, 3)` uint8 and the label, 0 to 9.

    Raises:
        UserError: If it cannot be read or is something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    pixels, labels = (_binary if path.suffix == ".bin" else _pickled)(path, data)
    channels_first = pixels.reshape(-1, *CIFAR_SHAPE[2:], *CIFAR_SHAPE[:2])
    for picture, label in zip(channels_first, labels, strict=True):
        yield np.ascontiguousarray(picture.transpose(1, 2, 0)), int(label)


def idx_array(path: pathlib.Path) -> np.ndarray:
    """Returns the uint8 array of an idx file, plain or `.gz`, as MNIST is given out.

    Raises:
        UserError: If it cannot be read, is no idx file of bytes, or is cut off.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            data = file.read()
    except EOFError:
        raise UserError(f"{path} is cut off; get it again") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) < 4 or data[:3] != bytes((0, 0, _IDX_BYTES)):
        raise UserError(f"{path} begins with {data[:4]!r}; expected an idx file")
    head_bytes = 4 + 4 * data[3]
    if len(data) < head_bytes:
        raise UserError(f"{path} is cut off; get it again")
    shape = struct.unpack(f">{data[3]}I", data[4:head_bytes])
    if len(data) != head_bytes + math.prod(shape):
        raise UserError(
            f"{path} has {len(data)} bytes, and by its head should have "
            f"{head_bytes + math.prod(shape)}; get it again"
        )
    return np.frombuffer(data, np.uint8, offset=head_bytes).reshape(shape)


def _binary(path: pathlib.Path, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    if not data or len(data) % _CIFAR_ROW_BYTES:
        raise UserError(
            f"{path} has {len(data)} bytes, which is no multiple of the "
            f"{_CIFAR_ROW_BYTES} of a CIFAR-10 picture; get it again"
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, _CIFAR_ROW_BYTES)
    return rows[:, 1:], rows[:, 0]


def _pickled(path: pathlib.Path, data: bytes) -> tuple[np.ndarray, Sequence[int]]:
    try:
        batch = _ArraysOnly(data).load()
        pixels, labels = batch[b"data"], batch[b"labels"]
        shape = (len(labels), math.prod(CIFAR_SHAPE))
        if pixels.shape == shape and pixels.dtype == np.uint8:
            return pixels, labels
        why = f"{pixels.dtype} of shape {pixels.shape}"
    # Whatever a broken pickle leads to.
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    raise UserError(
        f"{path} is no batch of the python version of CIFAR-10 ({why}); get it again"
    )


class _ArraysOnly(pickle.Unpickler):
    """Reads a pickle of arrays; one that names anything else is refused."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        """Returns what arrays are made of, by the names that old pickles have."""
        # NumPy has moved the function that makes an array and still uses it.
        reconstruct = np.zeros(0).__reduce__()[0]
        known = {"_reconstruct": reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}
        if (module, name) == ("_codecs", "encode"):  # Bytes, by Python 3 for Python 2.
            return codecs.encode
        if module.split(".")[0] != "numpy" or name not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[name]
