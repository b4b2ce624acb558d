"""Reads samples that are stored in one `.npy` file each."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import FormError, SampleError
from keras_oocore.core.npy import read_header
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.storage import local_path, open_file
from keras_oocore.core.tasks import in_threads
from keras_oocore.core.text import listed
from keras_oocore.sources.function_reader import HOW_TO_PAD
from keras_oocore.sources.layout import RowSpec, X

PATHS_PER_TASK, HEADER_THREADS = 256, 8  # reading a header waits for the disk


class NpyReader:
    """Reads `.npy` files that all hold an array of the same shape and dtype.

    Args:
        path: Path of the file that defines shape and dtype, usually the first one.
    """

    def __init__(self, path: str | os.PathLike[str]):
        with open_file(path) as file:
            shape, _, dtype = _read_header(file, check_size=True)
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype = dtype.newbyteorder("=")
        self.fields: dict[str, RowSpec] = {X: RowSpec(self.shape, self.dtype)}
        self.options: dict[str, Any] = {}  # nothing besides shape and dtype determines the rows

    def load(self, path: str) -> dict[str, np.ndarray]:
        """Return the array in the file, of any shape, by name."""
        with open_file(path) as file:
            _read_header(file, check_size=True)
        return {X: np.load(local_path(path), allow_pickle=False)}

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out`, of shape `self.shape` and dtype `self.dtype`, with the array in the file."""
        with open_file(path) as file:
            shape, fortran_order, dtype = _read_header(file, check_size=False)  # nothing is allocated
            if shape != self.shape or dtype.newbyteorder("=") != self.dtype:
                raise FormError(
                    f"expected an array of shape {self.shape} and dtype {self.dtype}, as in the first file. "
                    f"Received: shape {shape} and dtype {dtype}"
                    + (f". {HOW_TO_PAD}" if shape and self.shape and shape[1:] == self.shape[1:] else "")
                )
            if not fortran_order and dtype == self.dtype:
                if file.readinto(out.reshape(-1).view(np.uint8)) < out.nbytes:
                    raise SampleError("truncated: the file ends before its array does")
                return
        out[...] = np.load(local_path(path), allow_pickle=False)


def longest_array(paths: Sequence[str], num_axes: int) -> int:
    """Return the largest first axis of the arrays in `.npy` files, from their first bytes, read in threads.

    Files that cannot be read, or whose arrays have another number of axes, do not count: reading them is an error.
    """
    found = [1]

    def look(starts: Iterator[int]) -> None:
        for start in starts:
            part = paths[start : start + PATHS_PER_TASK]
            found.append(max((_length(path, num_axes) for path in part), default=0))
            bar.update(len(part))

    with tqdm(total=len(paths), desc="finding the longest array", unit=" files", delay=QUIET_SECONDS) as bar:
        in_threads(look, range(0, len(paths), PATHS_PER_TASK), HEADER_THREADS, "keras_oocore-lengths")
    return max(found)


def _length(path: str, num_axes: int) -> int:
    try:
        with open_file(path) as file:
            shape, *_ = read_header(file, check_size=False)
    except (OSError, ValueError):
        return 0
    return shape[0] if len(shape) == num_axes and shape else 0


def _read_header(file, check_size: bool) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, Fortran order and dtype of an open `.npy` file, and move to the first byte of its array."""
    try:
        shape, fortran_order, dtype = read_header(file, check_size)
    except ValueError as error:
        if file.tell() == 0:
            raise SampleError("empty file") from error
        raise SampleError(f"not a .npy file ({error})") from error
    if dtype.hasobject:
        raise SampleError("contains Python objects, which need pickle; save an array of numbers")
    if dtype.names is not None:
        raise SampleError(
            f"contains a structured array with the fields {listed(dtype.names)}; save an array of numbers"
        )
    return shape, fortran_order, dtype
