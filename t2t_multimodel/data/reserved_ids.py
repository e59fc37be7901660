"""The two ids that every text encoder leaves free (T2T)."""

PAD_ID = 0
"""Fills a batch behind the shorter sequences; never part of a text."""

EOS_ID = 1
"""Ends a sequence. Whoever stores a text appends it; no encoder does."""

RESERVED_TOKENS = ("<pad>", "<EOS>")
"""Names of the reserved ids, in order, as vocabulary files and decoders write them."""

NUM_RESERVED_IDS = len(RESERVED_TOKENS)
"""The first id that stands for text."""
