"""Resizes images of 8 or 16 bits with NumPy, with the results of `tf.image.resize`."""

import functools
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

Interpolation = Literal["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]
INTERPOLATIONS = get_args(Interpolation)
BLURS = ("gaussian", "mitchellcubic")  # their kernels change an image also at the same size


def resize_into(pixels: np.ndarray, out: np.ndarray, interpolation: Interpolation) -> None:
    """Resize `pixels` into `out` like `tf.image.resize(..., antialias=False)`, clipped and rounded (half up).

    Rows are resized first, then columns. Each output row or column is a weighted sum of a few input rows or columns
    ("taps"). The cost depends on the size of `out`, and the input image is not converted to `float32` as a whole.

    Args:
        pixels: `uint8` or `uint16` array of shape `(height, width, channels)`.
        out: Array of the same dtype and of shape `(new_height, new_width, channels)`, which is overwritten.
        interpolation: One of `INTERPOLATIONS`.

    >>> out = np.empty((1, 4, 1), "uint8")
    >>> resize_into(np.array([[[0], [100]]], "uint8"), out, "bilinear")
    >>> out.ravel().tolist()
    [0, 25, 75, 100]
    """
    if pixels.shape == out.shape and interpolation not in BLURS:
        out[:] = pixels
        return
    rows, row_weights = taps(pixels.shape[0], out.shape[0], interpolation)
    columns, column_weights = taps(pixels.shape[1], out.shape[1], interpolation)
    if interpolation == "nearest":
        out[:] = pixels.take(rows[0], axis=0).take(columns[0], axis=1)
        return
    levels = _weighted_sum(pixels, rows, row_weights[:, :, None, None], axis=0)
    levels = _weighted_sum(levels, columns, column_weights[:, None, :, None], axis=1)
    levels += np.float32(0.5)
    np.clip(levels, 0, np.iinfo(out.dtype).max, out=levels)  # cubic and Lanczos kernels overshoot
    np.copyto(out, levels, casting="unsafe")


def _weighted_sum(values: np.ndarray, indices: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    total = values.take(indices[0], axis=axis) * weights[0]
    for index, weight in zip(indices[1:], weights[1:]):
        total += values.take(index, axis=axis) * weight
    return total


@functools.lru_cache(maxsize=256)  # a dataset has either few sizes, or many sizes that rarely occur again
def taps(in_size: int, out_size: int, interpolation: Interpolation) -> tuple[np.ndarray, np.ndarray]:
    """The input positions that contribute to each output position along one axis, and their weights.

    All computations use `float32`, because TensorFlow's rounding decides which pixel is nearest and where a kernel
    ends.

    Returns:
        `(num_taps, out_size)` indices and `(num_taps, out_size)` `float32` weights.

    >>> indices, weights = taps(4, 2, "area")
    >>> indices.T.tolist(), weights.T.tolist()
    ([[0, 1], [2, 3]], [[0.5, 0.5], [0.5, 0.5]])
    """
    if interpolation == "area":
        positions, weights = _area_taps(in_size, out_size)
    elif interpolation in KERNELS:
        positions, weights = _kernel_taps(in_size, out_size, *KERNELS[interpolation])
    else:
        positions, weights = _neighbour_taps(in_size, out_size, interpolation)
    return np.clip(positions, 0, in_size - 1).astype(np.intp), weights.astype(np.float32)


def _neighbour_taps(in_size: int, out_size: int, interpolation: Interpolation) -> tuple[np.ndarray, np.ndarray]:
    """Taps of nearest, bilinear and bicubic: `HalfPixelScaler` in tensorflow/core/util/image_resizer_state.h."""
    in_per_out = np.float32(in_size) / np.float32(out_size)
    centres = (np.arange(out_size, dtype=np.float32) + np.float32(0.5)) * in_per_out
    if interpolation == "nearest":
        return np.floor(centres)[None], np.ones((1, out_size))
    centres -= np.float32(0.5)
    below = np.floor(centres)
    fraction = centres - below
    if interpolation == "bilinear":
        return np.stack([below, below + 1]), np.stack([1 - fraction, fraction])
    # Bicubic: tensorflow/core/kernels/image/resize_bicubic_op.cc looks up weights in a table with 1,024 steps, and sets
    # the weight of positions outside the image to 0.
    fraction = np.rint(fraction * np.float32(1024)) / np.float32(1024)
    offsets = np.arange(-1, 3)[:, None]
    positions = below + offsets
    inside = (positions >= 0) & (positions < in_size)
    return positions, _normalised(_keys_cubic(np.abs(offsets - fraction)) * inside)


def _kernel_taps(in_size: int, out_size: int, radius: float, kernel) -> tuple[np.ndarray, np.ndarray]:
    """Taps of a kernel: `ComputeSpansCore` in tensorflow/core/kernels/image/scale_and_translate_op.cc."""
    in_per_out = np.float32(1 / float(np.float32(out_size) / np.float32(in_size)))  # rounds as TensorFlow does
    centres = (np.arange(out_size, dtype=np.float32) + np.float32(0.5)) * in_per_out
    first = np.ceil(centres - np.float32(radius) - np.float32(0.5)).clip(0, in_size - 1)
    last = np.floor(centres + np.float32(radius) - np.float32(0.5)).clip(0, in_size - 1)
    positions = first + np.arange(int(np.max(last - first)) + 1, dtype=np.float32)[:, None]
    weights = kernel(np.abs(positions + np.float32(0.5) - centres))
    return positions, _normalised(weights * (positions <= last))


def _area_taps(in_size: int, out_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Taps weighted by the covered area of each pixel: tensorflow/core/kernels/image/resize_area_op.cc."""
    in_per_out = np.float32(in_size) / np.float32(out_size)
    starts = np.arange(out_size, dtype=np.float32) * in_per_out
    ends = np.arange(1, out_size + 1, dtype=np.float32) * in_per_out
    positions = np.floor(starts) + np.arange(int(np.max(np.ceil(ends) - np.floor(starts))))[:, None]
    covered = np.minimum(positions + 1, ends) - np.maximum(positions, starts)
    return positions, np.maximum(covered, 0) / in_per_out


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=0)


# The kernels of tensorflow/core/kernels/image/sampling_kernels.h, for distances >= 0.


def _lanczos(distance: np.ndarray, radius: float) -> np.ndarray:
    return np.where(distance <= radius, np.sinc(distance) * np.sinc(distance / np.float32(radius)), 0)


def _gaussian(distance: np.ndarray) -> np.ndarray:
    return np.where(distance < 1.5, np.exp(-2 * distance**2), 0)  # sigma = 0.5


def _keys_cubic(x: np.ndarray) -> np.ndarray:
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _mitchell_cubic(x: np.ndarray) -> np.ndarray:
    near, far = (7 / 6 * x - 2) * x * x + 8 / 9, ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# Name: (radius, function from distance to weight).
KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "lanczos3": (3.0, functools.partial(_lanczos, radius=3.0)),
    "lanczos5": (5.0, functools.partial(_lanczos, radius=5.0)),
    "gaussian": (1.5, _gaussian),
    "mitchellcubic": (2.0, _mitchell_cubic),
}


def centre_crop(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The largest centered window of `pixels` with the aspect ratio of `height` and `width`, as a view.

    The window is computed as in `keras.preprocessing.image.smart_resize` (keras/src/utils/image_utils.py).

    >>> centre_crop(np.empty((340, 500, 3), "uint8"), 200, 200).shape
    (340, 340, 3)
    """
    in_height, in_width = pixels.shape[:2]
    crop_height = max(1, min(in_height, in_width * height // width))
    crop_width = max(1, min(in_width, in_height * width // height))
    top, left = (in_height - crop_height) // 2, (in_width - crop_width) // 2
    return pixels[top : top + crop_height, left : left + crop_width]


def fitted_box(in_height: int, in_width: int, height: int, width: int) -> tuple[int, int, int, int]:
    """The box that an image fills, with its aspect ratio, in the center of a padded image of `height` and `width`.

    The box is computed as in `tf.image.resize_with_pad` (tensorflow/python/ops/image_ops_impl.py), in `float32`, which
    sometimes leaves one more row or column than necessary. The box has at least one pixel, where TensorFlow fails.

    Returns:
        `(top, left, fitted_height, fitted_width)`.

    >>> fitted_box(300, 400, 200, 200)
    (25, 0, 150, 200)
    """
    ratio = max(np.float32(in_width) / np.float32(width), np.float32(in_height) / np.float32(height))
    fitted_height, fitted_width = np.float32(in_height) / ratio, np.float32(in_width) / ratio
    top, left = int((height - fitted_height) / 2), int((width - fitted_width) / 2)
    return max(0, top), max(0, left), max(1, int(fitted_height)), max(1, int(fitted_width))
