"""Decoded scores of a model that is being trained."""

import os

from t2t_multimodel.decoding.decoder import Decoder
from t2t_multimodel.decoding.scoring import Scorer
from t2t_multimodel.models.multimodel import MultiModel
from t2t_multimodel.training.run_directory import Run


class DecodeScores:
    """Decodes and scores examples of every problem; for `Trainer(decode_scores=...)`.

    Traced functions and constant answers are kept from one call to the next, which
    therefore is of the same model.

    Args:
        data_dir: Folder of the shards.
        split: `"train"`, `"dev"` or `"test"`.
        num_examples: Examples of each problem, the first of the split.
    """

    def __init__(
        self, data_dir: str | os.PathLike, split: str, num_examples: int
    ) -> None:
        self.data_dir = data_dir
        self.split = split
        self.num_examples = num_examples
        self._scorer: Scorer | None = None

    def __call__(self, model: MultiModel, run: Run) -> dict[tuple[str, str], float]:
        """Returns (problem name, metric) to value, baselines included."""
        if self._scorer is None:
            decoder = Decoder(model, run.problems, run.encoders)
            self._scorer = Scorer(decoder, self.data_dir)
        scorer = self._scorer
        return {
            (problem.name, metric): value
            for problem in run.problems
            for metric, value in scorer.score(
                problem.name, self.split, max_examples=self.num_examples
            )
            .values()
            .items()
        }
