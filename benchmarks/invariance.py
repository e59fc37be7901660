"""Joint training gives the same numbers on any number of devices and processes.

  python -m benchmarks.invariance --data_dir=DATA [--steps=50]

Trains the eight problems of `mini8` jointly by `t2t-mm-trainer`: on one device, on R
logical CPUs of one process and in groups of W processes, without dropout, and prints
the largest difference of any loss at any step and of any weight at the end from the
run on one device: 0. Then twice on two logical CPUs with dropout, which must be equal.

`--hparams=gradient_sum_dtype=float32` shows what becomes of a last bit: training
amplifies it, as gates that are nearly equal send a position to another expert.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from t2t_multimodel.data import quiet_tensorflow

PROBLEMS = "mini8"
BAND = 1e-4  # nats


def trainer_command(data_dir: str, output_dir: pathlib.Path, args, **flags) -> list:
    """Returns the command of a run.

    Args:
        data_dir: Folder of the shards.
        output_dir: Folder of the run.
        args: The command line of this program.
        **flags: More flags of the trainer.
    """
    dropout = flags.pop("dropout", 0.0)
    given = {
        "problems": PROBLEMS,
        "hparams_set": args.hparams_set,
        "hparams": f"dropout={dropout},attention_dropout={dropout},"
        f"batch_size={args.batch_size},{args.hparams}".rstrip(","),
        "data_dir": data_dir,
        "output_dir": output_dir,
        "train_steps": args.steps,
        "schedule": "train",
        **flags,
    }
    return [
        *(sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_trainer"),
        *(f"--{name}={value}" for name, value in given.items()),
    ]


def run(command: list) -> float:
    """Runs a program, and returns how many seconds it took."""
    began = time.monotonic()
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr[-3000:]}")
    return time.monotonic() - began


def result(output_dir: pathlib.Path) -> tuple[dict, dict]:
    """Returns the losses by (step, problem), and the weights at the end by path."""
    from t2t_multimodel.training.checkpoint import (
        checkpoint_path,
        checkpoint_steps,
        read_weights,
    )

    lines = (output_dir / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    losses = {
        (record["step"], record["problem"]): record["value"]
        for record in records
        if record["metric"] == "loss"
    }
    last = checkpoint_steps(output_dir)[-1]
    return losses, read_weights(checkpoint_path(output_dir, last))[1]


def differences(one: tuple[dict, dict], other: tuple[dict, dict]) -> tuple:
    """Returns the largest difference of losses, the steps before one is above `BAND`
    at all, and the largest difference of weights.
    """
    if one[0].keys() != other[0].keys() or one[1].keys() != other[1].keys():
        raise SystemExit("the runs have other steps, problems or variables")
    of_losses = {key: abs(other[0][key] - loss) for key, loss in one[0].items()}
    apart = [step for (step, _), value in of_losses.items() if value > BAND]
    alike = min(apart, default=max(step for step, _ in of_losses) + 1) - 1
    of_weights = max(
        float(np.abs(other[1][path] - value).max(initial=0))
        for path, value in one[1].items()
    )
    return max(of_losses.values()), alike, of_weights


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", required=True, help="where mini8's shards are")
    parser.add_argument("--hparams_set", default="multimodel_mini")
    parser.add_argument("--hparams", default="", help="overrides: name=value,...")
    parser.add_argument("--batch_size", type=int, default=256, help="in tokens")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--replicas", type=int, nargs="*", default=[2, 3, 8])
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 3])
    args = parser.parse_args()
    quiet_tensorflow.load()
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder)
        one = made / "one"
        seconds = run(trainer_command(args.data_dir, one, args))
        print(f"one device: {len(result(one)[0])} losses, {seconds:.0f} s", flush=True)
        for count in args.replicas:
            there = made / f"replicas-{count}"
            command = trainer_command(args.data_dir, there, args, worker_gpu=count)
            _compare(f"{count} replicas, one process", command, one, there)
        for count in args.workers:
            there = made / f"workers-{count}"
            command = [
                *(sys.executable, "-m", "t2t_multimodel.bin.t2t_mm_launch"),
                *(f"--workers={count}", "--max_restarts=0", "--"),
                *trainer_command(args.data_dir, there, args),
            ]
            _compare(f"{count} worker processes", command, one, there)
        pair = [made / f"dropout-{number}" for number in (1, 2)]
        for there in pair:
            flags = {"worker_gpu": 2, "dropout": 0.2}
            run(trainer_command(args.data_dir, there, args, **flags))
        _print("2 replicas with dropout, twice", *map(result, pair))


def _compare(name: str, command: list, one: pathlib.Path, there: pathlib.Path) -> None:
    seconds = run(command)
    _print(f"{name} ({seconds:.0f} s)", result(one), result(there))


def _print(name: str, left: tuple, right: tuple) -> None:
    losses, alike, weights = differences(left, right)
    print(
        f"{name}: losses {losses:.2g} (within {BAND:g} for {alike} steps), weights "
        f"{weights:.2g}",
        flush=True,
    )


if __name__ == "__main__":
    main()
