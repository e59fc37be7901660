"""The text encoders as TensorFlow operations, for models that take raw strings.

Ids and texts are those of the encoders in Python, for every string and every sequence
of ids. Strings are UTF-8; what is not is read as U+FFFD, as Python's
`bytes.decode(errors="replace")` reads it.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from t2t_multimodel.data.byte_encoder import ByteTextEncoder
from t2t_multimodel.data.reserved_ids import (
    EOS_ID,
    NUM_RESERVED_IDS,
    PAD_ID,
    RESERVED_TOKENS,
)
from t2t_multimodel.data.segmentation import END_OF_TOKEN, escape
from t2t_multimodel.data.subword_encoder import SubwordTextEncoder
from t2t_multimodel.data.text_encoder import TextEncoder
from t2t_multimodel.data.tokenizer import word_boundaries
from t2t_multimodel.errors import UserError

_LONGEST_SUBTOKEN_BYTES = 256  # what tensorflow-text takes
# No escaped token holds a line end, so this entry is never met in a text.
_UNMATCHED = "\n"
_LARGEST_CODE_POINT = 0x10FFFF


class TextGraph(Protocol):
    """Texts to ids and back, in a graph."""

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns `(B, T)` int32 ids of `(B,)` strings, without end marks."""

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns `(B,)` strings of `(B, T)` int32; ids that are none give nothing."""


def text_graph(encoder: TextEncoder) -> TextGraph:
    """Returns the graph form of an encoder.

    Raises:
        UserError: If it has none.
    """
    if isinstance(encoder, SubwordTextEncoder):
        return SubwordGraph(encoder)
    if isinstance(encoder, ByteTextEncoder):
        return ByteGraph()
    raise UserError(
        f"texts of a {type(encoder).__name__} cannot be encoded in a graph; only "
        "sub-words and bytes can"
    )


def until_eos(ids: tf.Tensor) -> tf.Tensor:
    """Returns `(B, T)` ids, from EOS or padding on -1, which decodes to nothing."""
    is_end = (ids == EOS_ID) | (ids == PAD_ID)
    return tf.where(tf.cumsum(tf.cast(is_end, tf.int32), axis=1) > 0, -1, ids)


class ByteGraph:
    """`ByteTextEncoder` as graph operations."""

    def __init__(self) -> None:
        names = [name.encode() for name in RESERVED_TOKENS]
        self._pieces = names + [bytes([byte]) for byte in range(256)]

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See `TextGraph`."""
        utf8 = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        return tf.cast(tf_text.ByteSplitter().split(utf8), tf.int32) + NUM_RESERVED_IDS

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        """See `TextGraph`."""
        joined = _join_entries(self._pieces, ids)
        return tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8", errors="replace")


class SubwordGraph:
    """`SubwordTextEncoder` as graph operations.

    What letters and numbers are is fixed here, as this Python has it: TensorFlow's
    regular expressions know other versions of Unicode. Lone surrogates, which only a
    model can write, come out as U+FFFD.

    Args:
        encoder: The encoder.

    Raises:
        UserError: If a sub-token is too long for tensorflow-text.
    """

    def __init__(self, encoder: SubwordTextEncoder) -> None:
        self._entries = encoder.subtokens
        self._boundaries = np.array(word_boundaries(), np.int32)
        alphabet = sorted(encoder.alphabet - {_UNMATCHED})
        self._alphabet = np.array([ord(c) for c in alphabet], np.int32)
        self._escaped = [
            escape(c, encoder.alphabet).removesuffix(END_OF_TOKEN) for c in alphabet
        ]
        # Of two equal entries the later one counts, and empty ones never.
        ids = {entry: i for i, entry in enumerate(self._entries) if entry}
        ids.pop(_UNMATCHED, None)
        self._ids_of_pieces = np.array([*ids.values(), PAD_ID], np.int32)
        self._segmenter = _segmenter([*ids, _UNMATCHED])

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See `TextGraph`."""
        num_texts = tf.shape(texts, out_type=tf.int64)[0]
        characters = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        words, text_of_word = self._words(
            characters.flat_values, characters.value_rowids()
        )
        pieces = self._segmenter.tokenize(words)
        return tf.RaggedTensor.from_value_rowids(
            tf.gather(self._ids_of_pieces, pieces.flat_values),
            tf.gather(text_of_word, pieces.value_rowids()),
            num_texts,
        )

    def decode(self, ids: tf.Tensor) -> tf.Tensor:
        """See `TextGraph`."""
        joined = _join_entries(self._entries, ids)
        split = tf.strings.split(joined, END_OF_TOKEN)
        words = _unescape(split.flat_values)
        keep = words != ""
        words = tf.boolean_mask(words, keep)
        text_of_word = tf.boolean_mask(split.value_rowids(), keep)
        first = tf.strings.substr(words, 0, 1, unit="UTF8_CHAR")
        is_word = self._is_word(tf.strings.unicode_decode(first, "UTF-8").flat_values)
        follows = _equal_to_previous(text_of_word) & is_word
        follows &= tf.concat([[False], is_word], 0)[:-1]
        words = tf.where(follows, " ", "") + words
        return _join_segments(words, text_of_word, tf.shape(ids, tf.int64)[0])

    def _is_word(self, characters: tf.Tensor) -> tf.Tensor:
        """Returns whether code points `(N,)` are letters or numbers."""
        number = tf.searchsorted(self._boundaries, characters, side="right")
        return number % 2 == 1

    def _words(
        self, characters: tf.Tensor, text_of: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns escaped tokens, and the number of the text that each one is of.

        Args:
            characters: `(N,)` code points of all texts.
            text_of: `(N,)` the number of the text that each one is of.
        """
        is_word = self._is_word(characters)
        begins = ~(_equal_to_previous(text_of) & _equal_to_previous(is_word))
        run_of = tf.cumsum(tf.cast(begins, tf.int64)) - 1
        starts = tf.where(begins)[:, 0]
        num_characters = tf.size(characters, tf.int64)
        lengths = tf.concat([starts[1:], [num_characters]], 0)[: tf.size(starts)]
        lengths -= starts
        runs = _join_segments(
            self._escape(characters), run_of, tf.size(starts, tf.int64)
        )
        text_of = tf.gather(text_of, starts)
        follows = _equal_to_previous(text_of)
        is_last = ~tf.concat([follows, [False]], 0)[1:]
        is_space = (lengths == 1) & (tf.gather(characters, starts) == ord(" "))
        keep = ~is_space | ~follows | is_last
        words = tf.boolean_mask(runs, keep) + END_OF_TOKEN
        return words, tf.boolean_mask(text_of, keep)

    def _escape(self, characters: tf.Tensor) -> tf.Tensor:
        nearest = tf.searchsorted(self._alphabet, characters)
        nearest = tf.minimum(nearest, len(self._alphabet) - 1)
        return tf.where(
            tf.gather(self._alphabet, nearest) == characters,
            tf.gather(tf.constant(self._escaped), nearest),
            "\\" + tf.strings.as_string(characters) + ";",
        )


