"""What the programs share: flags, `--help`, user errors as one line, user code.

Imports neither TensorFlow nor Keras, so that help and mistakes are answered at once.
"""

import contextlib
import importlib
import os
import pathlib
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import flags

from t2t_multimodel import exit_status, signals
from t2t_multimodel.bin.t2t_flags.refusal import refusal
from t2t_multimodel.errors import UserError
from t2t_multimodel.registry import (
    HPARAMS_SETS,
    PROBLEM_GROUPS,
    PROBLEMS,
    Registry,
)


def run(
    program: str,
    description: str,
    flag_values: flags.FlagValues,
    body: Callable[[], int | None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parses the command line, runs the program, returns its exit status.

    Args:
        program: Name that messages begin with, e.g. `"t2t-mm-datagen"`.
        description: First lines of `--help`.
        flag_values: The program's flags; `define_shared` has been called with them.
            Parsed here.
        body: The program; may return an exit status.
        argv: Arguments without the program's name; `None` takes those of the process.

    Returns:
        0, what `body` returned, 2 after a mistake of the user, 130 after Ctrl-C or 143
        after SIGTERM; of the last three, one line is printed on standard error.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    try:
        left_over = flag_values([program, *given])[1:]
        if flag_values.help:
            print(f"{description}\n\nFlags:\n{_help_of(flag_values)}")
            return 0
        if left_over:
            raise UserError(
                f"unexpected argument {left_over[0]!r}; flags begin with --, and their "
                "values follow after = or a space"
            )
        import_problems(flag_values.t2t_usr_dir, flag_values.problem_file)
        if flag_values.registry_help:
            print(registry_help())
            return 0
        with signals.sigterm_raises():
            return body() or 0
    except flags.UnrecognizedFlagError as error:
        return _say_mistake(program, refusal(program, given, flag_values) or error)
    except (UserError, flags.Error) as error:
        return _say_mistake(program, error)
    except KeyboardInterrupt as error:
        print(f"{program}: {signals.said_of(error)}", file=sys.stderr)
        status = signals.status_of(error)
        if argv is None and signals.is_all_done(error):
            _end_process(status)
        return status


def _end_process(status: int) -> NoReturn:
    """Ends the process without the interpreter's own tidying up.

    Whoever sent the signal waits: threads may be in the middle of something long, and
    TensorFlow takes seconds to free what it holds.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(status)


def _say_mistake(program: str, said: object) -> int:
    print(f"{program}: {' '.join(str(said).split())}", file=sys.stderr)
    return exit_status.USER_ERROR


def define_shared(flag_values: flags.FlagValues) -> None:
    """Defines the flags that every program has."""
    flags.DEFINE_bool(
        "help", False, "Print this and stop.", short_name="h", flag_values=flag_values
    )
    flags.DEFINE_bool(
        "registry_help",
        False,
        "Print the registered problems, groups and hparams sets and stop.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "t2t_usr_dir",
        "",
        "Folder of a Python package of yours that registers problems or hparams sets; "
        "it is imported first.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "problem_file",
        [],
        "TOML file that declares problems over plain files of yours; may be repeated.",
        flag_values=flag_values,
    )


def run_folder(flag_values: flags.FlagValues) -> pathlib.Path:
    """Returns the folder of the trained run that `--output_dir` names.

    Raises:
        UserError: If it is not given.
    """
    if not flag_values.output_dir:
        raise UserError("--output_dir is missing; give the folder of a trained run")
    return pathlib.Path(flag_values.output_dir).expanduser()


def import_problems(usr_dir: str, problem_files: Sequence[str]) -> None:
    """Imports all that registers names: ours, the user's package, problem files.

    Raises:
        UserError: If the package or a file is missing, or a file is wrong.
    """
    importlib.import_module("t2t_multimodel.problems")
    importlib.import_module("t2t_multimodel.hparams")
    if usr_dir:
        _import_usr_dir(pathlib.Path(usr_dir).expanduser().resolve())
    if problem_files:
        from t2t_multimodel.problems import from_files

        for path in problem_files:
            from_files.load_problem_file(path)


def registry_help() -> str:
    """Returns the registered names with a line of description each."""
    parts = []
    for title, registry in (
        ("Problems", PROBLEMS),
        ("Problem groups", PROBLEM_GROUPS),
        ("Hparams sets", HPARAMS_SETS),
    ):
        parts.append(f"{title}:\n{_listing(registry)}")
    return "\n\n".join(parts)


def _listing(registry: Registry) -> str:
    names = list(registry)
    width = max(map(len, names), default=0)
    lines = [f"  {name:{width}}  {registry.describe(name)}".rstrip() for name in names]
    return "\n".join(lines) or "  (none)"


def _help_of(flag_values: flags.FlagValues) -> str:
    lines = []
    for name in sorted(flag_values):
        flag = flag_values[name]
        if name != flag.name:  # A short name of another one.
            continue
        default = flag.default
        if default in (None, "", False) or default == []:
            lines.append(f"  --{name}")
        else:
            lines.append(f"  --{name} (default {default})")
        said = flag.help.split(";\n")[0]  # absl adds that it may be repeated.
        lines.append(textwrap.indent(textwrap.fill(said, 74), "      "))
    return "\n".join(lines)


def _import_usr_dir(folder: pathlib.Path) -> None:
    if not (folder / "__init__.py").is_file():
        raise UserError(
            f"--t2t_usr_dir={folder} is not a Python package: it needs an __init__.py "
            "that imports your modules"
        )
    if not folder.name.isidentifier():
        raise UserError(
            f"--t2t_usr_dir={folder}: to be imported, the folder's name must be a "
            "Python name (letters, digits, underscores)"
        )
    parent = str(folder.parent)
    if parent not in sys.path:
        sys.path.insert(0, parent)
    module = importlib.import_module(folder.name)
    found = pathlib.Path(module.__file__ or "").parent
    if found != folder:
        raise UserError(
            f"--t2t_usr_dir={folder}: a package named {folder.name!r} was imported "
            f"from {found} already; rename your folder"
        )
