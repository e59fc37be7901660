"""t2t-mm-launch: a group of workers on this machine, started, watched and restarted."""

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from t2t_multimodel.bin import command_line
from t2t_multimodel.bin.launched_command import split_at_dashes
from t2t_multimodel.errors import UserError, unknown

PROGRAM = "t2t-mm-launch"
DESCRIPTION = """Starts a group of workers on this machine, and keeps it running.

  t2t-mm-launch --workers=2 -- t2t-mm-trainer --problems=mini8 --output_dir=RUN ...

Every worker runs what follows --, with a TF_CONFIG of its own; its lines carry its
number. A worker that fails ends the group, which then starts again and goes on from the
last complete checkpoint. Only a mistake of the user (status 2) is not tried again.
SIGTERM and Ctrl-C are passed on to the workers, which save and end; a second one kills
them at once."""

_PROGRAMS = (
    "t2t-mm-trainer",
    "t2t-mm-datagen",
    "t2t-mm-decoder",
    "t2t-mm-exporter",
)


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; T2T had no such program."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    integer = functools.partial(flags.DEFINE_integer, flag_values=values)
    seconds = functools.partial(flags.DEFINE_float, lower_bound=0.0, flag_values=values)

    integer("workers", 2, "Workers, a process each.", lower_bound=1)
    integer(
        "max_restarts",
        3,
        "Restarts in a row at most, after 1, 2, 4 ... 60 seconds; when the group has "
        "run for 10 minutes, the count and the waits begin anew.",
        lower_bound=0,
    )
    integer(
        "port",
        0,
        "Worker 0 listens at this port, the others at the following ones; 0: at free "
        "ports.",
        lower_bound=0,
        upper_bound=65535,
    )
    seconds(
        "grace_seconds",
        10.0,
        "Time for the workers to save and end after SIGTERM or Ctrl-C, before they are "
        "killed.",
    )
    seconds(
        "finish_seconds",
        600.0,
        "Time for the others after the first worker has ended with status 0; then the "
        "group has failed.",
    )
    integer(
        "cpus_per_worker",
        0,
        "CPUs of each worker, which no other one uses (Linux); 0: all use all.",
        lower_bound=0,
    )
    integer(
        "gpus_per_worker",
        0,
        "GPUs of each worker, which no other one sees, by CUDA_VISIBLE_DEVICES; 0: "
        "all see all.",
        lower_bound=0,
    )
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    own, command = split_at_dashes(argv, define_flags())
    return command_line.run(
        PROGRAM, DESCRIPTION, values, lambda: launch(values, command), own
    )


def launch(values: flags.FlagValues, command: Sequence[str] | None) -> int:
    """Does what the flags say; returns the exit status.

    Args:
        values: The program's flags.
        command: What the workers run; `None` if there was no `--`.
    """
    if not command:
        raise UserError(
            "the command is missing; give it after --, e.g. t2t-mm-launch "
            f"--workers={values.workers} -- t2t-mm-trainer --output_dir=RUN ..."
        )
    from t2t_multimodel.launching.local_group import LocalGroup
    from t2t_multimodel.launching.noted_signals import NotedSignals
    from t2t_multimodel.launching.restarts import Restarts
    from t2t_multimodel.launching.supervision import Patience, Supervision
    from t2t_multimodel.launching.tf_config import local_addresses, tf_configs

    command = [path_of(command[0]), *command[1:]]
    shares = cpu_shares(values.workers, values.cpus_per_worker)
    gpus = gpu_variables(values.workers, values.gpus_per_worker)

    def start() -> LocalGroup:
        addresses = local_addresses(values.workers, values.port)
        return LocalGroup(
            command,
            [
                {"TF_CONFIG": config, **seen}
                for config, seen in zip(tf_configs(addresses), gpus, strict=True)
            ],
            cpus=shares,
            stdout=sys.stdout.buffer,
            stderr=sys.stderr.buffer,
        )

    with NotedSignals() as signals:
        supervision = Supervision(
            start,
            Restarts(values.max_restarts),
            signals.noted,
            say=lambda line: print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True),
            patience=Patience(grace=values.grace_seconds, finish=values.finish_seconds),
        )
        try:
            return supervision.run()
        except BrokenPipeError:
            # Else Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise UserError(
                "nobody reads any more what the workers print; they were killed"
            ) from None


def path_of(program: str) -> str:
    """Returns where a program is: in PATH, or else beside this Python.

    Raises:
        UserError: If it is nowhere.
    """
    beside = os.path.dirname(sys.executable)
    found = shutil.which(program) or shutil.which(program, path=beside)
    if found is None:
        raise UserError(
            f"{unknown('program', program, _PROGRAMS)}; it was sought in PATH and "
            f"{beside}"
        )
    return os.path.abspath(found)


def cpu_shares(num_workers: int, each: int) -> list[Any] | None:
    """Returns the CPUs of every worker; `None` if they are not to be divided.

    Raises:
        UserError: If there are too few, or the system cannot do it.
    """
    if not each:
        return None
    if not hasattr(os, "sched_getaffinity"):
        raise UserError(f"--cpus_per_worker={each} needs Linux; leave it out")
    cpus = sorted(os.sched_getaffinity(0))
    return _shares(cpus, num_workers, each, "cpus_per_worker", "CPUs")


def gpu_variables(num_workers: int, each: int) -> list[dict[str, str]]:
    """Returns the variables by which every worker sees GPUs of its own.

    Raises:
        UserError: If CUDA_VISIBLE_DEVICES names too few.
    """
    if not each:
        return [{}] * num_workers
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = (
        list(map(str, range(num_workers * each)))
        if named is None
        else [name.strip() for name in named.split(",") if name.strip()]
    )
    shares = _shares(gpus, num_workers, each, "gpus_per_worker", "GPUs")
    return [{"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares]


def _shares(
    things: list[Any], num_workers: int, each: int, flag: str, kind: str
) -> list[Any]:
    if len(things) < num_workers * each:
        raise UserError(
            f"--workers={num_workers} --{flag}={each} take {num_workers * each} "
            f"{kind}, and there are {len(things)}; give smaller numbers"
        )
    return [things[w * each : (w + 1) * each] for w in range(num_workers)]


if __name__ == "__main__":
    sys.exit(main())
