"""Draws the metrics of a training history as curves, without importing Keras."""

import itertools
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_oocore.plots.captions import width, wrapped
from keras_oocore.plots.figure import empty_figure, finished
from keras_oocore.plots.history_values import NOT_METRICS, as_numbers, best_of, curve_of, epochs_of, values_and_epochs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL_COLUMNS = 3
PANEL_INCHES = (4, 3)
INK, PALE = "#555555", "#e4e4e4"
DOTS: dict[str, Any] = {"linewidth": 1.5, "marker": "o", "markersize": 3.5}
LINES: dict[str, dict[str, Any]] = {
    "training": {"color": "#3b6ea5", "zorder": 2} | DOTS,
    "validation": {"color": "#d9822b", "zorder": 3} | DOTS,
}
RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": "#222222",
    "zorder": 4,
}
TITLE_SIZE = 10  # points
PANEL_POINTS = 72 * 3.3  # without the labels of its axis
FEW_EPOCHS = 30  # more dots than this overlap
MAX_LINES, MAX_BANDS = 12, 60  # more boundaries than this would hide the curves
NAME_SIZE = 7  # points
LETTERS = 60  # that fit across a panel in this size (75 letters of usual text do)
MIN_LETTERS = 8  # a shorter name, such as "phase…", is not useful


