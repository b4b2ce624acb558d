"""`Operation`, the contract of a random change of one image."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class ImageSpec(NamedTuple):
    """What an operation knows of the images.

    Attributes:
        height, width, channels: Shape of an image.
        low, high: Range of the values.
    """

    height: int
    width: int
    channels: int
    low: float
    high: float


class Operation(ABC):
    """A random change of one image. What is drawn for a whole batch is drawn first, in one step."""

    @abstractmethod
    def drawn(self, keys: np.ndarray, spec: ImageSpec) -> Sequence[Any]:
        """Draw for a batch.

        Args:
            keys: Keys of the samples, `uint64` of shape `(batch, 2)`.
            spec: What the images are.

        Returns:
            What `apply` needs, per image. `None` for an image that does not change.
        """

    @abstractmethod
    def apply(self, image: np.ndarray, drawn: Any, spec: ImageSpec) -> np.ndarray:
        """Return the changed image, in memory of its own or in that of `image`.

        Args:
            image: `uint8` or `float32` array of shape `(height, width, channels)`, which may be overwritten.
            drawn: What was drawn for it.
            spec: What the images are.
        """


def rounded(values: np.ndarray, dtype: np.dtype, spec: ImageSpec) -> np.ndarray:
    """Return `float32` values within the range of the images and in their dtype. `values` may be overwritten."""
    np.clip(values, spec.low, spec.high, out=values)
    if dtype == np.uint8:
        values += np.float32(0.5)
    return values.astype(dtype, copy=False)
