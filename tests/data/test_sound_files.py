"""Any sound file becomes one channel at the rate wanted; broken ones are told."""

import io
import sys

import numpy as np
import pytest

from t2t_multimodel.data import resampling, sound_files
from t2t_multimodel.errors import UserError
from tests.data import sound_bytes

RATE = 16000


@pytest.fixture
def read(tmp_path):
    """Returns a function that writes bytes and reads them as a sound file."""

    def write_and_read(data, rate=RATE, channel=None):
        path = tmp_path / "a.sound"
        path.write_bytes(data)
        waveform = sound_files.read_waveform(path, rate, channel)
        assert waveform.dtype == np.float32 and waveform.ndim == 1
        return waveform

    return write_and_read


@pytest.mark.parametrize(
    "width, body, expected",
    [
        (1, bytes([0, 128, 192, 255]), [-1, 0, 0.5, 127 / 128]),
        (2, bytes([0, 128, 0, 0, 0, 64]), [-1, 0, 0.5]),
        (3, bytes([0, 0, 128, 0, 0, 0, 1, 0, 64]), [-1, 0, 0.5 + 2**-23]),
        (4, bytes([0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 64]), [-1, 0, 0.5]),
    ],
)
def test_wav_of_every_width(read, width, body, expected):
    got = read(sound_bytes.wav(body, width=width))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7)


STEREO = np.array([[16384, 0], [-16384, 8192]], "<i2")


@pytest.mark.parametrize(
    "make",
    [
        lambda: sound_bytes.wav(STEREO.tobytes(), channels=2),
        lambda: sound_bytes.sphere(STEREO),
    ],
    ids=["wav", "sphere"],
)
def test_channels_are_averaged_or_chosen(read, make):
    np.testing.assert_allclose(read(make()), [0.25, -0.125])
    np.testing.assert_allclose(read(make(), channel=1), [0.5, -0.5])
    np.testing.assert_allclose(read(make(), channel=2), [0, 0.25])
    with pytest.raises(UserError, match="has 2 channels, channel 3 was asked for"):
        read(make(), channel=3)


def float_wav(values):
    body = np.array(values, "<f4").tobytes()
    return sound_bytes.wav(body, width=4, encoding=3)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is empty, a file of 0 bytes"),
        (sound_bytes.wav(b""), "a.sound holds no samples"),
        (sound_bytes.wav(bytes(20))[:-4], "counts 10 samples, it holds 8; copy it"),
        (sound_bytes.wav(bytes(20))[:20], "is cut off in the WAV header"),
        (b"RIFF\4\0\0\0AVI ", r"is not a WAV file \(not a WAVE file\)"),
        (sound_bytes.wav(bytes(16), width=8), "samples of 64 bits"),
        (float_wav([0.5] * 9)[:-8], "counts 80 bytes, it holds 72"),
        (sound_bytes.sphere([1, 2, 3])[:-2], "a.sound is cut off: .* 3 samples"),
    ],
)
def test_broken_files_are_told(read, data, message):
    with pytest.raises(UserError, match=message):
        read(data)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot read sound .*a.wav: No such file"):
        sound_files.read_waveform(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize(
    "data, what",
    [
        (b"fLaC\0\0\0\x22", "is neither WAV nor SPHERE"),
        (float_wav([0.5]), "is WAV of unknown format: 3"),
    ],
)
def test_other_kinds_without_soundfile_say_what_to_install(
    read, data, what, monkeypatch
):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UserError, match=rf"{what}.*pip install 't2t-multimodel\[audio"):
        read(data)


def encoded(samples, kind, **kwargs):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind, **kwargs)
    return file.getvalue()


def test_flac_and_floats_are_read_by_soundfile(read):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 1000)
    flac = encoded(samples, "FLAC", subtype="PCM_24")
    np.testing.assert_allclose(read(flac), samples, atol=2**-22)
    floats = encoded(samples, "WAV", subtype="FLOAT")
    np.testing.assert_allclose(read(floats), samples, atol=1e-7)
    with pytest.raises(UserError, match="soundfile cannot read it"):
        read(flac[: len(flac) // 2])
    with pytest.raises(UserError, match="soundfile cannot read it"):
        read(b"this is a text")


def test_floats_beyond_one_are_told(read):
    data = encoded(np.array([0.0, 300.0]), "WAV", subtype="FLOAT")
    with pytest.raises(UserError, match="samples up to 300.0; expected floats within"):
        read(data)


def tone(hz, rate, seconds=0.3):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


RATES = [(44100, 16000), (22050, 16000), (8000, 16000), (48000, 16000), (16000, 8000)]


@pytest.mark.parametrize("from_hz, to_hz", RATES)
def test_a_resampled_tone_is_the_tone_of_that_rate(from_hz, to_hz):
    got = resampling.resample(tone(1234.5, from_hz).astype(np.float32), from_hz, to_hz)
    want = tone(1234.5, to_hz)
    assert len(got) == len(want)
    # At the ends silence takes over.
    inner = slice(to_hz // 20, -to_hz // 20)
    np.testing.assert_allclose(got[inner], want[inner], atol=2e-6)


@pytest.mark.parametrize("from_hz, to_hz", RATES)
def test_resampled_speech_is_what_the_sampling_theorem_says(from_hz, to_hz):
    """Against the Fourier series of a periodic sound, evaluated at the new times."""
    rng = np.random.default_rng(0)
    length = from_hz // 10  # of a period; its harmonics are 10 Hz apart
    highest = int(0.8 * min(from_hz, to_hz) / 2 / 10)
    numbers = np.arange(1, highest)
    weights = rng.normal(size=(2, len(numbers))) / len(numbers) ** 0.5 / 4

    def at(times_seconds):
        angles = 2 * np.pi * 10 * np.outer(times_seconds, numbers)
        return np.cos(angles) @ weights[0] + np.sin(angles) @ weights[1]

    period = at(np.arange(length) / from_hz).astype(np.float32)
    got = resampling.resample(np.tile(period, 3), from_hz, to_hz)
    middle = np.arange(to_hz // 10, 2 * to_hz // 10)
    np.testing.assert_allclose(got[middle], at(middle / to_hz), atol=5e-6)


@pytest.mark.parametrize("from_hz, to_hz", [(44100, 16000), (16000, 8000)])
def test_what_the_new_rate_cannot_hold_is_taken_away(from_hz, to_hz):
    too_high = tone(to_hz / 2 * 1.06, from_hz).astype(np.float32)
    got = resampling.resample(too_high, from_hz, to_hz)
    assert np.abs(got[to_hz // 20 : -to_hz // 20]).max() < 1e-4  # -80 dB


@pytest.mark.parametrize("count", [1, 2, 441, 1000])
def test_short_sounds_are_resampled_to_the_right_length(count):
    got = resampling.resample(np.full(count, 0.5, np.float32), 44100, 16000)
    assert len(got) == -(-count * 160 // 441)


def test_files_of_another_rate_are_resampled(read):
    loud = np.where(np.arange(4000) // 40 % 2, 32767, -32768).astype("<i2")
    got = read(sound_bytes.wav(loud.tobytes(), rate=8000))
    assert len(got) == 8000
    # A square wave rings beyond its own height; samples stay within [-1, 1].
    assert np.abs(got).max() == 1.0
    same = read(sound_bytes.wav(loud.tobytes(), rate=8000), rate=8000)
    np.testing.assert_array_equal(same, loud / 32768)
