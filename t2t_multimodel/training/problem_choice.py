"""Which problems a step trains.

The draw of a step depends on the seed, the number of the step and (with `adaptive`)
the losses so far, and on nothing else: all workers draw the same, and a run that is
continued draws what it would have drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from t2t_multimodel.errors import UserError, unknown

FIRST_AVERAGE = 100.0
"""What T2T's moving averages of losses start at, in nats."""

AVERAGE_DECAY = 0.9
"""Weight of the old average when a loss comes in (T2T)."""


class ProblemChoice:
    """Chooses the problems of each step.

    * `distributed`, the paper's: all problems in every step.
    * `uniform`: one problem, all equally likely.
    * `adaptive`, T2T's: one problem, with probability softmax(average loss). The
      averages start at 100, so a problem that has not come down yet is drawn almost
      always, and later a nat more makes it 2.7 times as likely.
    * `proportional`, ours: one problem, with probability in proportion to
      size ** (1 / temperature); temperature 1 goes by size, a high one nears uniform.

    Args:
        mode: One of the above, as in the hyperparameter `problem_choice`.
        names: The problems of the run, in order.
        seed: Seed of the run.
        sizes: Problem name to its number of training examples; for `proportional`.
        temperature: For `proportional`.

    Raises:
        UserError: If there is no such mode, or `proportional` lacks a size.
    """

    def __init__(
        self,
        mode: str,
        names: Sequence[str],
        *,
        seed: int = 0,
        sizes: Mapping[str, int] | None = None,
        temperature: float = 1.0,
    ) -> None:
        modes = ("distributed", "uniform", "adaptive", "proportional")
        if mode not in modes:
            raise UserError(unknown("problem_choice", mode, modes))
        self.mode = mode
        self.names = tuple(names)
        self.seed = seed
        self.averages = dict.fromkeys(self.names, FIRST_AVERAGE)
        self._fixed = np.full(len(self.names), 1.0 / len(self.names))
        if mode == "proportional":
            self._fixed = _proportions(self.names, sizes or {}, temperature)

    @property
    def probabilities(self) -> dict[str, float]:
        """How likely each problem is to be in the next step."""
        if self.mode == "distributed":
            return dict.fromkeys(self.names, 1.0)
        return dict(zip(self.names, map(float, self._weights()), strict=True))

    def sets(self) -> list[tuple[str, ...]]:
        """Returns the sets of problems that a step may train."""
        if self.mode == "distributed":
            return [self.names]
        return [(name,) for name in self.names]

    def draw(self, step: int) -> tuple[str, ...]:
        """Returns the names of the problems that a step trains."""
        if self.mode == "distributed":
            return self.names
        drawn = np.random.default_rng([self.seed, step]).random()
        bounds = np.cumsum(self._weights())
        # The last bound may be a rounding error below 1.
        index = min(int(np.searchsorted(bounds, drawn, "right")), len(bounds) - 1)
        return (self.names[index],)

    def learn(self, losses: Mapping[str, float]) -> None:
        """Takes the training losses of a step, in nats, by problem name.

        T2T averages the total loss: with the experts' balance loss.
        """
        for name, loss in losses.items():
            average = AVERAGE_DECAY * self.averages[name]
            self.averages[name] = average + (1 - AVERAGE_DECAY) * float(loss)

    def get_state(self) -> dict[str, float]:
        """Returns the average losses, by problem name."""
        return dict(self.averages)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes what `get_state` returned; other problems keep their averages."""
        known = {name: float(state[name]) for name in self.names if name in state}
        self.averages.update(known)

    def _weights(self) -> np.ndarray:
        if self.mode != "adaptive":
            return self._fixed
        logits = np.array([self.averages[name] for name in self.names])
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()


def _proportions(
    names: Sequence[str], sizes: Mapping[str, int], temperature: float
) -> np.ndarray:
    missing = [name for name in names if sizes.get(name, 0) <= 0]
    if missing:
        raise UserError(
            f"problem_choice=proportional needs the number of training examples of "
            f"{', '.join(missing)}; run t2t-mm-datagen again, which counts them"
        )
    if temperature <= 0:
        raise UserError(f"proportional_temperature={temperature} must be positive")
    # In logarithms: no size is too large for a low temperature.
    logits = np.log([sizes[name] for name in names]) / temperature
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
