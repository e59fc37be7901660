"""t2t-mm-trainer: learn problems together, or evaluate what was learned."""

import contextlib
import functools
import logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from absl import flags

from t2t_multimodel import exit_status, signals
from t2t_multimodel.bin import command_line, replayed_step
from t2t_multimodel.bin.t2t_flags.refusal import schedule_refusal
from t2t_multimodel.errors import UserError

if TYPE_CHECKING:  # loads TensorFlow
    from t2t_multimodel.training.replicas import Replicas
    from t2t_multimodel.training.run_config import RunConfig

PROGRAM = "t2t-mm-trainer"
DESCRIPTION = """Trains one model on problems, all together.

  t2t-mm-trainer --generate_data --data_dir=DATA --output_dir=RUN \\
      --problems=mini8 --hparams_set=multimodel_mini --train_steps=2500

A run that was stopped or killed goes on when the same command is given again."""


def define_flags() -> flags.FlagValues:
    """Returns the program's flags; names are those of t2t-trainer."""
    values = flags.FlagValues()
    command_line.define_shared(values)
    string = functools.partial(flags.DEFINE_string, flag_values=values)

    def integer(name: str, default: int, help_text: str) -> None:
        flags.DEFINE_integer(name, default, help_text, flag_values=values)

    string("problems", "", "Names of problems or groups, joined by -.")
    string("hparams_set", "", "Name of the hparams set.")
    string("hparams", "", "Changes to the set: name=value,name=value.")
    string("data_dir", "", "Folder of the shards.")
    string("output_dir", "", "Folder for checkpoints, metrics and the description.")
    string(
        "tmp_dir",
        os.path.join(tempfile.gettempdir(), "t2t_datagen"),
        "Folder with the sources of the problems that need any.",
    )
    flags.DEFINE_bool(
        "generate_data", False, "Write the data first.", flag_values=values
    )
    string(
        "schedule",
        "train_and_evaluate",
        "What to do: train_and_evaluate, only train, or evaluate the latest "
        "checkpoint once.",
    )
    flags.register_validator("schedule", _check_schedule, flag_values=values)
    integer("train_steps", 250_000, "Updates in all, earlier sessions included.")
    integer("eval_steps", 100, "Batches of each evaluation at most; 0 takes all.")
    integer("local_eval_frequency", 1000, "Steps between evaluations; 0: at the end.")
    flags.DEFINE_integer(
        "decode_eval_examples",
        0,
        "Examples of each problem that every evaluation decodes and scores (BLEU, WER, "
        "top-1 and top-5, whole trees); 0: none.",
        lower_bound=0,
        flag_values=values,
    )
    integer("save_checkpoints_steps", 500, "Steps between checkpoints.")
    integer("keep_checkpoint_max", 20, "Checkpoints kept, the newest.")
    integer("random_seed", 1234, "Decides weights, order of data, dropout and noise.")
    _define_devices(values)
    _define_mishaps(values)
    _define_warm_start(values)
    flags.DEFINE_bool(
        "eval_use_test_set",
        False,
        "Evaluate on the test split instead of dev.",
        flag_values=values,
    )
    return values


def _define_devices(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "worker_gpu",
        1,
        "Devices of this process that share each step; without GPUs, logical CPUs to "
        "try it out. Several processes are told of each other by TF_CONFIG.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "all_reduce",
        "auto",
        "How devices add up gradients: auto, nccl, hierarchical_copy or reduce_to_one; "
        "between processes auto, nccl or ring.",
        flag_values=values,
    )


def _define_warm_start(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "warm_start_from",
        "",
        "Begin with what another run has learned: its output directory, or one of its "
        "checkpoints; problems may be added, left out or others.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "freeze",
        [],
        "Parts that do not train, e.g. encoder/*; commas between several, or repeated.",
        flag_values=values,
    )


def _define_mishaps(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "max_bad_steps",
        10,
        "End after so many steps in a row whose loss or gradient is not finite; such a "
        "step updates nothing.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "skip_bad_examples",
        0,
        "Leave out up to so many damaged training records of each problem.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "replay",
        "",
        "Compute a step that was not finite again: the bad_step-<step>.json that the "
        "run wrote. Needs no other flag.",
        flag_values=values,
    )


