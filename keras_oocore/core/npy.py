"""Reads `.npy` files of unknown origin: a damaged file is a short error, raised before memory is allocated."""

import errno
import math
import os
from typing import BinaryIO

import numpy as np

from keras_oocore.core.errors import DataError

MAX_CODE_POINT = 0x10FFFF  # of Unicode
MAX_HEADER_BYTES = 10_000  # NumPy refuses longer ones, too, after reading them


def read_header(file: BinaryIO, check_size: bool = True) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, Fortran order and dtype of an open `.npy` file, and move to the first byte of its array.

    Args:
        file: A file that can seek, at its start.
        check_size: Whether the rest of the file must be large enough for the array. (Python objects have no size: see
            `dtype.hasobject`.)

    Raises:
        ValueError: If the header is damaged, or the file is too small.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.zeros((2, 3), "uint8"))
    >>> file.seek(0)
    0
    >>> read_header(file)
    ((2, 3), False, dtype('uint8'))
    """
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            _require_short_header(file, version)
            shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(file)
    except (OSError, ValueError):
        raise
    except Exception as error:  # NumPy parses the header as Python code, which raises nearly any error
        raise ValueError(f"its header is damaged: {error or type(error).__name__}") from error
    if check_size and not dtype.hasobject:
        _require_fits(file, shape, dtype)
    return shape, fortran_order, dtype


def _require_short_header(file: BinaryIO, version: tuple[int, int]) -> None:
    """Check the length of a header, which NumPy would allocate first: it may say 4 GB."""
    if version not in ((2, 0), (3, 0)):
        raise ValueError(f"its format {version[0]}.{version[1]} is unknown")
    start = file.tell()
    length_bytes = int.from_bytes(file.read(4), "little")
    file.seek(start)
    if length_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"its header has {length_bytes:,} bytes")


def _require_fits(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    num_values = math.prod(shape)
    if any(axis < 0 for axis in shape) or (num_values and not dtype.itemsize):
        raise ValueError(f"its header says that it contains an array of shape {shape} and dtype {dtype}")
    start = file.tell()
    left_bytes = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if num_values * dtype.itemsize > left_bytes:
        raise ValueError(
            f"an array of shape {shape} and dtype {dtype} has {num_values * dtype.itemsize:,} bytes, "
            f"but {left_bytes:,} bytes follow the header"
        )


def load_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Load the array of a `.npy` file.

    Raises:
        DataError: If the file does not exist, is damaged, or contains pickled Python objects.
    """
    try:
        with open(path, "rb") as file:
            return load_opened(file, path)
    except OSError as error:
        raise DataError(f"Cannot read {os.fspath(path)!r}: {error.strerror or error}.") from error


def load_opened(file: BinaryIO | None, path: str | os.PathLike[str]) -> np.ndarray:
    """Load the array of an open `.npy` file. See `load_array`.

    Args:
        file: A file that can seek, at its start, or `None` if it does not exist.
        path: How the message names the file.
    """
    name = os.fspath(path)
    if file is None:
        raise DataError(f"Cannot read {name!r}: {os.strerror(errno.ENOENT)}.")
    try:
        _, _, dtype = read_header(file)
        if not dtype.hasobject:
            file.seek(0)
            array = np.lib.format.read_array(file, allow_pickle=False)
            _require_unicode(array)
            return array
    except OSError as error:
        raise DataError(f"Cannot read {name!r}: {error.strerror or error}.") from error
    except MemoryError:  # the array is in the file, and too large for this machine
        raise
    except Exception as error:
        raise DataError(f"{name!r} is not a complete .npy file ({error}). Save it again with numpy.save.") from error
    raise DataError(
        f"{name!r} contains pickled Python objects, which could run any code and are not loaded. Save it again "
        f"as strings or numbers: np.save({name!r}, np.asarray(values.tolist()))"
    )


def _require_unicode(array: np.ndarray) -> None:
    if array.dtype.kind == "U" and array.size:
        code_points = array.ravel(order="K").view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if code_points.max() > MAX_CODE_POINT:
            raise ValueError("its strings are not Unicode")
