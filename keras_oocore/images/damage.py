"""Explains the errors of decoders, which may be of any kind, as a fault of the image file."""

import contextlib
from collections.abc import Iterator

from PIL import Image

from keras_oocore.core.errors import SampleError


@contextlib.contextmanager
def explained_damage() -> Iterator[None]:
    """Within the block, any error but that of too little memory becomes a `SampleError` that says what is wrong.

    Raises:
        SampleError: If the file is not an image, is damaged, or has too many pixels.

    >>> with explained_damage():
    ...     raise OSError("image file is truncated")
    Traceback (most recent call last):
    keras_oocore.core.errors.SampleError: truncated: image file is truncated
    """
    try:
        yield
    except (SampleError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # Pillow checks the size of some formats when it opens them
        raise SampleError(f"more than PIL.Image.MAX_IMAGE_PIXELS allows: {error}") from error
    except Exception as error:  # damaged files raise every kind of exception from within Pillow
        what = "truncated" if "truncated" in str(error).lower() else "not an image that can be decoded"
        raise SampleError(f"{what}: {str(error) or type(error).__name__}") from error