def _check_schedule(value: str) -> bool:
    refused = schedule_refusal(value)
    if refused:
        raise flags.ValidationError(refused)
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; see `command_line.run`."""
    values = define_flags()
    return command_line.run(PROGRAM, DESCRIPTION, values, lambda: run(values), argv)


def run(values: flags.FlagValues) -> int:
    """Does what the flags say; returns the exit status."""
    if values.replay:
        return replayed_step.show(values.replay, values.data_dir)
    config = run_config(values)
    if values.generate_data and _is_chief():
        generate(config, values)
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.WARNING)
    from t2t_multimodel.data import quiet_tensorflow
    from t2t_multimodel.training.cpu_memory import keep_freed_memory

    keep_freed_memory()
    quiet_tensorflow.load()

    from t2t_multimodel.training.determinism import repeat_exactly
    from t2t_multimodel.training.devices import make_replicas

    if values.schedule == "evaluate":
        _check_trained(config)
    repeat_exactly()
    _divide_cores(config.num_parallel_problems, values.worker_gpu)
    with _no_waiting_for_peers():
        replicas = make_replicas(values.worker_gpu, values.all_reduce)
    return _train(config, values, replicas)


def _train(config: "RunConfig", values: flags.FlagValues, replicas: "Replicas") -> int:
    """Trains or evaluates; ends the process at once if another worker is gone."""
    import tensorflow as tf

    from t2t_multimodel.training.bad_steps import NotFiniteError
    from t2t_multimodel.training.devices import is_peer_loss
    from t2t_multimodel.training.trainer import Trainer

    try:
        with _no_waiting_for_peers():
            made = Trainer(config, replicas=replicas, **_decode_scores(values))
        with contextlib.closing(made) as trainer:
            if values.schedule != "evaluate":
                trainer.train(PROGRAM)
            else:
                if replicas.is_chief:
                    trainer.evaluate()
                replicas.agree(0)  # The others wait for it.
        return 0
    except NotFiniteError as error:
        raise UserError(str(error)) from error
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"out of memory at batch_size={config.hparams.batch_size}; give a smaller "
            f"one: --hparams=batch_size={config.hparams.batch_size // 2}"
        ) from error
    except tf.errors.OpError as error:
        if replicas.num_workers == 1 or not is_peer_loss(error):
            raise
        return _leave_group(error)


def _check_trained(config: "RunConfig") -> None:
    """Refuses to evaluate where nothing was trained, before a run is begun there."""
    from t2t_multimodel.training.checkpoint import checkpoint_steps

    if not checkpoint_steps(config.output_dir):
        raise UserError(
            f"{config.output_dir} has no checkpoint to evaluate; train first"
        )


def _no_waiting_for_peers() -> contextlib.AbstractContextManager[None]:
    """Within it a worker ends at a signal, even while it waits for the others."""
    has_peers = _worker()[1] > 1
    return signals.ending_at_once(PROGRAM) if has_peers else contextlib.nullcontext()


def _is_chief() -> bool:
    return _worker()[0] == 0


def _worker() -> tuple[int, int]:
    """Returns this worker's number and how many there are."""
    from t2t_multimodel.training.cluster import worker_of

    text = os.environ.get("TF_CONFIG", "")
    return worker_of(text) if text else (0, 1)


def _leave_group(error: Exception) -> NoReturn:
    """Ends the process as it is: operations that wait for a peer never end."""
    said = " ".join(str(error).split())[:200]
    print(
        f"{PROGRAM}: another worker of the group is gone, or cannot be reached; start "
        f"all again, and they go on from the last checkpoint ({said})",
        file=sys.stderr,
        flush=True,
    )
    sys.stdout.flush()
    os._exit(exit_status.PEER_LOST)


def _decode_scores(values: flags.FlagValues) -> dict[str, Any]:
    """Returns the trainer's argument that decodes at evaluations, if it is asked."""
    if not values.decode_eval_examples:
        return {}
    from t2t_multimodel.decoding.while_training import DecodeScores

    return {
        "decode_scores": DecodeScores(
            pathlib.Path(values.data_dir).expanduser(),
            _eval_split(values),
            values.decode_eval_examples,
        )
    }


def _eval_split(values: flags.FlagValues) -> str:
    return "test" if values.eval_use_test_set else "dev"


def _divide_cores(num_parallel: int, worker_gpu: int) -> None:
    """Gives every problem that is computed side by side its share of the cores.

    A matrix product rounds by its number of threads, so this does not depend on the
    number of replicas: they give the same numbers.
    """
    import tensorflow as tf

    if num_parallel > 1:
        each = max(1, _num_cores() // num_parallel)
        # A caller from Python may have TensorFlow at work; its threads then stay.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(each)
            if worker_gpu == 1:
                tf.config.threading.set_inter_op_parallelism_threads(num_parallel)


def _num_parallel(hparams, num_problems: int) -> int:
    """Returns how many problems of a step to compute side by side: one per core.

    Half the time of one after the other on two cores, for small networks (ours).
    """
    if hparams.problem_choice != "distributed":
        return 1
    return min(num_problems, _num_cores())


def _num_cores() -> int:
    """Returns the cores that this process may use, of those the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_config(values: flags.FlagValues) -> "RunConfig":
    """Returns the run that the flags describe.

    Raises:
        UserError: If a flag is missing or wrong.
    """
    from t2t_multimodel.hparams import make_hparams
    from t2t_multimodel.problems import make_problems
    from t2t_multimodel.training.run_config import RunConfig

    for name in ("problems", "hparams_set", "data_dir", "output_dir"):
        if not values[name].value:
            raise UserError(
                f"--{name} is missing; see --help, and --registry_help for names"
            )
    at_end_only = values.schedule == "train"
    problems = make_problems(values.problems)
    hparams = make_hparams(values.hparams_set, values.hparams)
    return RunConfig(
        problems=problems,
        hparams=hparams,
        num_parallel_problems=_num_parallel(hparams, len(problems)),
        data_dir=pathlib.Path(values.data_dir).expanduser(),
        output_dir=pathlib.Path(values.output_dir).expanduser(),
        train_steps=values.train_steps,
        eval_steps=values.eval_steps,
        local_eval_frequency=0 if at_end_only else values.local_eval_frequency,
        evaluate_at_end=not at_end_only,
        save_checkpoints_steps=values.save_checkpoints_steps,
        keep_checkpoint_max=values.keep_checkpoint_max,
        random_seed=values.random_seed,
        eval_split=_eval_split(values),
        max_bad_steps=values.max_bad_steps,
        skip_bad_examples=values.skip_bad_examples,
        warm_start_from=_folder(values.warm_start_from),
        freeze=tuple(values.freeze),
    )


def _folder(path: str) -> pathlib.Path | None:
    return pathlib.Path(path).expanduser() if path else None


def generate(config: "RunConfig", values: flags.FlagValues) -> None:
    """Writes the data of the run's problems, where it is not there yet."""
    from t2t_multimodel.data.generate import generate as generate_shards

    generate_shards(
        config.problems,
        config.data_dir,
        pathlib.Path(values.tmp_dir).expanduser(),
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    sys.exit(main())
