"""Gives sample weights the axes of the labels: an image with a mask has a loss per pixel, and one weight."""

from typing import Any

import numpy as np

MOST_AXES = 2  # of labels with one loss per sample: (batch,) or (batch, n)


def shaped_weight(weight: np.ndarray, y: Any) -> Any:
    """Return weights that Keras multiplies with all losses of their sample.

    A loss of masks has the shape `(batch, height, width)`. Keras 3.15.1 multiplies it with weights by the NumPy rule,
    after leaving out a last axis of size 1 if there is one too many (`keras/src/losses/loss.py`,
    `reduce_weighted_values`). So weights of shape `(batch,)` would weigh columns of pixels if images are as wide as the
    batch is large, and fail otherwise.

    Args:
        weight: `float32` array of shape `(batch,)`.
        y: Labels: an array, or a dictionary, tuple or list of arrays.

    Returns:
        An array of shape `(batch,)`, or for labels with three or more axes, with as many axes as the labels. If labels
        in a dictionary, tuple or list need different shapes, one with an array for each.

    >>> weight = np.ones(8, "float32")
    >>> shaped_weight(weight, np.zeros((8, 32, 32, 1))).shape, shaped_weight(weight, np.zeros((8, 3))).shape
    ((8, 1, 1, 1), (8,))
    """
    if not _has_several_losses(y):
        return weight
    if isinstance(y, dict):
        return {name: shaped_weight(weight, value) for name, value in y.items()}
    if isinstance(y, tuple | list):
        return type(y)([shaped_weight(weight, value) for value in y])
    return weight.reshape(weight_shape(np.shape(y)))


def weight_shape(y_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the weights of labels of this shape.

    >>> weight_shape((8, 32, 32, 1)), weight_shape((8, 3))
    ((8, 1, 1, 1), (8,))
    """
    several = len(y_shape) > MOST_AXES
    return (y_shape[0], *(1,) * (len(y_shape) - 1)) if several else y_shape[:1]


def _has_several_losses(y: Any) -> bool:
    """Whether a sample may have more than one loss."""
    if isinstance(y, dict | tuple | list):
        return any(map(_has_several_losses, y.values() if isinstance(y, dict) else y))
    return np.ndim(y) > MOST_AXES
