"""Learning-rate schedules: T2T's schemes as functions of the step.

Each scheme is a function of the global step (0 in the first update) and of plain
numbers, and returns what the hyperparameter `learning_rate` is multiplied with.
`make_schedule` makes the whole learning rate of a run.

| name | multiplier | warm-up | T2T |
| --- | --- | --- | --- |
| `noam` | 5000 / sqrt(H) * min((s+1) / W^1.5, 1 / sqrt(s+1)) | built in | both |
| `none` | 1 | exponential | both |
| `sqrt` | 500 / sqrt(max(s - W, 1)) | exponential | both |
| `exp10k`, `exp50k`, `exp500k` | decay in the last 10k, ... steps | exponential | 1.0 |
| `exp100k` | 0.94 to the number of past 100k steps | none | 1.0 |
| `cosine` | half a cosine wave a cycle, then back to 1 | none | 1.0 |
| `cosine_updown` | down in one cycle, up in the next | exponential | 1.4 `cosine` |
| `cyclelinear10x` | 0.3 up to 3.3 and back in 2 W steps | none | 1.0 |
| `cyclelinear10x_warmup` | the same | exponential | 1.4 `cyclelinear10x` |
| `exp` | rate^((s - W) / decay_steps) | exponential | 1.4 |
| `piecewise` | a constant between boundaries | exponential | 1.4 |

s is the step, W `warmup_steps`, H `hidden_size`. 1.0 is v1.0.3 to v1.4.0. What T2T
did for asynchronous workers (a rate divided by the root of their number, a longer
warm-up) has no place in synchronous training. T2T's Adam divides its learning rate by
500; here that belongs to `optimizer.Adam`, so that `learning_rate` is T2T's number.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_multimodel.errors import UserError, unknown
from t2t_multimodel.hparams import HParams

Multiplier = Callable[..., tf.Tensor]
LearningRate = Callable[[Any], Any]


def noam(step: tf.Tensor, *, warmup_steps: int, hidden_size: int) -> tf.Tensor:
    """Linear warm-up, then the inverse root of the step (Attention is all you need)."""
    step += 1.0
    rate = tf.minimum(step * warmup_steps**-1.5, step**-0.5)
    return 5000.0 * hidden_size**-0.5 * rate


def none(step: tf.Tensor, *, warmup_steps: int) -> tf.Tensor:
    """Constant after the warm-up."""
    return _warmed_up(step, warmup_steps, tf.ones_like(step))


def sqrt(step: tf.Tensor, *, warmup_steps: int) -> tf.Tensor:
    """500 over the root of the steps since the warm-up, beginning at 500."""
    rate = 500.0 * tf.maximum(step - warmup_steps, 1.0) ** -0.5
    return _warmed_up(step, warmup_steps, rate)


def exp10k(step: tf.Tensor, *, warmup_steps: int, train_steps: int) -> tf.Tensor:
    """Constant, then down to 0.0067 in the last 10 000 of `train_steps`."""
    return _last_steps(step, 0.9995, 10_000, warmup_steps, train_steps)


def exp50k(step: tf.Tensor, *, warmup_steps: int, train_steps: int) -> tf.Tensor:
    """Constant, then down to 0.082 in the last 50 000 of `train_steps`."""
    return _last_steps(step, 0.99995, 50_000, warmup_steps, train_steps)


def exp500k(step: tf.Tensor, *, warmup_steps: int, train_steps: int) -> tf.Tensor:
    """Constant, then down to 0.107 in the last 500 000 of `train_steps`.

    With fewer steps than that, decay has begun before step 0: at T2T's default of
    250 000 the rate is 0.32 when the warm-up ends.
    """
    return _last_steps(step, 0.9999955, 500_000, warmup_steps, train_steps)


def exp100k(step: tf.Tensor) -> tf.Tensor:
    """Times 0.94 every 100 000 steps; no warm-up."""
    return _float32(0.94) ** (step // 100_000)


def cosine(step: tf.Tensor, *, cosine_cycle_steps: int) -> tf.Tensor:
    """Half a cosine wave from 1 to 0, then a new one from 1; no warm-up."""
    position = (step % cosine_cycle_steps) / cosine_cycle_steps
    return 0.5 * (1.0 + tf.cos(math.pi * position))


def cosine_updown(
    step: tf.Tensor, *, warmup_steps: int, cosine_cycle_steps: int
) -> tf.Tensor:
    """A cosine wave from 1 to 0 in one cycle and back to 1 in the next (v1.4.4)."""
    cycle = float(cosine_cycle_steps)
    position = cycle - tf.abs(cycle - step % (2.0 * cycle))
    rate = 0.5 * (1.0 + tf.cos(math.pi * position / cycle))
    return _warmed_up(step, warmup_steps, rate)


def cyclelinear10x(step: tf.Tensor, *, warmup_steps: int) -> tf.Tensor:
    """A triangle from 0.3 to 3.3 and back in `2 * warmup_steps`; no warm-up."""
    cycle = float(warmup_steps)
    triangle = 1.0 - tf.abs(step % (2.0 * cycle) - cycle) / cycle
    return 3.0 * (triangle + 0.1)


def cyclelinear10x_warmup(step: tf.Tensor, *, warmup_steps: int) -> tf.Tensor:
    """`cyclelinear10x` with the exponential warm-up of v1.4.4 in its first half."""
    return _warmed_up(
        step, warmup_steps, cyclelinear10x(step, warmup_steps=warmup_steps)
    )


def exp(
    step: tf.Tensor,
    *,
    warmup_steps: int,
    decay_rate: float,
    decay_steps: int,
    staircase: bool = False,
) -> tf.Tensor:
    """Times `decay_rate` every `decay_steps` after the warm-up (v1.4.4).

    `staircase` lets it fall at once at the end of every `decay_steps`.
    """
    times = (step - warmup_steps) / decay_steps
    if staircase:
        times = tf.floor(times)
    return _warmed_up(step, warmup_steps, tf.pow(_float32(decay_rate), times))


def piecewise(
    step: tf.Tensor,
    *,
    warmup_steps: int,
    boundaries: Sequence[int],
    multiples: Sequence[float],
) -> tf.Tensor:
    """1 up to the first boundary, then `multiples[i]` after `boundaries[i]` (v1.4.4).

    The multiples are not multiplied with each other.

    Raises:
        UserError: If their numbers differ or the boundaries do not rise.
    """
    if len(boundaries) != len(multiples) or sorted(set(boundaries)) != [*boundaries]:
        raise UserError(
            f"boundaries={boundaries} must rise and be as many as multiples={multiples}"
        )
    passed = tf.cast(step > tf.constant(boundaries, step.dtype), tf.int32)
    values = tf.constant([1.0, *multiples], step.dtype)
    return _warmed_up(step, warmup_steps, tf.gather(values, tf.reduce_sum(passed)))


SCHEDULES: dict[str, Multiplier] = {
    function.__name__: function
    for function in (
        noam,
        none,
        sqrt,
        exp10k,
        exp50k,
        exp100k,
        exp500k,
        cosine,
        cosine_updown,
        cyclelinear10x,
        cyclelinear10x_warmup,
        exp,
        piecewise,
    )
}
"""Names to schemes."""


def run_schedule(hparams: HParams, train_steps: int) -> LearningRate:
    """Returns the learning rate of a run of so many steps; see `make_schedule`."""
    return make_schedule(
        hparams.learning_rate_schedule,
        learning_rate=hparams.learning_rate,
        warmup_steps=hparams.learning_rate_warmup_steps,
        hidden_size=hparams.hidden_size,
        cosine_cycle_steps=hparams.learning_rate_cosine_cycle_steps,
        train_steps=train_steps,
    )


def make_schedule(
    name: str, *, learning_rate: float = 1.0, **numbers: Any
) -> LearningRate:
    """Returns the learning rate as a function of the step.

    Args:
        name: One of `SCHEDULES`.
        learning_rate: What the scheme is multiplied with, T2T's `learning_rate`.
        **numbers: The keywords of the schemes. All that a run has may be given; a
            scheme takes those it knows.

    Returns:
        A function of the step, the number of updates done before. A tensor or
        variable of any number type gives a float32 scalar tensor, also inside
        `tf.function`; a Python number gives a float.

    Raises:
        UserError: If there is no such scheme, or a number that it needs is missing,
            or no scheme knows a number.
    """
    if name not in SCHEDULES:
        raise UserError(unknown("learning-rate schedule", name, SCHEDULES))
    known = {key for scheme in SCHEDULES.values() for key in _keywords(scheme)}
    for key in numbers:
        if key not in known:
            raise UserError(unknown("number of a learning-rate schedule", key, known))
    scheme = SCHEDULES[name]
    wanted = _keywords(scheme)
    missing = [k for k, needed in wanted.items() if needed and k not in numbers]
    if missing:
        raise UserError(
            f"learning-rate schedule {name!r} needs {', '.join(missing)}; "
            f"got {', '.join(numbers) or 'nothing'}"
        )
    chosen = {key: numbers[key] for key in wanted if key in numbers}

    def rate(step: Any) -> Any:
        if isinstance(step, int | float):
            with tf.init_scope():
                return float(rate(tf.constant(step, tf.float64)))
        # float64 costs nothing for a scalar; in float32 powers of numbers near 1
        # lose their last digits.
        multiplier = scheme(tf.cast(step, tf.float64), **chosen)
        return tf.cast(learning_rate * multiplier, tf.float32)

    return rate


def _keywords(scheme: Multiplier) -> dict[str, bool]:
    """Returns the scheme's keywords and whether each must be given."""
    return {
        parameter.name: parameter.default is inspect.Parameter.empty
        for parameter in inspect.signature(scheme).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _warmed_up(step: tf.Tensor, warmup_steps: int, rate: tf.Tensor) -> tf.Tensor:
    """T2T's exponential warm-up, from 0.01 at step 0 to 1 at `warmup_steps`."""
    warmup = tf.pow(_double(0.01), (warmup_steps - step) / warmup_steps)
    return tf.where(step < warmup_steps, warmup, rate)


def _last_steps(
    step: tf.Tensor, base: float, num_steps: int, warmup_steps: int, train_steps: int
) -> tf.Tensor:
    past = tf.maximum(step - (train_steps - num_steps), 0.0)
    return _warmed_up(step, warmup_steps, tf.pow(_float32(base), past))


def _float32(number: float) -> tf.Tensor:
    # T2T's graph held this base in float32. Raised to the power of half a million
    # steps, the rounding is worth 1.5 per cent, so it belongs to what T2T did.
    return _double(float(np.float32(number)))


def _double(number: float) -> tf.Tensor:
    return tf.constant(number, tf.float64)
