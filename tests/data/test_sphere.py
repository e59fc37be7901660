"""SPHERE files give the samples that went in; broken ones are told exactly."""

import pathlib
import stat
import sys

import numpy as np
import pytest

from t2t_multimodel.data import sphere
from t2t_multimodel.errors import UserError
from tests.data import sound_bytes

AN4 = pathlib.Path(__file__).parents[3] / "shared" / "data" / "an4"
SAMPLES = np.array([0, 1, -1, 256, -257, 32767, -32768], np.int16)


def decode(data):
    samples, rate = sphere.decode(data, "a.wv1")
    assert samples.dtype == np.float32
    return samples, rate


@pytest.mark.parametrize("order", ["01", "10"])
def test_pcm_of_both_byte_orders(order):
    data = sound_bytes.sphere(SAMPLES, 8000, sample_byte_format=order)
    samples, rate = decode(data)
    assert rate == 8000 and samples.shape == (7, 1)
    np.testing.assert_array_equal(samples[:, 0] * 32768, SAMPLES)


def test_interleaved_channels():
    stereo = np.stack([SAMPLES, SAMPLES[::-1]], axis=1)
    samples, _ = decode(sound_bytes.sphere(stereo))
    np.testing.assert_array_equal(samples * 32768, stereo)


def g711_mu_law(code):
    """Returns the 16-bit value of a byte, after the standard (14 bits, times 4)."""
    code = 255 - code
    sign, exponent, mantissa = code >> 7, (code >> 4) & 7, code & 15
    size = ((2 * mantissa + 33) << exponent) - 33
    return (-size if sign else size) * 4


def g711_a_law(code):
    """Returns the 16-bit value of a byte, after the standard (13 bits, times 8)."""
    code ^= 0x55
    positive, exponent, mantissa = code >> 7, (code >> 4) & 7, code & 15
    if exponent == 0:
        size = 2 * mantissa + 1
    else:
        size = (2 * mantissa + 33) << (exponent - 1)
    return (size if positive else -size) * 8


@pytest.mark.parametrize(
    "coding, expected",
    [("ulaw", g711_mu_law), ("mu-law", g711_mu_law), ("alaw", g711_a_law)],
)
def test_the_two_laws_of_g711(coding, expected):
    header = {
        "sample_count": 256,
        "sample_rate": 8000,
        "sample_n_bytes": 1,
        "sample_coding": coding,
    }
    samples, _ = decode(sound_bytes.sphere_header(header) + bytes(range(256)))
    want = [expected(code) for code in range(256)]
    np.testing.assert_array_equal(samples[:, 0] * 32768, want)


def test_a_header_without_coding_and_counts_is_one_channel_of_pcm():
    data = sound_bytes.sphere(
        SAMPLES, sample_coding=None, sample_count=None, channel_count=None
    )
    samples, _ = decode(data)
    np.testing.assert_array_equal(samples[:, 0] * 32768, SAMPLES)


def test_what_follows_the_last_sample_is_ignored():
    samples, _ = decode(sound_bytes.sphere(SAMPLES) + b"\0" * 30)
    assert len(samples) == 7


@pytest.mark.parametrize(
    "data, message",
    [
        (b"RIFF1234", "begins with b'RIFF1234', which is no SPHERE header"),
        (b"NIST_1A\n   size\n", "no SPHERE header"),
        (
            sound_bytes.sphere(SAMPLES)[:500],
            "cut off in the SPHERE header: 500 bytes of 1024",
        ),
        (b"NIST_1A\n   1024\n".ljust(1024), "no end_head"),
        (
            sound_bytes.sphere(SAMPLES)[:-3],
            r"counts 7 samples \(14 bytes\), it holds 5 \(11 bytes\); copy it again",
        ),
        (sound_bytes.sphere(SAMPLES, sample_rate=None), "no sample_rate"),
        (sound_bytes.sphere(SAMPLES, sample_rate=0), "sample_rate .* is '0'; expected"),
        (sound_bytes.sphere(SAMPLES, sample_count="many"), "sample_count .* is 'many'"),
        (sound_bytes.sphere(SAMPLES, sample_count=-2), "sample_count .* is '-2'"),
        (
            sound_bytes.sphere(SAMPLES, sample_n_bytes=4),
            "sample_coding 'pcm' of sample_n_bytes 4; expected pcm of 2",
        ),
        (sound_bytes.sphere(SAMPLES, sample_coding="shortpack-v0"), "'shortpack-v0'"),
        (
            sound_bytes.sphere(SAMPLES, sample_byte_format="0"),
            "sample_byte_format '0'; expected '01'",
        ),
    ],
)
def test_broken_files_are_told(data, message):
    with pytest.raises(UserError, match=message):
        sphere.decode(data, "a.wv1")


