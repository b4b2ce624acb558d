"""Moves masks along with their images: labels of the height and width of the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.augmentation.geometry import Geometry
from keras_oocore.augmentation.operation import ImageSpec
from keras_oocore.core.errors import OptionError

Boxes = Sequence[Sequence[int] | None]


def is_mask(y: Any, height: int, width: int) -> bool:
    """Whether labels are masks: arrays of shape `(batch, height, width)` or `(batch, height, width, channels)`.

    >>> is_mask(np.zeros((2, 8, 6, 1), "uint8"), 8, 6), is_mask(np.zeros((2, 8)), 8, 6)
    (True, False)
    """
    return isinstance(y, np.ndarray) and y.ndim in (3, 4) and y.shape[1:3] == (height, width)


def moved_masks(y: Any, geometry: Geometry, drawn: np.ndarray, spec: ImageSpec) -> Any:
    """Return labels whose masks were mapped as the images were. Other labels stay as they are.

    Args:
        y: Labels: an array, a dictionary or a tuple of arrays, or `None`.
        geometry: What was done to the images.
        drawn: What was drawn for them.
        spec: What the images were before.
    """
    if isinstance(y, dict):
        return {name: moved_masks(values, geometry, drawn, spec) for name, values in y.items()}
    if isinstance(y, tuple):
        return tuple(moved_masks(values, geometry, drawn, spec) for values in y)
    if not is_mask(y, spec.height, spec.width):
        return y
    masks = y.reshape(*y.shape[:3], -1)
    height, width = geometry.size(spec)
    result = np.empty((len(y), height, width, masks.shape[3]), y.dtype)
    for row, mask in enumerate(masks):
        result[row] = geometry.moved_mask(np.ascontiguousarray(mask), drawn[row], spec)
    return result.reshape(len(y), height, width, *y.shape[3:])


def mixed_masks(y: np.ndarray, boxes: Boxes, kept: np.ndarray) -> np.ndarray:
    """Return masks that are mixed with those of their neighbors: CutMix copies the part that the image has.

    Args:
        y: Masks of shape `(batch, height, width, ...)`.
        boxes: Top, left, height and width of the part of the neighbor, per image, or `None` for MixUp.
        kept: Share of the own image, per image.

    Raises:
        OptionError: If the classes of two masks would have to be mixed, and they are integers.
    """
    result = y.copy()
    for row, box in enumerate(boxes):
        other = row ^ 1
        if other >= len(y):  # the last row of an odd batch has no neighbor
            continue
        if box is not None:
            top, left, height, width = box
            part = slice(top, top + height), slice(left, left + width)
            result[row][part] = y[other][part]
        elif np.issubdtype(y.dtype, np.floating):
            result[row] = kept[row] * y[row] + (1 - kept[row]) * y[other]
        else:
            raise OptionError(
                "`mixup` mixes two images in every pixel, and a pixel of a mask has one class. Use cutmix=..., which "
                f"copies a part of the mask, too. Received: a mask of dtype {y.dtype}"
            )
    return result
