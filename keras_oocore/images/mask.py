"""Reads one mask file, compares it with its image and the number of classes, and resizes it into a given buffer."""

import os
from typing import Any

import numpy as np

from keras_oocore.core.checks import integer
from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.core.stopwatch import stage
from keras_oocore.images.mask_values import mask_values
from keras_oocore.images.reader import ImageReader, read_bytes
from keras_oocore.images.resize import centre_crop, fitted_box, resize_into

DECODING = 1  # part of the fingerprint of caches
MOST_CLASSES = 256  # masks are uint8
VOID = 255  # marks pixels without a class in many data sets
LISTED = 5  # values in a message


class MaskReader:
    """Reads the masks of images: `uint8` arrays of shape `(height, width, 1)` with the geometry of the images.

    Values are not changed: masks are resized with the nearest neighbor, and padded with `ignore_class`, or with 0.

    Args:
        images: Reader of the images. Its size, cropping and padding are those of the masks.
        num_classes: Values from 0 to `num_classes - 1` are classes. Others are an error. `None` for any value up to
            255.
        ignore_class: A further value, of pixels without a class, or `None`.

    Raises:
        OptionError: If `num_classes` or `ignore_class` is not valid.
    """

    def __init__(self, images: ImageReader, num_classes: int | None = None, ignore_class: int | None = None):
        self.num_classes: int | None = None if num_classes is None else _checked_classes(num_classes)
        self.ignore_class: int | None = None if ignore_class is None else _checked_value(ignore_class)
        self.image_size: tuple[int, int] = images.image_size
        self._crops, self._pads = images.crop_to_aspect_ratio, images.pad_to_aspect_ratio
        self.shape: tuple[int, int, int] = (*self.image_size, 1)
        self.dtype: np.dtype = np.dtype(np.uint8)
        self.options: dict[str, Any] = {
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "mask_decoding": DECODING,
        }

    def read_into(self, path: str | os.PathLike[str], out: np.ndarray, height: int, width: int) -> None:
        """Decode a mask and write it into `out`, resized.

        Args:
            path: Path of a mask file.
            out: `uint8` array of shape `(height, width, 1)` of the batch.
            height, width: Size of the image in its file, upright.

        Raises:
            SampleError: If the file cannot be read, is not a mask, or does not fit the image. The caller adds the name
                of the file.
        """
        data = read_bytes(path)
        with stage("decoding"):
            values = mask_values(data)
        self._check_shape(*values.shape[:2], height, width)
        self._check_values(values)
        with stage("resizing"):
            self._fit(values.astype(np.uint8, copy=False), height, width, out)

    def _check_shape(self, height: int, width: int, image_height: int, image_width: int) -> None:
        """Check that a mask has the size of its image, or its aspect ratio up to one pixel."""
        if abs(height - image_height * width / image_width) < 1 or abs(width - image_width * height / image_height) < 1:
            return
        turned = " The image is turned by its EXIF orientation, and the mask is not: save the mask upright."
        raise SampleError(
            f"{width}x{height} pixels, and the image has {image_width}x{image_height}. A mask has the aspect ratio of "
            f"its image.{turned if (height, width) == (image_width, image_height) else ''}"
        )

    def _check_values(self, values: np.ndarray) -> None:
        """Check that all values are classes. The size of the batch plays no part: all pixels of the file count."""
        limit = self.num_classes or MOST_CLASSES
        if values.max(initial=0) < limit and values.min(initial=0) >= 0:
            return
        found = np.unique(values)
        wrong = found[((found < 0) | (found >= limit)) & (found != self.ignore_class)]
        if len(wrong):
            raise SampleError(self._why_wrong(values, found, wrong))

    def _why_wrong(self, values: np.ndarray, found: np.ndarray, wrong: np.ndarray) -> str:
        row, column = np.argwhere(values[..., 0] == wrong[0])[0].tolist()
        listed = ", ".join(map(str, wrong[:LISTED].tolist())) + (", ..." if len(wrong) > LISTED else "")
        what = f"value {listed}" if len(wrong) == 1 else f"values {listed}"
        where = f"{what} (the first in row {row}, column {column})"
        if self.num_classes is None:
            return f"{where}, but values of masks are from 0 to {MOST_CLASSES - 1}"
        hint = ""
        if wrong.tolist() == [VOID]:
            hint = f" If {VOID} marks pixels without a class, pass ignore_class={VOID}, also to the loss."
        if found.tolist() in ([0, VOID], [VOID]):
            hint += (
                f" If {VOID} is class 1, leave out num_classes and pass transform=lambda x, y, rng: (x, y // {VOID})"
            )
        return f"{where}, but num_classes={self.num_classes} allows 0 to {self.num_classes - 1}.{hint}"

    def _fit(self, values: np.ndarray, height: int, width: int, out: np.ndarray) -> None:
        if self._crops:
            values = centre_crop(values, *self.image_size)
        if self._pads:
            top, left, fitted_height, fitted_width = fitted_box(height, width, *self.image_size)
            out[:] = self.ignore_class or 0
            out = out[top : top + fitted_height, left : left + fitted_width]
        resize_into(values, out, "nearest")


def _checked_classes(num_classes: int) -> int:
    num_classes = integer(num_classes, "num_classes", 1, "a positive integer")
    if num_classes > MOST_CLASSES:
        raise OptionError(
            f"`num_classes` should be at most {MOST_CLASSES}, because masks are uint8. Received: {num_classes=}"
        )
    return num_classes


def _checked_value(ignore_class: int) -> int:
    ignore_class = integer(ignore_class, "ignore_class", 0, "a value of a mask, from 0 to 255")
    if ignore_class >= MOST_CLASSES:
        raise OptionError(f"`ignore_class` should be a value of a mask, from 0 to 255. Received: {ignore_class=}")
    return ignore_class
