"""Reading typed lines, with completion and a history that outlives the program."""

import atexit
import glob
import os
import pathlib
import sys
from collections.abc import Callable, Sequence

_HISTORY_LINES = 1000


def complete(text: str, commands: Sequence[str]) -> list[str]:
    """Returns what a begun line may go on as: commands, or paths of files.

    Args:
        text: The line so far.
        commands: Whole lines that are offered, such as `pr=image_mini`.
    """
    matches = [command for command in commands if command.startswith(text)]
    if text and not matches:
        pattern = glob.escape(os.path.expanduser(text)) + "*"
        matches = [
            path + os.sep if os.path.isdir(path) else path
            for path in sorted(glob.glob(pattern))
        ]
    return matches


def history_file() -> pathlib.Path:
    """Returns where the history is kept: the XDG folder of programs' states."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return pathlib.Path(base).expanduser() / "t2t-multimodel" / "decoder_history"


def line_reader(commands: Sequence[str]) -> Callable[[str], str]:
    """Returns a function like `input`; on a terminal, with completion and history."""
    if not sys.stdin.isatty():
        return input
    try:
        import readline
    except ImportError:  # a Python without it, as on Windows
        return input
    matches: list[str] = []

    def completer(text: str, number: int) -> str | None:
        if number == 0:
            matches[:] = complete(text, commands)
        return matches[number] if number < len(matches) else None

    # Nothing splits a line, so that paths with spaces and `pr=` complete as a whole.
    readline.set_completer_delims("")
    readline.set_completer(completer)
    readline.parse_and_bind("tab: complete")
    _keep_history(readline, history_file())
    return input


def _keep_history(readline, path: pathlib.Path) -> None:
    """Reads the history and writes it at the end, where that can be done."""

    def write() -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(_HISTORY_LINES)
            readline.write_history_file(path)
        except OSError:
            pass

    try:
        readline.read_history_file(path)
    except OSError:
        pass
    atexit.register(write)
