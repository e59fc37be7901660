"""A shard on its way: pieces on the disk, and how far the examples in them go.

While examples are dealt, each shard is a row of pieces `unfinished.<shard>.000`, ...
and, once some of them are closed, `unfinished.<shard>.json`, which says what they
hold. A run that was killed goes on behind the last closed piece. When the split has
been dealt to its end, the pieces are joined, for training in shuffled order, and the
result gets the shard's name.
"""

import array
import contextlib
import os
import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.data import disk, shard_index, shard_state
from t2t_multimodel.data.skipped import SkippedExample

_WRITE_BUFFER_BYTES = 1 << 20
_FRAMES_AT_ONCE = 1 << 14


class UnfinishedShard:
    """A shard that is being dealt.

    Args:
        shard: The path it will have.
    """

    def __init__(self, shard: pathlib.Path) -> None:
        self.shard = shard
        self.state = shard_state.load(shard)
        self._writer: Any = None

    def add(self, record: bytes) -> None:
        """Appends a record.

        Raises:
            UserError: If the disk is full.
        """
        with disk.writing(self.shard.parent):
            if self._writer is None:
                self._writer = tf.io.TFRecordWriter(str(self._open_piece))
            self._writer.write(record)

    def skip(self, example: SkippedExample) -> None:
        """Notes that an example is left out."""
        self.state.skipped.append(example)

    def keep(self, next_example: int, num_examples: int | None = None) -> None:
        """Closes the piece and writes down how far the pieces go.

        Args:
            next_example: Number of the first example that is not dealt yet.
            num_examples: Examples of the whole split, if all are dealt.

        Raises:
            UserError: If the disk is full.
        """
        with disk.writing(self.shard.parent):
            if self._writer is not None:
                self._writer.close()
                self._writer = None
                self.state.piece_bytes.append(self._open_piece.stat().st_size)
            self.state.next_example = next_example
            self.state.num_examples = num_examples
            self.state.save(self.shard)

    def finish(self, shuffle_key: str) -> None:
        """Joins the pieces and gives the shard its name.

        Records are copied one by one from where they stand: a shard of any size takes
        about 50 bytes of memory a record.

        Args:
            shuffle_key: Decides the order; an empty one keeps that of the dealing.

        Raises:
            UserError: If the disk is full.
        """
        count = len(self.state.piece_bytes)
        pieces = [shard_state.piece_path(self.shard, n) for n in range(count)]
        joined = shard_state.working_path(self.shard, "joined")
        with contextlib.ExitStack() as stack:
            stack.enter_context(disk.writing(self.shard.parent))
            files = [stack.enter_context(open(piece, "rb")) for piece in pieces]
            out = stack.enter_context(open(joined, "wb", _WRITE_BUFFER_BYTES))
            for number, begin, size in _frames(pieces, shuffle_key):
                out.write(os.pread(files[number].fileno(), size, begin))
        with disk.writing(self.shard.parent):
            disk.replace(joined, self.shard)
        for piece in pieces:
            piece.unlink()

    @property
    def _open_piece(self) -> pathlib.Path:
        return shard_state.piece_path(self.shard, len(self.state.piece_bytes))


def _frames(
    pieces: Sequence[pathlib.Path], shuffle_key: str
) -> Iterator[tuple[int, int, int]]:
    """Yields (piece, first byte, bytes) of each record in the order of the shard."""
    begins = [shard_index.record_offsets(piece) for piece in pieces]
    sizes = [
        np.diff(offsets, append=piece.stat().st_size)
        for offsets, piece in zip(begins, pieces, strict=True)
    ]
    piece_of = np.repeat(np.arange(len(pieces)), [len(part) for part in begins])
    order = array.array("q", range(len(piece_of)))
    if shuffle_key:
        random.Random(shuffle_key).shuffle(order)
    begin = np.concatenate([*begins, np.zeros(0, np.int64)])
    size = np.concatenate([*sizes, np.zeros(0, np.int64)])
    for first in range(0, len(order), _FRAMES_AT_ONCE):
        chosen = np.array(order[first : first + _FRAMES_AT_ONCE])
        columns = (column[chosen].tolist() for column in (piece_of, begin, size))
        yield from zip(*columns, strict=True)
