"""What every text encoder does, and the encoders there are.

The names that the rest of the library needs are all imported from here.
"""

from collections.abc import Iterable
from typing import Protocol

from t2t_multimodel.data.byte_encoder import ByteTextEncoder
from t2t_multimodel.data.reserved_ids import (
    EOS_ID,
    NUM_RESERVED_IDS,
    PAD_ID,
    RESERVED_TOKENS,
)
from t2t_multimodel.data.subword_encoder import SubwordTextEncoder
from t2t_multimodel.data.tokenizer import count_tokens, detokenize, tokenize

__all__ = [
    "EOS_ID",
    "NUM_RESERVED_IDS",
    "PAD_ID",
    "RESERVED_TOKENS",
    "ByteTextEncoder",
    "SubwordTextEncoder",
    "TextEncoder",
    "count_tokens",
    "detokenize",
    "tokenize",
]


class TextEncoder(Protocol):
    """Text to ids and back. Ids 0 and 1 are reserved (`PAD_ID`, `EOS_ID`)."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, the reserved ones included."""

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without end mark."""

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of any sequence of ids."""
