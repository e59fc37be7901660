"""t2t-mm-avg-checkpoints: write the mean of a run's checkpoints."""

import functools
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.errors import UserError

PROGRAM = "t2t-mm-avg-checkpoints"
DESCRIPTION = """Writes the mean of checkpoints of a run, which often decodes better.

  t2t-mm-avg-checkpoints --output_dir=RUN --num_last_checkpoints=5
  t2t-mm-avg-checkpoints --output_dir=RUN --checkpoints=3000,3500,4000
  t2t-mm-decoder --output_dir=RUN/averaged

The result is a run's folder of its own: the decoder and the exporter take it as their
--output_dir, or the checkpoint in it as their --checkpoint_path. All problems of the
run are in it."""

_DEFAULT_NUM_CHECKPOINTS = 8


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names are those of T2T's avg_checkpoints."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    string("output_dir", "", "Folder of the trained run.")
    flags.DEFINE_integer(
        "num_last_checkpoints",
        None,
        "Average so many of the newest checkpoints; "
        f"{_DEFAULT_NUM_CHECKPOINTS} if --checkpoints is not given either.",
        lower_bound=1,
        flag_values=values,
    )
    string(
        "checkpoints",
        "",
        "Average these instead, divided by commas: steps of the run, or folders "
        "model.ckpt-<step>.",
    )
    string(
        "averaged_dir",
        "",
        "Folder for the result; <output_dir>/averaged if not given.",
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(PROGRAM, DESCRIPTION, values, lambda: average(values), argv)


def average(values: flags.FlagValues) -> int:
    """Does what the flags say; returns the exit status."""
    output_dir = command_line.run_folder(values)
    if values.checkpoints and values.num_last_checkpoints is not None:
        raise UserError("give --checkpoints or --num_last_checkpoints, not both")
    from t2t_multimodel.training.run_directory import read_run

    averaged_dir = pathlib.Path(values.averaged_dir or output_dir / "averaged")
    run = read_run(output_dir)

    from t2t_multimodel.data import quiet_tensorflow

    quiet_tensorflow.load()
    from t2t_multimodel.training.averaging import average_checkpoints, last_checkpoints

    if values.checkpoints:
        chosen = named_checkpoints(output_dir, values.checkpoints)
    else:
        count = values.num_last_checkpoints or _DEFAULT_NUM_CHECKPOINTS
        chosen = last_checkpoints(output_dir, count)
    written = average_checkpoints(run, chosen, averaged_dir.expanduser())
    names = ", ".join(path.name for path in chosen)
    print(f"{written}: the mean of {len(chosen)} checkpoints ({names})")
    return 0


def named_checkpoints(output_dir: pathlib.Path, text: str) -> list[pathlib.Path]:
    """Returns the folders of the checkpoints that are named.

    Raises:
        UserError: If none is, or one is twice.
    """
    chosen = []
    for name in filter(None, (name.strip() for name in text.split(","))):
        path = pathlib.Path(name).expanduser()
        if name.isdecimal():
            path = output_dir / f"model.ckpt-{name}"
        if path in chosen:
            raise UserError(f"--checkpoints={text} names {name} twice")
        chosen.append(path)
    if not chosen:
        raise UserError(f"--checkpoints={text} names none; give steps, e.g. 3000,4000")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
