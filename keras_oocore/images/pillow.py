"""Decodes the pixels of an opened image with Pillow, and limits their number."""

from typing import Literal

import numpy as np
from PIL import Image

from keras_oocore.core.errors import SampleError
from keras_oocore.images.formats import BITS_PER_SAMPLE

ColorMode = Literal["grayscale", "rgb", "rgba"]
PILLOW_MODES: dict[ColorMode, str] = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


def pillow_pixels(image: Image.Image, color_mode: ColorMode) -> np.ndarray:
    """Decode an image.

    Args:
        image: An opened image.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.

    Returns:
        `uint8` array of shape `(height, width)` or `(height, width, channels)`.

    Raises:
        SampleError: If the range of the pixels is not defined. Pillow raises other errors for damaged files.
    """
    image.load()
    if is_wide_gray(image):
        image = Image.fromarray((gray_levels(image) >> 8).astype(np.uint8))  # Pillow would clip, not scale
    elif image.mode in ("I", "F"):
        raise SampleError(
            f"32-bit pixels (Pillow mode {image.mode!r}) have no defined range; save the image with 8 or 16 bits"
        )
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns if it is converted directly to RGB
    if image.mode != PILLOW_MODES[color_mode]:
        image = image.convert(PILLOW_MODES[color_mode])
    return np.asarray(image)


def is_wide_gray(image: Image.Image) -> bool:
    """Whether an opened image has one channel of 16 bits, which may have been 12 in the file."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def gray_levels(image: Image.Image) -> np.ndarray:
    """Return the pixels of such an image after `load`, `uint16` of shape `(height, width)`, from 0 to 65535."""
    levels = np.asarray(image).astype(np.uint16)
    if image.format == "TIFF" and image.tag_v2.get(BITS_PER_SAMPLE) == (12,):  # Pillow does not scale them
        levels = levels << 4 | levels >> 8
    return levels


def require_allowed_size(kind: str, height: int, width: int) -> None:
    """Raise a `SampleError` if an image has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise SampleError(
            f"a {kind} of {width}x{height} pixels, more than PIL.Image.MAX_IMAGE_PIXELS = {limit}, could be a "
            "decompression bomb"
        )
