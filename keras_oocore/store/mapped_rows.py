"""Copies rows of an array into a buffer, from memory or from a memory map at the full speed of the disk."""

import contextlib
import mmap
import os
import time
import weakref

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.stopwatch import stage

# A copy that is slower than this waited for the disk. From memory, 2 to 20 GB/s and 0.1 microseconds per small row
# were measured.
WARM_BYTES_PER_SECOND = 1.5e9
WARM_SECONDS_PER_ROW = 1e-6


class MappedRows:
    """Copies rows of an array. Any number of threads may share one instance.

    While rows come from the disk, the system is asked for all rows of a copy before the first one is copied. For random
    rows of 150 kB this raised the speed from 460 to 1,660 MB/s. Rows in memory are not asked for, because that would
    make the copy a third slower.

    Args:
        array: An array of shape `(num_rows, ...)`, for example an `np.memmap`.

    >>> rows, out = MappedRows(np.arange(6).reshape(3, 2)), np.empty((2, 2), int)
    >>> rows.copy(np.array([2, 0]), out)
    >>> out.tolist()
    [[4, 5], [0, 1]]
    """

    def __init__(self, array: np.ndarray):
        self.array: np.ndarray = array.view(np.ndarray)
        # `np.take` would first copy the whole of any other array.
        self._is_plain = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        self._file = None
        whole_map = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.filename
        if whole_map and array.flags.c_contiguous and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):  # the file was removed; its rows can still be read
                self._file = open(array.filename, "rb", buffering=0)  # noqa: SIM115 - open as long as the map
                weakref.finalize(self, self._file.close)
            self._offset_bytes, self._end_bytes = array.offset, array.offset + array.nbytes
            self._row_bytes = array[:1].nbytes
        self._from_disk = False

    def copy(self, numbers: np.ndarray, out: np.ndarray) -> None:
        """Fill `out[i]` with row `numbers[i]`, for all `i`. Each number is in `range(num_rows)`.

        Raises:
            DataError: If the file was truncated after it was mapped.
        """
        with stage("reading"):
            self._copy(numbers, out)

    def _copy(self, numbers: np.ndarray, out: np.ndarray) -> None:
        if self._file is not None:
            self._require_whole()
        if self._from_disk:
            for number in numbers.tolist():
                start = self._offset_bytes + number * self._row_bytes
                os.posix_fadvise(self._file.fileno(), start, self._row_bytes, os.POSIX_FADV_WILLNEED)
        started = time.perf_counter()
        if self._is_plain and out.dtype == self.array.dtype:
            # Other modes than "clip" copy through a buffer. "clip" took a third of the time of `array[numbers]` for
            # rows of 28 bytes, and the same time for rows of 150 kB.
            np.take(self.array, numbers, axis=0, out=out, mode="clip")
        else:
            out[...] = self.array[numbers]
        warm_seconds = out.nbytes / WARM_BYTES_PER_SECOND + len(numbers) * WARM_SECONDS_PER_ROW
        self._from_disk = self._file is not None and time.perf_counter() - started > warm_seconds

    def _require_whole(self) -> None:
        """Raise an error if the file was truncated: reading a row that is gone from a map would end the process.

        Seeking is cheaper than `os.fstat`. All other reads and hints name their offset.
        """
        if os.lseek(self._file.fileno(), 0, os.SEEK_END) < self._end_bytes:
            raise DataError(
                f"{self._file.name!r} was truncated while it was open. Restore it, or make it again, and open it again."
            )
