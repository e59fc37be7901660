"""What replicas cost: `python -m benchmarks.replicas --data_dir=DIR`.

Two worker processes with a core each, beside one process with the same two cores, take
joint steps of `multimodel_mini` on `mini8`. Prints the bytes of an all-reduce by count,
the time of a step of both, and what a step of each worker goes into:

    compute     gradients of its own problems, without any exchange
    update      clipping and Adam, which every worker does alike
    all-reduce  of tensors of the same sizes, when both workers come at once
    waiting     the rest: for the worker whose problems take longer, and for a core

Each is a median, and measured while the other worker does the same.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.run_flags import run_parser

PARTS = ("compute", "update", "all-reduce", "waiting")
_CORES = "--cores"


def reduced_bytes(model: Any, num_problems: int, dtype: str) -> dict[str, int]:
    """Counts what a replica gives to the all-reduce of a joint step, in bytes.

    Args:
        model: The model; all its variables train.
        num_problems: Problems of the step.
        dtype: `gradient_sum_dtype` of the run.
    """
    from t2t_multimodel.training.packing import GradientPacking

    variables = model.trainable_variables
    packing = GradientPacking([v.shape for v in variables])
    each = np.dtype(dtype).itemsize

    def size(indices: Sequence[int]) -> int:
        return sum(variables[i].value.shape.num_elements() * each for i in indices)

    return {
        f"{len(packing.small)} small gradients, as one vector": size(packing.small),
        f"{len(packing.large)} large gradients": size(packing.large),
        "losses, totals, targets, soundness": num_problems * 4 * each,
        "whether to stop": each,
    }


class Worker:
    """One process of a run, and the parts of its step.

    Args:
        trainer: Its part of the run.
        repeats: Steps timed.
    """

    def __init__(self, trainer: Any, repeats: int) -> None:
        self.trainer = trainer
        self.repeats = repeats
        self.names = trainer.choice.draw(0)
        # The same batches in all measurements.
        self.batches = trainer.data.next_batches(self.names)
        in_group = trainer.replicas.num_workers > 1
        self._meet = self._run(_met) if in_group else lambda: None

    def measure(self) -> dict[str, Any]:
        """Returns the milliseconds of a step and of its parts."""
        trainer = self.trainer
        rate = trainer.learning_rate(1)

        def step() -> object:
            return trainer.train_step.run(self.names, self.batches, 1, rate)

        if trainer.replicas.num_workers == 1:
            dtype = trainer.config.hparams.gradient_sum_dtype
            counted = reduced_bytes(trainer.model, len(self.names), dtype)
            return {**self._times({"step": step}), "by count": counted}
        parts = (self._gradients(), self._update(), self._all_reduce())
        figures: dict[str, Any] = self._times(
            {"step": step, **dict(zip(PARTS, parts, strict=False))}
        )
        known = sum(figures[part] for part in PARTS[:-1])
        figures["waiting"] = figures["step"] - known
        figures["problems"] = list(self.batches[0])
        figures["sent"] = trainer.train_step.reduced_bytes
        return figures

    def _times(self, functions: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        """Returns the median milliseconds, the first call left out, which traces.

        They take turns, so that other work on the machine does not fall on one.
        """
        seconds: dict[str, list[float]] = {name: [] for name in functions}
        for _ in range(self.repeats + 1):
            for name, function in functions.items():
                self._meet()  # so that the workers begin at once
                began = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - began)
        return {n: 1e3 * statistics.median(taken[1:]) for n, taken in seconds.items()}

    def _run(self, function: Callable[[], Any]) -> Callable[[], object]:
        """Returns what runs a traced function on this worker's replica."""
        import tensorflow as tf

        strategy = self.trainer.replicas.strategy
        plain = tf.autograph.experimental.do_not_convert(function)
        traced = tf.function(lambda: strategy.run(plain), autograph=False)

        def run() -> object:
            results = strategy.experimental_local_results(traced())
            return [tensor.numpy() for tensor in results]

        return run

    def _gradients(self) -> Callable[[], object]:
        import tensorflow as tf

        problems = self.trainer.train_step.problems
        (own,) = self.batches
        functions = {name: problems.function(name) for name in own}
        inputs = {
            name: problems.inputs(name, own[name], seed=1, step=2) for name in own
        }

        def compute() -> tf.Tensor:
            total = tf.zeros([])
            for name in own:
                with tf.control_dependencies([total]):
                    result = functions[name](*inputs[name])
                present = [part for part in result.packed if part is not None]
                # All of them must be computed for it, and it is a pass over them.
                total += tf.add_n([tf.reduce_max(part) for part in present])
            return total

        return self._run(compute)

    def _sent(self) -> list:
        """Returns tensors of the sizes of an all-reduce."""
        import tensorflow as tf

        from t2t_multimodel.training.packing import cast_packed

        problems = self.trainer.train_step.problems
        filled = [tf.fill(shape, 1e-6) for shape in problems.packing.shapes]
        return cast_packed(
            problems.packing.pack(filled), problems.hparams.gradient_sum_dtype
        )

    def _update(self) -> Callable[[], object]:
        import tensorflow as tf

        from t2t_multimodel.training.step import apply_mean

        step = self.trainer.train_step

        def update() -> tf.Tensor:
            return apply_mean(
                step.problems,
                step.optimizer,
                step.problems.trains(),
                len(self.names),
                self._sent(),
                tf.constant(1e-6),
                tf.constant(True),
            )

        return self._run(update)

    def _all_reduce(self) -> Callable[[], object]:
        import tensorflow as tf

        def exchange() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            summed = context.all_reduce(tf.distribute.ReduceOp.SUM, self._sent())
            return tf.add_n([tf.reshape(tensor, [-1])[0] for tensor in summed])

        return self._run(exchange)


