"""A ninth problem for a model that has learned eight: warm start beside scratch.

    python -m benchmarks.ninth_problem --work_dir=/tmp/nine

Trains `multimodel_mini` on the eight problems of `mini8`; then, with equal settings,
all nine problems twice: from that model, and from scratch. Prints whether the eight
problems' evaluation is unchanged at step 0, the ninth's by steps, and what became of
the eight. Runs in `--work_dir` that are there already are not trained again.
"""

import argparse
import contextlib
import logging
import pathlib
import sys
import time

from t2t_multimodel.training.cpu_memory import keep_freed_memory

keep_freed_memory()  # as the trainer does

import tensorflow as tf  # noqa: E402

from t2t_multimodel.data.generate import generate  # noqa: E402
from t2t_multimodel.hparams import make_hparams  # noqa: E402
from t2t_multimodel.problems import make_problems  # noqa: E402
from t2t_multimodel.training.determinism import repeat_exactly  # noqa: E402
from t2t_multimodel.training.metrics_log import read_metrics  # noqa: E402
from t2t_multimodel.training.run_config import RunConfig  # noqa: E402
from t2t_multimodel.training.trainer import Trainer  # noqa: E402

EIGHT, NINTH = "mini8", "translate_enfr_mini_rev"
LOG_PERPLEXITY, ACCURACY = "neg_log_perplexity", "accuracy"

Curve = dict[int, dict[tuple[str, str], float]]
"""Step to (problem, metric) to value on dev."""


def train(
    arguments: argparse.Namespace,
    name: str,
    problems: str,
    num_steps: int,
    *,
    every: int,
    warm_start_from: pathlib.Path | None = None,
) -> Curve:
    """Trains a run, evaluated before its first step too; returns its evaluations.

    Args:
        arguments: The command line.
        name: Folder of the run in `--work_dir`.
        problems: Names of problems and groups.
        num_steps: Steps.
        every: Steps between evaluations; 0 for one at the end.
        warm_start_from: Run to begin with.
    """
    output_dir = arguments.work_dir / name
    curve = evaluations(output_dir)
    if num_steps in curve:
        return curve
    config = RunConfig(
        problems=make_problems(problems),
        hparams=make_hparams("multimodel_mini", hparams(arguments)),
        data_dir=arguments.data_dir,
        output_dir=output_dir,
        train_steps=num_steps,
        eval_steps=arguments.eval_batches,
        local_eval_frequency=every,
        save_checkpoints_steps=100,
        num_parallel_problems=arguments.num_parallel,
        warm_start_from=warm_start_from,
    )
    began, began_cpu = time.monotonic(), time.process_time()
    with contextlib.closing(Trainer(config)) as trainer:
        if not trainer.step:
            trainer.evaluate()
        trainer.train()
    print(
        f"{name}: {num_steps} steps in {time.monotonic() - began:.0f} s "
        f"({time.process_time() - began_cpu:.0f} s of processor time)",
        flush=True,
    )
    return evaluations(output_dir)


def hparams(arguments: argparse.Namespace) -> str:
    """Returns the changes to `multimodel_mini`, the same in all three runs."""
    return (
        f"batch_size={arguments.batch_size},"
        f"learning_rate_warmup_steps={arguments.warmup_steps},"
        f"learning_rate_cosine_cycle_steps={arguments.eight_steps}"
    )


def evaluations(output_dir: pathlib.Path) -> Curve:
    """Returns what a run has logged of its evaluations."""
    curve: Curve = {}
    if (output_dir / "metrics.jsonl").exists():
        for record in read_metrics(output_dir):
            if record.split == "dev":
                values = curve.setdefault(record.step, {})
                values[record.problem, record.metric] = record.value
    return curve


def unchanged(eight: Curve, warm: Curve) -> bool:
    """Says whether the eight problems' evaluation is what it was; returns it."""
    before, now = eight[max(eight)], warm[0]
    different = [name for name, value in before.items() if now[name] != value]
    print(
        f"\nstep 0: {len(before) - len(different)} of {len(before)} numbers are equal"
    )
    for name in different:
        print(f"  {' '.join(name)}: {before[name]!r} -> {now[name]!r}")
    return not different


