"""Reads some rows of a column whose record batch is in a memory map, without touching the map.

pyarrow reads whole columns of a record batch, which may be larger than memory, unless they are in a memory map. But the
system ends a process that touches a memory map beyond the end of a file, which another program may shorten. So pyarrow
says where the bytes of a column are, and these are read from the file.
"""

from typing import Any

import numpy as np

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

VIEW_BYTES, MOST_INLINE = 16, 12  # of a view, and of a string that is in it
MOST_SPREAD, SPREAD_BYTES = 4, 2**20  # times the bytes of the strings, and more bytes, that are read for views


def is_view(dtype: Any) -> bool:
    """Return whether a type is one of views of strings or bytes, which polars writes."""
    return str(dtype) in ("string_view", "binary_view")


class PartReader:
    """Reads rows of columns. One thread uses it at a time.

    Args:
        file: The open file, of pyarrow.
        data: The memory map of the whole file, a buffer of pyarrow.
    """

    def __init__(self, file: Any, data: Any):
        self._file, self._begin, self._size = file, data.address, data.size
        self._dictionaries: dict[int, Any] = {}

    def rows(self, array: Any, first: int, end: int) -> Any:
        """Return some rows of a column, a `pyarrow` array. Columns of nested types stay in the map.

        So do views of strings that are far apart, as those of a table that was sorted.

        Raises:
            ValueError: If the file is truncated or damaged.
        """
        dtype = array.type
        if isinstance(array, pa.ExtensionArray):
            return pa.ExtensionArray.from_storage(dtype, self.rows(array.storage, first, end))
        begin, buffers = first - first % 8, array.buffers()
        if pa.types.is_dictionary(dtype):
            values = self._dictionary(array.dictionary)
            kept = self._fixed(buffers, dtype.index_type.bit_width, begin, end)
            return pa.DictionaryArray.from_arrays(
                pa.Array.from_buffers(dtype.index_type, end - first, kept, offset=first - begin), values, safe=False
            )
        if pa.types.is_string(dtype) or pa.types.is_binary(dtype):
            kept = self._strings(buffers, np.dtype(np.int32), begin, end)
        elif pa.types.is_large_string(dtype) or pa.types.is_large_binary(dtype):
            kept = self._strings(buffers, np.dtype(np.int64), begin, end)
        elif is_view(dtype):
            kept = self._views(buffers, begin, end)
            if kept is None:
                return array.slice(first, end - first)
        elif len(buffers) == 2 and not pa.types.is_nested(dtype):
            kept = self._fixed(buffers, dtype.bit_width, begin, end)
        else:
            return array.slice(first, end - first)
        return pa.Array.from_buffers(dtype, end - first, kept, offset=first - begin)

    def _dictionary(self, values: Any) -> Any:
        """Return the values of a dictionary, which are read once."""
        address = next((buffer.address for buffer in values.buffers() if buffer is not None), 0)
        if address not in self._dictionaries:
            self._dictionaries = {address: self.rows(values, 0, len(values))}
        return self._dictionaries[address]

    def _fixed(self, buffers: list[Any], bit_width: int, begin: int, end: int) -> list[Any]:
        """Return the bits that say which rows are present, and the values of the rows."""
        present, values = buffers
        return [
            self._read(present, begin // 8, -(-end // 8)),
            self._read(values, begin * bit_width // 8, -(-end * bit_width // 8)),
        ]

    def _strings(self, buffers: list[Any], offset: np.dtype, begin: int, end: int) -> list[Any]:
        """Return the bits that say which rows are present, where the strings begin, and the strings."""
        present, offsets, data = buffers
        starts = np.frombuffer(self._read(offsets, begin * offset.itemsize, (end + 1) * offset.itemsize), offset)
        lowest, highest = int(starts[0]), int(starts[-1])
        if not 0 <= lowest <= highest <= (0 if data is None else data.size):
            raise ValueError("its strings are damaged")
        return [
            self._read(present, begin // 8, -(-end // 8)),
            pa.py_buffer(starts - starts[0]),
            self._read(data, lowest, highest),
        ]

    def _views(self, buffers: list[Any], begin: int, end: int) -> list[Any] | None:
        """Return the bits that say which rows are present, the views, and the strings, or `None` if they are far apart.

        A view is four integers of 32 bits: the length of a string, its first bytes, and a buffer and where it begins
        there. A string of 12 bytes or less is in the view.
        """
        present, views, *data = buffers
        present = self._read(present, begin // 8, -(-end // 8))
        found = np.frombuffer(self._read(views, begin * VIEW_BYTES, end * VIEW_BYTES), np.int32).reshape(-1, 4).copy()
        if present is not None:
            bits = np.unpackbits(np.frombuffer(present, np.uint8), count=len(found), bitorder="little")
            found[bits == 0] = 0
        lengths, _, numbers, starts = found.T
        are_far, strings = lengths > MOST_INLINE, []
        for number, buffer in enumerate(data):
            rows = are_far & (numbers == number)
            lowest = int(starts[rows].min(initial=buffer.size)) if rows.any() else 0
            highest = int((starts[rows].astype(np.int64) + lengths[rows]).max(initial=0))
            if not 0 <= lowest <= max(lowest, highest) <= buffer.size:
                raise ValueError("its strings are damaged")
            if highest - lowest > MOST_SPREAD * lengths[rows].sum(dtype=np.int64) + SPREAD_BYTES:
                return None
            starts[rows] -= lowest
            strings.append(self._read(buffer, lowest, max(lowest, highest)))
        return [present, pa.py_buffer(found), *strings]

    def _read(self, buffer: Any, first: int, end: int) -> Any:
        """Return some bytes of a buffer, or `None` if there is no buffer."""
        if buffer is None:
            return None
        if end > buffer.size:
            raise ValueError("its columns are damaged")
        place = buffer.address - self._begin
        if not 0 <= place <= self._size - end:
            return buffer.slice(first, end - first)  # pyarrow has copied it
        found = self._file.read_at(end - first, place + first)
        if len(found) < end - first:
            raise ValueError("it is truncated")
        return pa.py_buffer(found)
