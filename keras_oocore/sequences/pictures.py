"""Thumbnails of the samples of a Sequence, for notebooks. They use neither its threads nor its cache."""

import math
from collections.abc import Callable

import numpy as np

from keras_oocore.images.thumbnail import MOST_FILE_BYTES, thumbnail
from keras_oocore.plots.levels import displayable
from keras_oocore.sequences.batch_figure import is_picture
from keras_oocore.sources.layout import RowSpec, arrays_of, fields_of, image_field


def thumbnail_of_row(spec: RowSpec, read: Callable[[np.ndarray], object]) -> str | None:
    """Return the thumbnail of a sample. `None` if it is not an image, or cannot be read.

    Args:
        spec: Shape and dtype of the sample.
        read: Fills an array of this shape. What it returns is an error, unless it is false.
    """
    name = image_field(spec)
    if name is None:
        return None
    shape = fields_of(spec)[name].shape
    if not is_picture(shape) or math.prod(spec.shape) * spec.dtype.itemsize > MOST_FILE_BYTES:
        return None
    try:
        row = np.empty(spec.shape, spec.dtype)
        return None if read(row) else thumbnail(_levels(arrays_of(row)[name]))
    except Exception:  # whatever is wrong with a sample, the notebook shows the rest
        return None


def _levels(row: np.ndarray) -> np.ndarray:
    """An image as `uint8`. A spectrogram is gray, from its smallest to its largest value, with row 0 at the bottom."""
    if row.ndim == 2 and row.dtype.kind == "f":
        low, high = np.nanmin(row), np.nanmax(row)
        row = np.nan_to_num((row[::-1] - low) / (high - low or 1))
    levels = displayable(row[np.newaxis])[0]
    return levels if levels.dtype == np.uint8 else np.uint8(levels * 255)
