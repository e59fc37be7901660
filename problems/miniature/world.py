"""The miniature world's examples: sentences, pictures, utterances.

An example hangs on its split, its index and the seed alone, so any of them can be made
at any time, in any order. The splits have no sentence and no scene in common: the text
of a sentence, or the canonical description of a scene, decides by a checksum which
split it belongs to, and what does not belong is drawn again.
"""

import dataclasses
import functools
import random
import zlib

import numpy as np

from t2t_multimodel.data.trees import Tree, linearise
from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.problems.miniature import (
    captions,
    english,
    french,
    german,
    grammar,
    rendering,
    scene,
    speech,
)
from t2t_multimodel.problems.miniature.lexicon import NOUNS
from t2t_multimodel.problems.miniature.scene import Scene
from t2t_multimodel.problems.miniature.syntax import Statement

SHAPES = tuple(noun.english[0] for noun in NOUNS)
"""Names of the eight classes of pictures, by label."""

SENTENCE_WORDS = (6, 20)
"""Fewest and most words of a sentence, its full stop included."""

UTTERANCE_WORDS = (3, 8)
"""Fewest and most words of an utterance."""

# Remainders of the checksum modulo ten that belong to each split.
_REMAINDERS = {"train": range(2, 10), "dev": range(0, 1), "test": range(1, 2)}


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence with its tree and its translations, all from one structure.

    Words and punctuation are separated by spaces, and only German nouns are in
    capitals, also at the beginning.

    Args:
        statement: What it says.
    """

    statement: Statement

    @functools.cached_property
    def syntax(self) -> Tree:
        """The constituency tree of the English sentence."""
        return english.tree(self.statement)

    @property
    def english(self) -> str:
        """The English sentence."""
        return " ".join(self.syntax.words)

    @property
    def tree(self) -> str:
        """The tree in Penn brackets."""
        return str(self.syntax)

    @property
    def tags(self) -> str:
        """The linearised tree, without its words."""
        return " ".join(linearise(self.syntax))

    @property
    def german(self) -> str:
        """The German sentence."""
        return german.sentence(self.statement)

    @property
    def french(self) -> str:
        """The French sentence."""
        return french.sentence(self.statement)


def belongs(text: str, split: str) -> bool:
    """Whether a sentence or the description of a scene may occur in `split`.

    Raises:
        UserError: If there is no such split.
    """
    if split not in _REMAINDERS:
        raise UserError(unknown("split", split, _REMAINDERS))
    return zlib.crc32(text.encode()) % 10 in _REMAINDERS[split]


def sample_sentence(split: str, index: int, seed: int) -> Sentence:
    """Returns sentence number `index` of `split`."""
    rng = random.Random(f"sentence {seed} {split} {index}")
    fewest, most = SENTENCE_WORDS
    while True:
        sentence = Sentence(grammar.sample_statement(rng))
        if fewest <= len(sentence.syntax.words) <= most:
            if belongs(sentence.english, split):
                return sentence


def sample_scene(split: str, index: int, seed: int) -> Scene:
    """Returns the scene of picture number `index` of `split`."""
    rng = random.Random(f"scene {seed} {split} {index}")
    while True:
        drawn = scene.sample_scene(rng)
        if belongs(drawn.canonical, split):
            return drawn


def sample_image(
    split: str, index: int, seed: int
) -> tuple[Scene, np.ndarray, int, list[str]]:
    """Returns picture number `index` of `split`.

    Returns:
        The scene; the picture, `(64, 64, 3)` uint8; the label, an index in `SHAPES`
        of the largest thing's shape; five captions.
    """
    drawn = sample_scene(split, index, seed)
    rng = np.random.default_rng([seed, list(_REMAINDERS).index(split), index, 1])
    texts = [Sentence(said).english for said in captions.describe(drawn)]
    return drawn, rendering.render(drawn, rng), drawn.label, texts


def sample_utterance(split: str, index: int, seed: int) -> tuple[np.ndarray, str]:
    """Returns utterance number `index` of `split`.

    Returns:
        The waveform, float32 within [-1, 1] at 8 kHz; the words, without punctuation.
    """
    rng = random.Random(f"utterance {seed} {split} {index}")
    fewest, most = UTTERANCE_WORDS
    while True:
        words = english.tree(grammar.sample_short_statement(rng)).words[:-1]
        transcript = " ".join(words)
        if fewest <= len(words) <= most and belongs(transcript, split):
            break
    noise = np.random.default_rng([seed, list(_REMAINDERS).index(split), index, 2])
    return speech.synthesise(words, noise), transcript
