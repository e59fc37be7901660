"""NIST SPHERE: the sound files in which the LDC ships speech, such as WSJ's `.wv1`.

An ASCII header of name, type and value lines, then the samples: 16-bit PCM of either
byte order, or 8-bit mu-law or A-law. Files whose samples are compressed with `shorten`
are decoded by the LDC's own program `sph2pipe`, which must be on the PATH.
"""

import dataclasses
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping

import numpy as np

from t2t_multimodel.data import wav_files
from t2t_multimodel.errors import UserError

MAGIC = b"NIST_1A\n"
"""How a SPHERE file begins."""

SPH2PIPE = "sph2pipe"
"""Program that decodes shorten."""

WHERE_SPH2PIPE_IS = "https://github.com/burrmill/sph2pipe"
"""Where its source can be had, besides the LDC."""

_MU_LAW = ("ulaw", "mu-law", "mulaw")
_A_LAW = ("alaw", "a-law")
_FIELD = re.compile(r"(\S+)\s+-([irs]\d*)\s?(.*)")


@dataclasses.dataclass(frozen=True)
class SphereHeader:
    """What stands before the samples.

    Args:
        size_bytes: Length of the header.
        fields: Name to value, as they stand there.
    """

    size_bytes: int
    fields: Mapping[str, str]

    @property
    def coding(self) -> str:
        """How a sample is stored: `"pcm"`, `"ulaw"`..., without the compression."""
        return self.fields.get("sample_coding", "pcm").split(",")[0].strip().lower()

    @property
    def compression(self) -> str:
        """What the samples are compressed with, such as `"embedded-shorten-v2.00"`."""
        return ",".join(self.fields.get("sample_coding", "pcm").split(",")[1:]).strip()

    @property
    def num_samples(self) -> int | None:
        """Samples of each channel, `None` if the header does not say."""
        return self._positive("sample_count", least=0)

    @property
    def num_channels(self) -> int:
        """Channels, stored interleaved."""
        return self._positive("channel_count") or 1

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second.

        Raises:
            UserError: If the header does not say.
        """
        rate = self._positive("sample_rate")
        if rate is None:
            raise UserError("the SPHERE header has no sample_rate, a number of Hz")
        return rate

    def _positive(self, name: str, least: int = 1) -> int | None:
        if name not in self.fields:
            return None
        text = self.fields[name]
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if value < least or value != int(value):
            raise UserError(
                f"{name} of the SPHERE header is {text!r}; expected a whole number "
                f"of {least} or more"
            )
        return int(value)


def parse_header(data: bytes) -> SphereHeader:
    """Returns the header of a SPHERE file.

    Args:
        data: The file, or as much of its beginning as the header takes.

    Raises:
        UserError: If it is no SPHERE header, or not all of it is there.
    """
    size_line = data[len(MAGIC) : len(MAGIC) + 8]
    try:
        size_bytes = int(size_line)
    except ValueError:
        size_bytes = 0
    if not data.startswith(MAGIC) or size_bytes <= len(MAGIC) + len(size_line):
        raise UserError(
            f"begins with {data[:16]!r}, which is no SPHERE header ('NIST_1A', then "
            "its size in bytes)"
        )
    if len(data) < size_bytes:
        raise UserError(
            f"is cut off in the SPHERE header: {len(data)} bytes of {size_bytes}"
        )
    fields: dict[str, str] = {}
    for line in data[:size_bytes].decode("latin-1").split("\n")[2:]:
        if line.strip() == "end_head":
            return SphereHeader(size_bytes, fields)
        if match := _FIELD.match(line.strip()):
            fields[match[1]] = match[3].strip()
    raise UserError("the SPHERE header has no end_head line")


def decode(data: bytes, path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Returns the samples of a SPHERE file and their rate.

    Bytes after the last sample that the header counts are ignored.

    Args:
        data: The file.
        path: Where it is, for `sph2pipe`.

    Returns:
        `(samples, channels)` float32 within [-1, 1], and the rate in Hz.

    Raises:
        UserError: If the file is cut off, or its header asks for what cannot be read.
            The message begins with the verb, for the caller to name the file.
    """
    header = parse_header(data)
    if header.compression:
        return _decode_compressed(header, path)
    width = 2 if header.coding == "pcm" else 1
    declared = header.fields.get("sample_n_bytes")
    if header.coding not in ("pcm", *_MU_LAW, *_A_LAW) or declared not in (
        None,
        str(width),
    ):
        raise UserError(
            f"has sample_coding {header.coding!r} of sample_n_bytes {declared}; "
            "expected pcm of 2 bytes, ulaw or alaw of 1"
        )
    rate, channels = header.sample_rate_hz, header.num_channels
    body = memoryview(data)[header.size_bytes :]
    num_frames = header.num_samples
    if num_frames is None:
        num_frames = len(body) // (width * channels)
    expected = num_frames * channels * width
    if len(body) < expected:
        raise UserError(
            f"is cut off: its header counts {num_frames} samples ({expected} bytes), "
            f"it holds {len(body) // (channels * width)} ({len(body)} bytes); copy it "
            "again from its source"
        )
    samples = _to_float(body[:expected], header)
    return samples.reshape(num_frames, channels), rate


