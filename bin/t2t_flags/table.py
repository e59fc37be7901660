"""The whole table, and which of T2T's programs ours stand for."""

from collections.abc import Mapping

from t2t_multimodel.bin.t2t_flags.other_programs import (
    AVERAGE_ROWS,
    BLEU_ROWS,
    DATAGEN_ROWS,
    DECODER_ROWS,
    EXPORTER_ROWS,
    TF_CONFIGS_ROWS,
)
from t2t_multimodel.bin.t2t_flags.row import T2TFlag
from t2t_multimodel.bin.t2t_flags.trainer import TRAINER_ROWS

TABLE: tuple[T2TFlag, ...] = tuple(
    row
    for rows in (
        *TRAINER_ROWS,
        *DATAGEN_ROWS,
        *DECODER_ROWS,
        *EXPORTER_ROWS,
        *AVERAGE_ROWS,
        *BLEU_ROWS,
        *TF_CONFIGS_ROWS,
    )
    for row in rows
)
"""All rows, program by program."""

STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "t2t-mm-trainer": ("t2t-trainer",),
    "t2t-mm-datagen": ("t2t-datagen",),
    # T2T's decoder and exporter take every flag of its trainer too.
    "t2t-mm-decoder": ("t2t-decoder", "t2t-trainer"),
    "t2t-mm-exporter": ("t2t-exporter", "t2t-trainer"),
    "t2t-mm-avg-checkpoints": ("avg_checkpoints.py", "t2t-avg-all"),
    "t2t-mm-bleu": ("t2t-bleu",),
    "t2t-mm-make-tf-configs": ("t2t-make-tf-configs",),
}
"""Our programs to those of T2T whose flags their users know; the first is its own."""

OTHER_PROGRAMS: Mapping[str, str] = {
    "t2t-query-server": "t2t-mm-query, with --server, --servable_name, --problem, "
    "--inputs_once and --timeout_secs as T2T's; it needs no --data_dir",
    "t2t-translate-all": "left out: call t2t-mm-decoder with each folder "
    "--checkpoint_path=RUN/model.ckpt-STEP",
    "t2t-insights-server": "left out",
}
"""T2T's programs without a table of flags, and what there is in their place."""


def program_of_ours(theirs: str) -> str:
    """Returns our program that stands for one of T2T's in `TABLE`."""
    # The trainer's own comes first, before those that only take its flags.
    return next(ours for ours, programs in STANDS_FOR.items() if theirs in programs)


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