def ninth_table(warm: Curve, scratch: Curve) -> str:
    """Returns the ninth problem's log-perplexity and accuracy by steps."""
    lines = [
        "| step | nats a token, warm | from scratch | accuracy, warm | from scratch |",
        "| --- | --- | --- | --- | --- |",
    ]
    for step in sorted(warm.keys() & scratch.keys()):
        cells = [
            f"{sign * curve[step][NINTH, metric]:.3f}"
            for metric, sign in ((LOG_PERPLEXITY, -1), (ACCURACY, 1))
            for curve in (warm, scratch)
        ]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines)


def eight_table(eight: Curve, warm: Curve, scratch: Curve) -> str:
    """Returns every problem's accuracy before and after."""
    last = max(warm)
    lines = [
        f"| accuracy on dev | eight, step {max(eight)} | nine, warm, step 0 | "
        f"nine, warm, step {last} | nine, from scratch, step {last} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for problem, metric in warm[last]:
        if metric == ACCURACY:
            cells = [
                f"{values[problem, metric]:.3f}" if (problem, metric) in values else ""
                for values in (eight[max(eight)], warm[0], warm[last], scratch[last])
            ]
            lines.append(f"| `{problem}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(warm: Curve, scratch: Curve, path: pathlib.Path) -> None:
    """Draws the ninth problem's log-perplexity and accuracy by steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(7.5, 2.8), dpi=100)
    for axis, metric, sign, label in (
        (axes[0], LOG_PERPLEXITY, -1, "nats a token"),
        (axes[1], ACCURACY, 1, "accuracy"),
    ):
        for curve, name in ((warm, "warm start"), (scratch, "from scratch")):
            steps = sorted(curve)
            values = [sign * curve[step][NINTH, metric] for step in steps]
            axis.plot(steps, values, marker=".", label=name)
        axis.set_xlabel("steps with nine problems")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work_dir", type=pathlib.Path, required=True)
    parser.add_argument("--data_dir", type=pathlib.Path, help="<work_dir>/data")
    parser.add_argument("--eight_steps", type=int, default=300)
    parser.add_argument("--nine_steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=20, help="steps to an evaluation")
    parser.add_argument("--batch_size", type=int, default=192, help="tokens")
    parser.add_argument("--warmup_steps", type=int, default=40)
    parser.add_argument("--eval_batches", type=int, default=4)
    parser.add_argument("--num_parallel", type=int, default=2)
    parser.add_argument("--plot", type=pathlib.Path, help="PNG to draw the curves in")
    arguments = parser.parse_args(argv)
    arguments.data_dir = arguments.data_dir or arguments.work_dir / "data"
    return arguments


def main() -> int:
    """Trains, compares and prints; returns 1 if the evaluation has changed."""
    arguments = parse()
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    logging.getLogger("absl").setLevel(logging.WARNING)
    repeat_exactly()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.num_parallel)
    nine = f"{EIGHT}-{NINTH}"
    generate(make_problems(nine), arguments.data_dir, arguments.work_dir, say=print)
    eight = train(arguments, "eight", EIGHT, arguments.eight_steps, every=0)
    settings = {"num_steps": arguments.nine_steps, "every": arguments.every}
    source = arguments.work_dir / "eight"
    warm = train(arguments, "warm", nine, **settings, warm_start_from=source)
    scratch = train(arguments, "scratch", nine, **settings)
    is_unchanged = unchanged(eight, warm)
    print(f"\n{NINTH}:\n\n{ninth_table(warm, scratch)}")
    print(f"\n{eight_table(eight, warm, scratch)}")
    if arguments.plot:
        plot(warm, scratch, arguments.plot)
    return 0 if is_unchanged else 1


if __name__ == "__main__":
    sys.exit(main())
