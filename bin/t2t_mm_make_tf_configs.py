"""t2t-mm-make-tf-configs: what to start on every host of a cluster."""

import shlex
import sys
from collections.abc import Sequence

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.bin.launched_command import split_at_dashes

PROGRAM = "t2t-mm-make-tf-configs"
DESCRIPTION = """Prints the command of every worker of a cluster, a line each.

  t2t-mm-make-tf-configs --workers=host1:2222,host2:2222 -- --problems=mini8 \\
      --hparams_set=multimodel_mini --data_dir=DATA --output_dir=RUN

Start the first line on host1, the second on host2. What follows -- are the trainer's
arguments, or a command that takes its place."""

_TRAINER = "t2t-mm-trainer"


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names are those of t2t-make-tf-configs."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    flags.DEFINE_string(
        "workers",
        "",
        "Address host:port of every worker, divided by commas; the first one is the "
        "chief, which writes the output folder.",
        flag_values=values,
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    own, command = split_at_dashes(argv, define_flags())
    own = argv if command is None else own  # to be told what is no flag
    return command_line.run(
        PROGRAM, DESCRIPTION, values, lambda: print_commands(values, command or []), own
    )


def print_commands(values: flags.FlagValues, command: Sequence[str]) -> int:
    """Does what the flags say; returns the exit status.

    Args:
        values: The program's flags.
        command: What follows `--`.
    """
    from t2t_multimodel.launching.tf_config import parse_addresses, tf_configs

    if not command or command[0].startswith("-"):
        command = [_TRAINER, *command]
    for config in tf_configs(parse_addresses(values.workers)):
        print(f"TF_CONFIG={shlex.quote(config)} {shlex.join(command)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
