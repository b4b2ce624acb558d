"""Changes brightness, contrast, saturation and hue of an image by one matrix."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_oocore.augmentation.draws import Stream, uniform
from keras_oocore.augmentation.operation import ImageSpec, Operation, rounded
from keras_oocore.images import codecs

Bounds = tuple[float, float]

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as `keras.ops.image.rgb_to_grayscale`
GREY = np.tile(LUMA, (3, 1))
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])  # the colors of NTSC
RGB = np.linalg.inv(YIQ)


class DrawnColor(NamedTuple):
    """What is drawn for an image.

    Attributes:
        brightness: Added to all values.
        contrast: Factor of the distance to the mean of the image.
        matrix: Saturation, hue and grayscale, of shape `(3, 3)`, or `None`.
    """

    brightness: float
    contrast: float
    matrix: np.ndarray | None


@dataclass(frozen=True)
class Color(Operation):
    """What is drawn, with the bounds of each factor. They are explained in `ko.augment`.

    Values are clipped once, at the end. An alpha channel does not change.

    Attributes:
        brightness: As a share of the range of values.
        contrast: Factor of the distance to the mean.
        saturation: As in `keras.layers.RandomSaturation`, where 0.5 changes nothing.
        hue: In half turns, in both directions.
        grayscale: Probability.
    """

    brightness: Bounds = (0.0, 0.0)
    contrast: Bounds = (1.0, 1.0)
    saturation: Bounds = (0.5, 0.5)
    hue: Bounds = (0.0, 0.0)
    grayscale: float = 0.0

    def drawn(self, keys: np.ndarray, spec: ImageSpec) -> list[DrawnColor]:
        range_of_values = spec.high - spec.low if self.brightness != (0, 0) else 0.0  # it may be infinite
        brightness = uniform(keys, Stream.BRIGHTNESS, *self.brightness) * range_of_values
        contrast = uniform(keys, Stream.CONTRAST, *self.contrast)
        matrices = self._matrices(keys)
        if matrices is None:
            matrices = [None] * len(keys)
        return [DrawnColor(*values) for values in zip(brightness.tolist(), contrast.tolist(), matrices)]

    def _matrices(self, keys: np.ndarray) -> np.ndarray | None:
        """Return saturation, hue and grayscale, of shape `(batch, 3, 3)`."""
        matrices = None
        if self.saturation != (0.5, 0.5):
            share = uniform(keys, Stream.SATURATION, *self.saturation)
            factor = (share / np.maximum(1 - share, 1e-7))[:, np.newaxis, np.newaxis]
            matrices = GREY + factor * (np.eye(3) - GREY)
        if self.hue != (0, 0):
            drawn = uniform(keys, Stream.HUE, -1, 1)  # the sign is the direction
            angles = math.pi * np.copysign(self.hue[0] + np.abs(drawn) * (self.hue[1] - self.hue[0]), drawn)
            turns = np.broadcast_to(np.eye(3), (len(keys), 3, 3)).copy()
            turns[:, 1, 1] = turns[:, 2, 2] = np.cos(angles)
            turns[:, 1, 2], turns[:, 2, 1] = -np.sin(angles), np.sin(angles)
            turned = RGB @ turns @ YIQ
            matrices = turned if matrices is None else turned @ matrices
        if self.grayscale:
            if matrices is None:
                matrices = np.broadcast_to(np.eye(3), (len(keys), 3, 3)).copy()
            grey = uniform(keys, Stream.GRAYSCALE) < self.grayscale
            matrices[grey] = GREY
        return matrices

    def apply(self, image: np.ndarray, drawn: DrawnColor, spec: ImageSpec) -> np.ndarray:
        num_colors = num_color_channels(spec.channels)
        offset = np.full(num_colors, drawn.contrast * drawn.brightness)
        if drawn.contrast != 1:
            offset += (1 - drawn.contrast) * (_means(image)[:num_colors] + drawn.brightness)
        matrix = drawn.contrast * np.eye(num_colors)
        if drawn.matrix is not None:
            matrix, offset = drawn.matrix @ matrix, drawn.matrix @ offset
        affine = np.eye(spec.channels, spec.channels + 1)
        affine[:num_colors, :num_colors], affine[:num_colors, -1] = matrix, offset
        return _mapped(image, affine.astype(np.float32), spec)


def num_color_channels(channels: int) -> int:
    """Return the number of channels without alpha."""
    return 3 if channels == 4 else channels


def _means(image: np.ndarray) -> np.ndarray:
    """Return the mean of each channel."""
    if codecs.cv2 is not None and image.shape[2] <= 4:
        return np.array(codecs.cv2.mean(image)[: image.shape[2]])
    return image.mean(axis=(0, 1), dtype=np.float64)


def _mapped(image: np.ndarray, affine: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Map each pixel by a matrix of shape `(channels, channels + 1)`."""
    if codecs.cv2 is not None and image.shape[2] <= 4:
        mapped = codecs.cv2.transform(image, affine).reshape(image.shape)
        if image.dtype != np.uint8:
            np.clip(mapped, spec.low, spec.high, out=mapped)
        return mapped
    values = image.reshape(-1, image.shape[2]).astype(np.float32) @ affine[:, :-1].T
    values += affine[:, -1]
    return rounded(values, image.dtype, spec).reshape(image.shape)
