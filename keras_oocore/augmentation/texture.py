"""Blurs an image, adds noise, and erases a part of it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_oocore.augmentation.draws import Stream, stream_keys, uniform
from keras_oocore.augmentation.operation import ImageSpec, Operation, rounded
from keras_oocore.batches.keyed_generator import KeyedGenerator
from keras_oocore.images import codecs

SIGMAS = (0.1, 2.0)  # of a blur, in pixels: Chen et al., "A Simple Framework for Contrastive Learning", 2020
ERASED_AREAS, ERASED_ASPECTS = (0.02, 0.33), (0.3, 3.3)  # Zhong et al., "Random Erasing Data Augmentation", 2017


@dataclass(frozen=True)
class Blur(Operation):
    """A Gaussian blur, with this probability."""

    probability: float

    def drawn(self, keys: np.ndarray, spec: ImageSpec) -> list[float | None]:
        blurred = uniform(keys, Stream.BLUR) < self.probability
        sigmas = uniform(keys, Stream.BLUR_SIGMA, *SIGMAS)
        return [sigma if blur else None for blur, sigma in zip(blurred.tolist(), sigmas.tolist())]

    def apply(self, image: np.ndarray, drawn: float, spec: ImageSpec) -> np.ndarray:
        radius = math.ceil(3 * drawn)
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / drawn) ** 2)
        weights = (weights / weights.sum()).astype(np.float32)
        if codecs.cv2 is not None and image.shape[2] <= 4:
            border = codecs.cv2.BORDER_REFLECT
            return codecs.cv2.sepFilter2D(image, -1, weights, weights, borderType=border).reshape(image.shape)
        values = np.pad(image.astype(np.float32), ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
        for axis, length in enumerate(image.shape[:2]):
            parts = (values.take(range(start, start + length), axis=axis) for start in range(len(weights)))
            values = sum(part * weight for part, weight in zip(parts, weights))
        return rounded(values, image.dtype, spec)


@dataclass(frozen=True)
class Noise(Operation):
    """Normal noise, with this standard deviation as a share of the range of values."""

    stddev: float

    def drawn(self, keys: np.ndarray, spec: ImageSpec) -> np.ndarray:
        return stream_keys(keys, Stream.NOISE)

    def apply(self, image: np.ndarray, drawn: np.ndarray, spec: ImageSpec) -> np.ndarray:
        values = KeyedGenerator().at(drawn).standard_normal(image.shape, dtype=np.float32)
        values *= np.float32(self.stddev * (spec.high - spec.low))
        values += image
        return rounded(values, image.dtype, spec)


class Erased(NamedTuple):
    """A rectangle, and the key of the values that fill it."""

    top: int
    left: int
    height: int
    width: int
    key: np.ndarray


@dataclass(frozen=True)
class Erase(Operation):
    """A rectangle of random values, with this probability."""

    probability: float

    def drawn(self, keys: np.ndarray, spec: ImageSpec) -> list[Erased | None]:
        erased = uniform(keys, Stream.ERASE) < self.probability
        area = uniform(keys, Stream.ERASE_AREA, *ERASED_AREAS) * spec.height * spec.width
        aspect = np.exp(uniform(keys, Stream.ERASE_ASPECT, *np.log(ERASED_ASPECTS)))
        heights = np.clip(np.rint(np.sqrt(area * aspect)), 1, spec.height)
        widths = np.clip(np.rint(np.sqrt(area / aspect)), 1, spec.width)
        tops = np.floor(uniform(keys, Stream.ERASE_TOP) * (spec.height - heights + 1))
        lefts = np.floor(uniform(keys, Stream.ERASE_LEFT) * (spec.width - widths + 1))
        boxes = np.stack([tops, lefts, heights, widths], axis=1).astype(int).tolist()
        fills = stream_keys(keys, Stream.ERASE_PIXELS)
        return [Erased(*box, key) if erase else None for erase, box, key in zip(erased.tolist(), boxes, fills)]

    def apply(self, image: np.ndarray, drawn: Erased, spec: ImageSpec) -> np.ndarray:
        generator = KeyedGenerator().at(drawn.key)
        shape = (drawn.height, drawn.width, image.shape[2])
        values = generator.random(shape, dtype=np.float32)
        values *= np.float32(spec.high - spec.low)
        values += np.float32(spec.low)
        rows, columns = slice(drawn.top, drawn.top + drawn.height), slice(drawn.left, drawn.left + drawn.width)
        image[rows, columns] = rounded(values, image.dtype, spec)
        return image
