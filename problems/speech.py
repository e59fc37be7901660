"""Speech with transcripts: the Wall Street Journal, and LibriSpeech in its stead."""

import abc
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from t2t_multimodel.data import plain_files, sound_files, sphere, transcripts
from t2t_multimodel.data.features import BYTES, TOKENS_8K, Audio, Text
from t2t_multimodel.data.raw_example import BadExample, RawExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.data.tfds_corpus import TfdsCorpus
from t2t_multimodel.data.transcripts import Utterance
from t2t_multimodel.data.wsj_corpus import WsjCorpus
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem, Source
from t2t_multimodel.registry import register_problem

BATCH_SIZE_MULTIPLIER = 512
"""Positions of a spectrogram (frames times bins) that count as one token (T2T)."""

SPECTROGRAM = Audio(form="spectrogram")
"""80 mel bins of 25 ms every 10 ms, at 16 kHz."""

WAVEFORM = Audio(form="waveform")
"""16,000 samples a second."""

_TOKENS = Text(space=SpaceId.ENGLISH_TOKENS, vocabulary=TOKENS_8K)
_CHARACTERS = Text(space=SpaceId.ENGLISH_CHARACTERS, vocabulary=BYTES)


class _Part(NamedTuple):
    """A part of LibriSpeech: its folder, the size of its archive, and TFDS's name."""

    folder: str
    size: str
    tfds_split: str


class SpeechProblem(Problem):
    """What is said in sound files, in lower-case words.

    T2T's spaces, loss multiplier and batch size multiplier of `audio_wsj_*` (v1.0.3).
    """

    inputs = SPECTROGRAM
    targets = _TOKENS
    loss_multiplier = 2.0
    batch_size_multiplier = BATCH_SIZE_MULTIPLIER
    num_shards = {"train": 100, "dev": 1, "test": 1}

    @abc.abstractmethod
    def utterances(
        self, split: str, tmp_dir: pathlib.Path
    ) -> Iterator[Utterance | BadExample]:
        """Yields the utterances of a split."""

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the utterances of a split; sound is read when it is written."""
        del seed
        for utterance in self.utterances(split, tmp_dir):
            yield raw_example(utterance, self.inputs, str.lower)


def raw_example(
    utterance: Utterance | BadExample,
    inputs: Audio,
    spell: Callable[[str], str] = str,
    channel: int | None = None,
) -> RawExample | BadExample:
    """Returns the raw example of an utterance; its sound is read when it is needed.

    Args:
        utterance: From one of the readers of lists.
        inputs: Says the sample rate.
        spell: Changes the words.
        channel: The channel wanted, counted from 1; `None` averages all.
    """
    if isinstance(utterance, BadExample):
        return utterance
    return {
        "inputs": functools.partial(
            sound_files.read_waveform, utterance.sound, inputs.sample_rate_hz, channel
        ),
        "targets": spell(utterance.text),
        "place": utterance.place,
    }


@register_problem("audio_wsj_tokens8k")
class AudioWsjTokens8k(SpeechProblem):
    """English news read aloud (Wall Street Journal) to words, 8k sub-words."""

    source = "LDC93S6A (WSJ0) and LDC94S13A (WSJ1), licensed by the LDC"
    known_sizes = {"train": 37_416, "dev": 503, "test": 333}

    def utterances(
        self, split: str, tmp_dir: pathlib.Path
    ) -> Iterator[Utterance | BadExample]:
        """Yields si284, dev93 or eval92 from the discs below `tmp_dir/wsj`."""
        corpus = WsjCorpus(tmp_dir / "wsj")
        if not corpus.folder.is_dir():
            raise UserError(
                f"there is no {corpus.folder}; put the discs of LDC93S6A and LDC94S13A "
                "(https://catalog.ldc.upenn.edu, licensed) there"
            )
        yield from corpus.utterances(split)

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns the two corpora."""
        corpus = WsjCorpus(tmp_dir / "wsj")
        return [
            Source(
                what,
                splits,
                f"https://catalog.ldc.upenn.edu/{number}",
                "LDC User Agreement, for members or a fee",
                f"{corpus.folder}: the discs ({discs}) or one merged tree {part}",
                (*corpus.missing(part), *_missing_sph2pipe(corpus, part)),
            )
            for part, what, number, splits, discs in (
                (
                    "wsj0",
                    "CSR-I (WSJ0) Complete",
                    "LDC93S6A",
                    ("train", "test"),
                    "11-*",
                ),
                (
                    "wsj1",
                    "CSR-II (WSJ1) Complete",
                    "LDC94S13A",
                    ("train", "dev"),
                    "13-*",
                ),
            )
        ]

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns how many listed sound files are there."""
        corpus = WsjCorpus(tmp_dir / "wsj")
        try:
            return sum(corpus.sound(name) is not None for name in corpus.listed(split))
        except UserError:
            return None

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the names, sizes and times of lists, texts and sounds."""
        return plain_files.state_of_files(WsjCorpus(tmp_dir / "wsj").paths())


@register_problem("audio_wsj_tokens8k_waveform")
class AudioWsjTokens8kWaveform(AudioWsjTokens8k):
    """As audio_wsj_tokens8k, from the waveform (the net that T2T wired it to)."""

    inputs = WAVEFORM


@register_problem("audio_wsj_characters")
class AudioWsjCharacters(AudioWsjTokens8k):
    """English news read aloud (Wall Street Journal) to characters."""

    targets = _CHARACTERS


