"""A hash per row of a table of any size, and the rows with equal hashes.

Hashes of many rows are in a temporary file. They are compared in parts, each with the hashes of one range of values.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from keras_oocore.checks.tables.sketch import distinct
from keras_oocore.core.files import explained, require_disk
from keras_oocore.tables.splits.hashing import mixed

MOST_IN_MEMORY = 2**23  # rows, 64 MB of hashes; further ones are in a file
ROWS_PER_PART = 2**24  # rows whose hashes are sorted at a time, 128 MB
BLOCK_ROWS = 2**20  # that are read from the file at a time


class RowHashes:
    """A hash per row, in a `with` statement, which removes the file.

    Args:
        num_rows: Number of rows.
        dtype: `np.uint64`, or `np.uint32` where rows are compared by another hash, too.

    >>> with RowHashes(3) as hashes:
    ...     hashes.put(0, np.array([7, 8, 7], np.uint64))
    ...     hashes.repeated().tolist(), hashes.rows_with(hashes.repeated())[0].tolist()
    ([7], [0, 2])
    """

    def __init__(self, num_rows: int, dtype: Any = np.uint64):
        self.num_rows: int = num_rows
        self.dtype: np.dtype = np.dtype(dtype)
        self._array, self._file = None, None
        if num_rows <= MOST_IN_MEMORY:
            self._array = np.empty(num_rows, self.dtype)
        else:
            folder = tempfile.gettempdir()
            require_disk(folder, num_rows * self.dtype.itemsize, "the hashes of the rows")
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `__exit__` closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._array = None
        if self._file is not None:
            self._file.close()

    def put(self, first: int, hashes: np.ndarray) -> None:
        """Set the hashes of rows.

        Args:
            first: Number of the first row.
            hashes: Integers of shape `(n,)`.

        Raises:
            DestinationError: If there is no more space for the temporary file.
        """
        if self._array is not None:
            self._array[first : first + len(hashes)] = hashes
            return
        with explained(os.path.join(tempfile.gettempdir(), "hashes of rows")):
            self._file.seek(first * self.dtype.itemsize)
            self._file.write(np.ascontiguousarray(hashes, self.dtype).data)

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all hashes in blocks of rows, each with the number of its first row."""
        if self._file is not None:
            self._file.flush()
        for first in range(0, self.num_rows, BLOCK_ROWS):
            count = min(BLOCK_ROWS, self.num_rows - first)
            if self._array is not None:
                yield first, self._array[first : first + count]
            else:
                self._file.seek(first * self.dtype.itemsize)
                yield first, np.frombuffer(self._file.read(count * self.dtype.itemsize), self.dtype)

    def repeated(self) -> np.ndarray:
        """Return the hashes that more than one row has, in rising order."""
        return _joined([_repeated(part) for part in self._parts(_num_parts(self.num_rows))])

    def shared_with(self, other: "RowHashes") -> np.ndarray:
        """Return the hashes that rows of both tables have, in rising order."""
        num_parts = _num_parts(max(self.num_rows, other.num_rows))
        parts = zip(self._parts(num_parts), other._parts(num_parts))
        return _joined([_shared(mine, theirs) for mine, theirs in parts])

    def rows_with(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that have one of these hashes, in rising order, and the position of the hash of each.

        Args:
            hashes: Distinct hashes in rising order.
        """
        rows, positions = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        if len(hashes):
            for first, block in self.blocks():
                places = np.minimum(np.searchsorted(hashes, block), len(hashes) - 1)
                found = np.flatnonzero(hashes[places] == block)
                rows.append(found + first)
                positions.append(places[found])
        return np.concatenate(rows), np.concatenate(positions)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return the hashes of rows that are in rising order."""
        taken = [np.zeros(0, self.dtype)]
        for first, block in self.blocks():
            start, stop = np.searchsorted(rows, (first, first + len(block)))
            taken.append(block[rows[start:stop] - first])
        return np.concatenate(taken)

    def _parts(self, num_parts: int) -> Iterator[np.ndarray]:
        """Yield the hashes of each range of values, which the caller may sort. The ranges are in rising order."""
        if num_parts == 1:
            yield _joined([block for _, block in self.blocks()])
            return
        shift = np.uint64(64 - (num_parts - 1).bit_length())
        for part in range(num_parts):
            yield _joined([block[block >> shift == part] for _, block in self.blocks()])


def hashes_of_no_row(first: int, num_rows: int, table: int) -> np.ndarray:
    """Return hashes, all distinct, for rows that are not used, such as those of another part of a split.

    Args:
        first: Number of the first row.
        num_rows: Number of rows.
        table: Number of the table. Those of two tables differ.
    """
    return mixed(np.arange(first, first + num_rows, dtype=np.uint64) + np.uint64(table << 56))


def _num_parts(num_rows: int) -> int:
    """Return into how many parts to divide, a power of two."""
    return 1 << max(0, (num_rows - 1) // ROWS_PER_PART).bit_length()


def _repeated(part: np.ndarray) -> np.ndarray:
    part.sort()  # `numpy.unique` would take several times as long, and as much memory
    return distinct(part[1:][part[1:] == part[:-1]])


def _shared(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    few, many = sorted((distinct(mine), distinct(theirs)), key=len)
    if not len(few):
        return few
    places = np.minimum(np.searchsorted(many, few), len(many) - 1)
    return few[many[places] == few]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)
