"""Finds out whether images have 16 bits per channel, by looking at a few files."""

from collections.abc import Iterable

from keras_oocore.core import storage
from keras_oocore.images.formats import open_image
from keras_oocore.images.png_chunks import SIGNATURE
from keras_oocore.images.wide import has_16_bits

WIDE_EXTENSIONS = (".png", ".tif", ".tiff", ".pgm", ".ppm", ".jp2")  # other formats have 8 bits


def any_has_16_bits(paths: Iterable[str]) -> bool:
    """Whether one of these images has 16 bits per channel. Files that cannot be read have not."""
    return any(path.lower().endswith(WIDE_EXTENSIONS) and _file_has_16_bits(path) for path in paths)


def _file_has_16_bits(path: str) -> bool:
    try:
        with storage.open_file(path, buffered=False) as file:
            header = file.read(32)
            if header.startswith(SIGNATURE):
                return header[24:25] == b"\x10"
            return has_16_bits(open_image(header + file.read()))
    except Exception:  # the batch with this file reports the error
        return False
