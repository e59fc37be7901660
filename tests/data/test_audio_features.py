"""Spectrograms show what is heard."""

import numpy as np
import pytest
import tensorflow as tf

from t2t_multimodel.data import audio_features
from t2t_multimodel.data.features import Audio
from t2t_multimodel.errors import UserError

FEATURE = Audio(form="spectrogram", sample_rate_hz=16000)


def tone(hz, seconds=0.5, rate=16000, loudness=0.5):
    time = np.arange(int(seconds * rate)) / rate
    return (loudness * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def spectrogram(waveform, feature=FEATURE):
    return audio_features.log_mel_spectrogram_numpy(waveform, feature)


def test_windows_of_25_ms_every_10_ms():
    assert audio_features.frame_sizes(FEATURE) == (400, 160, 512)
    for samples in (1, 399, 400, 559, 560, 16000):
        got = spectrogram(np.full(samples, 0.1, np.float32)).shape
        assert got == (audio_features.num_frames(samples, FEATURE), 80)


def test_a_higher_tone_is_in_a_higher_bin():
    bins = [spectrogram(tone(hz)).mean(axis=0).argmax() for hz in (200, 800, 3000)]
    assert bins == sorted(set(bins))


def test_an_utterance_has_mean_0_and_deviation_1_whatever_its_loudness():
    loud, quiet = (spectrogram(tone(440, loudness=x)) for x in (0.8, 0.2))
    for logs in (loud, quiet):
        assert abs(logs.mean()) < 1e-4
        assert abs(logs.std() - 1) < 1e-3
    assert np.abs(loud - quiet).max() < 0.3


def test_silence_is_finite():
    assert np.isfinite(spectrogram(np.zeros(8000, np.float32))).all()


def test_runs_in_a_graph():
    waves = tf.data.Dataset.from_tensors(tone(440)).map(
        lambda wave: audio_features.log_mel_spectrogram(wave, FEATURE)
    )
    [got] = waves.as_numpy_iterator()
    np.testing.assert_allclose(got, spectrogram(tone(440)), atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_default_bins_all_hear_something(rate):
    feature = Audio(form="spectrogram", sample_rate_hz=rate)
    assert spectrogram(tone(440, rate=rate), feature).shape[1] == 80


def test_too_many_bins_are_told():
    feature = Audio(form="spectrogram", sample_rate_hz=16000, num_bins=400)
    with pytest.raises(UserError, match="num_bins=400 is too many"):
        spectrogram(tone(440), feature)