def _segmenter(entries: Sequence[str]) -> tf_text.FastWordpieceTokenizer:
    for entry in entries:
        if len(entry.encode()) > _LONGEST_SUBTOKEN_BYTES:
            raise UserError(
                f"sub-token {entry[:20]!r}... has {len(entry.encode())} bytes, a graph "
                f"takes {_LONGEST_SUBTOKEN_BYTES}; build the vocabulary with a smaller "
                "max_subtoken_length"
            )
    return tf_text.FastWordpieceTokenizer(
        vocab=entries,
        suffix_indicator="",
        max_bytes_per_word=2**31 - 1,
        token_out_type=tf.int32,
        unknown_token=_UNMATCHED,
        no_pretokenization=True,
        support_detokenization=False,
    )


def _unescape(words: tf.Tensor) -> tf.Tensor:
    """Undoes `segmentation.escape` for `(N,)` words without their underscores."""
    # None is left in them, so it can stand round what is to be replaced.
    marked = tf.strings.regex_replace(
        words, r"(\\u|\\\\|\\[0-9]+;)", f"{END_OF_TOKEN}\\1{END_OF_TOKEN}"
    )
    split = tf.strings.split(marked, END_OF_TOKEN)
    parts = split.flat_values
    is_number = tf.strings.regex_full_match(parts, r"\\[0-9]+;")
    digits = tf.strings.regex_replace(parts, r"^\\0*([0-9]+);$", r"\1")
    # Seven digits always fit into an integer, and no code point has more.
    is_number_in_range = is_number & (tf.strings.length(digits) <= 7)
    number = tf.strings.to_number(tf.where(is_number_in_range, digits, "-1"), tf.int32)
    is_character = (number >= 0) & (number <= _LARGEST_CODE_POINT)
    character = tf.strings.unicode_encode(
        tf.where(is_character, number, 0)[:, None], "UTF-8", errors="replace"
    )
    parts = tf.where(is_number, tf.where(is_character, character, ""), parts)
    parts = tf.where(split.flat_values == "\\u", END_OF_TOKEN, parts)
    parts = tf.where(split.flat_values == "\\\\", "\\", parts)
    return _join_segments(parts, split.value_rowids(), tf.size(words, tf.int64))


def _join_entries(entries: Sequence[str | bytes], ids: tf.Tensor) -> tf.Tensor:
    """Returns `(B,)` the entries of `(B, T)` ids, one after another."""
    is_id = (ids >= 0) & (ids < len(entries))
    pieces = tf.gather(tf.constant(entries), tf.where(is_id, ids, 0))
    return tf.strings.reduce_join(tf.where(is_id, pieces, ""), axis=1)


def _join_segments(
    pieces: tf.Tensor, segments: tf.Tensor, num_segments: tf.Tensor
) -> tf.Tensor:
    return tf.strings.unsorted_segment_join(pieces, segments, num_segments)


def _equal_to_previous(x: tf.Tensor) -> tf.Tensor:
    """Returns `(N,)` bool, False for the first."""
    return tf.concat([tf.zeros_like(x[:1], tf.bool), x[1:] == x[:-1]], 0)