@register_problem("audio_librispeech_tokens8k")
class AudioLibrispeechTokens8k(SpeechProblem):
    """Free stand-in for audio_wsj_tokens8k: audio books (LibriSpeech) to words."""

    source = "LibriSpeech (https://www.openslr.org/12), CC BY 4.0"
    known_sizes = {"train": 28_539, "dev": 2_703, "test": 2_620}
    parts = {
        "train": _Part("train-clean-100", "6.3 GB", "train_clean100"),
        "dev": _Part("dev-clean", "337 MB", "dev_clean"),
        "test": _Part("test-clean", "346 MB", "test_clean"),
    }
    tfds = TfdsCorpus("librispeech", size="57 GiB download, about 300 GiB prepared")

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields train-clean-100, dev-clean or test-clean."""
        if not self._is_in_tfds(split, tmp_dir):
            yield from super().examples(split, tmp_dir=tmp_dir, seed=seed)
            return
        for example in self.tfds.read(self.parts[split].tfds_split):
            yield {
                "inputs": functools.partial(_from_int16, example["speech"]),
                "targets": example["text"].decode("utf-8").strip().lower(),
                "place": f"TFDS {self.tfds.name} {example['id'].decode('utf-8')}",
            }

    def utterances(
        self, split: str, tmp_dir: pathlib.Path
    ) -> Iterator[Utterance | BadExample]:
        """Yields the utterances of a split's folder."""
        folder = self._folder(split, tmp_dir)
        if not folder.is_dir():
            name, size, _ = self.parts[split]
            raise UserError(
                f"there is no {folder}; unpack {name}.tar.gz ({size}, "
                f"https://www.openslr.org/12) in {tmp_dir}, or prepare all of "
                f"LibriSpeech ({self.tfds.size}) with '{self.tfds.command()}'"
            )
        yield from transcripts.read_trans_tree(folder)

    def vocabulary_texts(
        self, tmp_dir: pathlib.Path
    ) -> Iterator[tuple[Text, Iterator[str]]]:
        """Yields the transcripts of train, without reading sound for them."""
        if not self._is_in_tfds("train", tmp_dir):
            yield from super().vocabulary_texts(tmp_dir)
            return
        read = self.tfds.read(self.parts["train"].tfds_split, features={"text": True})
        texts = (example["text"].decode("utf-8").strip().lower() for example in read)
        yield self.targets, texts

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns the three archives."""
        return [
            Source(
                f"LibriSpeech {name} ({size})",
                (split,),
                "https://www.openslr.org/12",
                "CC BY 4.0",
                f"{self._folder(split, tmp_dir)}, or TFDS {self.tfds.name} in "
                f"{self.tfds.data_dir}",
                tuple(self._missing(split, tmp_dir)),
            )
            for split, (name, size, _) in self.parts.items()
        ]

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns the number of transcripts, of TFDS if that is what is there."""
        folder = self._folder(split, tmp_dir)
        if folder.is_dir():
            return sum(1 for _ in transcripts.read_trans_tree(folder))
        return self.tfds.num_examples(self.parts[split].tfds_split)

    def source_state(self, tmp_dir: pathlib.Path) -> str:
        """Returns a digest of the names, sizes and times of all files of the splits."""
        folders = (self._folder(split, tmp_dir) for split in self.parts)
        return plain_files.state_of_files(
            path
            for folder in folders
            if folder.is_dir()
            for path in transcripts.files_below(folder)
        )

    def _folder(self, split: str, tmp_dir: pathlib.Path) -> pathlib.Path:
        return tmp_dir / "LibriSpeech" / self.parts[split].folder

    def _is_in_tfds(self, split: str, tmp_dir: pathlib.Path) -> bool:
        return not self._folder(split, tmp_dir).is_dir() and self.tfds.is_prepared()

    def _missing(self, split: str, tmp_dir: pathlib.Path) -> Iterator[str]:
        folder = self._folder(split, tmp_dir)
        if not folder.is_dir():
            if not self.tfds.is_prepared():
                yield f"{folder}"
            return
        try:
            found = list(transcripts.read_trans_tree(folder))
        except UserError as error:
            yield str(error)
            return
        sounds = [each.sound for each in found if isinstance(each, Utterance)]
        absent = [path for path in sounds if not path.exists()]
        if absent:
            yield (
                f"{len(absent):,} of {len(found):,} sound files, the first {absent[0]}"
            )
        if importlib.util.find_spec("soundfile") is None and any(
            path.suffix.lower() == ".flac" for path in sounds
        ):
            yield (
                "the package soundfile, which reads FLAC: pip install "
                "'t2t-multimodel[audio]'"
            )


@register_problem("audio_librispeech_tokens8k_waveform")
class AudioLibrispeechTokens8kWaveform(AudioLibrispeechTokens8k):
    """As audio_librispeech_tokens8k, from the waveform."""

    inputs = WAVEFORM


def _from_int16(samples: Any) -> np.ndarray:
    return np.asarray(samples, np.float32) / np.float32(1 << 15)


def _missing_sph2pipe(corpus: WsjCorpus, part: str) -> list[str]:
    try:
        names = [
            name for split in ("train", "dev", "test") for name in corpus.listed(split)
        ]
    except UserError:  # A list is missing, which is told already.
        return []
    sounds = (corpus.sound(name) for name in names if name.startswith(part))
    first = next((path for path in sounds if path is not None), None)
    if first is None or not sphere.is_compressed(first):
        return []
    try:
        sphere.find_sph2pipe()
    except UserError as error:
        return [f"a program: {first} {error}"]
    return []
