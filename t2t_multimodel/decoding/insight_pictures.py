"""Pictures of attention over the source, and of the experts that were asked.

Needs matplotlib, which the extra `plots` of this package brings.
"""

import collections
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from t2t_multimodel.decoding.insight import Insight
from t2t_multimodel.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 120
_WORDS_A_ROW = 6
_CELL_INCHES = 0.22
_LARGEST_INCHES = 24.0


def save_all(insights: Sequence[Insight], folder: pathlib.Path) -> list[pathlib.Path]:
    """Draws all that there is to see; returns the files.

    `<problem>.<number>.attention.png` and `.experts.png` of each insight, numbered from
    0 in each problem, and `experts.png` with the experts of each problem. A model
    without attention or experts, and a class, has no picture of them.

    Args:
        insights: From `Observer.look_into`.
        folder: Is made if it is not there.

    Raises:
        UserError: If a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {folder}: {error.strerror}") from None
    paths = []
    numbers: collections.Counter[str] = collections.Counter()
    for insight in insights:
        base = f"{insight.problem}.{numbers[insight.problem]}"
        numbers[insight.problem] += 1
        for what, values, save in (
            ("attention", insight.attention, save_attention),
            ("experts", insight.experts, save_experts),
        ):
            if values:
                paths.append(folder / f"{base}.{what}.png")
                save(insight, paths[-1])
    shares = expert_shares(insights)
    if shares:
        paths.append(folder / "experts.png")
        save_experts_by_problem(shares, paths[-1])
    return paths


def save_attention(insight: Insight, path: pathlib.Path) -> None:
    """Draws which source positions each output symbol looked at, a part a layer.

    Weights are the mean over the heads. A text's source stands along the bottom; a
    picture is shown once for every symbol, bright where the symbol looked; over a
    spectrogram stands the sound itself.

    Args:
        insight: From `Observer.look_into`, of a problem with text targets.
        path: A PNG file, written anew.
    """
    draw = _attention_on_picture if insight.inputs.ndim == 3 else _attention_matrix
    weights = {layer: heads.mean(axis=0) for layer, heads in insight.attention.items()}
    figure = _figure()
    parts = np.atleast_1d(figure.subfigures(len(weights), 1))
    height = width = 0.0
    for part, (layer, matrix) in zip(parts, weights.items(), strict=True):
        size = draw(part, insight, matrix)
        part.suptitle(f"{insight.problem}: {layer}", fontsize=9)
        width, height = max(width, size[0]), height + size[1]
    _save(figure, path, width, height)


def save_experts(insight: Insight, path: pathlib.Path) -> None:
    """Draws which experts each position was sent to, a part a mixture of experts.

    Args:
        insight: From `Observer.look_into`.
        path: A PNG file, written anew.
    """
    figure = _figure()
    parts = figure.subplots(len(insight.experts), 1, squeeze=False)[:, 0]
    longest = 0
    height = 0.0
    for axes, (layer, gates) in zip(parts, insight.experts.items(), strict=True):
        _heat(axes, gates.T, "expert")
        is_source = len(gates) == math.prod(insight.source_grid)
        names = insight.input_names if is_source else insight.output_names
        _name_columns(axes, names if len(names) == len(gates) else ())
        axes.set_title(f"{insight.problem}: {layer}", fontsize=9)
        longest = max(longest, len(gates))
        height += 1.4 + _CELL_INCHES * gates.shape[1]
    _save(figure, path, 2.0 + _CELL_INCHES * longest, height)


def save_experts_by_problem(
    share: Mapping[str, Mapping[str, np.ndarray]], path: pathlib.Path
) -> None:
    """Draws how much of each problem's positions each expert got.

    Args:
        share: Layer to problem to `(E,)`, which sums to 1.
        path: A PNG file, written anew.
    """
    figure = _figure()
    parts = figure.subplots(len(share), 1, squeeze=False)[:, 0]
    widest = 0
    height = 0.0
    for axes, (layer, by_problem) in zip(parts, share.items(), strict=True):
        rows = np.stack(list(by_problem.values()))
        _heat(axes, rows, "", most=float(rows.max()))
        axes.set_yticks(range(len(by_problem)), list(by_problem), fontsize=7)
        axes.set_xlabel("expert", fontsize=7)
        axes.set_title(f"{layer}: share of the problem's positions", fontsize=9)
        widest = max(widest, rows.shape[1])
        height += 1.4 + _CELL_INCHES * len(rows)
    _save(figure, path, 4.0 + _CELL_INCHES * widest, height)


def expert_shares(insights: Sequence[Insight]) -> dict[str, dict[str, np.ndarray]]:
    """Returns layer to problem to the mean gates `(E,)` of all its positions."""
    gates: dict[str, dict[str, list[np.ndarray]]] = {}
    for insight in insights:
        for layer, values in insight.experts.items():
            gates.setdefault(layer, {}).setdefault(insight.problem, []).append(values)
    return {
        layer: {
            problem: np.concatenate(values).mean(axis=0)
            for problem, values in by_problem.items()
        }
        for layer, by_problem in gates.items()
    }


def _attention_matrix(
    part: Any, insight: Insight, weights: np.ndarray
) -> tuple[float, float]:
    """A matrix of outputs by source positions; returns its size in inches."""
    rows, columns = insight.source_grid
    width = max(6.0, 2.0 + _CELL_INCHES * len(insight.input_names))
    height = 1.5 + _CELL_INCHES * len(weights)
    if insight.input_names:
        axes = part.subplots()
        _heat(axes, weights, "")
        _name_columns(axes, insight.input_names)
    else:
        # A sound: its encoder positions are rows of time and columns of frequency.
        above, axes = part.subplots(2, 1, height_ratios=(1, 2), sharex=False)
        _draw_sound(above, insight.inputs)
        _heat(axes, weights.reshape(-1, rows, columns).sum(axis=2), "")
        axes.set_xlabel("time, in encoder positions", fontsize=7)
        height += 2.0
    axes.set_yticks(range(len(insight.output_names)), insight.output_names, fontsize=7)
    return width, height


def _attention_on_picture(
    part: Any, insight: Insight, weights: np.ndarray
) -> tuple[float, float]:
    """The picture once for every output symbol; returns the size in inches."""
    names = insight.output_names
    rows = -(-len(names) // _WORDS_A_ROW)
    height, width = insight.inputs.shape[:2]
    across, down = 1.1 * width, 1.25 * height
    # One axes for all: laying out a hundred of them takes half a minute.
    axes = part.subplots()
    axes.set_axis_off()
    for number, (name, row) in enumerate(zip(names, weights, strict=True)):
        left, top = number % _WORDS_A_ROW * across, number // _WORDS_A_ROW * down
        extent = (left, left + width, top + height, top)
        axes.imshow(_rgb(insight.inputs), extent=extent)
        axes.imshow(
            row.reshape(insight.source_grid),
            extent=extent,
            cmap="inferno",
            alpha=0.6,
            interpolation="nearest",
        )
        middle = left + width / 2
        axes.text(middle, top, name, fontsize=8, ha="center", va="bottom")
    axes.set_xlim(0, _WORDS_A_ROW * across)
    axes.set_ylim(rows * down, height - down)
    return 1.5 * _WORDS_A_ROW, 0.6 + 1.75 * rows


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _draw_sound(axes: "Axes", sound: np.ndarray) -> None:
    if sound.ndim == 1:
        axes.plot(sound, linewidth=0.5)
        axes.set_xlim(0, len(sound))
        axes.set_ylabel("sample", fontsize=7)
    else:
        axes.imshow(sound.T, origin="lower", aspect="auto", cmap="magma")
        axes.set_ylabel("bin", fontsize=7)
    axes.tick_params(labelsize=6)


def _heat(axes: "Axes", matrix: np.ndarray, label: str, most: float = 1.0) -> None:
    axes.imshow(matrix, aspect="auto", cmap="viridis", vmin=0.0, vmax=most)
    axes.set_ylabel(label, fontsize=7)
    axes.tick_params(labelsize=6)


def _name_columns(axes: "Axes", names: Sequence[str]) -> None:
    if names:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)


def _figure() -> "Figure":
    from matplotlib.figure import Figure

    return Figure(layout="constrained")


def _save(figure: "Figure", path: pathlib.Path, width: float, height: float) -> None:
    figure.set_size_inches(min(width, _LARGEST_INCHES), min(height, _LARGEST_INCHES))
    try:
        figure.savefig(path, dpi=_DPI, format="png")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
