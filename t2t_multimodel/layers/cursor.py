"""Where stepping stands: at which position, and whose past each row continues."""

from typing import Any, NamedTuple, Self

import numpy as np
from keras import ops


class Cursor(NamedTuple):
    """What all layers are told of a step.

    A step computes one position of R rows: G hypotheses of each of B inputs, R = B * G.
    Whatever a layer remembers of a position it writes into the place of the row that
    computed it, once, where nothing moves it again. A search that drops some hypotheses
    and continues others twice therefore gathers `ancestors` alone, a small table of
    numbers, and not the memories.

    Attributes:
        position: Scalar int32, index of the position that is computed.
        ancestors: `(capacity, R)` int32, the row whose memory of each earlier position
            a row continues; `()` if each row continues itself (G = 1).
    """

    position: Any
    ancestors: Any

    @classmethod
    def first(cls, batch_size: Any, room: Any, num_hypotheses: int = 1) -> Self:
        """Returns the cursor at position 0.

        Args:
            batch_size: B.
            room: Positions that there is room for, until `extended`.
            num_hypotheses: G.
        """
        zero = ops.zeros((), dtype="int32")
        if num_hypotheses == 1:
            return cls(zero, ())
        return cls(zero, _own_rows(room, batch_size * num_hypotheses))

    def extended(self, capacity: Any) -> Self:
        """Returns the cursor with room for `capacity` positions in all."""
        if isinstance(self.ancestors, tuple):
            return self
        have, rows = ops.shape(self.ancestors)
        more = _own_rows(capacity - have, rows)
        return self._replace(ancestors=ops.concatenate([self.ancestors, more]))

    def advanced(self) -> Self:
        """Returns the cursor at the next position."""
        return self._replace(position=self.position + 1)

    def following(self, parents: Any) -> Self:
        """Returns the cursor whose row r continues row `parents[r]`, `(R,)` int32."""
        capacity, rows = ops.shape(self.ancestors)
        past = ops.arange(capacity, dtype="int32")[:, None] < self.position
        inherited = ops.take(self.ancestors, parents, axis=1)
        return self._replace(
            ancestors=ops.where(past, inherited, _own_rows(capacity, rows))
        )

    def own_past(self, memory: Any, lags: np.ndarray) -> Any:
        """Returns what each row continues, of what all rows remember.

        Args:
            memory: `(L, R, C)`, by the row that computed it; zeros before position 0.
            lags: `(L,)` how many positions back each is, positive.

        Returns:
            `(L, R, C)`, by the row that continues it.
        """
        if isinstance(self.ancestors, tuple):
            return memory
        positions = self.position - ops.convert_to_tensor(lags.astype("int32"))
        rows = ops.take(self.ancestors, ops.maximum(positions, 0), axis=0)  # (L, R)
        length, count, depth = ops.shape(memory)
        first = ops.arange(length, dtype="int32")[:, None] * count
        return ops.take(ops.reshape(memory, (-1, depth)), first + rows, axis=0)

    def attention_bias(self, capacity: Any, num_hypotheses: int) -> Any:
        """Returns what to add to logits so that each row sees its own past only.

        Args:
            capacity: Positions there is room for.
            num_hypotheses: G.

        Returns:
            float32 that broadcasts to `(B, 1, G, capacity * G)`, where memory comes by
            position first: 0 or a number that makes the weight 0.
        """
        index = ops.arange(capacity, dtype="int32")
        seen = index <= self.position
        if not isinstance(self.ancestors, tuple):
            by_row = ops.transpose(ops.reshape(self.ancestors, (capacity, -1)))
            ancestor = ops.reshape(
                by_row % num_hypotheses, (-1, num_hypotheses, capacity, 1)
            )
            hypothesis = ops.arange(num_hypotheses, dtype="int32")
            seen = ops.logical_and(seen[:, None], ancestor == hypothesis)
            seen = ops.reshape(seen, (-1, 1, num_hypotheses, capacity * num_hypotheses))
        return MASKED * (1 - ops.cast(seen, "float32"))


MASKED = -1e9
"""Added to the logits of positions that must not be seen: their weight becomes 0."""


def _own_rows(capacity: Any, rows: Any) -> Any:
    return ops.broadcast_to(ops.arange(rows, dtype="int32"), (capacity, rows))
