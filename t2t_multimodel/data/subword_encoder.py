"""Text to sub-word ids and back (T2T's SubwordTextEncoder, v1.4.4)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from t2t_multimodel.data.reserved_ids import NUM_RESERVED_IDS
from t2t_multimodel.data.segmentation import (
    END_OF_TOKEN,
    alphabet_of,
    escape,
    segment,
    unescape,
)
from t2t_multimodel.data.subword_builder import (
    DEFAULT_ITERATIONS,
    MIN_COUNT_RANGE,
    SubwordBuilder,
)
from t2t_multimodel.data.subword_file import (
    check_subtokens,
    read_subtokens,
    write_subtokens,
)
from t2t_multimodel.data.tokenizer import detokenize, tokenize

_CACHED_TOKENS = 2**20  # T2T's number


class SubwordTextEncoder:
    """Writes any text in a fixed list of strings, frequent words as one of them.

    The text is cut into words and what is between them; each token is escaped and
    cut from the left, always at the longest sub-token that fits. Nothing is unknown:
    characters that the vocabulary lacks are written as numbers. `decode(encode(text))`
    is `text` for every string. Ids and vocabulary files are T2T v1.4.4's.

    Args:
        subtokens: The entries in the order of their ids, the two reserved ones first.
            Of two equal entries the later one is used (T2T).

    Raises:
        UserError: If these entries cannot write every text.
    """

    def __init__(self, subtokens: Sequence[str]):
        check_subtokens(subtokens, "sub-tokens")
        self._subtokens = tuple(subtokens)
        self._ids = {s: i for i, s in enumerate(self._subtokens) if s}
        # The reserved entries add no characters. In T2T they do, so that it fails on a
        # text with "<" where only "<pad>" has that character; here it is escaped.
        self._alphabet = alphabet_of(self._subtokens[NUM_RESERVED_IDS:])
        self._max_length = max(map(len, self._subtokens))
        self._cache: dict[str, tuple[int, ...]] = {}

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a vocabulary file of T2T v1.0.7 to v1.4.4, or one of `save`.

        Raises:
            UserError: If the file is missing or malformed, with the line at fault.
        """
        return cls(read_subtokens(path))

    @classmethod
    def from_subtokens(cls, subtokens: Sequence[str]) -> Self:
        """Takes the entries in the order of their ids, as `subtokens` gives them.

        Raises:
            UserError: If these entries cannot write every text.
        """
        return cls(subtokens)

    @classmethod
    def build(
        cls,
        token_counts: Mapping[str, int],
        min_count: int,
        *,
        num_iterations: int = DEFAULT_ITERATIONS,
        max_subtoken_length: int | None = None,
    ) -> Self:
        """Builds a vocabulary of the strings that occur often enough.

        Args:
            token_counts: How often each token occurs, from `count_tokens`.
            min_count: Occurrences that make a string a sub-token.
            num_iterations: Rounds of cutting and counting.
            max_subtoken_length: Characters; None takes any length.

        Raises:
            UserError: If there are no tokens or a number is out of range.
        """
        builder = SubwordBuilder(token_counts, max_subtoken_length)
        return cls(builder.build(min_count, num_iterations=num_iterations))

    @classmethod
    def build_to_target_size(
        cls,
        target_size: int,
        token_counts: Mapping[str, int],
        *,
        min_count_range: tuple[int, int] = MIN_COUNT_RANGE,
        num_iterations: int = DEFAULT_ITERATIONS,
        max_subtoken_length: int | None = None,
    ) -> Self:
        """Builds the vocabulary nearest to a size that halving the range finds.

        Args:
            target_size: Entries wanted, the reserved ones included; within 1 % is near
                enough.
            token_counts: How often each token occurs, from `count_tokens`.
            min_count_range: Lowest and highest minimum count to consider.
            num_iterations: Rounds of cutting and counting.
            max_subtoken_length: Characters; None takes any length.

        Raises:
            UserError: If there are no tokens or a number is out of range.
        """
        builder = SubwordBuilder(token_counts, max_subtoken_length)
        return cls(
            builder.build_to_target_size(
                target_size,
                min_count_range=min_count_range,
                num_iterations=num_iterations,
            )
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the vocabulary file; its name appears when it is complete."""
        write_subtokens(path, self._subtokens)

    @property
    def vocab_size(self) -> int:
        """Number of ids, the reserved ones included."""
        return len(self._subtokens)

    @property
    def subtokens(self) -> tuple[str, ...]:
        """The entries in the order of their ids, the reserved ones first."""
        return self._subtokens

    @property
    def alphabet(self) -> frozenset[str]:
        """The characters that stand for themselves in escaped tokens."""
        return self._alphabet

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without end mark.

        Args:
            text: Any text; an empty one has no ids.
        """
        cache = self._cache
        ids: list[int] = []
        for token in tokenize(text):
            found = cache.get(token)
            if found is None:
                if len(cache) >= _CACHED_TOKENS:
                    cache.clear()
                found = cache[token] = self._token_ids(token)
            ids.extend(found)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of any sequence of ids.

        Args:
            ids: Ids as a model gives them. Those outside the vocabulary give nothing;
                the reserved ones give their names, so cut the sequence at EOS before.
        """
        entries, size = self._subtokens, len(self._subtokens)
        joined = "".join(entries[i] for i in ids if 0 <= i < size)
        tokens = (unescape(token) for token in joined.split(END_OF_TOKEN) if token)
        return detokenize(token for token in tokens if token)

    def _token_ids(self, token: str) -> tuple[int, ...]:
        pieces = segment(escape(token, self._alphabet), self._ids, self._max_length)
        return tuple(self._ids[piece] for piece in pieces)
