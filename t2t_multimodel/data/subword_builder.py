"""Finding the sub-tokens of a corpus (T2T v1.4.4's algorithm)."""

import collections
from collections.abc import Mapping

from t2t_multimodel.data.reserved_ids import RESERVED_TOKENS
from t2t_multimodel.data.segmentation import alphabet_of, escape
from t2t_multimodel.errors import UserError

DEFAULT_ITERATIONS = 4
MIN_COUNT_RANGE = (1, 1000)
"""Between which minimum counts `build_to_target_size` looks (T2T)."""


class SubwordBuilder:
    """Makes lists of sub-tokens from counted tokens.

    Each iteration cuts all tokens with the sub-tokens found so far and counts every
    string that begins at a cut. A string seen often enough becomes a sub-token; what it
    covers no longer counts for its own beginnings. The lists are T2T's for the
    same counts, byte for byte.

    The first iteration cuts at every character, whatever the minimum count is, so it is
    counted once for all lists that one builder makes. Later ones cut at fewer places,
    so what is too rare in the first stays too rare and is not counted again.

    Args:
        token_counts: How often each token occurs, from `count_tokens`.
        max_subtoken_length: Characters; longer strings are not considered. None takes
            any length, at a cost quadratic in the length of the longest token.

    Raises:
        UserError: If there are no tokens or the length is not positive.
    """

    def __init__(
        self, token_counts: Mapping[str, int], max_subtoken_length: int | None = None
    ):
        if not token_counts:
            raise UserError(
                "no text to build a vocabulary from: the corpus has no tokens; check "
                "that its sources are there and not empty"
            )
        if max_subtoken_length is not None and max_subtoken_length < 1:
            raise UserError(
                f"max_subtoken_length must be positive, got {max_subtoken_length}"
            )
        # T2T lets newlines and (in Python 3) lone surrogates in, and then writes a file
        # that it cannot read back. Both are escaped here as any rare character is.
        self._alphabet = frozenset(
            c for c in alphabet_of([*token_counts, *RESERVED_TOKENS]) if _can_stand(c)
        )
        self._tokens = [(escape(t, self._alphabet), n) for t, n in token_counts.items()]
        longest = max(len(escaped) for escaped, _ in self._tokens)
        self._max_length = min(longest, max_subtoken_length or longest)
        self._first_counts = self._count_everywhere()

    def build(
        self, min_count: int, *, num_iterations: int = DEFAULT_ITERATIONS
    ) -> list[str]:
        """Returns the sub-tokens seen at least `min_count` times, by falling count.

        Args:
            min_count: Occurrences; values below 1 count as 1 (T2T).
            num_iterations: Rounds of cutting and counting, at least 1.

        Returns:
            The reserved entries, then the sub-tokens, all of the alphabet among them.

        Raises:
            UserError: If `num_iterations` is not positive.
        """
        if num_iterations < 1:
            raise UserError(f"num_iterations must be positive, got {num_iterations}")
        min_count = max(min_count, 1)
        counts = self._first_counts
        frequent = {s for s, n in counts.items() if n >= min_count}
        subtokens = self._select(counts, min_count)
        for _ in range(num_iterations - 1):
            counts = self._count_at_cuts(set(subtokens), frequent)
            subtokens = self._select(counts, min_count)
        return [*RESERVED_TOKENS, *subtokens]

    def build_to_target_size(
        self,
        target_size: int,
        *,
        min_count_range: tuple[int, int] = MIN_COUNT_RANGE,
        num_iterations: int = DEFAULT_ITERATIONS,
    ) -> list[str]:
        """Halves the range of minimum counts until the size is within 1 %.

        Args:
            target_size: Entries wanted, the reserved ones included.
            min_count_range: Lowest and highest minimum count to consider.
            num_iterations: As in `build`.

        Returns:
            The list nearest in size of those tried. It is far from the target where the
            corpus is too small for it, or the target smaller than the alphabet.

        Raises:
            UserError: If the target size is not positive.
        """
        if target_size < 1:
            raise UserError(
                f"the size of a sub-word vocabulary must be positive, got {target_size}"
            )

        def nearest(low: int, high: int) -> list[str]:
            min_count = (low + high) // 2
            found = self.build(min_count, num_iterations=num_iterations)
            off_by = abs(len(found) - target_size)
            if off_by * 100 < target_size or low >= high or min_count < 2:
                return found
            if len(found) > target_size:
                other = nearest(min_count + 1, high)
            else:
                other = nearest(low, min_count - 1)
            return other if abs(len(other) - target_size) < off_by else found

        return nearest(*min_count_range)

    def _count_everywhere(self) -> dict[str, int]:
        """Counts every string of every token: the cut into single characters."""
        counts: dict[str, int] = collections.defaultdict(int)
        for escaped, count in self._tokens:
            for start in range(len(escaped)):
                last = min(len(escaped), start + self._max_length)
                for end in range(start + 1, last + 1):
                    counts[escaped[start:end]] += count
        return dict(counts)

    def _count_at_cuts(self, subtokens: set[str], frequent: set[str]) -> dict[str, int]:
        """Counts the strings that begin where these sub-tokens cut a token.

        All sub-tokens longer than a character are frequent, and so is every beginning
        of a frequent string: one walk over the frequent strings from a cut counts them
        and finds the longest sub-token, hence the next cut. Single characters
        are always counted, as their order in the list needs it.
        """
        counts: dict[str, int] = collections.defaultdict(int)
        for escaped, count in self._tokens:
            start, length = 0, len(escaped)
            while start < length:
                counts[escaped[start]] += count
                next_cut = start + 1
                for end in range(start + 2, min(length, start + self._max_length) + 1):
                    string = escaped[start:end]
                    if string not in frequent:
                        break
                    counts[string] += count
                    if string in subtokens:
                        next_cut = end
                start = next_cut
        return counts

    def _select(self, counts: Mapping[str, int], min_count: int) -> list[str]:
        """Takes the frequent strings, longest first, and the whole alphabet."""
        left = {s: n for s, n in counts.items() if n >= min_count}
        taken: list[tuple[int, str]] = []
        for string in sorted(left, key=len, reverse=True):
            count = left[string]
            if count < min_count:
                continue
            if string not in self._alphabet:
                taken.append((count, string))
            # Every beginning of a frequent string is frequent, hence in `left`.
            for end in range(1, len(string)):
                left[string[:end]] -= count
        taken += ((left.get(c, counts.get(c, 0)), c) for c in self._alphabet)
        taken.sort(reverse=True)
        return [string for _, string in taken]


def _can_stand(character: str) -> bool:
    """Whether a vocabulary file can hold this character."""
    return character != "\n" and not "\ud800" <= character <= "\udfff"
