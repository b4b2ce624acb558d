"""Draws a grid of images with Pillow alone, without matplotlib."""

import math
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keras_oocore.core.files import write_whole
from keras_oocore.plots.levels import displayable

COLUMNS = 8
CELL_PIXELS = 120


def contact_sheet(images: np.ndarray, titles: Sequence[str], path: str | os.PathLike) -> None:
    """Draw images in rows of eight, as `image_grid` does.

    Args:
        images: Array of shape `(num_images, height, width, channels)`, `uint8` or floats, as in `image_grid`.
        titles: List of strings, one per image.
        path: Path of the `.png` file to save to.
    """
    columns = min(COLUMNS, len(images))
    sheet = Image.new("RGB", (columns * CELL_PIXELS, math.ceil(len(images) / columns) * (CELL_PIXELS + 16)), "white")
    for number, (image, title) in enumerate(zip(displayable(images), titles)):
        row, column = divmod(number, columns)
        left, top = column * CELL_PIXELS, row * (CELL_PIXELS + 16)
        levels = image if image.dtype == np.uint8 else np.uint8(image * 255)
        sheet.paste(Image.fromarray(levels).resize((CELL_PIXELS - 8, CELL_PIXELS - 8)), (left + 4, top + 16))
        ImageDraw.Draw(sheet).text((left + 4, top + 2), title, fill="black")
    with write_whole(path) as file:
        sheet.save(file, format="PNG")
