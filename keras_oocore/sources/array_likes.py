"""Reads rows of any object that has `shape`, `dtype` and slices, such as an array of zarr."""

import operator
import pickle
from typing import Any

import numpy as np

from keras_oocore.core.checks import require_numbers
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import shown


class ArrayLike:
    """The rows of an object with `shape`, `dtype` and slices, read in slices.

    Args:
        data: The object. `data[start:stop]` returns rows, in any thread.

    Attributes:
        shape, dtype: Those of the object. The first axis is the samples.
        chunk_rows: Number of rows of a chunk, if the object has `chunks` (or `shards`, as zarr has), and else 1.

    Raises:
        OptionError: If its shape or dtype is not that of rows of numbers.
    """

    path = name = None  # no file shows whether it changed

    def __init__(self, data: Any):
        self.data = data
        try:
            self.shape: tuple[int, ...] = tuple(map(operator.index, data.shape))
            dtype = np.dtype(data.dtype)
        except TypeError as error:
            raise OptionError(
                f"`data` should have a `shape` of integers and a `dtype` of NumPy. Received: {shown(data)}. If it fits "
                "into memory, pass np.asarray(data)."
            ) from error
        require_numbers(dtype, "`data`")
        if dtype.kind not in "biufc" or not self.shape:
            raise OptionError(
                f"`data` should contain rows of numbers. Received: {shown(data)} with shape {self.shape}, dtype {dtype}"
            )
        self.dtype: np.dtype = np.dtype(dtype.str).newbyteorder("=")
        self.chunk_rows: int = _chunk_rows(data)

    def __str__(self) -> str:
        return ""

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`.

        Raises:
            DataError: If the object returns something else.
        """
        rows = np.asarray(self.data[start:stop])
        if rows.shape != (stop - start, *self.shape[1:]) or rows.dtype.newbyteorder("=") != self.dtype:
            raise DataError(
                f"`data[{start}:{stop}]` should be an array of shape {(stop - start, *self.shape[1:])} and dtype "
                f"{self.dtype}. Received: shape {rows.shape} and dtype {rows.dtype}"
            )
        return rows

    def stamp(self) -> tuple[int, int]:
        """Return a constant, because there is no file."""
        return 0, 0

    def close(self) -> None:
        """Do nothing: the object belongs to the user."""

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            return _loaded, (pickle.dumps(self.data),)
        except Exception as error:
            raise OptionError(
                f"{type(self.data).__name__} cannot be sent to another process: {error}. Pass an object that pickles, "
                "or for HDF5 the path of the file with dataset=NAME."
            ) from error


def is_array_like(data: Any) -> bool:
    """Whether an object has `shape`, `dtype` and slices."""
    return all(hasattr(data, name) for name in ("shape", "dtype", "__getitem__"))


def _chunk_rows(data: Any) -> int:
    for chunks in (getattr(data, "shards", None), getattr(data, "chunks", None)):
        if isinstance(chunks, tuple) and chunks:
            first = (
                chunks[0][0] if isinstance(chunks[0], tuple) and chunks[0] else chunks[0]
            )  # dask has the sizes of all
            if isinstance(first, int) and first > 0:
                return first
    return 1


def _loaded(pickled: bytes) -> ArrayLike:
    return ArrayLike(pickle.loads(pickled))
