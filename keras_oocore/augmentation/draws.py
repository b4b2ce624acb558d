"""Random numbers of a sample: a function of its key and of what is drawn. No state, and no generator per sample."""

from enum import IntEnum

import numpy as np

from keras_oocore.batches.transform import mixed

GOLDEN = 0x9E3779B97F4A7C15  # of splitmix64: Steele, Lea and Flood, 2014


class Stream(IntEnum):
    """What is drawn. The numbers are fixed, so that a new operation does not change what the others draw."""

    FLIP_HORIZONTAL = 0
    FLIP_VERTICAL = 1
    ROTATION = 2
    ZOOM = 3
    TRANSLATION_HEIGHT = 4
    TRANSLATION_WIDTH = 5
    SHEAR_HORIZONTAL = 6
    SHEAR_VERTICAL = 7
    CROP_AREA = 8
    CROP_ASPECT = 9
    CROP_TOP = 10
    CROP_LEFT = 11
    BRIGHTNESS = 12
    CONTRAST = 13
    SATURATION = 14
    HUE = 15
    GRAYSCALE = 16
    BLUR = 17
    BLUR_SIGMA = 18
    NOISE = 19
    ERASE = 20
    ERASE_AREA = 21
    ERASE_ASPECT = 22
    ERASE_TOP = 23
    ERASE_LEFT = 24
    ERASE_PIXELS = 25
    MIX = 26
    MIX_SHARE = 27
    CUT_TOP = 28
    CUT_LEFT = 29


def uniform(keys: np.ndarray, stream: Stream, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Draw a number per sample.

    Args:
        keys: Keys of the samples, `uint64` of shape `(batch, 2)`.
        stream: What is drawn.
        low, high: The bounds.

    Returns:
        `float64` array of shape `(batch,)`, from `low` to `high`.

    >>> keys = np.arange(4, dtype="uint64").reshape(2, 2)
    >>> uniform(keys, Stream.ZOOM).round(2).tolist() == uniform(keys, Stream.ZOOM).round(2).tolist()
    True
    """
    return low + (high - low) * (_words(keys, stream) >> np.uint64(11)) * 2.0**-53


def stream_keys(keys: np.ndarray, stream: Stream) -> np.ndarray:
    """Return keys for generators that draw many numbers per sample, `uint64` of shape `(batch, 2)`."""
    return np.stack([_words(keys, stream), keys[:, 1]], axis=1)


def _words(keys: np.ndarray, stream: Stream) -> np.ndarray:
    return mixed(mixed(keys[:, 0] + np.uint64(GOLDEN * (stream + 1) % 2**64)) ^ keys[:, 1])
