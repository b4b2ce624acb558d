"""Reads samples that are stored in one `.npy` file each."""

import os
from typing import Any

import numpy as np

from keras_oocore.core.errors import FormError, SampleError
from keras_oocore.core.npy import read_header
from keras_oocore.core.storage import local_path, open_file


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
        self.options: dict[str, Any] = {}  # nothing besides shape and dtype determines the rows

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out`, of shape `self.shape` and dtype `self.dtype`, with the array in the file."""
        with open_file(path) as file:
            shape, fortran_order, dtype = _read_header(file, check_size=False)  # nothing is allocated
            if shape != self.shape or dtype.newbyteorder("=") != self.dtype:
                raise FormError(
                    f"expected an array of shape {self.shape} and dtype {self.dtype}, as in the first file. "
                    f"Received: shape {shape} and dtype {dtype}"
                )
            if not fortran_order and dtype == self.dtype:
                if file.readinto(out.reshape(-1).view(np.uint8)) < out.nbytes:
                    raise SampleError("truncated: the file ends before its array does")
                return
        out[...] = np.load(local_path(path), allow_pickle=False)


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
    return shape, fortran_order, dtype
