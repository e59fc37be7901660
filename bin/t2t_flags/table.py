"""The whole table, and which of T2T's programs ours stand for."""

from collections.abc import Mapping

from t2t_multimodel.bin.t2t_flags.other_programs import DATAGEN_ROWS, DECODER_ROWS
from t2t_multimodel.bin.t2t_flags.row import T2TFlag
from t2t_multimodel.bin.t2t_flags.trainer import TRAINER_ROWS

TABLE: tuple[T2TFlag, ...] = tuple(
    row for rows in (*TRAINER_ROWS, *DATAGEN_ROWS, *DECODER_ROWS) for row in rows
)
"""All rows, program by program."""

STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "t2t-mm-trainer": ("t2t-trainer",),
    "t2t-mm-datagen": ("t2t-datagen",),
    # T2T's decoder takes every flag of its trainer too.
    "t2t-mm-decoder": ("t2t-decoder", "t2t-trainer"),
}
"""Our programs to those of T2T whose flags their users know; the first is its own."""


def find(program: str, name: str) -> T2TFlag | None:
    """Returns T2T's flag that a user of our program means, if T2T had it.

    Args:
        program: Our program.
        name: Without dashes; of a boolean flag also `no<name>`.
    """
    for theirs in STANDS_FOR.get(program, ()):
        for row in TABLE:
            if row.program == theirs and (
                name == row.name or (row.is_boolean and name == f"no{row.name}")
            ):
                return row
    return None
