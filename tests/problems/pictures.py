"""Small pictures as files, and tars of them, for the tests of problems."""

import io
import pathlib
import tarfile

import numpy as np

SHARED = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"


def jpeg(number, size=(24, 32)):
    """Returns a JPEG file of one colour, another one for each number."""
    from tensorflow import io as tf_io

    pixels = np.full((*size, 3), [number * 40 % 256, number % 256, 90], np.uint8)
    return tf_io.encode_jpeg(pixels, quality=95).numpy()


def png(number, size=(24, 32)):
    """Returns a PNG file of one colour, another one for each number."""
    from tensorflow import io as tf_io

    pixels = np.full((*size, 3), [number * 40 % 256, number % 256, 90], np.uint8)
    return tf_io.encode_png(pixels).numpy()


def tar(files):
    """Returns a tar file of name to content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def write(folder, files):
    """Writes name to content, with the folders in the names."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)


def raw(example):
    """Returns a raw example with its functions called."""
    return {k: v() if callable(v) else v for k, v in example.items()}
