"""Maps an image by an affine matrix: with OpenCV 5, else with Pillow, else with NumPy."""

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from PIL import Image

from keras_oocore.images import codecs

FillMode = Literal["reflect", "constant", "nearest", "wrap"]
FILL_MODES = get_args(FillMode)
Interpolation = Literal["bilinear", "nearest"]
INTERPOLATIONS = get_args(Interpolation)

OPENCV_MAJOR = 5  # earlier versions round coordinates to 1/32 pixel
PADDING = {"reflect": "symmetric", "nearest": "edge", "wrap": "wrap"}  # of `numpy.pad`
PILLOW_CHANNELS = {1: "L", 3: "RGB", 4: "CMYK"}  # CMYK, because Pillow multiplies RGBA by its alpha channel
WARPED_DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))  # of images; OpenCV has other rules for each
MOST_PADDED = 4.0  # sizes of the image: Pillow copies so much around it


def warped(
    image: np.ndarray,
    matrix: np.ndarray,
    height: int,
    width: int,
    fill_mode: FillMode = "reflect",
    fill_value: float = 0.0,
    interpolation: Interpolation = "bilinear",
) -> np.ndarray:
    """Return an image mapped by an affine matrix.

    The values of all three implementations differ by at most one level of `uint8`.

    Args:
        image: `uint8` or `float32` array of shape `(height, width, channels)`. With `"nearest"`, of any dtype.
        matrix: `float64` array of shape `(2, 3)`, from the position `(x, y, 1)` of a pixel of the result to the
            position in `image` of its value.
        height, width: Size of the result.
        fill_mode: What is outside the image, as in `keras.layers.RandomRotation`.
        fill_value: Value outside the image, with `fill_mode="constant"`.
        interpolation: Between the pixels.

    Returns:
        Array of shape `(height, width, channels)`, with the dtype of `image`.

    >>> image = np.arange(6, dtype="uint8").reshape(1, 6, 1)
    >>> moved = warped(image, np.array([[1, 0, -2], [0, 1, 0]], float), 1, 6)
    >>> moved.ravel().tolist()
    [1, 0, 0, 1, 2, 3]
    """
    return _implementation(image)(image, matrix, height, width, fill_mode, fill_value, interpolation)


def _implementation(image: np.ndarray) -> Callable[..., np.ndarray]:
    has_dtype = image.dtype in WARPED_DTYPES  # that of a mask may be another one
    if (
        codecs.cv2 is not None
        and has_dtype
        and image.shape[2] <= 4
        and int(codecs.cv2.__version__.split(".")[0]) >= OPENCV_MAJOR
    ):
        return warped_by_opencv
    return warped_by_pillow if image.dtype == np.uint8 and image.shape[2] in PILLOW_CHANNELS else warped_by_numpy


def warped_by_opencv(
    image: np.ndarray,
    matrix: np.ndarray,
    height: int,
    width: int,
    fill_mode: FillMode,
    fill_value: float,
    interpolation: Interpolation,
) -> np.ndarray:
    """Map an image with `cv2.warpAffine`. Arguments are those of `warped`."""
    cv2 = codecs.cv2
    borders = {
        "reflect": cv2.BORDER_REFLECT,
        "constant": cv2.BORDER_CONSTANT,
        "nearest": cv2.BORDER_REPLICATE,
        "wrap": cv2.BORDER_WRAP,
    }
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if interpolation == "bilinear" else cv2.INTER_NEAREST)
    result = cv2.warpAffine(
        image, matrix, (width, height), flags=flags, borderMode=borders[fill_mode], borderValue=(fill_value,) * 4
    )
    return result.reshape(height, width, image.shape[2])


