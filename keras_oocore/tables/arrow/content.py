"""A checksum of the cells of a table: the same for equal cells, whatever library holds them."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_oocore.tables.arrow.cells import plain
from keras_oocore.tables.arrow.kinds import is_bytes, is_string, kind_of, plain_type

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types
except ImportError:  # the `csv` extra is not installed
    pa = None


class ContentChecksum:
    """Checksums of columns, to which the cells are added in order, always in pieces of the same numbers of rows.

    Args:
        kinds: Name → `pyarrow` type of the columns. `None` is a type that cannot be read.

    Attributes:
        names: The columns whose cells count: not those of types that cannot be read.
        num_rows: Number of rows that were added.

    >>> whole, parts = (ContentChecksum({"a": pa.int64()}) for _ in range(2))
    >>> whole.add({"a": pa.array([1, None, 3])})
    >>> parts.add({"a": pa.chunked_array([[1], [None, 3]], pa.int64())})
    >>> str(whole) == str(parts), str(whole)
    (True, '3 rows, 1 column, CRC-32 3cef62e4')
    """

    def __init__(self, kinds: Mapping[str, Any]):
        self.names: list[str] = [name for name, kind in kinds.items() if _counts(kind)]
        written = {name: _written(kind) if name in self.names else "" for name, kind in kinds.items()}
        self._crcs = {name: zlib.crc32(f"{name}\0{kind}".encode()) for name, kind in written.items()}
        self.num_rows: int = 0

    def add(self, arrays: Mapping[str, Any]) -> None:
        """Add the next rows: name → `pyarrow` array, or chunked array, all of one length, at least for `names`."""
        for name in self.names:
            self._crcs[name] = add_cells(self._crcs[name], plain(arrays[name]))
        self.num_rows += len(next(iter(arrays.values()), ()))

    def __str__(self) -> str:
        num_columns = len(self._crcs)
        crcs = np.array(list(self._crcs.values()), "<u4").tobytes()
        rows, columns = f"{self.num_rows:,} row{'s' * (self.num_rows != 1)}", f"{num_columns:,} column"
        return f"{rows}, {columns}{'s' * (num_columns != 1)}, CRC-32 {zlib.crc32(crcs):08x}"


def _counts(kind: Any) -> bool:
    """Return whether the cells of a type can be read."""
    return kind is not None and (bool(kind_of(kind).kind) or is_bytes(plain_type(kind)))


def add_cells(crc: int, array: Any) -> int:
    """Return a checksum, to which the cells of an array of plain values are added.

    What the memory of a missing cell contains does not count, and no more than the array is copied.
    """
    for part in _parts(array):
        crc = zlib.crc32(part, crc)
    return crc


def _parts(array: Any) -> list[Any]:
    """Return the bytes that stand for the cells: which are missing, how long strings are, and the values."""
    missing = np.packbits(array.is_null().to_numpy(zero_copy_only=False)) if array.null_count else b""
    if types.is_null(array.type):
        return [str(len(array)).encode()]
    if types.is_boolean(array.type):
        return [missing, array.fill_null(False).cast(pa.uint8()).to_numpy()]
    if not types.is_primitive(array.type) and not types.is_decimal(array.type):
        return [missing, *_parts_of_bytes(array)]
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width : (array.offset + len(array)) * width]
    if array.null_count:
        values = values.reshape(-1, width).copy()
        values[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return [missing, values]


def _parts_of_bytes(array: Any) -> list[Any]:
    """Return the lengths and the bytes of strings, or of bytes."""
    is_small = types.is_string(array.type) or types.is_binary(array.type)
    if not is_small:
        array = array.cast(pa.large_string() if is_string(array.type) else pa.large_binary())
    if array.null_count:
        array = array.fill_null("" if is_string(array.type) else b"")
    lengths = pc.binary_length(array).cast(pa.int64()).to_numpy()
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return [lengths]
    offsets = np.frombuffer(offsets, np.int32 if is_small else np.int64)
    first, end = int(offsets[array.offset]), int(offsets[array.offset + len(array)])
    return [lengths, memoryview(data).cast("B")[first:end]]


def _written(kind: Any) -> str:
    """Return a type as a string. How strings are stored does not count."""
    kind = plain_type(kind)
    return "string" if is_string(kind) else str(kind)
