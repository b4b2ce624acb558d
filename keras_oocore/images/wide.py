"""Decodes images of 16 bits per channel in full, which Pillow itself does for grayscale images only.

Pillow reduces color to 8 bits while it copies decoded rows into the image. Which of the two bytes of each value it
copies depends on the byte order that it is told. So an image is decoded twice, the second time with the other order.
"""

import re
import sys
from collections.abc import Callable

import numpy as np
from PIL.ImageFile import ImageFile

from keras_oocore.images.formats import BITS_PER_SAMPLE, open_image
from keras_oocore.images.pillow import gray_levels, is_wide_gray

COLOR_16_BITS = re.compile(r"(RGB|RGBA|RGBX|LA|[RGBA]);16([BLN])")  # a single letter is a plane of a TIFF
OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
GRAY_OF_RGB = np.array([19595, 38470, 7471], np.uint32)  # as in Pillow, libImaging/Convert.c; their sum is 65,536
OPAQUE = 65535


def has_16_bits(image: ImageFile) -> bool:
    """Whether an opened image has 16 bits per channel, of which Pillow may keep only 8."""
    return is_wide_gray(image) or _is_color(image)


def wide_pixels(data: bytes, color_mode: str) -> np.ndarray:
    """Decode an image of 16 bits per channel.

    Args:
        data: Content of a file for which `has_16_bits` is true.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.

    Returns:
        `uint16` array of shape `(height, width, channels)`. 8 bits of it are the pixels that `pillow_pixels` gives, up
        to rounding in the conversion from color to gray.
    """
    image = open_image(data)
    if is_wide_gray(image):
        image.load()
        return _in_color_mode(gray_levels(image)[:, :, None], color_mode)
    if _rawmode(image).startswith("LA"):  # for the low bytes of which Pillow has no name
        _read_as(image, lambda rawmode: "RGBA")
        high, low = np.asarray(image)[:, :, ::2], np.asarray(image)[:, :, 1::2]
    else:
        _read_as(image, lambda rawmode: rawmode)
        high, other = np.asarray(image), open_image(data)
        _read_as(other, lambda rawmode: rawmode[:-1] + OTHER_ORDER[rawmode[-1]])
        low = np.asarray(other)
    return _in_color_mode(high.astype(np.uint16) << 8 | low, color_mode)


def has_lost_bits(image: ImageFile) -> bool:
    """Whether an opened image has more than 8 bits per channel, of which Pillow can only read 8.

    These are TIFF images with a plane per channel that are compressed, and those of CMYK.
    """
    if image.format != "TIFF" or image.mode.startswith(("I", "F")) or _is_color(image):
        return False
    return max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))) > 8


def _is_color(image: ImageFile) -> bool:
    return bool(image.tile) and bool(COLOR_16_BITS.fullmatch(_rawmode(image)))


def _rawmode(image: ImageFile, tile: tuple | None = None) -> str:
    """How the decoder's rows of a tile are laid out, by default of the first one."""
    arguments = (tile or image.tile[0])[3]
    if image.format == "PPM" and isinstance(arguments, tuple) and arguments[1:] == (OPAQUE,):
        return "RGB;16B"
    rawmode = arguments if isinstance(arguments, str) else arguments[0]
    return rawmode if isinstance(rawmode, str) else ""


def _read_as(image: ImageFile, layout: Callable[[str], str]) -> None:
    """Decode an image as if its rows had another layout, which a function returns for that of each tile."""
    tiles = []
    for tile in image.tile:
        codec, box, offset, arguments = tile
        rawmode = layout(_rawmode(image, tile))
        if image.format == "PPM":
            codec, arguments = "raw", (rawmode, 0, 1)
        else:
            arguments = rawmode if isinstance(arguments, str) else (rawmode, *arguments[1:])
        make = getattr(type(tile), "_make", tuple)  # a plain tuple before Pillow 11
        tiles.append(make((codec, box, offset, arguments)))
    image.tile = tiles
    image.load()


def _in_color_mode(pixels: np.ndarray, color_mode: str) -> np.ndarray:
    """Convert grayscale or color, with or without alpha, as `Image.convert` does with 8 bits."""
    channels = pixels.shape[-1]
    color, alpha = (pixels[:, :, :-1], pixels[:, :, -1:]) if channels in (2, 4) else (pixels, None)
    if color_mode == "grayscale":
        if color.shape[-1] == 3:
            color = ((color @ GRAY_OF_RGB + np.uint32(0x8000)) >> 16).astype(np.uint16)[:, :, None]
        return color
    color = np.repeat(color, 3, axis=-1) if color.shape[-1] == 1 else color
    if color_mode == "rgb":
        return color
    return np.concatenate([color, np.full_like(color[:, :, :1], OPAQUE) if alpha is None else alpha], axis=-1)