def plot_history(history: Any, path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draws the training and validation curves of each metric in one panel per metric.

    The best epoch is marked in every panel, and its number is above the curves. It is the epoch with the smallest
    `val_loss`. Without `val_loss`, another validation metric decides, or the loss. Metrics such as accuracy are best
    where they are largest. Phases are separated by dashed lines and labeled with their names. Partitions are separated
    by pale lines.

    Args:
        history: A `keras.callbacks.History`, as returned by `model.fit()`, or its dictionary `history.history`, which
            maps each metric to a list of one number per epoch. Metrics that are not numbers, and a learning rate that
            never changes, are not drawn. Two keys are not metrics: `"phase"` (one string per epoch) and `"partition"`
            (one integer per epoch).
        path: Path of a `.png` file to save the figure to, or `None`.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook displays.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        OptionError: If `history` is not a history, or contains no epochs.

    >>> figure = plot_history({"accuracy": [0.5, 0.7], "loss": [2.0, 1.0], "val_loss": [2.5, 1.5]})
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['loss', 'accuracy']
    """
    values, epochs = values_and_epochs(history)
    panels = _panels(values)
    rows = math.ceil(len(panels) / PANEL_COLUMNS)
    columns = math.ceil(len(panels) / rows)  # four panels form two rows of two
    figure = empty_figure(columns * PANEL_INCHES[0], rows * PANEL_INCHES[1])
    best = best_of(values, epochs)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.05, wspace=0.03, hspace=0.03)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for number, (axis, (metric, curves)) in enumerate(zip(axes, panels.items())):
        _draw_curves(axis, curves, epochs, stepped=metric == "learning_rate")
        _style_panel(axis, epochs)
        marked = "" if best is None else _mark_best(axis, curves, epochs, best[0])
        _title(axis, metric, f"best {marked}" if marked and number == 0 else marked)
        _mark_partitions(axis, _runs(values.get("partition", ()), epochs))
        _mark_phases(axis, _runs(values.get("phase", ()), epochs), named=number < columns)
    for axis in axes[len(panels) :]:
        axis.remove()
    if any("validation" in curves for curves in panels.values()):
        _add_legend(figure)
    return finished(figure, path)


def _panels(values: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Metric → `{"training": numbers, "validation": numbers}`. The loss is first, and the learning rate is last."""
    panels = {"loss": {}}
    for key, numbers in values.items():
        metric, curve = key.removeprefix("val_"), curve_of(key)
        numbers = as_numbers(numbers)
        if key not in NOT_METRICS and len(numbers):
            panels.setdefault(metric, {})[curve] = numbers
    rates = panels.pop("learning_rate", {})
    changes = any(len(np.unique(numbers[np.isfinite(numbers)])) > 1 for numbers in rates.values())
    if changes or not any(panels.values()):
        panels["learning_rate"] = rates
    return {metric: curves for metric, curves in panels.items() if curves}


def _draw_curves(axis, curves: dict[str, np.ndarray], epochs: np.ndarray, stepped: bool) -> None:
    """Draw the curves of a panel, with dots if there are few epochs. Steps show values that are constant per epoch."""
    for curve, numbers in curves.items():
        (line,) = axis.plot(epochs_of(curve, len(numbers), epochs), numbers, label=curve, **LINES[curve])
        line.set_markevery(np.flatnonzero(_alone(numbers) | (len(epochs) <= FEW_EPOCHS)).tolist())
        if stepped:
            line.set_drawstyle("steps-mid")
            axis.set_yscale("log" if np.nanmin(numbers) > 0 else "linear")


def _style_panel(axis, epochs: np.ndarray) -> None:
    """Set the ticks and the colors of a panel."""
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("epoch", fontsize=8, color=INK)
    margin = max(0.5, 0.015 * len(epochs))
    axis.set_xlim(epochs[0] - min(margin, 0.9), epochs[-1] + margin)  # no tick for epoch 0
    axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.tick_params(which="both", labelsize=8, colors=INK, length=2)
    axis.grid(axis="y", color=PALE, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#aaaaaa")


def _mark_best(axis, curves: dict[str, np.ndarray], epochs: np.ndarray, best: int) -> str:
    """Mark the best epoch by a ring on the curve, and return its number there as a string.

    The ring is on the validation curve if there is one.
    """
    curve = "validation" if "validation" in curves else "training"
    numbers = curves[curve]
    (found,) = np.nonzero(epochs_of(curve, len(numbers), epochs) == best)
    if not len(found) or not np.isfinite(numbers[found[0]]):
        return ""
    value = numbers[found[0]]
    axis.plot([best], [value], label="best", linestyle="none", **RING)
    return f"epoch {best}: {value:.4g}"


def _title(axis, metric: str, best: str) -> None:
    """Write the metric above a panel, in two lines if it is long, and the number of the best epoch on the right."""
    best_points = width(best, NAME_SIZE + 1) + 10 if best else 0
    lines = wrapped(metric, PANEL_POINTS - best_points, TITLE_SIZE, most_lines=2)
    axis.set_title("\n".join(lines), loc="left", fontsize=TITLE_SIZE, color="#222222", parse_math=False)
    if best:
        axis.set_title(best, loc="right", fontsize=NAME_SIZE + 1, color=INK, parse_math=False)


def _alone(numbers: np.ndarray) -> np.ndarray:
    """Whether each number has no neighbour to draw a line to, so that only a dot shows it."""
    known = np.isfinite(np.concatenate([[np.nan], numbers, [np.nan]]))
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _runs(values: Sequence[Any], epochs: np.ndarray) -> list[tuple[str, float, float]]:
    """Runs of equal values: `(value as a string, start, end)`, from half an epoch before to half an epoch after."""
    values = values[-len(epochs) :]
    x = epochs[len(epochs) - len(values) :]
    groups = [(str(value), [*indices]) for value, indices in itertools.groupby(range(len(values)), values.__getitem__)]
    return [(value, x[indices[0]] - 0.5, x[indices[-1]] + 0.5) for value, indices in groups]


def _mark_partitions(axis, runs: list[tuple[str, float, float]]) -> None:
    """Separate partitions by pale lines. Many partitions are shaded alternately, and too many are not shown."""
    if len(runs) - 1 > MAX_BANDS:
        return
    if len(runs) - 1 > MAX_LINES:
        for _, start, end in runs[1::2]:
            axis.axvspan(start, end, color="#f3f3f3", linewidth=0, zorder=0)
    else:
        for _, start, _ in runs[1:]:
            axis.axvline(start, color="#d4d4d4", linewidth=0.8, zorder=1)


def _mark_phases(axis, runs: list[tuple[str, float, float]], named: bool) -> None:
    """Separate phases by dashed lines. If `named`, add their names along the top, shortened to fit."""
    for _, start, _ in runs[1:]:
        axis.axvline(start, color="#999999", linewidth=0.8, linestyle="--", zorder=1)
    if not (named and runs):
        return
    scale = axis.yaxis.get_transform()  # also for a logarithmic axis
    if axis.get_yscale() == "linear":  # no tick beside the names, such as an accuracy of 1.1
        low, high = axis.get_ylim()
        axis.set_yticks([tick for tick in axis.get_yticks() if low <= tick <= high])
    low, high = scale.transform(axis.get_ylim())
    axis.set_ylim(top=scale.inverted().transform(high + 0.1 * (high - low)))
    left, right = axis.get_xlim()
    style = dict(fontsize=NAME_SIZE, color="#808080", ha="center", va="top", clip_on=True, parse_math=False)
    for name, start, end in runs:
        name = _shortened(name, int(LETTERS * (end - start) / (right - left)))
        axis.text((start + end) / 2, 0.98, name, transform=axis.get_xaxis_transform(), **style)


def _shortened(name: str, num_letters: int) -> str:
    """`name` shortened to `num_letters` with an ellipsis, or an empty string if that is too short to be useful.

    >>> _shortened("all layers", 10), _shortened("all layers", 8), _shortened("all layers", 5)
    ('all layers', 'all lay…', '')
    """
    if len(name) <= num_letters:
        return name
    return f"{name[: num_letters - 1]}…" if num_letters >= MIN_LETTERS else ""


def _add_legend(figure) -> None:
    """Add one legend below all panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=LINES[curve]["color"], label=curve) for curve in LINES]
    style = dict(ncols=2, fontsize=8, labelcolor=INK, frameon=False, borderaxespad=0)
    figure.legend(handles=handles, loc="outside lower center", **style)
