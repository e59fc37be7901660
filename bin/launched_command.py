"""The command that follows `--` on another program's command line."""

import sys
from collections.abc import Sequence

from absl import flags


def split_at_dashes(
    argv: Sequence[str] | None, flag_values: flags.FlagValues
) -> tuple[list[str], list[str] | None]:
    """Returns a program's own arguments, and those after `--`.

    Args:
        argv: Arguments without the program's name; `None` takes those of the process.
        flag_values: The program's flags; parsed here, so not those it goes on with.

    Returns:
        The program's own, up to a first one that is no flag if there is no `--`; and
        the command, `None` if there is no `--`.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    if "--" in given:
        at = given.index("--")
        return given[:at], given[at + 1 :]
    flag_values.set_gnu_getopt(False)
    try:
        num_left = len(flag_values(["", *given])) - 1
    except flags.Error:  # for the program to tell
        return given, None
    return given[: len(given) - num_left], None
