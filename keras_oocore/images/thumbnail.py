"""Small pictures of images as `data:` URIs, for notebooks. An image that cannot be read has none."""

import base64
import io
import os
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from keras_oocore.core import storage

MOST_PICTURES = 8  # in one strip, and so the number of files that are read for it
THUMBNAIL_PIXELS = 96  # a strip shows 72, and screens of high resolution show more
PREVIEW_PIXELS = 160  # a page shows 128
MOST_FILE_BYTES = 20 * 10**6  # a larger file would take long to decode


def spread(num_samples: int) -> list[int]:
    """Return the numbers of at most eight samples, evenly spread over all samples.

    >>> spread(3), spread(10_000_000)[-1]
    ([0, 1, 2], 9999999)
    """
    return np.unique(np.linspace(0, num_samples - 1, min(MOST_PICTURES, num_samples), dtype=np.int64)).tolist()


class Preview(NamedTuple):
    """A whole image, small.

    Attributes:
        uri: A `data:` URI of at most 160 by 160 pixels.
        height, width: Size of the image.
        size_bytes: Size of the file.
    """

    uri: str
    height: int
    width: int
    size_bytes: int


def preview_of_file(path: str | os.PathLike[str]) -> Preview | None:
    """Return a preview of an image file. Unlike a thumbnail, it has the edges of the image, so copies can be compared.

    `None` if the file is missing, damaged, very large, or not an image.
    """
    found = _decoded(path, PREVIEW_PIXELS)
    if found is None:
        return None
    decoded, size_bytes = found
    small = _as_rgb(decoded.pixels)
    small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    return Preview(_jpeg_uri(small, quality=75), decoded.height, decoded.width, size_bytes)


def thumbnail_of_file(path: str | os.PathLike[str]) -> str | None:
    """Return the thumbnail of an image file. `None` if it is missing, damaged, very large, or not an image."""
    found = _decoded(path, THUMBNAIL_PIXELS)
    return None if found is None else thumbnail(found[0].pixels)


def _decoded(path: str | os.PathLike[str], pixels: int) -> tuple[Any, int] | None:
    """Return a decoded image file, of at least this many pixels if it has them, and the size of the file."""
    from keras_oocore.images.decode import decode  # imports OpenCV, which a manifest that is not shown does not need
    from keras_oocore.images.reader import read_bytes

    try:
        status = storage.status(path)
        if not status.is_file or status.size_bytes > MOST_FILE_BYTES:  # reading a named pipe would wait forever
            return None
        return decode(read_bytes(path), "rgb", lambda height, width: (pixels, pixels)), status.size_bytes
    except Exception:  # whatever is wrong with a file, the notebook shows the rest
        return None


def thumbnail(pixels: np.ndarray) -> str:
    """Return the thumbnail of an image, the largest square in its middle.

    Args:
        pixels: `uint8` array of shape `(height, width)` or `(height, width, channels)`, with 1, 3 or 4 channels.
    """
    image = _as_rgb(pixels)
    size = min(THUMBNAIL_PIXELS, *image.size)
    return _jpeg_uri(ImageOps.fit(image, (size, size)), quality=85)


def _as_rgb(pixels: np.ndarray) -> Image.Image:
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _jpeg_uri(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
