"""Decodes a split of a problem from its shards."""

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from t2t_multimodel.data.pipeline import eval_dataset
from t2t_multimodel.decoding.decoder import Decoder, Result
from t2t_multimodel.decoding.shown_trees import in_brackets, is_parser
from t2t_multimodel.decoding.traced import until_eos
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

_BATCHES_SORTED_TOGETHER = 8

# An input, its target, and for images what tells whether two are of the same picture.
_Example = tuple[np.ndarray, Any, bytes | int | None]


@dataclasses.dataclass(frozen=True)
class DecodedSplit:
    """What a split decoded to; all lists have one entry per example.

    Attributes:
        problem: The problem.
        split: Name of the split.
        inputs: The input text, or for images and sounds the example's number.
        targets: The text that was wanted, or the name of the class.
        labels: Index of the class that was wanted; empty for texts.
        results: What was decoded.
        groups: Examples with the same number have the same picture.
    """

    problem: Problem
    split: str
    inputs: list[str]
    targets: list[str]
    labels: list[int]
    results: list[Result]
    groups: list[int]

    @property
    def sentences(self) -> list[str] | list[None]:
        """The inputs of a parser, over whose words trees are shown; else `None`s."""
        return self.inputs if is_parser(self.problem) else [None] * len(self.inputs)

    @property
    def shown_targets(self) -> list[str]:
        """The targets as users see them: of a parser, trees in brackets."""
        return self._shown(self.targets)

    @property
    def shown_outputs(self) -> list[str]:
        """The best outputs, in the same way."""
        return self._shown([result.text for result in self.results])

    def _shown(self, texts: list[str]) -> list[str]:
        if not is_parser(self.problem):
            return texts
        return list(map(in_brackets, texts, self.inputs))


def decode_split(
    decoder: Decoder,
    problem_name: str,
    data_dir: str | os.PathLike,
    split: str,
    *,
    max_examples: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> DecodedSplit:
    """Decodes the examples of a split, in the order of the shards.

    A picture that comes again, with another caption, is decoded once. Which examples
    are of the same picture their records tell; those of T2T do not, and equal pixels
    tell it there.

    Args:
        decoder: Decodes.
        problem_name: Which problem.
        data_dir: Folder of the shards.
        split: `"train"`, `"dev"` or `"test"`.
        max_examples: Stop after so many, and after the other captions of the last
            picture that stand next to it; 0 means the whole split.
        progress: Told the number of examples after each batch of them.

    Raises:
        UserError: If data is missing or broken.
    """
    if max_examples < 0:
        raise UserError(f"--eval_examples={max_examples} must not be negative")
    problem = decoder.problem(problem_name)
    decoded = DecodedSplit(problem, split, [], [], [], [], [])
    of_picture: dict[bytes | int, int] = {}
    result_of_group: list[Result] = []
    examples = _first(_examples(decoder, problem, data_dir, split), max_examples)
    while window := list(
        itertools.islice(examples, _BATCHES_SORTED_TOGETHER * decoder.batch_size)
    ):
        new_rows = []
        for row, target, picture in window:
            group = len(result_of_group) + len(new_rows)
            if problem.inputs.kind == "image":
                group = of_picture.setdefault(picture, group)
            if group == len(result_of_group) + len(new_rows):
                new_rows.append(row)
            decoded.groups.append(group)
            _add_example(decoded, decoder, row, target)
        first = len(result_of_group)
        result_of_group += decoder.decode_prepared(
            problem_name, new_rows, numbers=range(first, first + len(new_rows))
        )
        decoded.results.extend(
            result_of_group[group] for group in decoded.groups[-len(window) :]
        )
        progress(len(window))
    return decoded


def first_inputs(
    decoder: Decoder,
    problem_name: str,
    data_dir: str | os.PathLike,
    split: str,
    count: int,
) -> list[np.ndarray]:
    """Returns the first inputs of a split, as `Decoder.prepare` would.

    Raises:
        UserError: If data is missing or broken.
    """
    examples = _examples(decoder, decoder.problem(problem_name), data_dir, split)
    return [row for row, _, _ in itertools.islice(examples, count)]


def _first(examples: Iterator[_Example], count: int) -> Iterator[_Example]:
    """Yields `count` examples, all if 0, and further ones of the last picture."""
    last = None
    for number, example in enumerate(examples, 1):
        if count and number > count and (last is None or example[2] != last):
            return
        yield example
        last = example[2]


def _add_example(
    decoded: DecodedSplit, decoder: Decoder, row: np.ndarray, target: Any
) -> None:
    problem = decoded.problem
    if problem.targets.kind == "class_label":
        decoded.labels.append(int(target))
        decoded.targets.append(problem.targets.names[int(target)])
    else:
        encoder = decoder.encoders[problem.targets.vocabulary.name]
        decoded.targets.append(encoder.decode(until_eos(target)))
    if problem.inputs.kind == "text":
        encoder = decoder.encoders[problem.inputs.vocabulary.name]
        decoded.inputs.append(encoder.decode(until_eos(row)))
    else:
        number = len(decoded.inputs)
        decoded.inputs.append(f"{problem.data_name} {decoded.split} example {number}")


def _examples(
    decoder: Decoder, problem: Problem, data_dir: str | os.PathLike, split: str
) -> Iterator[_Example]:
    """Yields each example's input, without padding, its target, and which picture."""
    of_pictures = problem.inputs.kind == "image"
    dataset = eval_dataset(
        problem,
        data_dir,
        split,
        batch_size=1024,  # tokens; of no effect when examples are counted
        examples_per_batch=decoder.batch_size,
        image_ids=of_pictures,
    )
    for batch in dataset.as_numpy_iterator():
        lengths = batch.get("inputs_length")
        for index, (row, target) in enumerate(
            zip(batch["inputs"], batch["targets"], strict=True)
        ):
            if lengths is not None:
                row = row[: lengths[index]]
            elif problem.inputs.kind == "text":
                row = np.trim_zeros(row, "b")
            picture: bytes | int | None = None
            if of_pictures:
                picture = int(batch["image_id"][index])
                if picture < 0:
                    picture = hashlib.sha256(row.tobytes()).digest()
            yield row, target, picture
