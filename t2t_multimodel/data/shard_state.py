"""How far an unfinished shard goes: kept next to its pieces, without TensorFlow."""

import dataclasses
import json
import pathlib

from t2t_multimodel.data.skipped import SkippedExample


@dataclasses.dataclass
class ShardState:
    """What the closed pieces of a shard hold.

    Args:
        next_example: Number of the first example of the split that is not dealt yet.
        piece_bytes: Size of each piece.
        num_examples: Examples of the whole split, bad ones included, once all are
            dealt.
        skipped: Bad examples that belonged to this shard.
    """

    next_example: int = 0
    piece_bytes: list[int] = dataclasses.field(default_factory=list)
    num_examples: int | None = None
    skipped: list[SkippedExample] = dataclasses.field(default_factory=list)

    def save(self, shard: pathlib.Path) -> None:
        """Writes it next to the pieces of a shard, whole or not at all."""
        unfinished = working_path(shard, "writing")
        text = json.dumps(dataclasses.asdict(self))
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(working_path(shard, "json"))


def load(shard: pathlib.Path) -> ShardState:
    """Returns the state of a shard; that of one not begun, if its pieces are damaged.

    Args:
        shard: The path it will have, or has.
    """
    try:
        text = working_path(shard, "json").read_text(encoding="utf-8")
        fields = json.loads(text)
        fields["skipped"] = [SkippedExample(**each) for each in fields["skipped"]]
        state = ShardState(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return ShardState()
    if shard.is_file():
        return state
    for number, size in enumerate(state.piece_bytes):
        piece = piece_path(shard, number)
        # After a power cut a file may be shorter than it was.
        if not piece.is_file() or piece.stat().st_size != size:
            return ShardState()
    return state


def piece_path(shard: pathlib.Path, number: int) -> pathlib.Path:
    """Returns the path of a piece."""
    return working_path(shard, f"{number:03d}")


def working_path(shard: pathlib.Path, ending: str) -> pathlib.Path:
    """Returns the path of a file that is needed until the shard is finished."""
    return shard.with_name(f"unfinished.{shard.name}.{ending}")
