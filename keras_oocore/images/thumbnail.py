"""Small pictures of images as `data:` URIs, for notebooks. An image that cannot be read has none."""

import base64
import io
import os

import numpy as np
from PIL import Image, ImageOps

from keras_oocore.core import storage

MOST_PICTURES = 8  # in one strip, and so the number of files that are read for it
THUMBNAIL_PIXELS = 96  # a strip shows 72, and screens of high resolution show more
MOST_FILE_BYTES = 20 * 10**6  # a larger file would take long to decode


def spread(num_samples: int) -> list[int]:
    """Return the numbers of at most eight samples, evenly spread over all samples.

    >>> spread(3), spread(10_000_000)[-1]
    ([0, 1, 2], 9999999)
    """
    return np.unique(np.linspace(0, num_samples - 1, min(MOST_PICTURES, num_samples), dtype=np.int64)).tolist()


def thumbnail_of_file(path: str | os.PathLike[str]) -> str | None:
    """Return the thumbnail of an image file. `None` if it is missing, damaged, very large, or not an image."""
    from keras_oocore.images.decode import decode  # imports OpenCV, which a manifest that is not shown does not need
    from keras_oocore.images.reader import read_bytes

    try:
        status = storage.status(path)
        if not status.is_file or status.size_bytes > MOST_FILE_BYTES:  # reading a named pipe would wait for ever
            return None
        return thumbnail(decode(read_bytes(path), "rgb", lambda height, width: (THUMBNAIL_PIXELS,) * 2).pixels)
    except Exception:  # whatever is wrong with a file, the notebook shows the rest
        return None


def thumbnail(pixels: np.ndarray) -> str:
    """Return the thumbnail of an image, the largest square in its middle.

    Args:
        pixels: `uint8` array of shape `(height, width)` or `(height, width, channels)`, with 1, 3 or 4 channels.
    """
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    size = min(THUMBNAIL_PIXELS, *pixels.shape[:2])
    small = ImageOps.fit(Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB"), (size, size))
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
