"""A formant synthesiser: turns words into speech of several speakers.

Source and filter, in the frequency domain: pulses and white noise are cut into short
frames, each frame's spectrum is shaped by the formants of its moment, and the frames
are added up again.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from t2t_multimodel.problems.miniature.pronunciation import (
    PAUSE,
    Kind,
    Phoneme,
    phonemes,
)

SAMPLE_RATE_HZ = 8000

_HOP = 40  # samples, 5 ms
_WINDOW = 160  # samples, 20 ms
_FFT = 280  # samples; a multiple of the hop, with room for the filter's ringing
_HOP_SECONDS = _HOP / SAMPLE_RATE_HZ
_SILENCE_SECONDS = 0.08  # before and after an utterance
_BURST_SECONDS = 0.025
_BANDWIDTHS_HZ = (80.0, 110.0, 160.0)
_NEUTRAL_HZ = (500.0, 1500.0, 2500.0)
_SMOOTHING_FRAMES = 7  # formants glide over 35 ms, which blurs neighbours
_SNR_DB = (15.0, 30.0)


@dataclasses.dataclass(frozen=True)
class Speaker:
    """A voice.

    Args:
        pitch_hz: Middle of the pitch.
        formant_scale: Factor of all formants; shorter vocal tracts have higher ones.
        tempo: Factor of all lengths.
    """

    pitch_hz: float
    formant_scale: float
    tempo: float


SPEAKERS = (
    Speaker(98.0, 0.96, 0.88),
    Speaker(112.0, 1.00, 0.78),
    Speaker(130.0, 1.03, 0.83),
    Speaker(185.0, 1.10, 0.88),
    Speaker(208.0, 1.14, 0.75),
    Speaker(232.0, 1.17, 0.83),
)


@dataclasses.dataclass
class _Tracks:
    """What the synthesiser needs to know of each frame, `L` frames of 5 ms.

    Args:
        formants_hz: `(L, 3)`.
        voice: `(L,)` loudness of the voice.
        noise: `(L,)` loudness of the hiss.
        noise_hz: `(L, 2)` centre and width of the hiss.
    """

    formants_hz: np.ndarray
    voice: np.ndarray
    noise: np.ndarray
    noise_hz: np.ndarray


def synthesise(words: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Returns the words spoken by a random speaker, with background noise.

    Args:
        words: English words that the pronouncing lexicon has.
        rng: Decides speaker, lengths, pitch and noise.

    Returns:
        Samples at 8 kHz, float32 within [-1, 1].
    """
    speaker = SPEAKERS[rng.integers(len(SPEAKERS))]
    tracks = _tracks(words, speaker, rng)
    samples = _filtered(tracks, speaker, rng)
    samples *= rng.uniform(0.4, 0.8) / np.abs(samples).max()
    power = np.mean(samples**2)
    noise_power = power * 10 ** (-rng.uniform(*_SNR_DB) / 10)
    samples += rng.standard_normal(samples.shape, np.float32) * np.sqrt(noise_power)
    return np.clip(samples, -1.0, 1.0)


def _tracks(
    words: Sequence[str], speaker: Speaker, rng: np.random.Generator
) -> _Tracks:
    """Lays the sounds of the words out in time."""
    sounds = [PAUSE]
    for word in words:
        sounds += [*phonemes(word), PAUSE]
    formants = _targets(sounds)
    rows: list[tuple[float, ...]] = []
    counts: list[int] = []
    for index, (sound, target) in enumerate(zip(sounds, formants, strict=True)):
        seconds = sound.seconds * speaker.tempo * rng.uniform(0.85, 1.2)
        if index in (0, len(sounds) - 1):
            seconds = _SILENCE_SECONDS
        hiss = 0.0 if sound.kind is Kind.STOP else sound.noise
        rows.append((*target, sound.voice, hiss, *sound.noise_hz))
        counts.append(max(2, round(seconds / _HOP_SECONDS)))
        if sound.kind is Kind.STOP:
            rows.append((*target, sound.voice, sound.noise, *sound.noise_hz))
            counts.append(max(2, round(_BURST_SECONDS / _HOP_SECONDS)))
    frames = np.repeat(np.asarray(rows, np.float32), counts, axis=0)
    shift = speaker.formant_scale * rng.normal(1.0, 0.01)
    return _Tracks(
        formants_hz=_smoothed(frames[:, :3], _SMOOTHING_FRAMES) * shift,
        voice=_smoothed(frames[:, 3:4], 3)[:, 0],
        noise=_smoothed(frames[:, 4:5], 3)[:, 0],
        noise_hz=frames[:, 5:],
    )


