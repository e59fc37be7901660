"""Becomes a worker that does not outlive what started it.

Run as a script, by file, with `PARENT CPUS COMMAND...`: the process id of what starts
it, the CPUs it may use (`0,1`; empty for all), and the worker's command, which takes
the place of this program in the same process. A `preexec_fn` would do the same in the
middle of a fork, where Python promises little.
"""

import ctypes
import os
import signal
import sys

USER_ERROR = 2  # exit_status.USER_ERROR; this script sees nothing of the package
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with(parent: int) -> None:
    """Has Linux kill this process as soon as its parent is gone, however it ends.

    Elsewhere nothing happens.

    Args:
        parent: Process id of the parent, which may be gone already.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Runs the script."""
    parent, cpus, *command = sys.argv[1:]
    die_with(int(parent))
    try:
        if cpus:
            os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
