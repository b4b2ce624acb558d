"""Which array of `x` a transform of images changes, if `x` is a dictionary of several inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError

IMAGE = "image"


def on_image(x: Any, y: Any, ndim: int, change: Callable[[np.ndarray, Any], tuple[Any, Any]]) -> tuple[Any, Any]:
    """Apply a change of images to `(x, y)`. The other inputs stay as they are.

    Args:
        x: An array, or a dictionary of arrays. The images are those named `"image"`, or the only ones with `ndim` axes.
        y: The labels.
        ndim: Number of axes of images: 4 for a batch, 3 for a sample.
        change: Function of images and labels, which returns both.

    Raises:
        OptionError: If it is not known which input the images are.

    >>> x, y = on_image({"image": np.zeros((1, 2, 2, 3)), "age": np.ones(1)}, None, 4, lambda x, y: (x + 7, y))
    >>> x["image"].max(), x["age"]
    (np.float64(7.0), array([1.]))
    """
    if not isinstance(x, dict):
        return change(x, y)
    names = [IMAGE] if IMAGE in x else [name for name, values in x.items() if np.ndim(values) == ndim]
    if len(names) != 1:
        shapes = ", ".join(f"{name!r} of shape {np.shape(values)}" for name, values in x.items())
        raise OptionError(
            f"The transform changes images: the input {IMAGE!r}, or the only one of shape (height, width, channels) "
            f"per sample. Received: {shapes}"
        )
    image, y = change(x[names[0]], y)
    return {**x, names[0]: image}, y
