"""Measures of how one image looks: its contrast, its brightest parts, and how sharp its edges are."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

SHORT_SIDE, LONG_SIDE = 128, 512  # pixels. Larger images are reduced to about this size, and then measured
LEAST_SIDE = 48  # edges of smaller images are not measured
BRIGHT = 95  # percentile of grey levels. A few lamps do not make a night photo bright.
STEEPEST = 99  # percentile of steps between pixels that counts as an edge, so that noise and dust do not

_LEVELS = np.arange(256)
_SQUARES = _LEVELS**2


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
    """Return the grey levels of an image, `uint8` of shape `(height, width)`, or of several of the same size.

    Args:
        pixels: `uint8` array of shape `(height, width)`, `(height, width, channels)` or
            `(num_images, height, width, channels)`, with 1, 3 or 4 channels.

    >>> grey_levels(np.full((2, 2, 3), (255, 0, 0), np.uint8))[0, 0]
    np.uint8(76)
    """
    if pixels.ndim == 2 or pixels.shape[-1] == 1:
        return np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., 0])
    rgb = np.ascontiguousarray(pixels[..., :3])
    one_below_the_other = Image.fromarray(rgb.reshape(-1, *rgb.shape[-2:]))
    return np.asarray(one_below_the_other.convert("L")).reshape(rgb.shape[:-1])


def reduced(grey: np.ndarray) -> np.ndarray:
    """Return images whose shorter side has at most about 128 pixels, and whose longer side has at most 512.

    Args:
        grey: Grey levels, `uint8` of shape `(..., height, width)`.
    """
    *images, height, width = grey.shape
    scale = max(1.0, min(height, width) / SHORT_SIDE)
    factor = round(scale)
    if factor > 1 and max(height, width) <= LONG_SIDE * factor:  # a fifth of the time of the lines below
        height -= height % factor  # so that no block of pixels is in two images
        one_below_the_other = np.ascontiguousarray(grey[..., :height, :]).reshape(-1, width)
        return np.asarray(Image.fromarray(one_below_the_other).reduce(factor)).reshape(*images, height // factor, -1)
    size = [max(1, min(LONG_SIDE, round(side / scale))) for side in (width, height)]
    if size == [width, height]:
        return grey
    resized = [Image.fromarray(image).resize(size, Image.Resampling.BOX) for image in grey.reshape(-1, height, width)]
    return np.stack([np.asarray(image) for image in resized]).reshape(*images, *size[::-1])


def look_of(grey: np.ndarray) -> Look:
    """Measure an image.

    Args:
        grey: Grey levels, `uint8` of shape `(height, width)`, as `reduced` returns them.

    >>> look_of(np.full((8, 8), 30, np.uint8))
    Look(spread=0.0, span=0, bright=30, sharpness=nan)
    """
    counts = np.bincount(grey.ravel(), minlength=256)
    levels, total = np.flatnonzero(counts), int(counts @ _LEVELS)
    spread = math.sqrt(int(counts @ _SQUARES) * grey.size - total**2) / grey.size
    return Look(spread, int(levels[-1] - levels[0]), _percentile(counts, BRIGHT), _sharpness(grey))


def _sharpness(grey: np.ndarray) -> float:
    if min(grey.shape) < LEAST_SIDE:
        return float("nan")
    above, lines, below = grey[:-2:2], grey[1:-1:2], grey[2::2]  # every second line is as good as all of them
    steepest = max(_steepest(_difference(lines[:, 2:], lines[:, :-2])), _steepest(_difference(below, above)))
    if steepest < 4:
        return float("nan")
    lines, bends = lines.astype(np.int16), np.add(above[:, 1:-1], below[:, 1:-1], dtype=np.int16)
    bends += lines[:, 2:]
    bends += lines[:, :-2]
    bends -= 4 * lines[:, 1:-1]
    return _steepest(np.abs(bends)) / steepest


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the absolute difference of `uint8` arrays, which stays `uint8`."""
    return np.maximum(first, second) - np.minimum(first, second)


def _steepest(values: np.ndarray) -> int:
    return _percentile(np.bincount(values.ravel()), STEEPEST)


def _percentile(counts: np.ndarray, percent: int) -> int:
    """Return the smallest value that `percent` of all values do not exceed. `counts[v]` of them are `v`."""
    ends = counts.cumsum()
    return int(ends.searchsorted(-(-percent * int(ends[-1]) // 100)))
