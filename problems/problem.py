"""What a problem is: two features, a source of examples, and its metrics."""

import abc
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from t2t_multimodel.data.features import Feature, Text, Vocabulary
from t2t_multimodel.data.raw_example import BadExample, RawExample, materialise
from t2t_multimodel.data.spaces import PARSE_SPACES
from t2t_multimodel.errors import UserError
from t2t_multimodel.registry import PROBLEMS

SPLITS = ("train", "dev", "test")
"""Names of the splits, as they stand in shard names (T2T's `dev` is validation)."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Files that a problem is made from, and whether they are there.

    Args:
        what: Their name, such as "newstest2013".
        splits: Splits made from them.
        where: Where to get them.
        licence: Under which licence.
        layout: Where the problem looks for them.
        missing: What is not there, a line each; nothing if it is complete.
    """

    what: str
    splits: tuple[str, ...]
    where: str
    licence: str
    layout: str
    missing: tuple[str, ...] = ()


class Problem(abc.ABC):
    """A task: what goes in, what comes out, and where examples come from.

    A problem says what the data *is*. How it is sharded, bucketed and batched is the
    business of `t2t_multimodel.data`, and how it is learned that of the model.

    Attributes:
        name: The registered name; set by the registry.
        inputs: Feature on the input side.
        targets: Feature on the target side.
        loss_multiplier: Factor of the training loss (T2T; metrics never see it).
        batch_size_multiplier: Positions of this problem that count as one token of
            the batch size (T2T's `batch_size_multiplier`, v1.0.x).
        num_shards: Shards per split.
        source: Where the data comes from and under which licence, one line.
        known_sizes: Examples per split of the whole corpus, where that is known.
    """

    name: str = ""
    inputs: Feature
    targets: Feature
    loss_multiplier: float = 1.0
    batch_size_multiplier: int = 1
    num_shards: Mapping[str, int] = {"train": 10, "dev": 1, "test": 1}
    source: str = ""
    known_sizes: Mapping[str, int] = {}

    @abc.abstractmethod
    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the raw examples of a split, the same ones for the same seed.

        One that cannot be used is yielded as a `BadExample`, in its place.

        Args:
            split: One of `SPLITS`.
            tmp_dir: Folder with the sources, for problems that need any.
            seed: Decides what is generated or sampled.

        Raises:
            UserError: If a source is missing or broken.
        """

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns what the problem is made from; nothing if it needs no files."""
        del tmp_dir
        return ()

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns how many examples the sources hold, `None` if only making tells."""
        del split, tmp_dir
        return None

    def vocabulary_texts(
        self, tmp_dir: pathlib.Path
    ) -> Iterator[tuple[Text, Iterator[str]]]:
        """Yields the training texts of each text side of each corpus, apart.

        A shared vocabulary without texts of its own is built from the beginnings of
        them, so many bytes of each.
        """
        for key, feature in (("inputs", self.inputs), ("targets", self.targets)):
            if isinstance(feature, Text):
                yield feature, self._training_texts(key, tmp_dir)

    def _training_texts(self, key: str, tmp_dir: pathlib.Path) -> Iterator[str]:
        for example in self.examples("train", tmp_dir=tmp_dir, seed=0):
            if not isinstance(example, BadExample):
                # Whether a bad text is skipped is decided when it is written.
                with contextlib.suppress(UserError):
                    yield materialise(example[key])

    @property
    def data_name(self) -> str:
        """Prefix of the shard names; `_rev` problems share their base's shards."""
        return self.name

    @property
    def is_reversed(self) -> bool:
        """Whether inputs and targets change places when shards are read."""
        return False

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of teacher-forced evaluation, T2T's base four."""
        return (
            "neg_log_perplexity",
            "accuracy",
            "accuracy_top5",
            "accuracy_per_sequence",
        )

    @property
    def decode_metrics(self) -> tuple[str, ...]:
        """Metrics of decoded outputs, by the kind and space of the target."""
        if self.targets.kind == "class_label":
            return ("top1", "top5")
        if self.targets.space in PARSE_SPACES:
            return ("correct_trees", "bracketing_f1")
        if self.inputs.kind == "audio":
            return ("wer",)
        return ("bleu",)

    def vocabularies(self) -> tuple[Vocabulary, ...]:
        """Returns the vocabularies of the text features, without repetition."""
        found = [f.vocabulary for f in (self.inputs, self.targets) if f.kind == "text"]
        return tuple(dict.fromkeys(found))


class ReversedProblem(Problem):
    """A problem with inputs and targets exchanged; T2T's suffix `_rev`.

    Args:
        base: The problem to turn round; its shards are read as they are.
    """

    def __init__(self, base: Problem) -> None:
        self.base = base
        self.inputs = base.targets
        self.targets = base.inputs
        self.loss_multiplier = base.loss_multiplier
        self.batch_size_multiplier = base.batch_size_multiplier
        self.num_shards = base.num_shards
        self.source = base.source
        self.known_sizes = base.known_sizes

    def examples(
        self, split: str, *, tmp_dir: pathlib.Path, seed: int
    ) -> Iterator[RawExample | BadExample]:
        """Yields the base's examples, sides exchanged."""
        for example in self.base.examples(split, tmp_dir=tmp_dir, seed=seed):
            if isinstance(example, BadExample):
                yield example
                continue
            sides = {"inputs": example["targets"], "targets": example["inputs"]}
            yield {**example, **sides}

    def sources(self, tmp_dir: pathlib.Path) -> Sequence[Source]:
        """Returns the base's sources."""
        return self.base.sources(tmp_dir)

    def count_examples(self, split: str, tmp_dir: pathlib.Path) -> int | None:
        """Returns the base's count."""
        return self.base.count_examples(split, tmp_dir)

    def vocabulary_texts(
        self, tmp_dir: pathlib.Path
    ) -> Iterator[tuple[Text, Iterator[str]]]:
        """Yields the base's texts."""
        return self.base.vocabulary_texts(tmp_dir)

    @property
    def data_name(self) -> str:
        """The base's shards."""
        return self.base.data_name

    @property
    def is_reversed(self) -> bool:
        """True, unless the base itself is reversed."""
        return not self.base.is_reversed


def register_reversed(name: str) -> None:
    """Registers `<name>_rev`, the registered problem `name` turned round."""
    rev_name = f"{name}_rev"

    def make() -> ReversedProblem:
        base = PROBLEMS.get(name)()
        problem = ReversedProblem(base)
        problem.name = rev_name
        return problem

    PROBLEMS.register(rev_name, make, f"{PROBLEMS.describe(name)} Turned round.")