def _targets(sounds: Sequence[Phoneme]) -> list[tuple[float, float, float]]:
    """Formants of each sound; what has none takes those of the next that has."""
    targets: list[tuple[float, float, float]] = []
    following = _NEUTRAL_HZ
    for sound in reversed(sounds):
        following = sound.formants_hz or following
        targets.append(following)
    return targets[::-1]


def _smoothed(frames: np.ndarray, width: int) -> np.ndarray:
    """Running mean over `width` frames, an odd number; the ends are held."""
    padded = np.pad(frames, ((width // 2 + 1, width // 2), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    return (sums[width:] - sums[:-width]) / width


def _filtered(
    tracks: _Tracks, speaker: Speaker, rng: np.random.Generator
) -> np.ndarray:
    """Shapes pulses and noise by the tracks; returns the samples."""
    count = len(tracks.voice)
    length = (count - 1) * _HOP + _WINDOW
    pulses = _pulses(length, speaker, rng)
    hiss = rng.standard_normal(length, np.float32)
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    starts = np.arange(count)[:, None] * _HOP + np.arange(_WINDOW)
    frequencies = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    voiced = np.fft.rfft(pulses[starts] * window, _FFT)
    voiced *= _resonances(frequencies, tracks.formants_hz) * tracks.voice[:, None]
    hissed = np.fft.rfft(hiss[starts] * window, _FFT)
    centre, width = tracks.noise_hz[:, :1], tracks.noise_hz[:, 1:]
    band = 1.0 / (1.0 + np.square((frequencies - centre) / (0.5 * width)) ** 2)
    hissed *= band * tracks.noise[:, None]
    frames = np.fft.irfft(voiced + hissed, _FFT)
    steps = _FFT // _HOP
    blocks = frames.reshape(count, steps, _HOP)
    samples = np.zeros((count + steps, _HOP), np.float32)
    for step in range(steps):
        samples[step : step + count] += blocks[:, step]
    return samples.reshape(-1)


def _pulses(length: int, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    """The voice's pulses: pitch falls along the utterance and trembles a little."""
    time = np.linspace(0.0, 1.0, length)
    wave = 0.04 * np.sin(2 * np.pi * (time * rng.uniform(1.0, 3.0) + rng.random()))
    fall = 1.08 - 0.16 * time
    pitch = speaker.pitch_hz * rng.uniform(0.94, 1.06) * (fall + wave)
    cycles = np.cumsum(pitch / SAMPLE_RATE_HZ)
    pulses = np.diff(np.floor(cycles), prepend=0.0)
    # The same power at any pitch.
    return (pulses * np.sqrt(SAMPLE_RATE_HZ / pitch)).astype(np.float32)


def _resonances(frequencies: np.ndarray, formants_hz: np.ndarray) -> np.ndarray:
    """Frequency response of the vocal tract, `(L, F)` complex."""
    squared = frequencies**2
    inverse = np.ones((len(formants_hz), len(frequencies)), np.complex64)
    for index, bandwidth in enumerate(_BANDWIDTHS_HZ):
        formant_squared = formants_hz[:, index : index + 1] ** 2
        ringing = 1j * bandwidth * frequencies
        inverse *= (formant_squared - squared + ringing) / formant_squared
    slope = 1.0 + frequencies / 1000.0  # of the glottis, falling
    return 1.0 / (inverse * slope)
