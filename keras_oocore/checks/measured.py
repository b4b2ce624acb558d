"""What is known about every file of a check, in arrays, because a million Python objects would not fit."""

from collections.abc import Sequence

import numpy as np

from keras_oocore.images.formats import ENDINGS
from keras_oocore.images.measures import NUM_LOOKS
from keras_oocore.images.picture_hash import NUM_COEFFICIENTS

FORMATS = (None, *ENDINGS)  # by number
DIGEST_BYTES = 16
BLANK_SPREAD, BLANK_SPAN = 2.0, 24  # grey levels. Noise of a JPEG or of a camera stays below them.


class Measured:
    """The measures of files. All arrays have the length `num_files`.

    Args:
        num_files: Number of files.

    Attributes:
        size_bytes: Size, `int64`. -1 for a file that does not exist.
        digests: Hash of the content, `uint64` of shape `(num_files, 2)`, of files that may be exact copies.
        has_digest: Whether there is one.
        has_picture: Whether the pixels of an image were measured.
        heights, widths: Size of the image, `int32`. 0 if it is not known.
        formats: Number in `FORMATS`, `uint8`.
        signatures: Of `images.picture_hash`, `int8` of shape `(num_files, 136)`.
        spread, span, bright, sharpness: Of `images.look`, `float16` or `uint8`.
        bad: Number of a file → why it cannot be read, or why its pixels are doubtful.
    """

    def __init__(self, num_files: int):
        self.num_files: int = num_files
        self.size_bytes: np.ndarray = np.full(num_files, -1, np.int64)
        self.digests: np.ndarray = np.zeros((num_files, DIGEST_BYTES // 8), np.uint64)
        self.has_digest: np.ndarray = np.zeros(num_files, bool)
        self.has_picture: np.ndarray = np.zeros(num_files, bool)
        self.heights: np.ndarray = np.zeros(num_files, np.int32)
        self.widths: np.ndarray = np.zeros(num_files, np.int32)
        self.formats: np.ndarray = np.zeros(num_files, np.uint8)
        self.signatures: np.ndarray = np.zeros((num_files, NUM_COEFFICIENTS), np.int8)
        self.spread: np.ndarray = np.zeros(num_files, np.float16)
        self.span: np.ndarray = np.zeros(num_files, np.uint8)
        self.bright: np.ndarray = np.zeros(num_files, np.uint8)
        self.sharpness: np.ndarray = np.full(num_files, np.nan, np.float16)
        self.bad: dict[int, str] = {}

    def part(self, start: int, stop: int) -> "Measured":
        """Return the measures of a run of files, in the same memory. Their `bad` files are their own."""
        part = Measured(0)
        part.num_files = stop - start
        for name, values in vars(self).items():
            if isinstance(values, np.ndarray):
                setattr(part, name, values[start:stop])
        return part

    def add(self, files: np.ndarray | list[int], measures: np.ndarray) -> None:
        """Add what the pixels of files tell.

        Args:
            files: Numbers of the files, of shape `(n,)`.
            measures: `float16` of shape `(n, 140)`, as `images.measures.measures_of` returns them.
        """
        self.spread[files], self.span[files], self.bright[files], self.sharpness[files] = measures[:, :NUM_LOOKS].T
        self.signatures[files] = measures[:, NUM_LOOKS:]
        self.has_picture[files] = True

    def add_part(self, start: int, part: "Measured") -> None:
        """Copy the measures of a run of files that begins at `start`."""
        for name, values in vars(part).items():
            if isinstance(values, np.ndarray):
                getattr(self, name)[start : start + part.num_files] = values
        self.bad.update({start + i: reason for i, reason in part.bad.items()})

    @property
    def is_blank(self) -> np.ndarray:
        """Which images have one color only, `bool`."""
        return self.has_picture & (self.spread < BLANK_SPREAD) & (self.span <= BLANK_SPAN)


def first_of_equal(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Return the number of the first element with the keys of each element, `int64` of shape `(n,)`.

    Args:
        keys: Arrays of shape `(n,)`.

    >>> first_of_equal([np.array([7, 8, 7, 7]), np.array([1, 1, 1, 2])]).tolist()
    [0, 1, 0, 3]
    """
    order = np.lexsort(keys)  # stable, so the first of equal elements comes first
    begins = np.ones(len(order), bool)
    begins[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    first = np.empty(len(order), np.int64)
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def occurs_twice(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Return which elements have the same keys as another one, `bool` of shape `(n,)`."""
    first = first_of_equal(keys)
    return np.bincount(first)[first] > 1
