"""Draws a grid of images with matplotlib (the extra `plots`), or with Pillow alone."""

import functools
import io
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from keras_oocore.core.errors import MissingExtraError
from keras_oocore.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8
CELL_INCHES = 1.5
CELL_PIXELS = 120


def image_grid(images: np.ndarray, titles: Sequence[str], path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draws images in rows of eight, with a title above each image.

    Args:
        images: Array of shape `(num_images, height, width, channels)`: `uint8`, `uint16`, or floats from 0 to 1 or
            from 0 to 255.
        titles: List of strings, one per image.
        path: Path of a `.png` file to save the figure to, or `None`.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook displays.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    columns = min(COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    figure = empty_figure(columns * CELL_INCHES, rows * (CELL_INCHES + 0.25))
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.set_axis_off()
    for axis, image, title in zip(axes, _displayable(images), titles):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        axis.set_title(title, fontsize=8)
    return finished(figure, path)


def empty_figure(width_inches: float, height_inches: float) -> "Figure":
    """An empty figure that pyplot does not manage, so it opens no window and is garbage-collected.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot
    except ImportError as error:
        raise MissingExtraError('Plots require matplotlib: pip install "keras_oocore[plots]"') from error
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def finished(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    """Save the figure to `path`, unless it is `None`, and return it in a form that a notebook displays."""
    if path is not None:
        with write_whole(path) as file:
            figure.savefig(file, format="png", dpi=120)
    # Jupyter only displays a Figure once pyplot has been imported. It calls this method of any object.
    figure._repr_png_ = functools.partial(_as_png, figure)
    return figure


def _as_png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def contact_sheet(images: np.ndarray, titles: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Draw the same grid with Pillow, without matplotlib.

    Args:
        images: Array of shape `(num_images, height, width, channels)`, `uint8` or floats, as in `image_grid`.
        titles: List of strings, one per image.
        path: Path of the `.png` file to save to.
    """
    columns = min(COLUMNS, len(images))
    sheet = Image.new("RGB", (columns * CELL_PIXELS, math.ceil(len(images) / columns) * (CELL_PIXELS + 16)), "white")
    for number, (image, title) in enumerate(zip(_displayable(images), titles)):
        row, column = divmod(number, columns)
        left, top = column * CELL_PIXELS, row * (CELL_PIXELS + 16)
        levels = image if image.dtype == np.uint8 else np.uint8(image * 255)
        sheet.paste(Image.fromarray(levels).resize((CELL_PIXELS - 8, CELL_PIXELS - 8)), (left + 4, top + 16))
        ImageDraw.Draw(sheet).text((left + 4, top + 2), title, fill="black")
    with write_whole(path) as file:
        sheet.save(file, format="PNG")


def _displayable(images: np.ndarray) -> np.ndarray:
    """Images as `uint8`, or as `float32` from 0 to 1. A single channel has no axis."""
    if images.dtype != np.uint8:
        if images.dtype == np.uint16:  # images of 16 bits
            images = images / np.float32(257)
        images = np.asarray(images, np.float32)
        images = np.clip(images / 255 if images.max(initial=0) > 1 else images, 0, 1)
    return images[..., 0] if images.shape[-1] == 1 else images
