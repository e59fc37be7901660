"""Bad examples: how many may be skipped, and which ones were."""

import dataclasses
from collections.abc import Callable, Iterable

from t2t_multimodel.errors import UserError

FLAG = "--skip_bad_examples"


@dataclasses.dataclass(frozen=True)
class SkippedExample:
    """An example that was left out of the data.

    Args:
        example: Its number in the split, counted from 0 with all others.
        told: Its place and what is wrong.
    """

    example: int
    told: str


class SkippedExamples:
    """The bad examples of one split, over all processes that write it.

    Args:
        name: Problem and split, as lines of progress name them.
        split: The split alone.
        limit: How many may be skipped.
        known: Those that an earlier, broken run met already.

    Raises:
        UserError: If there are more of them than `limit`.
    """

    def __init__(
        self, name: str, split: str, limit: int, known: Iterable[SkippedExample] = ()
    ) -> None:
        self.name = name
        self.split = split
        self.limit = limit
        self._found: dict[int, SkippedExample] = {}
        for example in sorted(known, key=lambda e: e.example):
            self.add(example, say=lambda line: None)

    def add(self, example: SkippedExample, say: Callable[[str], None]) -> None:
        """Counts a bad example and says so.

        Raises:
            UserError: If it is one too many; nothing is said then.
        """
        if example.example in self._found:
            return
        if len(self._found) >= self.limit:
            raise UserError(self._one_too_many(example))
        self._found[example.example] = example
        say(f"{self.name}: skipped example {example.example}: {example.told}")

    def __len__(self) -> int:
        return len(self._found)

    def as_json(self) -> list[dict[str, object]]:
        """Returns them in their order, for the manifest."""
        return [dataclasses.asdict(self._found[n]) for n in sorted(self._found)]

    def _one_too_many(self, example: SkippedExample) -> str:
        place = f"{self.split} example {example.example}: {example.told}"
        if not self.limit:
            return f"{place} (t2t-mm-datagen {FLAG}=N skips up to N such of a split)"
        return (
            f"{self.name} has more bad examples than {FLAG}={self.limit} lets pass; "
            f"one too many is {place}"
        )
