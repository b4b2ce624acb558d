"""Decodes the content of an image file into upright pixels of 8 or 16 bits per channel.

simplejpeg and OpenCV decode ordinary JPEGs exactly as Pillow does, only faster, and so do libspng and OpenCV for 8-bit
PNGs. Pillow decodes all other files and all files that these decoders reject, and its error is the one that is
reported. So every installation reads the same files.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_oocore.images import codecs
from keras_oocore.images.damage import explained_damage
from keras_oocore.images.formats import open_image
from keras_oocore.images.jpeg import jpeg_pixels, opencv_pixels
from keras_oocore.images.jpeg_header import XMP_PREFIX, JpegHeader, parse_jpeg_header
from keras_oocore.images.orientation import stated_orientation, upright
from keras_oocore.images.pillow import PILLOW_MODES, pillow_pixels, require_allowed_size
from keras_oocore.images.png_chunks import PALETTE, RGB, Png, parse_png
from keras_oocore.images.wide import has_16_bits, has_lost_bits, wide_pixels

BY_DTYPE = (
    'pass dtype="uint16" for values from 0 to 65535, or dtype="float32" for values from 0 to 255 with fractions, if '
    "all images have 16 bits"
)
BY_FORMAT = "save the image in RGB, as PNG or as TIFF with interleaved channels: Pillow reads only 8 bits of this file"


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: Array of shape `(height, width, channels)`, possibly a view with negative strides: `uint16` for an image
            of 16 bits that is read as `wide`, otherwise `uint8`. A JPEG may be decoded at a smaller scale.
        height, width: Size of the image at full scale.
        doubt: The warning of the decoder that the file may be damaged, or `None`.
        narrowed: How to keep all bits, as the end of a sentence, if the image has more than 8 bits per channel and only
            the upper 8 were kept. Otherwise `None`.
    """

    pixels: np.ndarray
    height: int
    width: int
    doubt: str | None = None
    narrowed: str | None = None


def decode(
    data: bytes, color_mode: str, target_size: Callable[[int, int], tuple[int, int]], wide: bool = False
) -> Decoded:
    """Decode an image file and apply its orientation.

    Args:
        data: Content of the file.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        target_size: Function from the `(height, width)` of the image to the size it will be resized to. A JPEG may be
            decoded at a smaller scale that is not smaller than this size.
        wide: Whether images of 16 bits per channel keep them.

    Raises:
        SampleError: If the file is not an image, is damaged, or has too many pixels.
    """
    with explained_damage():
        header = parse_jpeg_header(data)
        if header is not None:
            return _decode_jpeg(data, header, color_mode, target_size)
        png = parse_png(data)
        return _decode_other(data, color_mode, wide) if png is None else _decode_png(png, color_mode, wide)


def _decode_jpeg(data: bytes, header: JpegHeader, color_mode: str, target_size) -> Decoded:
    require_allowed_size("JPEG", header.height, header.width)
    orientation = stated_orientation({"exif": data[header.exif], "xmp": data[header.xmp].removeprefix(XMP_PREFIX)})
    height, width = (header.height, header.width) if orientation < 5 else (header.width, header.height)
    target_height, target_width = target_size(height, width)
    scale = min(height // target_height, width // target_width)
    denominator = next((choice for choice in (8, 4, 2) if scale >= choice), 1)
    pixels, doubt = jpeg_pixels(data, header, color_mode, denominator)
    return Decoded(upright(pixels, orientation), height, width, doubt)


def _decode_png(png: Png, color_mode: str, wide: bool) -> Decoded:
    require_allowed_size("PNG", png.height, png.width)
    pixels = None
    if color_mode == "rgb" and png.is_whole and png.bit_depth == 8 and png.color_type != PALETTE:
        pixels = _plain_png(png)
    if pixels is None:
        if wide and png.bit_depth == 16:
            pixels = wide_pixels(png.data, color_mode)
        else:
            pixels = pillow_pixels(open_image(png.data), color_mode)
    pixels = upright(pixels, stated_orientation(png.info))
    return Decoded(pixels, *pixels.shape[:2], narrowed=BY_DTYPE if png.bit_depth == 16 and not wide else None)


def _plain_png(png: Png) -> np.ndarray | None:
    """The RGB pixels of a PNG of 8 bits without a palette, or `None` to use Pillow."""
    if codecs.spng_decode is not None and png.color_type == RGB:
        try:
            pixels = codecs.spng_decode(png.data)
        except Exception:  # imagecodecs has one exception class per codec
            return None
        return pixels[:, :, :3]  # a transparent colour adds a fourth channel
    return None if codecs.cv2 is None else opencv_pixels(png.data, codecs.cv2.IMREAD_COLOR_RGB)


def _decode_other(data: bytes, color_mode: str, wide: bool) -> Decoded:
    image = open_image(data)
    require_allowed_size(image.format, image.height, image.width)
    image.draft(PILLOW_MODES[color_mode], None)  # reads the luma of unusual JPEGs; does nothing for other formats
    is_wide, loses_bits = has_16_bits(image), has_lost_bits(image)
    pixels = wide_pixels(data, color_mode) if is_wide and wide else pillow_pixels(image, color_mode)
    # Pillow applies the orientation of TIFF files itself, and then removes it.
    pixels = upright(pixels, 1 if image.format == "TIFF" else stated_orientation(image.info))
    narrowed = BY_DTYPE if is_wide and not wide else BY_FORMAT if loses_bits else None
    return Decoded(pixels, *pixels.shape[:2], narrowed=narrowed)
