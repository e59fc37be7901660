"""Sound files in their official formats, made byte by byte."""

import struct

import numpy as np


def sphere(samples, rate=16000, **fields):
    """Returns a SPHERE file of `(samples,)` or `(samples, channels)` int16.

    Args:
        samples: What to store, in the order of bytes that the header declares.
        rate: Samples a second.
        fields: Header fields to change; `None` takes one out.
    """
    samples = np.asarray(samples, np.int16)
    values = {
        "channel_count": 1 if samples.ndim == 1 else samples.shape[1],
        "sample_count": len(samples),
        "sample_rate": rate,
        "sample_n_bytes": 2,
        "sample_byte_format": "01",
        "sample_coding": "pcm",
    } | fields
    kind = ">i2" if values["sample_byte_format"] == "10" else "<i2"
    return sphere_header(values) + samples.astype(kind).tobytes()


def sphere_header(values):
    """Returns the 1,024 bytes of a header with these fields."""
    lines = ["NIST_1A", "   1024", "database_id -s4 WSJ0", "; a comment"]
    for name, value in values.items():
        if value is not None:
            kind = "-i" if isinstance(value, int) else f"-s{len(value)}"
            lines.append(f"{name} {kind} {value}")
    text = "\n".join([*lines, "end_head", ""])
    return text.encode("ascii").ljust(1024)


def wav(body, rate=16000, width=2, channels=1, encoding=1):
    """Returns a WAV file of these bytes."""
    block = width * channels
    layout = struct.pack(
        "<4sIHHIIHH",
        b"fmt ",
        16,
        encoding,
        channels,
        rate,
        rate * block,
        block,
        8 * width,
    )
    chunks = b"WAVE" + layout + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks
