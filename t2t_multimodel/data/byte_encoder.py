"""Text to bytes and back (T2T's ByteTextEncoder)."""

from collections.abc import Iterable

from t2t_multimodel.data.reserved_ids import NUM_RESERVED_IDS, RESERVED_TOKENS

_PIECES = [
    *(name.encode() for name in RESERVED_TOKENS),
    *(bytes([byte]) for byte in range(256)),
]


class ByteTextEncoder:
    """Writes a text as the bytes of its UTF-8 form, each plus two; needs no file."""

    vocab_size = len(_PIECES)

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without end mark.

        Args:
            text: Any text; lone surrogates, which UTF-8 lacks, become question marks.
        """
        return [byte + NUM_RESERVED_IDS for byte in text.encode(errors="replace")]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of any sequence of ids.

        Args:
            ids: Ids as a model gives them. Those outside the vocabulary give nothing,
                broken characters U+FFFD; the reserved ones give their names, so cut
                the sequence at EOS before.
        """
        size = len(_PIECES)
        joined = b"".join(_PIECES[i] for i in ids if 0 <= i < size)
        return joined.decode(errors="replace")
