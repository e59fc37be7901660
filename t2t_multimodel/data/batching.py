"""Buckets by length: which examples go together, how many, and padded to what.

Tensor2Tensor's v1.0.x scheme (the releases of the paper): a batch holds about
`batch_size` tokens, examples of like cost stand together, and a problem's
`batch_size_multiplier` says how many positions of an image or sound count as one
token. Unlike T2T, every batch is padded to the boundary of its bucket, not to its own
longest example, so that the set of batch shapes is known before the first step.
"""

import dataclasses
import math

import numpy as np

from t2t_multimodel.data.features import Feature
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem

SMALLEST_BOUNDARY = 8
"""Of the first bucket, in tokens (T2T v1.0.x)."""

MANTISSA_BITS = 1
"""Boundaries have this many bits after the first: 8, 12, 16, 24, 32, 48, ..."""


@dataclasses.dataclass(frozen=True)
class Buckets:
    """The buckets of a problem, shortest first.

    Args:
        boundaries: The highest cost in each bucket, in tokens.
        batch_sizes: Examples of a batch of each bucket.
    """

    boundaries: tuple[int, ...]
    batch_sizes: tuple[int, ...]

    def of(self, costs: np.ndarray) -> np.ndarray:
        """Returns each example's bucket; `len(boundaries)` if it fits in none."""
        return np.searchsorted(self.boundaries, costs, side="left")

    def only(self, used: np.ndarray) -> "Buckets":
        """Returns these buckets without the ones whose index is not in `used`."""
        keep = sorted({int(index) for index in used if index < len(self.boundaries)})
        return Buckets(
            tuple(self.boundaries[index] for index in keep),
            tuple(self.batch_sizes[index] for index in keep),
        )


