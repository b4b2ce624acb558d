"""Draws a confusion matrix: how often samples of each class are predicted as each class."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_oocore.plots.captions import ELLIPSIS, width, wrapped
from keras_oocore.plots.figure import empty_figure, finished

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT_COLOR, WRONG_COLOR = (0x3B, 0x6E, 0xA5), (0xD9, 0x62, 0x1E)  # of a cell with the whole row
INK, FAINT, LINE = "#222222", "#555555", "#e8e8e8"
MOST_WITH_NUMBERS = 20  # classes; with more, a cell has no room for a number
CELL_INCHES = ((12, 0.5), (20, 0.38), (40, 0.24), (70, 0.17), (10**9, 0.13))  # classes up to → size of a cell
NAME_SIZES = ((20, 9.0), (40, 8.0), (70, 7.0), (10**9, 6.0))
TITLE_SIZE = 9
MOST_INCHES = 16
LONGEST_NAME = 120  # points
LISTED = 3  # confusions below the title
VISIBLE = 0.12  # shade of a cell with one sample of a thousand, which white would hide


def confusion_figure(
    counts: np.ndarray, names: Sequence[str], path: str | os.PathLike[str] | None = None, note: str = ""
) -> "Figure":
    """Draw a confusion matrix. A row is a true class, and its colors are shares of the row.

    Args:
        counts: Number of samples of each true class (row) that each class (column) was predicted for, integers of shape
            `(num_classes, num_classes)`.
        names: Names of the classes.
        path: Path of a `.png` file to save, or `None`.
        note: A sentence for the end of the subtitle.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    num_classes, totals = len(names), counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, np.newaxis]
    empty_figure(1, 1)  # raises if matplotlib is not installed, before its font is needed
    name_size = _step(NAME_SIZES, num_classes)
    side = min(MOST_INCHES, max(2.2, num_classes * _step(CELL_INCHES, num_classes)))
    labels = [_shortened(name, name_size) for name in names]
    longest = max(width(label, name_size) for label in labels) / 72
    margin = longest + 1.0  # for names, and for numbers of samples
    texts = [*_headline(counts, shares), *_confusions(counts, names), *([note] if note else [])]
    width_points = 72 * 0.94 * (side + margin)
    lines = [line for text in texts for line in wrapped(text, width_points, TITLE_SIZE, most_lines=4)]
    figure = empty_figure(side + margin, side + longest + 0.55 + 0.17 * len(lines))
    axis = figure.subplots()
    axis.imshow(_colors(shares), interpolation="nearest")
    _style(axis, labels, totals, name_size)
    if num_classes <= MOST_WITH_NUMBERS:
        _write_numbers(axis, counts, shares, _step(((12, 9.0), (20, 7.5)), num_classes))
    figure.suptitle("\n".join(lines), x=0.02, ha="left", fontsize=TITLE_SIZE, color=INK, parse_math=False)
    return finished(figure, path)


def _step(steps: Sequence[tuple[int, float]], number: int) -> float:
    return next(value for limit, value in steps if number <= limit)


def _headline(counts: np.ndarray, shares: np.ndarray) -> list[str]:
    known = counts.sum(axis=1) > 0
    accuracy = np.trace(counts) / max(1, counts.sum())
    mean = np.diag(shares)[known].mean() if known.any() else 0
    return [
        f"{accuracy:.1%} of {counts.sum():,} right, mean of classes {mean:.1%}",
        f"{'numbers: %' if len(counts) <= MOST_WITH_NUMBERS else 'colors: share'} of the true class; right: samples",
    ]


def _confusions(counts: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return a line with the most frequent confusions."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    found = [
        f"{names[true]} → {names[predicted]} ({wrong[true, predicted]:,})"
        for true, predicted in zip(*np.unravel_index(order, wrong.shape))
        if wrong[true, predicted]
    ]
    return [f"most often wrong (true → predicted): {', '.join(found)}"] if found else []


def _colors(shares: np.ndarray) -> np.ndarray:
    """Return the color of each cell: white without samples, blue on the diagonal, and orange elsewhere."""
    strength = np.where(shares > 0, VISIBLE + (1 - VISIBLE) * np.sqrt(shares), 0)[..., np.newaxis]
    full = np.where(np.eye(len(shares), dtype=bool)[..., np.newaxis], RIGHT_COLOR, WRONG_COLOR)
    return (255 + strength * (full - 255)).round().astype(np.uint8)


def _style(axis, labels: Sequence[str], totals: np.ndarray, size: float) -> None:
    ticks = np.arange(len(labels))
    style = dict(fontsize=size, color=FAINT, parse_math=False)
    axis.set_xticks(ticks, labels, rotation=90, **style)
    axis.set_yticks(ticks, labels, **style)
    axis.tick_params(length=0)
    axis.set_xlabel("predicted", fontsize=9, color=INK)
    axis.set_ylabel("true", fontsize=9, color=INK)
    axis.set_xticks(ticks[1:] - 0.5, minor=True)
    axis.set_yticks(ticks[1:] - 0.5, minor=True)
    axis.grid(which="minor", color=LINE, linewidth=0.5)
    axis.tick_params(which="minor", length=0)
    for spine in axis.spines.values():
        spine.set_color(LINE)
    counts = axis.secondary_yaxis("right")
    counts.set_yticks(ticks, [f"{total:,}" for total in totals], fontsize=size, color=FAINT)
    counts.tick_params(length=0)
    for spine in counts.spines.values():
        spine.set_visible(False)


def _write_numbers(axis, counts: np.ndarray, shares: np.ndarray, size: float) -> None:
    """Write the share of each cell that has samples, in percent."""
    for true, predicted in np.argwhere(counts):
        share = shares[true, predicted]
        text = f"{100 * share:.0f}"
        text = "<1" if text == "0" else ">99" if text == "100" and share < 1 else text
        color = "white" if share > 0.4 else INK
        axis.text(predicted, true, text, ha="center", va="center", fontsize=size, color=color)


def _shortened(name: str, size: float) -> str:
    """Return a name that is not longer than `LONGEST_NAME`, without its middle if necessary."""
    name = " ".join(name.split()) or "(empty)"
    if width(name, size) <= LONGEST_NAME:
        return name
    kept = len(name)
    while kept > 2 and width(name[: kept // 2] + ELLIPSIS + name[-(kept - kept // 2) :], size) > LONGEST_NAME:
        kept -= 1
    return name[: kept // 2] + ELLIPSIS + name[-(kept - kept // 2) :]