COMPRESSED = "pcm,embedded-shorten-v2.00"


@pytest.fixture
def fake_sph2pipe(tmp_path, monkeypatch):
    """Returns a function that puts a program of that name on an otherwise empty PATH.

    It runs Python code that knows `arguments` and writes bytes with `write`.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(code):
        program = folder / "sph2pipe"
        program.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\narguments = sys.argv[1:]\n"
            f"write = sys.stdout.buffer.write\n{code}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return install


@pytest.fixture
def compressed(tmp_path):
    path = tmp_path / "a b.wv1"
    header = sound_bytes.sphere(SAMPLES, sample_coding=COMPRESSED)[:1024]
    path.write_bytes(header + b"ajkg\2 shortened")
    return path


def test_shorten_is_decoded_by_sph2pipe(fake_sph2pipe, compressed, tmp_path):
    (tmp_path / "decoded.wav").write_bytes(sound_bytes.wav(SAMPLES.tobytes()))
    fake_sph2pipe(
        f"assert arguments == ['-p', '-f', 'wav', {str(compressed)!r}], arguments\n"
        f"write(pathlib.Path({str(tmp_path / 'decoded.wav')!r}).read_bytes())"
    )
    assert sphere.is_compressed(compressed)
    samples, rate = sphere.decode(compressed.read_bytes(), compressed)
    np.testing.assert_array_equal(samples[:, 0] * 32768, SAMPLES)
    assert rate == 16000


def test_without_sph2pipe_it_is_told_where_to_get_it(compressed, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="shorten.*program sph2pipe on the PATH; build"):
        sphere.decode(compressed.read_bytes(), compressed)


@pytest.mark.parametrize(
    "code, message",
    [
        ("sys.exit('no such format')", r"ended with status 1 \(no such format\)"),
        ("sys.exit(3)", r"ended with status 3 \(no message\)"),
        ("write(b'')", "what sph2pipe wrote is cut off in the WAV header"),
        (
            f"write({sound_bytes.wav(SAMPLES[:4].tobytes())!r})",
            "counts 7 samples in 1 channels at 16000 Hz, sph2pipe decoded 4 in 1 at",
        ),
    ],
)
def test_failures_of_sph2pipe_are_told(fake_sph2pipe, compressed, code, message):
    fake_sph2pipe(code)
    with pytest.raises(UserError, match=message):
        sphere.decode(compressed.read_bytes(), compressed)


def test_a_sph2pipe_that_does_not_run_is_told(fake_sph2pipe, compressed, tmp_path):
    fake_sph2pipe("")
    (tmp_path / "bin" / "sph2pipe").write_bytes(b"\x7fELF for another machine")
    with pytest.raises(UserError, match="sph2pipe does not run .Exec format error"):
        sphere.decode(compressed.read_bytes(), compressed)


def test_files_that_are_not_compressed_need_no_program(tmp_path):
    (tmp_path / "a.wv1").write_bytes(sound_bytes.sphere(SAMPLES))
    assert not sphere.is_compressed(tmp_path / "a.wv1")
    assert not sphere.is_compressed(tmp_path / "none.wv1")


@pytest.mark.skipif(not AN4.exists(), reason="no ../shared/data/an4")
def test_the_files_of_an4_have_the_checksums_of_their_headers():
    files = sorted(AN4.glob("wav/**/*.sph"))
    assert len(files) == 292
    for path in files:
        data = path.read_bytes()
        fields = sphere.parse_header(data).fields
        samples, rate = sphere.decode(data, path)
        whole = np.rint(samples * 32768).astype(np.int64)
        assert rate == 16000 and len(whole) == int(fields["sample_count"])
        assert whole.sum() % 65536 == int(fields["sample_checksum"])