def token_buckets(batch_size: int, max_length: int = 0) -> Buckets:
    """Returns the buckets for `batch_size` tokens (T2T v1.0.x).

    Args:
        batch_size: Tokens of a batch.
        max_length: Highest cost of an example, in tokens; 0 means `batch_size`.

    Raises:
        UserError: If `batch_size` is not positive or `max_length` negative.
    """
    if batch_size < 1 or max_length < 0:
        raise UserError(
            f"batch_size={batch_size} must be positive and max_length={max_length} "
            "must not be negative"
        )
    limit = max_length or batch_size
    boundaries = []
    boundary = SMALLEST_BOUNDARY
    while boundary < limit:
        boundaries.append(boundary)
        boundary += 1 << max(0, boundary.bit_length() - 1 - MANTISSA_BITS)
    boundaries.append(limit)
    return Buckets(
        tuple(boundaries), tuple(max(1, batch_size // b) for b in boundaries)
    )


def problem_buckets(
    problem: Problem,
    *,
    batch_size: int,
    max_length: int = 0,
    examples_per_batch: int = 0,
) -> Buckets:
    """Returns the buckets that examples of a problem can fall into.

    An image has one size, so that a problem whose both sides have a fixed size has
    one bucket, and an image with its caption no bucket below the image's cost.

    Args:
        problem: Whose examples.
        batch_size: Tokens of a batch.
        max_length: Highest cost of an example, in tokens; 0 means `batch_size`.
        examples_per_batch: If positive, the number of examples of every batch,
            whatever their length; the lengths still decide who stands together.

    Raises:
        UserError: If no example of the problem can fit.
    """
    if examples_per_batch < 0:
        raise UserError(
            f"examples_per_batch={examples_per_batch} must not be negative; 0 counts "
            "tokens"
        )
    least = fixed_cost(problem)
    if examples_per_batch and not max_length:
        max_length = max(batch_size, least)
    buckets = token_buckets(batch_size, max_length)
    if least > buckets.boundaries[-1]:
        raise UserError(
            f"every example of problem {problem.name!r} costs {least} tokens or more, "
            f"and the longest allowed is {buckets.boundaries[-1]}; raise batch_size or "
            "max_length, or raise the problem's batch_size_multiplier="
            f"{problem.batch_size_multiplier}"
        )
    first = int(buckets.of(np.array(least)))
    last = first + 1 if _is_fixed(problem) else len(buckets.boundaries)
    buckets = buckets.only(np.arange(first, last))
    if examples_per_batch:
        sizes = (examples_per_batch,) * len(buckets.boundaries)
        buckets = dataclasses.replace(buckets, batch_sizes=sizes)
    return buckets


def feature_costs(
    feature: Feature, lengths: np.ndarray, batch_size_multiplier: int
) -> np.ndarray:
    """Returns what examples of these lengths cost, in tokens.

    Args:
        feature: One side of a problem.
        lengths: Tokens, frames or samples; ignored for images and class labels.
        batch_size_multiplier: Positions of an image or sound that cost one token.
    """
    match feature.kind:
        case "text":
            return lengths
        case "audio":
            positions = lengths.astype(np.int64) * feature.width
            return -(-positions // batch_size_multiplier)
        case "image":
            positions = feature.height_px * feature.width_px
            cost = math.ceil(positions / batch_size_multiplier)
            return np.full_like(lengths, cost)
        case _:
            return np.ones_like(lengths)


def padded_length(feature: Feature, boundary: int, batch_size_multiplier: int) -> int:
    """Returns what a side is padded to in a bucket: tokens, frames or samples."""
    if feature.kind == "audio":
        return math.ceil(boundary * batch_size_multiplier / feature.width)
    return boundary


def fixed_cost(problem: Problem) -> int:
    """Returns the least that any example of the problem costs, in tokens."""
    least = np.array([1])
    return max(
        int(feature_costs(feature, least, problem.batch_size_multiplier)[0])
        for feature in (problem.inputs, problem.targets)
    )


def bucket_shapes(
    problem: Problem, buckets: Buckets
) -> list[dict[str, tuple[int, ...]]]:
    """Returns the shapes of the batches of each bucket, by key of the batch."""
    shapes = []
    for boundary, rows in zip(buckets.boundaries, buckets.batch_sizes, strict=True):
        shape: dict[str, tuple[int, ...]] = {"example_id": (rows,)}
        for name, feature in (("inputs", problem.inputs), ("targets", problem.targets)):
            length = padded_length(feature, boundary, problem.batch_size_multiplier)
            shape |= _side_shape(name, feature, rows, length)
        shapes.append(shape)
    return shapes


def largest_batch(problem: Problem, buckets: Buckets) -> dict[str, np.ndarray]:
    """Returns a made-up batch of the bucket that needs the most memory.

    Texts are full of the end mark and sounds as long as they can be, so that nothing
    is skipped as padding; running it once before the first step shows at once whether
    the memory is enough.
    """
    # Attention grows with rows x length x length, all else with rows x length.
    index = max(
        range(len(buckets.boundaries)),
        key=lambda i: (buckets.batch_sizes[i] * buckets.boundaries[i] ** 2, i),
    )
    shapes = bucket_shapes(problem, buckets)[index]
    batch: dict[str, np.ndarray] = {"example_id": np.zeros(shapes["example_id"], int)}
    for name, feature in (("inputs", problem.inputs), ("targets", problem.targets)):
        shape = shapes[name]
        match feature.kind:
            case "text":
                batch[name] = np.ones(shape, np.int32)
            case "class_label":
                batch[name] = np.zeros(shape, np.int32)
            case "image":
                batch[name] = np.zeros(shape, np.uint8)
            case _:
                batch[name] = np.zeros(shape, np.float32)
                batch[f"{name}_length"] = np.full(shape[:1], shape[1], np.int32)
    return batch


def _is_fixed(problem: Problem) -> bool:
    kinds = {problem.inputs.kind, problem.targets.kind}
    return not kinds & {"text", "audio"}


def _side_shape(
    name: str, feature: Feature, rows: int, length: int
) -> dict[str, tuple[int, ...]]:
    match feature.kind:
        case "text":
            return {name: (rows, length)}
        case "class_label":
            return {name: (rows,)}
        case "image":
            size = (feature.height_px, feature.width_px, feature.channels)
            return {name: (rows, *size)}
        case _:
            width = (feature.width,) if feature.form == "spectrogram" else ()
            return {name: (rows, length, *width), f"{name}_length": (rows,)}
