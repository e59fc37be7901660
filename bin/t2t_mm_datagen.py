"""t2t-mm-datagen: write vocabularies and shards of problems into a data folder."""

import functools
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence

from absl import flags

from t2t_multimodel.bin import command_line, prepared_examples
from t2t_multimodel.data.generate import DEFAULT_SEED, generate
from t2t_multimodel.data.source_check import SourceCheck, check_sources
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.problem import Problem
from t2t_multimodel.registry import PROBLEM_GROUPS, PROBLEMS, problem_names

PROGRAM = "t2t-mm-datagen"

EXIT_NOT_COMPLETE = 1
"""Exit status of --check if something is missing; 2 is a mistake of the user."""

DESCRIPTION = """Writes the data of problems: vocabularies, shards and manifests.

  t2t-mm-datagen --data_dir=$HOME/t2t_data --problems=mini8

Data that is there and complete is left alone; a broken run is continued."""


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names and defaults are those of t2t-datagen."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    string("data_dir", "", "Folder that the data is written to.")
    string(
        "tmp_dir",
        os.path.join(tempfile.gettempdir(), "t2t_datagen"),
        "Folder with the sources of the problems that need any.",
    )
    string(
        "problems",
        "",
        "Names of problems or groups, joined by -; a name may end with * for all that "
        "begin like it.",
    )
    string("problem", "", "The same as --problems.")
    flags.DEFINE_list(
        "exclude_problems",
        [],
        "Names or beginnings with * that are left out of them, joined by commas.",
        flag_values=values,
    )

    def integer(name: str, default: int, least: int, help_text: str) -> None:
        flags.DEFINE_integer(
            name, default, help_text, lower_bound=least, flag_values=values
        )

    integer("random_seed", DEFAULT_SEED, 0, "Decides what is generated or sampled.")
    integer("num_concurrent_processes", 2, 1, "Processes that write at the same time.")
    integer("max_cases", 0, 0, "Examples taken of each split; 0 takes all.")
    integer(
        "skip_bad_examples",
        0,
        0,
        "Examples of each split that may be bad (a broken picture, an unbalanced "
        "tree); they are told, left out and listed in the manifest.",
    )
    flags.DEFINE_bool(
        "keep_vocabulary",
        False,
        "Write problems also in a vocabulary of the data folder that was built without "
        "their text.",
        flag_values=values,
    )
    _define_looks(values)
    return values


def _define_looks(values: flags.FlagValues) -> None:
    """Defines the flags with which nothing is generated."""
    flags.DEFINE_bool(
        "only_list",
        False,
        "Print the names of the problems and stop.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "check",
        False,
        "Tell of each problem whether its sources are complete, what is missing, where "
        "to get it and under which licence, and stop; the exit status is 0 if all are "
        "complete, else 1. Nothing is written.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "show",
        0,
        "Print so many prepared training examples of each problem and stop; those of "
        "--data_dir if its data is complete.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "show_dir",
        os.path.join(tempfile.gettempdir(), "t2t_datagen_show"),
        "Folder that --show writes pictures and spectrograms to.",
        flag_values=values,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(
        PROGRAM, DESCRIPTION, values, lambda: generate_data(values), argv
    )


def generate_data(values: flags.FlagValues) -> int:
    """Does what the flags say; returns the exit status."""
    if values.problems and values.problem:
        raise UserError("give --problems or its other name --problem, not both")
    pattern = values.problems or values.problem
    if values.only_list and not pattern:
        pattern = "*"
    excluded = {
        name
        for part in filter(None, values.exclude_problems)
        for name in matching_names(part)
    }
    names = [name for name in matching_names(pattern) if name not in excluded]
    if not names:
        raise UserError("--exclude_problems leaves no problem of --problems")
    if values.only_list:
        print("\n".join(names))
        return 0
    problems = [PROBLEMS.get(name)() for name in names]
    # Generating needs no GPU, and must not take its memory from a training run.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    tmp_dir = pathlib.Path(values.tmp_dir).expanduser()
    if values.check and values.show:
        raise UserError("give --check or --show, not both")
    if values.check:
        return _check(problems, tmp_dir)
    data_dir = pathlib.Path(values.data_dir).expanduser() if values.data_dir else None
    if values.show:
        prepared_examples.show(
            problems,
            data_dir,
            tmp_dir,
            count=values.show,
            folder=pathlib.Path(values.show_dir).expanduser(),
            seed=values.random_seed,
            skip_bad_examples=values.skip_bad_examples,
            say=_say,
        )
        return 0
    if data_dir is None:
        raise UserError("--data_dir is missing; give the folder to write to")
    generate(
        problems,
        data_dir,
        tmp_dir,
        seed=values.random_seed,
        num_processes=values.num_concurrent_processes,
        max_cases=values.max_cases,
        skip_bad_examples=values.skip_bad_examples,
        keep_vocabulary=values.keep_vocabulary,
        say=_say,
    )
    return 0


def _check(problems: Sequence[Problem], tmp_dir: pathlib.Path) -> int:
    """Prints what the sources of the problems are; returns the exit status."""
    checks: dict[str, SourceCheck] = {}
    for problem in problems:
        first = checks.get(problem.data_name)
        if first is not None:
            _say(f"{problem.name}: {first.verdict}, made from the same as {first.name}")
            continue
        checks[problem.data_name] = check_sources(problem, tmp_dir)
        _say(str(checks[problem.data_name]))
    all_complete = all(check.is_complete for check in checks.values())
    return 0 if all_complete else EXIT_NOT_COMPLETE


def _say(line: str) -> None:
    print(line, flush=True)


def matching_names(pattern: str) -> list[str]:
    """Returns the problem names of `a-group-prefix*`.

    Raises:
        UserError: If nothing is given, or a part fits no problem.
    """
    if not pattern:
        known = ", ".join([*PROBLEM_GROUPS, *PROBLEMS])
        raise UserError(f"--problems is missing; known: {known}")
    parts: list[str] = []
    for part in pattern.split("-"):
        if not part.endswith("*"):
            parts.append(part)
            continue
        found = [name for name in PROBLEMS if name.startswith(part[:-1])]
        if not found:
            raise UserError(f"no problem begins with {part[:-1]!r}")
        parts.extend(found)
    return problem_names("-".join(parts))


if __name__ == "__main__":
    sys.exit(main())
