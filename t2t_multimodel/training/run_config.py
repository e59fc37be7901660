"""Where and how long: what a training run is told by flags."""

import dataclasses
import pathlib
from collections.abc import Sequence

from t2t_multimodel.errors import UserError
from t2t_multimodel.hparams import HParams
from t2t_multimodel.problems.problem import Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything a run needs besides its data; names are T2T's flags.

    Attributes:
        problems: What to learn.
        hparams: How.
        data_dir: Folder of the shards.
        output_dir: Folder for checkpoints, metrics and the run's description.
        train_steps: Updates in all, those of earlier sessions included.
        eval_steps: Batches of each problem's evaluation, at most; 0 = whole split.
        local_eval_frequency: Steps between evaluations; 0 = only at the end.
        save_checkpoints_steps: Steps between checkpoints.
        keep_checkpoint_max: Checkpoints kept.
        random_seed: Decides weights, order of data, dropout and gating noise.
        evaluate_at_end: Whether to evaluate after the last step.
        eval_split: Split that is evaluated.
        num_parallel_problems: Problems of a joint step computed side by side, on one
            device.
        max_bad_steps: Steps in a row whose loss or gradient is not finite, after
            which the run ends.
        skip_bad_examples: Damaged records that each reader of a problem leaves out.
        warm_start_from: Run or checkpoint to begin with.
        freeze: Patterns of the variables that do not train.
    """

    problems: Sequence[Problem]
    hparams: HParams
    data_dir: pathlib.Path
    output_dir: pathlib.Path
    train_steps: int = 250_000
    eval_steps: int = 100
    local_eval_frequency: int = 1000
    save_checkpoints_steps: int = 500
    keep_checkpoint_max: int = 20
    random_seed: int = 1234
    evaluate_at_end: bool = True
    eval_split: str = "dev"
    num_parallel_problems: int = 1
    max_bad_steps: int = 10
    skip_bad_examples: int = 0
    warm_start_from: pathlib.Path | None = None
    freeze: Sequence[str] = ()

    @property
    def is_joint(self) -> bool:
        """Whether every step trains all problems."""
        return self.hparams.problem_choice == "distributed"

    @property
    def batching(self) -> dict[str, int]:
        """The sizes of batches, as arguments of readers and buckets."""
        hparams = self.hparams
        return {"batch_size": hparams.batch_size, "max_length": hparams.max_length}

    @property
    def evaluates(self) -> bool:
        """Whether there is any evaluation."""
        return self.evaluate_at_end or self.local_eval_frequency > 0

    def __post_init__(self) -> None:
        for name in (
            "train_steps",
            "save_checkpoints_steps",
            "keep_checkpoint_max",
            "num_parallel_problems",
            "max_bad_steps",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)} must be positive")
        for name in ("eval_steps", "local_eval_frequency", "skip_bad_examples"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name}={getattr(self, name)} must not be negative")
