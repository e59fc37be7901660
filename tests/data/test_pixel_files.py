"""CIFAR-10's and MNIST's files give the pictures that were put into them."""

import gzip
import io
import pickle
import struct

import numpy as np
import pytest

from t2t_multimodel.data import pixel_files
from t2t_multimodel.errors import UserError

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
LABELS = [3, 0, 9, 1, 1]
ROWS = PICTURES.transpose(0, 3, 1, 2).reshape(5, 3072)


def idx(array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


class Python2Pickler(pickle._Pickler):
    """Writes texts as Python 2 did, whose texts were bytes."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        data = text.encode("latin-1") if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_text


def python2(content):
    packed = io.BytesIO()
    Python2Pickler(packed, protocol=2).dump(content)
    return packed.getvalue().replace(b"numpy._core", b"numpy.core")


def test_both_versions_of_cifar(tmp_path):
    python, binary = tmp_path / "data_batch_1", tmp_path / "data_batch_1.bin"
    python.write_bytes(python2({"data": ROWS, "labels": LABELS}))
    again = tmp_path / "data_batch_2"
    again.write_bytes(pickle.dumps({b"data": ROWS, b"labels": LABELS}, protocol=2))
    binary.write_bytes(np.column_stack([LABELS, ROWS]).astype(np.uint8).tobytes())
    for path in (python, again, binary):
        pictures, labels = zip(*pixel_files.cifar_batch(path), strict=True)
        np.testing.assert_array_equal(pictures, PICTURES)
        assert list(labels) == LABELS


class Evil:
    def __reduce__(self):
        return print, ("this ran",)


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("data_batch_1", pickle.dumps(Evil()), "asks for builtins.print"),
        ("data_batch_1", pickle.dumps({b"data": ROWS}), "KeyError: b'labels'"),
        (
            "data_batch_1",
            pickle.dumps({b"data": ROWS, b"labels": [1]}),
            r"uint8 of shape \(5, 3072\)",
        ),
        ("data_batch_1", pickle.dumps({b"data": ROWS})[:99], "no batch of the python"),
        ("data_batch_1.bin", b"x" * 3072, "has 3072 bytes, which is no multiple"),
        ("data_batch_1.bin", b"", "has 0 bytes"),
    ],
)
def test_what_is_no_batch_is_told_and_never_run(tmp_path, capsys, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        list(pixel_files.cifar_batch(path))
    assert "this ran" not in capsys.readouterr().out


def test_idx_files_plain_and_packed(tmp_path):
    pictures = PICTURES[..., 0]
    plain, packed = tmp_path / "images-idx3-ubyte", tmp_path / "images-idx3-ubyte.gz"
    plain.write_bytes(idx(pictures))
    packed.write_bytes(gzip.compress(idx(pictures)))
    for path in (plain, packed):
        np.testing.assert_array_equal(pixel_files.idx_array(path), pictures)


@pytest.mark.parametrize(
    "data, message",
    [
        (idx(PICTURES)[:-1], "by its head should have"),
        (b"PNG", "expected an idx file"),
        (b"\0\0\x08\x03\0\0", "is cut off"),
    ],
)
def test_what_is_no_idx_file_is_told(tmp_path, data, message):
    path = tmp_path / "images"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        pixel_files.idx_array(path)
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(data * 50)[:-9])
    with pytest.raises(UserError, match="images.gz is cut off"):
        pixel_files.idx_array(packed)
