"""Samples that are the rows of one array: in memory, in a large `.npy` file, or contiguous in an HDF5 file."""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.fingerprint import of_array
from keras_oocore.core.npy import read_header
from keras_oocore.core.storage import absolute, local_path, open_file, stamp
from keras_oocore.sources.base import RowSpec, Source
from keras_oocore.sources.hdf5 import HDF5Rows
from keras_oocore.store.mapped_rows import MappedRows


class ArrayRows(Source):
    """Rows of an array in memory, or of one large file that is read through a memory map.

    Args:
        rows: Path of a `.npy` file, an array, or a contiguous dataset of an HDF5 file. The first axis is the samples.
        chosen: Numbers of the rows to use, or `None` for all rows.

    Raises:
        DataError: If the file cannot be read, or the array has no axis.
    """

    groups_batches: bool = True

    def __init__(self, rows: str | os.PathLike[str] | np.ndarray | HDF5Rows, chosen: np.ndarray | None = None):
        self.chosen = chosen
        self.dataset: HDF5Rows | None = rows if isinstance(rows, HDF5Rows) else None
        if isinstance(rows, HDF5Rows):
            self.path: Path | None = rows.path
            array = _contiguous(rows)
        else:
            self.path = None if isinstance(rows, np.ndarray) else Path(absolute(os.path.expanduser(rows)))
            array = rows if self.path is None else _memory_map(self.path)
        if array.ndim == 0:
            where = f"{str(self.path)!r}: " if self.path else ""
            raise DataError(
                f"{where}Expected an array whose first axis is the samples. Received: an array without axes"
            )
        self.rows: MappedRows = MappedRows(array)
        self.spec: RowSpec = RowSpec(array.shape[1:], array.dtype.newbyteorder("="))

    def __len__(self) -> int:
        return len(self.rows.array if self.chosen is None else self.chosen)

    def name(self, sample: int) -> str:
        row = sample if self.chosen is None else self.chosen[sample]
        return f"row {row}" + (f" of {self.dataset or self.path}" if self.path else "")

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows: their number, shape and dtype, and the values of the first and last row."""
        array = self.rows.array
        return {
            "rows": f"{len(array):,} of shape {self.spec.shape} and dtype {self.spec.dtype}",
            "first and last row": of_array(array[[0, -1]] if len(array) else array),
            "rows taken": "all" if self.chosen is None else of_array(self.chosen),
        }

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        self.rows.copy(samples if self.chosen is None else self.chosen[samples], out)
        return {}

    def version(self, samples: np.ndarray) -> int:
        """Return a checksum of the size and time of the file, or of the rows of an array in memory."""
        if self.path is not None:
            return zlib.crc32(repr(stamp(self.path)).encode())
        rows = samples if self.chosen is None else self.chosen[samples]
        return zlib.crc32(np.ascontiguousarray(self.rows.array[rows]).reshape(-1).view(np.uint8))

    def select(self, samples: np.ndarray) -> "ArrayRows":
        chosen = samples if self.chosen is None else self.chosen[samples]
        return ArrayRows(self._data, chosen)

    def __reduce__(self) -> tuple[Any, ...]:  # by its path, so that another process opens its own memory map
        return ArrayRows, (self._data, self.chosen)

    @property
    def _data(self) -> Path | np.ndarray | HDF5Rows:
        return self.dataset or (self.rows.array if self.path is None else self.path)


def _contiguous(dataset: HDF5Rows) -> np.memmap:
    mapped = dataset.memory_map()
    if mapped is None:
        raise DataError(f"{str(dataset)!r} changed: it is no longer contiguous. Create the Sequence again.")
    return mapped


def _memory_map(path: Path) -> np.memmap:
    try:
        with open_file(path) as file:
            read_header(file)
        return np.load(local_path(path), mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
    except Exception as error:  # NumPy raises nearly any error for a damaged header
        raise DataError(f"{str(path)!r} is not a complete .npy file of numbers ({error}).") from error
