"""What checkpoints cost a run: `python -m benchmarks.checkpointing --data_dir=DIR`.

Trains `multimodel_mini` on `mini8` and saves now and then, in the background as the
trainer does. What a checkpoint costs is how long `save` blocks, and by how much the
steps that are taken while it is written exceed the median of those while none is.
Prints both, and their sum as a share of the steps between two checkpoints.
"""

import contextlib
import dataclasses
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence

from benchmarks.run_flags import run_parser
from t2t_multimodel.training.cpu_memory import keep_freed_memory

keep_freed_memory()  # as the trainer does

from t2t_multimodel.hparams import make_hparams  # noqa: E402
from t2t_multimodel.problems import make_problems  # noqa: E402
from t2t_multimodel.training.determinism import repeat_exactly  # noqa: E402
from t2t_multimodel.training.run_config import RunConfig  # noqa: E402
from t2t_multimodel.training.trainer import Trainer  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one checkpoint took.

    Attributes:
        blocked_seconds: Within `save`, while no step is taken.
        writing_seconds: From `save` until the checkpoint has its name.
        slower_seconds: By which the steps meanwhile were longer than the median.
        num_bytes: On the disk.
    """

    blocked_seconds: float
    writing_seconds: float
    slower_seconds: float
    num_bytes: int

    @property
    def seconds(self) -> float:
        """What training lost."""
        return self.blocked_seconds + self.slower_seconds


class Steps:
    """Takes a run's steps and times them.

    Args:
        trainer: The run.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def take(self) -> float:
        """Takes one step; returns its seconds."""
        trainer, began = self.trainer, time.perf_counter()
        names = trainer.choice.draw(trainer.step)
        trainer.train_step.run(
            names,
            trainer.data.next_batches(names),
            trainer.step,
            trainer.learning_rate(trainer.step),
        )
        trainer.step += 1
        return time.perf_counter() - began

    def take_while_saving(self, median_seconds: float) -> Cost:
        """Saves, and takes steps until the checkpoint is there."""
        began, began_at = time.perf_counter(), time.time()
        path = self.trainer.checkpoints.save(self.trainer.step)
        blocked_seconds = time.perf_counter() - began
        steps = [self.take()]
        while not path.exists():
            steps.append(self.take())
        self.trainer.checkpoints.wait()
        # From the file system: a step may have gone on after the writing ended.
        ended = path.stat().st_ctime  # of its last change, which gave it its name
        return Cost(
            blocked_seconds,
            ended - began_at,
            sum(steps) - len(steps) * median_seconds,
            sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
        )


def report(costs: Sequence[Cost], step_seconds: float, every_steps: int) -> list[str]:
    """Returns the lines that are printed: medians over the checkpoints."""

    def median(name: str) -> float:
        return statistics.median(getattr(cost, name) for cost in costs)

    every_seconds = every_steps * step_seconds
    share = median("seconds") / every_seconds
    most = (median("blocked_seconds") + median("writing_seconds")) / every_seconds
    return [
        f"step without a checkpoint: {1e3 * step_seconds:.1f} ms (median)",
        f"save() blocks: {1e3 * median('blocked_seconds'):.1f} ms",
        f"writing in the background: {1e3 * median('writing_seconds'):.0f} ms, "
        f"{median('num_bytes') / 2**20:.1f} MiB",
        f"steps meanwhile are longer by: {1e3 * median('slower_seconds'):.1f} ms",
        f"a checkpoint every {every_steps} steps costs {100 * share:.2f} % of the time "
        f"of steps (median of {len(costs)}); {100 * most:.2f} % if no step were taken "
        "meanwhile",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what the flags say and prints it."""
    parser = run_parser(__doc__)
    parser.add_argument("--every", type=int, default=100, help="steps a checkpoint")
    parser.add_argument("--saves", type=int, default=7, help="checkpoints timed")
    parser.add_argument(
        "--steps", type=int, default=10, help="steps timed before each of them"
    )
    parser.add_argument("--num_parallel", type=int, default=1)
    parser.add_argument(
        "--output_dir", type=pathlib.Path, help="on the disk to be timed; else in /tmp"
    )
    args = parser.parse_args(argv)
    repeat_exactly()
    with tempfile.TemporaryDirectory(dir=args.output_dir) as folder:
        config = RunConfig(
            problems=make_problems(args.problems),
            hparams=make_hparams(args.hparams_set, args.hparams),
            data_dir=args.data_dir,
            output_dir=pathlib.Path(folder, "run"),
            keep_checkpoint_max=2,
            local_eval_frequency=0,
            evaluate_at_end=False,
            num_parallel_problems=args.num_parallel,
        )
        with contextlib.closing(Trainer(config)) as trainer:
            trainer.dry_run()
            steps = Steps(trainer)
            steps.take()
            without, costs = [], []
            for _ in range(args.saves):
                without += [steps.take() for _ in range(args.steps)]
                costs.append(steps.take_while_saving(statistics.median(without)))
    lines = report(costs, statistics.median(without), args.every)
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
