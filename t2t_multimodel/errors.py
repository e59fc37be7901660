"""What a user did wrong, told in one line."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user gave: flags, hparams, files, names.

    The programs print its message as one line and exit with status 2; every other
    exception is a defect of the program and keeps its traceback. The message says
    what is wrong, the value received, what was expected and what to do.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns the message for a name that is not there, with the nearest one."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)
    return f"no {kind} named {name!r}; {hint}"
