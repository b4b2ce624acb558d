"""Applies transforms of images to the image of a batch with several inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.sources.layout import RowSpec, described, image_key

ONE_IMAGE = (
    'With several inputs, an augmentation of images changes the one with three axes, or the one that is called "image".'
)


def applied(transform: Any, x: Any, y: Any, draws: Any) -> tuple[Any, Any]:
    """Return the batch `(x, y)` after a `Transform`. A transform of images changes only the image of several inputs.

    Raises:
        OptionError: If it is not clear which input is the image.
    """
    if not transform.of_images or not isinstance(x, dict | tuple):
        return transform.apply(x, y, draws)
    inputs = x if isinstance(x, dict) else dict(enumerate(x))
    key = image_key({name: np.ndim(values) - 1 for name, values in inputs.items()})
    if key is None:
        raise no_image({name: RowSpec(np.shape(values)[1:], values.dtype) for name, values in inputs.items()})
    image, y = transform.apply(inputs[key], y, draws)
    inputs = {**inputs, key: image}
    return (inputs if isinstance(x, dict) else tuple(inputs.values())), y


def no_image(fields: Mapping[Any, RowSpec]) -> OptionError:
    """Return the error for inputs of which none, or more than one, could be the image."""
    return OptionError(
        f"{ONE_IMAGE} Use a function f(x, y, rng), which receives all inputs. Received: {described(fields)}"
    )