def warped_by_pillow(
    image: np.ndarray,
    matrix: np.ndarray,
    height: int,
    width: int,
    fill_mode: FillMode,
    fill_value: float,
    interpolation: Interpolation,
) -> np.ndarray:
    """Map an image with `PIL.Image.transform`, after copying what is outside it. Arguments are those of `warped`."""
    corners = matrix @ np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1], [1, 1, 1, 1]])
    beyond = np.maximum(-corners, corners - [[image.shape[1] - 1], [image.shape[0] - 1]]).max(axis=1)
    pad_x, pad_y = (max(0, math.ceil(pixels) + 1) for pixels in beyond)
    if max(pad_x / image.shape[1], pad_y / image.shape[0]) > MOST_PADDED:
        return warped_by_numpy(image, matrix, height, width, fill_mode, fill_value, interpolation)
    padding = ((pad_y, pad_y), (pad_x, pad_x), (0, 0))
    if fill_mode == "constant":
        padded = np.pad(image, padding, constant_values=_level(fill_value))
    else:
        padded = np.pad(image, padding, mode=PADDING[fill_mode])
    to_padded = np.array([[matrix[0, 2] + pad_x], [matrix[1, 2] + pad_y]])
    # Pillow asks for the middle of a pixel, which is at 0.5 there.
    middle = to_padded[:, 0] + 0.5 - matrix[:, :2].sum(axis=1) / 2
    data = (*matrix[0, :2].tolist(), float(middle[0]), *matrix[1, :2].tolist(), float(middle[1]))
    mode = PILLOW_CHANNELS[image.shape[2]]
    source = Image.frombuffer(mode, padded.shape[1::-1], np.ascontiguousarray(padded), "raw", mode, 0, 1)
    resample = Image.Resampling.BILINEAR if interpolation == "bilinear" else Image.Resampling.NEAREST
    result = source.transform((width, height), Image.Transform.AFFINE, data, resample=resample)
    return np.array(result).reshape(height, width, image.shape[2])


def warped_by_numpy(
    image: np.ndarray,
    matrix: np.ndarray,
    height: int,
    width: int,
    fill_mode: FillMode,
    fill_value: float,
    interpolation: Interpolation,
) -> np.ndarray:
    """Map an image of any dtype and number of channels. Arguments are those of `warped`."""
    columns, rows = np.arange(width), np.arange(height)[:, np.newaxis]
    x, y = (matrix[axis, 0] * columns + matrix[axis, 1] * rows + matrix[axis, 2] for axis in (0, 1))
    pixels = _Pixels(image, fill_mode, fill_value)
    if interpolation == "nearest":
        return pixels.at(np.rint(x).astype(np.intp), np.rint(y).astype(np.intp))
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    share_x = (x - left).astype(np.float32)[..., np.newaxis]
    share_y = (y - top).astype(np.float32)[..., np.newaxis]
    upper = pixels.at(left, top) * (1 - share_x) + pixels.at(left + 1, top) * share_x
    lower = pixels.at(left, top + 1) * (1 - share_x) + pixels.at(left + 1, top + 1) * share_x
    result = upper * (1 - share_y) + lower * share_y
    return (result + np.float32(0.5)).astype(np.uint8) if image.dtype == np.uint8 else result.astype(image.dtype)


class _Pixels:
    """The pixels of an image, also outside it. Arguments are those of `warped`."""

    def __init__(self, image: np.ndarray, fill_mode: FillMode, fill_value: float):
        self._image, self._fill_mode = image, fill_mode
        self._fill = image.dtype.type(_level(fill_value) if image.dtype == np.uint8 else fill_value)
        self._flat = image.reshape(-1, image.shape[2])

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        height, width, _ = self._image.shape
        values = self._flat[self._inside(y, height) * width + self._inside(x, width)]
        if self._fill_mode == "constant":
            values[(x < 0) | (x >= width) | (y < 0) | (y >= height)] = self._fill
        return values

    def _inside(self, positions: np.ndarray, size: int) -> np.ndarray:
        if self._fill_mode == "wrap":
            return positions % size
        if self._fill_mode == "reflect":
            positions = positions % (2 * size)
            return np.minimum(positions, 2 * size - 1 - positions)
        return np.clip(positions, 0, size - 1)


def _level(value: float) -> int:
    """Return a value as a level of `uint8`."""
    return int(np.clip(round(value), 0, 255))
