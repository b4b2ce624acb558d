"""Scales the values of images to those that are drawn."""

import numpy as np


def displayable(images: np.ndarray) -> np.ndarray:
    """Return images as `uint8`, or as `float32` from 0 to 1. A single channel has no axis.

    Args:
        images: Array of shape `(num_images, height, width)` or `(num_images, height, width, channels)`.
    """
    if images.dtype != np.uint8:
        if images.dtype == np.uint16:  # images of 16 bits
            images = images / np.float32(257)
        images = np.asarray(images, np.float32)
        images = np.clip(images / 255 if images.max(initial=0) > 1 else images, 0, 1)
    return images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images
