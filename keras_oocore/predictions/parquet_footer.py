"""The footer of a Parquet file whose row groups were written one at a time, each with a footer of its own.

A writer of pyarrow keeps 1.7 kB per column and row group until the file is complete. Here it is 60 bytes, as in the
file. The structures are those of https://github.com/apache/parquet-format (`parquet.thrift`), in the compact protocol
of Thrift.
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any

MAGIC = b"PAR1"
END_BYTES = 8  # the size of the footer and the magic number
NUM_ROWS, ROW_GROUPS = 3, 4  # fields of `FileMetaData`
ORDINAL = 7  # of `RowGroup`
MOST_ORDINAL = 2**15 - 1
BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 3, 7, 8, 9, 10, 12  # types of Thrift
INTEGERS = (4, 5, 6)
LONG_LIST = 15

Change = Mapping[int, Any]  # field of a struct → function of its integer, or the changes of its structs


class Footer:
    """The footer of a file, which grows by a row group at a time.

    Attributes:
        num_groups: Number of row groups.
    """

    def __init__(self):
        self.num_groups: int = 0
        self._num_rows = 0
        self._groups = bytearray()
        self._around = b"", b"", b""

    def add(self, footer: bytes, start: int) -> None:
        """Add the row group of a file.

        Args:
            footer: The footer of that file.
            start: Where that file begins in this one.
        """
        fields = {field: (begin, end) for field, _, begin, end in _fields(footer, 0)}
        (rows, rows_end), (groups, groups_end) = fields[NUM_ROWS], fields[ROW_GROUPS]
        self._around = footer[:rows], footer[rows_end:groups], footer[groups_end:]
        self._num_rows += _integer(footer, rows)[0]
        size, _, begin = _list(footer, groups)
        assert size == 1
        self._groups += _changed(footer, begin, _changes(start, self.num_groups))[0]
        self.num_groups += 1

    def write(self, out: IO[bytes]) -> None:
        """Write the footer, which ends a file."""
        before, between, after = self._around
        before += _as_bytes(self._num_rows)
        between += _list_header(self.num_groups, STRUCT)
        pieces = [before, between, self._groups, after]
        size = sum(map(len, pieces))
        for piece in [*pieces, size.to_bytes(4, "little"), MAGIC]:
            out.write(piece)


def _changes(start: int, ordinal: int) -> Change:
    """Return the changes of a `RowGroup` whose offsets in the file become larger by `start`."""

    def moved(offset: int) -> int:
        return offset + start if offset > 0 else offset

    in_chunk = {9: moved, 10: moved, 11: moved, 14: moved}  # `ColumnMetaData`
    chunk = {2: moved, 3: in_chunk, 4: moved, 6: moved}  # `ColumnChunk`
    return {1: chunk, 5: moved, ORDINAL: lambda _: min(ordinal, MOST_ORDINAL)}


def _changed(data: bytes, position: int, change: Change) -> tuple[bytes, int]:
    """Return a struct with changed integers, and the position after it."""
    pieces, copied = [], position
    end = position
    for field, kind, begin, end in _fields(data, position):
        if field not in change:
            continue
        pieces.append(data[copied:begin])
        copied = end
        if kind == STRUCT:
            pieces.append(_changed(data, begin, change[field])[0])
        elif kind == LIST:
            size, element, place = _list(data, begin)
            pieces.append(_list_header(size, element))
            for _ in range(size):
                piece, place = _changed(data, place, change[field])
                pieces.append(piece)
        else:
            pieces.append(_as_bytes(change[field](_integer(data, begin)[0])))
    end += 1  # the byte that ends a struct
    return b"".join([*pieces, data[copied:end]]), end


def _fields(data: bytes, position: int) -> Iterator[tuple[int, int, int, int]]:
    """Iterate over the fields of a struct: `(number, type, where its value begins, where it ends)`."""
    field = 0
    while header := data[position]:
        position += 1
        if header >> 4:
            field += header >> 4
        else:
            field, position = _integer(data, position)
        begin, kind = position, header & 15
        position = begin if kind in (1, 2) else _end(data, begin, kind)  # the type of a boolean field is its value
        yield field, kind, begin, position


def _end(data: bytes, position: int, kind: int) -> int:
    """Return the position after a value."""
    if kind in INTEGERS:
        while data[position] & 128:
            position += 1
        return position + 1
    if kind == BINARY:
        size, position = _varint(data, position)
        return position + size
    if kind == STRUCT:
        return max([position, *(end for *_, end in _fields(data, position))]) + 1
    if kind in (LIST, SET):
        size, element, position = _list(data, position)
        for _ in range(size):
            position = _end(data, position, element)
        return position
    return position + {1: 1, 2: 1, BYTE: 1, DOUBLE: 8}[kind]


def _list(data: bytes, position: int) -> tuple[int, int, int]:
    """Return size and type of a list, and the position of its first element."""
    header, position = data[position], position + 1
    size, kind = header >> 4, header & 15
    if size == LONG_LIST:
        size, position = _varint(data, position)
    return size, kind, position


def _list_header(size: int, kind: int) -> bytes:
    if size < LONG_LIST:
        return bytes([size << 4 | kind])
    return bytes([LONG_LIST << 4 | kind]) + _varint_bytes(size)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position


def _varint_bytes(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _integer(data: bytes, position: int) -> tuple[int, int]:
    """Return a signed integer, and the position after it."""
    number, position = _varint(data, position)
    return (number >> 1) ^ -(number & 1), position


def _as_bytes(number: int) -> bytes:
    """Return an integer that is not negative as a signed one."""
    return _varint_bytes(number << 1)
