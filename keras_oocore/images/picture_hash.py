"""Signatures and 64-bit hashes of pictures, which stay almost equal when a picture is re-encoded, scaled or cropped.

A picture is reduced to 32x32 grey levels, and its discrete cosine transform (DCT-II) keeps the 136 lowest frequencies:
its signature. They are weighted by frequency, because the amplitudes in photos fall as 1 / frequency (D. J. Field,
"Relations between the statistics of natural images and the response properties of cortical cells", J. Opt. Soc. Am. A
4, 1987). The signs of 64 of them are the hash, as in C. Zauner, "Implementation and Benchmarking of Perceptual Image
Hash Functions" (2010), section 3.1, with 0 instead of the median. Since cosines have values between pixels, too, the
signature of a cropped picture is computed from that of the whole one.
"""

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 32  # of the square that a picture is reduced to
LOW = 16  # frequencies per axis of a signature, of which those with a sum below 16 are kept
COMPARED = 12  # sums of frequencies from here on are not compared, because a crop does not determine them
NUM_BITS = 64
NUM_CHUNKS = 3  # runs of bits of a hash, each with low and high frequencies, because those differ in how even they are


class Crop(NamedTuple):
    """Which fractions of the width and the height are cut off."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


WHOLE = Crop()
CROPS = (
    Crop(0.025, 0.025, 0.025, 0.025),
    Crop(0.05, 0.05, 0.05, 0.05),
    *(Crop(*sides) for sides in ((0.05, 0.05, 0, 0), (0, 0.05, 0.05, 0), (0.05, 0, 0, 0.05), (0, 0, 0.05, 0.05))),
    *(Crop(*sides) for sides in ((0.05, 0, 0, 0), (0, 0.05, 0, 0), (0, 0, 0.05, 0), (0, 0, 0, 0.05))),
)

_SUMS = np.add.outer(np.arange(LOW), np.arange(LOW))
_ROWS, _COLUMNS = np.nonzero(_SUMS < LOW)  # of the coefficients in a signature
NUM_COEFFICIENTS = len(_ROWS)
_FREQUENCY = np.hypot(*np.indices((LOW, LOW))).astype(np.float32)
_AMPLITUDE = np.divide(1, _FREQUENCY, out=np.zeros_like(_FREQUENCY), where=_FREQUENCY > 0)
_COMPARED = np.flatnonzero(((_SUMS > 0) & (_SUMS < COMPARED)).ravel())
_BY_FREQUENCY = np.lexsort((np.indices((LOW, LOW))[0].ravel(), _SUMS.ravel()))
_SIGNS = _BY_FREQUENCY[1 : NUM_BITS + 1]  # without the mean
_BITS = np.concatenate([_SIGNS[first::NUM_CHUNKS] for first in range(NUM_CHUNKS)])


def grey_square(pixels: np.ndarray) -> np.ndarray:
    """Return a picture as `uint8` of shape `(32, 32)`, whatever its aspect ratio.

    Args:
        pixels: Grey levels, `uint8` of shape `(height, width)`.

    >>> grey_square(np.full((64, 96), 7, np.uint8)).shape
    (32, 32)
    """
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX))


def signatures(squares: np.ndarray) -> np.ndarray:
    """Return the signatures of pictures, `int8` of shape `(n, 136)`. A picture of one color has only zeros.

    Args:
        squares: Grey levels of shape `(n, 32, 32)`.
    """
    cosines = _cosines(WHOLE.left, WHOLE.right, SIDE)[:LOW]
    weighted = cosines @ squares.astype(np.float32) @ cosines.T * _FREQUENCY
    kept = weighted[:, _ROWS, _COLUMNS]
    largest = np.abs(kept).max(axis=1, keepdims=True, initial=0)
    return np.rint(kept * (127 / np.maximum(largest, 1))).astype(np.int8)


def hashes(signatures: np.ndarray, crop: Crop = WHOLE, mirrored: bool = False) -> np.ndarray:
    """Return the hashes of pictures, or of their crops, `uint64` of shape `(n,)`.

    Args:
        signatures: `int8` array of shape `(n, 136)`.
        crop: What is cut off, after mirroring.
        mirrored: Whether to exchange left and right.
    """
    bits = signatures.astype(np.float32) @ _map(crop, mirrored)[:, _BITS] > 0
    packed = np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little"))
    return packed.view("<u8")[:, 0].astype(np.uint64)


def compared(signatures: np.ndarray, crop: Crop = WHOLE, mirrored: bool = False) -> np.ndarray:
    """Return what `similarity` compares, `float32` of shape `(n, 77)`. The arguments are those of `hashes`."""
    coefficients = signatures.astype(np.float32) @ _map(crop, mirrored)[:, _COMPARED]
    return coefficients / np.maximum(np.linalg.norm(coefficients, axis=1, keepdims=True), 1e-6)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return how similar pictures are, from -1 to 1 for the same pictures, `float32` of shape `(n,)`.

    This is the correlation of their coefficients. Brightness and contrast do not change it.

    Args:
        first, second: Arrays that `compared` returns, compared row by row.
    """
    return np.einsum("ij,ij->i", first, second)


@functools.cache
def _map(crop: Crop, mirrored: bool) -> np.ndarray:
    """Return the matrix from a signature to the weighted coefficients of a crop, of shape `(136, 256)`."""
    coefficients = np.zeros((NUM_COEFFICIENTS, LOW, LOW), np.float32)
    coefficients[np.arange(NUM_COEFFICIENTS), _ROWS, _COLUMNS] = 1
    if mirrored:
        coefficients[:, :, 1::2] *= -1  # odd cosines are odd functions
    if crop != WHOLE:
        rows, columns = _recropped(crop.top, crop.bottom), _recropped(crop.left, crop.right)
        coefficients = rows @ (coefficients * _AMPLITUDE) @ columns.T * _FREQUENCY
    return coefficients.reshape(NUM_COEFFICIENTS, -1)


@functools.cache
def _cosines(before: float, after: float, num_frequencies: int) -> np.ndarray:
    """Return the orthonormal cosines at the centers of 32 pixels, which cover an axis without its ends.

    Returns:
        `float32` array of shape `(num_frequencies, 32)`.
    """
    centers = before + (1 - before - after) * (np.arange(SIDE) + 0.5) / SIDE
    frequencies = np.arange(num_frequencies)[:, None]
    scale = np.where(frequencies == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return (scale * np.cos(np.pi * frequencies * centers)).astype(np.float32)


def _recropped(before: float, after: float) -> np.ndarray:
    """Return the matrix from the coefficients of an axis to those of the axis without its ends."""
    return _cosines(0.0, 0.0, LOW) @ _cosines(before, after, LOW).T
