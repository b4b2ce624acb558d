"""One `.npy` file, or rows of one large `.npy`, into a given buffer."""

import os
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.fingerprint import of_array
from keras_oocore.store.mapped_rows import MappedRows


class NpyReader:
    """Reads `.npy` files that all hold one array of the same shape and dtype.

    Args:
        path: a file that shows the shape and dtype; the first one, usually.
    """

    def __init__(self, path: str | os.PathLike):
        with open(path, "rb") as file:
            self.shape, _, dtype = _header(file)
        self.dtype = dtype.newbyteorder("=")
        self.options = {}  # shape and dtype say it all

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out`, of shape `self.shape` and dtype `self.dtype`, with the array in the file."""
        with open(path, "rb") as file:
            shape, fortran_order, dtype = _header(file)
            if shape != self.shape or dtype.newbyteorder("=") != self.dtype:
                raise SampleError(
                    f"expected an array of shape {self.shape} and dtype {self.dtype}, as in the first file. "
                    f"Received: shape {shape} and dtype {dtype}"
                )
            if not fortran_order and dtype == self.dtype:
                if file.readinto(out.reshape(-1).view(np.uint8)) < out.nbytes:
                    raise SampleError("truncated: the file ends before its array does")
                return
        out[...] = np.load(path, allow_pickle=False)


def _header(file) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and dtype of an open `.npy` file, which is left at the first byte of its array."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(file)
    except ValueError as error:
        raise SampleError(f"not a .npy file ({error})") from error
    if dtype.hasobject:
        raise SampleError("holds Python objects, which only a pickle can; save an array of numbers")
    return shape, fortran_order, dtype


class NpyRows:
    """The rows of one large `.npy`, read through a memory map, or of an array in memory.

    Args:
        rows: a path, or an array; its first axis is the samples.
        chosen: numbers of the rows that count as samples; all, unless told.
    """

    rows_per_task = 2**30  # a whole batch: copying rows is too quick to be worth sharing out

    def __init__(self, rows: str | os.PathLike | np.ndarray, chosen: np.ndarray | None = None):
        self.chosen = chosen
        self.path = None if isinstance(rows, np.ndarray) else Path(rows).absolute()
        array = rows if self.path is None else _memory_map(self.path)
        if array.ndim == 0:
            raise DataError("The rows of an array are wanted. Received: an array without axes")
        self.rows = MappedRows(array)
        self.shape = array.shape[1:]
        self.dtype = array.dtype.newbyteorder("=")

    def __len__(self) -> int:
        return len(self.rows.array if self.chosen is None else self.chosen)

    def take(self, samples: np.ndarray) -> "NpyRows":
        """The same rows, of which only these samples count."""
        return NpyRows(
            self.rows.array if self.path is None else self.path,
            samples if self.chosen is None else self.chosen[samples],
        )

    def which(self) -> dict:
        """Which samples these are, as plain JSON; of their values, the first and the last row's."""
        return {
            "rows": f"{len(self.rows.array):,} of shape {self.shape} and dtype {self.dtype}",
            "first and last row": of_array(self.rows.array[[0, -1]] if len(self.rows.array) else self.rows.array),
            "rows taken": "all" if self.chosen is None else of_array(self.chosen),
        }

    def name(self, sample: int) -> str:
        """What a person would call this sample."""
        row = sample if self.chosen is None else self.chosen[sample]
        return f"row {row}" + (f" of {self.path}" if self.path else "")

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with row `samples[i]`; nothing can fail a sample at a time."""
        self.rows.copy(samples if self.chosen is None else self.chosen[samples], out)
        return {}

    def __reduce__(self):  # by name, so that a process that starts opens its own map
        return NpyRows, (self.rows.array if self.path is None else self.path, self.chosen)


def _memory_map(path: Path) -> np.memmap:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{str(path)!r} is not a whole .npy file of numbers ({error}).") from error
