"""What the pixels of images tell, as numbers that can be stored: per image, how it looks, and its signature."""

import numpy as np

from keras_oocore.images.look import Look, grey_levels, look_of, reduced
from keras_oocore.images.picture_hash import NUM_COEFFICIENTS, grey_square, signatures

NUM_LOOKS = len(Look._fields)  # the first measures, in this order; the others are the signature
MEASURES_SPEC = ((NUM_LOOKS + NUM_COEFFICIENTS,), np.dtype("<f2"))  # exact for all integers up to 2048


def measures_of(pixels: np.ndarray) -> np.ndarray:
    """Return the measures of images, `float16` of shape `(num_images, 140)`: their `Look`, and their signatures.

    Those of an image do not depend on the other images.

    Args:
        pixels: `uint8` array of shape `(num_images, height, width, channels)`, with 1, 3 or 4 channels.

    >>> measures_of(np.full((2, 8, 8, 3), 30, np.uint8))[:, :5].tolist()
    [[0.0, 0.0, 30.0, nan, 0.0], [0.0, 0.0, 30.0, nan, 0.0]]
    """
    shape, dtype = MEASURES_SPEC
    measures = np.empty((len(pixels), *shape), dtype)
    if len(pixels):
        greys = reduced(grey_levels(pixels))
        measures[:, :NUM_LOOKS] = [look_of(grey) for grey in greys]
        measures[:, NUM_LOOKS:] = signatures(np.stack([grey_square(grey) for grey in greys]))
    return measures
