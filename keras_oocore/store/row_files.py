"""`.npy` files that are created at full size and filled row by row, in any order and by several threads."""

import math
import os
import threading
from pathlib import Path
from typing import IO

import numpy as np

from keras_oocore.core.files import explained, write_whole


def reserve_array(path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Create a `.npy` file of zeros, to be filled by `write_at`. It is sparse: it takes up disk space as it fills.

    Raises:
        DestinationError: If the file cannot be written, or exists.
    """
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with write_whole(path, overwrite=False) as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + math.prod(shape) * dtype.itemsize)


def write_at(file: IO[bytes], data: np.ndarray, offset_bytes: int) -> None:
    """Write the bytes of an array to an open, unbuffered file. Several threads may write at different offsets.

    Raises:
        DestinationError: If the disk is full, or the file reaches a size limit.
    """
    left = memoryview(np.ascontiguousarray(data).reshape(-1).view(np.uint8))
    with explained(file.name):
        while left:
            num_written = pwrite(file, left, offset_bytes)
            left, offset_bytes = left[num_written:], offset_bytes + num_written


if hasattr(os, "pwrite"):

    def pwrite(file: IO[bytes], data: memoryview, offset_bytes: int) -> int:
        return os.pwrite(file.fileno(), data, offset_bytes)

else:  # Windows
    _seek_and_write = threading.Lock()

    def pwrite(file: IO[bytes], data: memoryview, offset_bytes: int) -> int:
        with _seek_and_write:
            file.seek(offset_bytes)
            return file.write(data)


def sync_data(file: IO[bytes]) -> None:
    """Wait until everything that was written to an open file is on disk.

    Raises:
        DestinationError: If the disk reports an error.
    """
    with explained(file.name):
        getattr(os, "fdatasync", os.fsync)(file.fileno())


def allocated_bytes(path: Path) -> int:
    """Return the disk space that a file takes up: less than its size if it is sparse, 0 if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return min(status.st_size, getattr(status, "st_blocks", 0) * 512)  # Windows has no st_blocks