def _met() -> Any:
    """Sums a number over the replicas: done when all of them are there."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.zeros([]))


def run_worker(args: argparse.Namespace) -> None:
    """Measures in this process, which is one of a group by TF_CONFIG or alone."""
    os.sched_setaffinity(0, args.cores)
    from t2t_multimodel.training.cpu_memory import keep_freed_memory

    keep_freed_memory()  # as the trainer does
    import tensorflow as tf

    from t2t_multimodel.hparams import make_hparams
    from t2t_multimodel.problems import make_problems
    from t2t_multimodel.training.determinism import repeat_exactly
    from t2t_multimodel.training.devices import make_replicas
    from t2t_multimodel.training.run_config import RunConfig
    from t2t_multimodel.training.trainer import Trainer

    repeat_exactly()
    num_cores = len(args.cores)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    config = RunConfig(
        problems=make_problems(args.problems),
        hparams=make_hparams(args.hparams_set, args.hparams),
        data_dir=args.data_dir,
        output_dir=args.output_dir,
        local_eval_frequency=0,
        evaluate_at_end=False,
        num_parallel_problems=num_cores,
    )
    with contextlib.closing(Trainer(config, replicas=make_replicas())) as trainer:
        figures = Worker(trainer, args.repeats).measure()
        trainer.replicas.agree(4)
    args.result.write_text(json.dumps(figures), encoding="utf-8")


def measure_group(
    command: Sequence[str], cores: Sequence[int], num_workers: int
) -> list[dict[str, Any]]:
    """Starts the workers of a group, the cores dealt out; returns their figures."""
    each = len(cores) // num_workers
    with tempfile.TemporaryDirectory() as folder:
        addresses = [f"localhost:{port}" for port in _free_ports(num_workers)]
        results = [pathlib.Path(folder, f"{i}.json") for i in range(num_workers)]
        processes = []
        try:
            for index, result in enumerate(results):
                own = cores[index * each : (index + 1) * each]
                flags = [
                    *(f"--output_dir={folder}/run", f"--result={result}"),
                    *(_CORES, *map(str, own)),
                ]
                environment = dict(os.environ)
                if num_workers > 1:
                    task = {"type": "worker", "index": index}
                    cluster = {"cluster": {"worker": addresses}, "task": task}
                    environment["TF_CONFIG"] = json.dumps(cluster)
                processes.append(
                    subprocess.Popen([*command, *flags], env=environment)  # noqa: S603
                )
            if any([process.wait() for process in processes]):
                raise SystemExit("a worker failed; its message is above")
        finally:
            for process in processes:
                process.kill()
                process.wait()
        return [json.loads(result.read_text(encoding="utf-8")) for result in results]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("localhost", 0)))
            for _ in range(count)
        ]
        return [each.getsockname()[1] for each in sockets]


def report(alone: Mapping[str, Any], group: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the lines that are printed."""
    by_count = alone["by count"]
    total = sum(by_count.values())
    lines = ["all-reduced bytes of a joint step, each replica:"]
    lines += [f"  {what}: {count:,}" for what, count in by_count.items()]
    lines.append(f"  in all: {total:,}; as traced: {group[0]['sent']:,}")
    lines.append(f"one process, two cores: {alone['step']:.0f} ms a joint step")
    slowest = max(figures["step"] for figures in group)
    lines.append(
        f"two workers, a core each: {slowest:.0f} ms a joint step, "
        f"{slowest / alone['step']:.2f} times as long"
    )
    for index, figures in enumerate(group):
        parts = ", ".join(f"{part} {figures[part]:.0f} ms" for part in PARTS)
        lines.append(f"  worker {index}: {parts} ({', '.join(figures['problems'])})")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what the flags say and prints it."""
    parser = run_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="steps timed")
    parser.add_argument(_CORES, type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--output_dir", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.result:
        run_worker(args)
        return 0
    cores = sorted(os.sched_getaffinity(0))[:2]
    given = sys.argv[1:] if argv is None else argv
    command = [sys.executable, "-m", "benchmarks.replicas", *given]
    measure = functools.partial(measure_group, command, cores)
    (alone,) = measure(1)
    print(*report(alone, measure(2)), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
