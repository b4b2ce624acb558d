"""Measures of how one image looks: its contrast, its brightest parts, and how sharp its edges are."""

from typing import NamedTuple

import numpy as np
from PIL import Image

SHORT_SIDE, LONG_SIDE = 128, 512  # pixels. Images are reduced to this size, if they are larger, and then measured
LEAST_SIDE = 48  # edges of smaller images are not measured
BRIGHT = 0.95  # quantile of grey levels. A few lamps do not make a night photo bright.
STEEPEST = 0.99  # quantile of steps between pixels that counts as an edge, so that noise and dust do not

_LEVELS = np.arange(256)


class Look(NamedTuple):
    """How an image looks.

    Attributes:
        spread: Standard deviation of its grey levels, 0 to 128.
        span: Difference of its brightest and its darkest grey level, 0 to 255.
        bright: The grey level that 95% of its pixels do not exceed, 0 to 255.
        sharpness: How much of the height of its steepest edges is within one pixel: about 1 for a sharp image, less
            than 0.4 for one that is blurred. `nan` for images that are too small or have no edges.
    """

    spread: float
    span: int
    bright: int
    sharpness: float


def grey_levels(pixels: np.ndarray) -> np.ndarray:
    """Return the grey levels of an image, `uint8` of shape `(height, width)`.

    Args:
        pixels: `uint8` array of shape `(height, width)` or `(height, width, channels)`, with 1, 3 or 4 channels.

    >>> grey_levels(np.full((2, 2, 3), (255, 0, 0), np.uint8))[0, 0]
    np.uint8(76)
    """
    if pixels.ndim == 2 or pixels.shape[-1] == 1:
        return np.ascontiguousarray(pixels.reshape(pixels.shape[:2]))
    rgb = np.ascontiguousarray(pixels[..., :3])
    return np.asarray(Image.fromarray(rgb).convert("L"))


def reduced(grey: np.ndarray) -> np.ndarray:
    """Return an image whose shorter side has at most 128 pixels, and whose longer side has at most 512."""
    height, width = grey.shape
    scale = max(1.0, min(height, width) / SHORT_SIDE)
    size = [max(1, min(LONG_SIDE, round(side / scale))) for side in (width, height)]
    if size == [width, height]:
        return grey
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def look_of(grey: np.ndarray) -> Look:
    """Measure an image.

    Args:
        grey: Grey levels, `uint8` of shape `(height, width)`, as `reduced` returns them.

    >>> look_of(np.full((8, 8), 30, np.uint8))
    Look(spread=0.0, span=0, bright=30, sharpness=nan)
    """
    counts = np.bincount(grey.ravel(), minlength=256)
    levels, ends = np.flatnonzero(counts), counts.cumsum()
    mean = counts @ _LEVELS / grey.size
    spread = float(np.sqrt(counts @ (_LEVELS - mean) ** 2 / grey.size))
    bright = int(np.searchsorted(ends, BRIGHT * ends[-1]))
    return Look(spread, int(levels[-1] - levels[0]), bright, _sharpness(grey))


def _sharpness(grey: np.ndarray) -> float:
    if min(grey.shape) < LEAST_SIDE:
        return float("nan")
    grey = grey.astype(np.int16)
    inner = grey[1:-1, 1:-1]
    bends = np.abs(grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1] - 4 * inner)
    steps = np.abs(grey[:, 2:] - grey[:, :-2])
    rises = np.abs(grey[2:] - grey[:-2])
    steepest = max(_quantile(steps), _quantile(rises))
    return _quantile(bends) / steepest if steepest >= 4 else float("nan")


def _quantile(values: np.ndarray) -> int:
    counts = np.bincount(values.ravel()).cumsum()
    return int(np.searchsorted(counts, STEEPEST * counts[-1]))