def find_sph2pipe() -> str:
    """Returns the path of `sph2pipe`.

    Raises:
        UserError: If it is not there.
    """
    program = shutil.which(SPH2PIPE)
    if program is None:
        raise UserError(
            f"is compressed with shorten, which needs the program {SPH2PIPE} on the "
            f"PATH; build it from {WHERE_SPH2PIPE_IS} (one C compiler call) and put "
            "it there"
        )
    return program


def is_compressed(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file is SPHERE whose samples `sph2pipe` must decode."""
    try:
        with open(path, "rb") as file:
            return bool(parse_header(file.read(1 << 14)).compression)
    except (OSError, UserError):
        return False


def _to_float(body: memoryview, header: SphereHeader) -> np.ndarray:
    if header.coding in _MU_LAW:
        return _mu_law_table()[np.frombuffer(body, np.uint8)]
    if header.coding in _A_LAW:
        return _a_law_table()[np.frombuffer(body, np.uint8)]
    order = header.fields.get("sample_byte_format", "")
    if order not in ("01", "10"):
        raise UserError(
            f"has sample_byte_format {order!r}; expected '01' (little-endian) or "
            "'10' (big-endian)"
        )
    kind = "<i2" if order == "01" else ">i2"
    return np.frombuffer(body, kind).astype(np.float32) / np.float32(1 << 15)


def _decode_compressed(
    header: SphereHeader, path: str | os.PathLike[str]
) -> tuple[np.ndarray, int]:
    # -p: whatever the samples are, 16-bit PCM comes out, of all channels.
    command = [find_sph2pipe(), "-p", "-f", "wav", os.fspath(path)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise UserError(
            f"cannot be decoded: {command[0]} does not run ({error.strerror})"
        ) from None
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode:
        raise UserError(
            f"cannot be decoded: {SPH2PIPE} ended with status {done.returncode} "
            f"({said[0] if said else 'no message'})"
        )
    try:
        samples, rate = wav_files.decode(done.stdout)
    except UserError as error:
        raise UserError(f"cannot be decoded: what {SPH2PIPE} wrote {error}") from None
    expected = (header.num_samples, header.num_channels, header.sample_rate_hz)
    got = (len(samples), samples.shape[1], rate)
    if got != (expected[0] if expected[0] is not None else got[0], *expected[1:]):
        raise UserError(
            f"is cut off or damaged: its header counts {expected[0]} samples in "
            f"{expected[1]} channels at {expected[2]} Hz, {SPH2PIPE} decoded {got[0]} "
            f"in {got[1]} at {got[2]} Hz; copy it again from its source"
        )
    return samples, rate


@functools.cache
def _mu_law_table() -> np.ndarray:
    """Returns the value of each byte (ITU-T G.711: complemented sign, 3 + 4 bits)."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    size = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return (np.where(code & 0x80, -size, size) / (1 << 15)).astype(np.float32)


@functools.cache
def _a_law_table() -> np.ndarray:
    """Returns the value of each byte (ITU-T G.711: even bits inverted)."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, (code & 0x0F) << 4
    steep = (mantissa + 0x108) << np.maximum(exponent - 1, 0)
    size = np.where(exponent == 0, mantissa + 8, steep)
    return (np.where(code & 0x80, size, -size) / (1 << 15)).astype(np.float32)
