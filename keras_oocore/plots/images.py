"""Draws the images of a batch in a grid, with captions, masks, spectrograms and predictions."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_oocore.plots.captions import wrapped
from keras_oocore.plots.figure import empty_figure, finished
from keras_oocore.plots.levels import displayable
from keras_oocore.plots.masks import color_of, overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, WIDE_COLUMNS = 8, 4
CELL_INCHES, WIDE_CELL_INCHES = 1.5, 2.5
ASPECTS = (0.5, 2.0)  # a picture gets a cell of its own height divided by its width, within these limits
GAP_POINTS = 10  # between the captions of neighbors
CAPTION_SIZE, LINE_POINTS = 8, 10.5
PADDING_INCHES = 0.15  # above and below a row of pictures
WRONG_COLOR = "#b3261e"


class Pictures(NamedTuple):
    """The pictures of one input, one per sample.

    Attributes:
        pixels: Array of shape `(num_samples, height, width, channels)`, or `(num_samples, height, width)`: `uint8`,
            `uint16`, or floats from 0 to 1 or from 0 to 255. For spectrograms, any numbers of shape
            `(num_samples, frequencies, steps)`.
        name: Name of the input, or an empty string.
        masks: Array of shape `(num_samples, height, width)` to draw over the pictures, or `None`.
        is_spectrogram: Whether values are drawn as colors, with the first row at the bottom.
    """

    pixels: np.ndarray
    name: str = ""
    masks: np.ndarray | None = None
    is_spectrogram: bool = False


class Caption(NamedTuple):
    """What is written above a sample.

    Attributes:
        lines: Strings. Each begins a line, and is wrapped.
        is_wrong: Whether the picture has a frame, for a wrong prediction.
    """

    lines: Sequence[str]
    is_wrong: bool = False


def image_grid(images: np.ndarray, titles: Sequence[str], path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draws images in rows of eight, with a title above each image.

    Args:
        images: Array of shape `(num_images, height, width, channels)`: `uint8`, `uint16`, or floats from 0 to 1 or
            from 0 to 255.
        titles: List of strings, one per image. A title that is wider than its image is wrapped.
        path: Path of a `.png` file to save the figure to, or `None`.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook displays.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    return picture_grid([Pictures(images)], [Caption([title]) for title in titles], path)


def picture_grid(
    inputs: Sequence[Pictures],
    captions: Sequence[Caption],
    path: str | os.PathLike | None = None,
    mask_names: Mapping[int, str] | None = None,
):
    """Draws the pictures of a batch, with a caption above each sample. Captions never overlap.

    Args:
        inputs: The pictures of each input. Those of the same sample are below each other.
        captions: One per sample.
        path: Path of a `.png` file to save the figure to, or `None`.
        mask_names: Names of the classes in the masks, for the legend.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook displays.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    wide = any(pictures.is_spectrogram for pictures in inputs)
    columns, cell_inches = (WIDE_COLUMNS, WIDE_CELL_INCHES) if wide else (COLUMNS, CELL_INCHES)
    columns = min(columns, len(captions))
    width_points = 72 * cell_inches - GAP_POINTS
    empty_figure(1, 1)  # raises if matplotlib is not installed, before its font is needed
    blocks = [range(start, min(start + columns, len(captions))) for start in range(0, len(captions), columns)]
    texts = [
        [_lines(caption, pictures.name if len(inputs) > 1 else "", row == 0, width_points) for caption in captions]
        for row, pictures in enumerate(inputs)
    ]
    heights = [cell_inches * _aspect(pictures) for _ in blocks for pictures in inputs]
    lines = [max(len(texts[row][i]) for i in block) for block in blocks for row in range(len(inputs))]
    legend_inches = 0.3 * bool(mask_names)
    height = sum(heights) + sum(PADDING_INCHES + n * LINE_POINTS / 72 for n in lines) + legend_inches
    figure = empty_figure(columns * cell_inches, math.ceil(10 * height) / 10)
    axes = figure.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    shown = [pictures.pixels if pictures.is_spectrogram else displayable(pictures.pixels) for pictures in inputs]
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for number, block in enumerate(blocks):
        for row, pictures in enumerate(inputs):
            for axis, i in zip(axes[number * len(inputs) + row], block):
                _draw(axis, pictures, shown[row], i)
                _write(axis, texts[row][i], captions[i].is_wrong and row == 0)
    if mask_names:
        _add_mask_legend(figure, mask_names)
    return finished(figure, path)


def _lines(caption: Caption, name: str, is_first: bool, width_points: float) -> list[str]:
    """The lines above a picture: the caption above the first one of a sample, and the name of the input."""
    parts = [*(caption.lines if is_first else ()), *([name] if name else ())]
    return [line for part in parts for line in wrapped(part, width_points, CAPTION_SIZE)]


def _aspect(pictures: Pictures) -> float:
    height, width = pictures.pixels.shape[1:3]
    if pictures.is_spectrogram:
        return 0.6
    return min(max(height / width, ASPECTS[0]), ASPECTS[1])


def _draw(axis, pictures: Pictures, shown: np.ndarray, i: int) -> None:
    image = shown[i]
    if pictures.is_spectrogram:
        axis.imshow(image, cmap="viridis", origin="lower", aspect="auto", interpolation="nearest")
    else:
        axis.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    if pictures.masks is not None:
        axis.imshow(overlay(pictures.masks[i]), interpolation="nearest")


def _write(axis, lines: list[str], is_wrong: bool) -> None:
    """Write lines above a picture, which has a frame if a prediction is wrong."""
    from matplotlib.patches import Rectangle

    style = {"color": WRONG_COLOR} if is_wrong else {}
    axis.set_title("\n".join(lines), fontsize=CAPTION_SIZE, parse_math=False, pad=4, linespacing=1.2, **style)
    if is_wrong:
        frame = dict(fill=False, edgecolor=WRONG_COLOR, linewidth=2.5, clip_on=False, transform=axis.transAxes)
        axis.add_patch(Rectangle((0, 0), 1, 1, **frame))


def _add_mask_legend(figure, names: Mapping[int, str]) -> None:
    """Add the colors of the classes below all pictures."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=[part / 255 for part in color_of(number)], label=name[:40]) for number, name in names.items()
    ]
    columns = max(1, int(figure.get_figwidth() / 1.2))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=CAPTION_SIZE, frameon=False)
