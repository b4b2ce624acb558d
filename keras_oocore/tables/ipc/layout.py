"""Where the record batches of an Arrow IPC file are, and how many rows each has, read from its metadata alone.

pyarrow counts the rows of a record batch by reading it, which decompresses it. The metadata are FlatBuffers, described
in https://arrow.apache.org/docs/format/Columnar.html and `Message.fbs`, `File.fbs` of apache/arrow.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAGIC, PADDING = b"ARROW1", 2  # a file begins with the magic and two zeros, and ends with the magic
FEATHER_1 = b"FEA1"  # the first version of Feather is another format
CONTINUATION = b"\xff\xff\xff\xff"  # before the length of a message, since Arrow 0.15
STREAM = CONTINUATION  # first bytes of a stream
SCHEMA, DICTIONARY, BATCH = 1, 2, 3  # types of messages
BLOCK = struct.Struct("<qi4xq")  # offset, bytes of metadata, bytes of the body
NODE = struct.Struct("<qq")  # of each column of a record batch: number of rows, number of missing cells


class LayoutError(ValueError):
    """The bytes are not those of an Arrow file. The message is the end of a sentence."""


class Batch(NamedTuple):
    """A record batch of a file.

    Attributes:
        num_rows: Number of its rows.
        is_compressed: Whether its columns are compressed.
    """

    num_rows: int
    is_compressed: bool


class Message(NamedTuple):
    """A message of a file.

    Attributes:
        kind: `SCHEMA`, `DICTIONARY`, `BATCH`, or another number.
        batch: The record batch, or `None` if it is another message.
        body_bytes: Number of bytes of the body, which follows the metadata.
    """

    kind: int
    batch: Batch | None
    body_bytes: int


def batches_of_file(data: memoryview) -> list[Batch]:
    """Return the record batches of a file, whose bytes begin and end with `MAGIC`.

    Args:
        data: All bytes of the file, usually a memory map.

    Raises:
        LayoutError: If the file is truncated or damaged.
    """
    try:
        if bytes(data[-len(MAGIC) :]) != MAGIC:
            raise LayoutError("its end is missing: it is truncated, or still being written")
        end = len(data) - len(MAGIC) - 4
        footer = _Table.root(data[end - _at("<i", data, end) : end])
        return [_batch(data, offset) for offset, _, _ in footer.structs(3, BLOCK)]
    except (struct.error, IndexError) as error:
        raise LayoutError("its metadata are damaged") from error


def batches_of_stream(data: memoryview) -> list[Batch]:
    """Return the record batches of a stream.

    Args:
        data: All bytes of the stream.

    Raises:
        LayoutError: If the stream is truncated or damaged.
    """
    try:
        return [message.batch for message in _messages(data) if message.batch is not None]
    except (struct.error, IndexError) as error:
        raise LayoutError("it is truncated or damaged") from error


def is_old_stream(data: memoryview) -> bool:
    """Return whether bytes are a stream that was written before Arrow 0.15: its first message is not marked.

    Args:
        data: All bytes of the stream.
    """
    try:
        start, size = _metadata(data, 0)
        message = _Table.root(data[start : start + size])
        return start == 4 and size > 0 and message.scalar("<B", 1) == SCHEMA and message.table(2) is not None
    except (LayoutError, struct.error, IndexError):
        return False


def _messages(data: memoryview) -> Iterator[Message]:
    """Iterate over the messages of a stream, to its end."""
    offset = 0
    while offset < len(data):  # some writers leave out the mark of the end
        start, size = _metadata(data, offset)
        if not size:
            return
        message = _message(data[start : start + size])
        yield message
        offset = start + size + message.body_bytes
    if offset > len(data):
        raise LayoutError("it is truncated")


def _batch(data: memoryview, offset: int) -> Batch:
    """Return the record batch at an offset."""
    start, size = _metadata(data, offset)
    message = _message(data[start : start + size])
    if message.batch is None or start + size + message.body_bytes > len(data):
        raise LayoutError("its metadata are damaged")
    return message.batch


def _metadata(data: memoryview, offset: int) -> tuple[int, int]:
    """Return offset and number of bytes of the metadata of a message; 0 bytes at the end of a stream."""
    if offset < 0:
        raise LayoutError("its metadata are damaged")
    offset += 4 * (bytes(data[offset : offset + 4]) == CONTINUATION)
    size = _at("<i", data, offset)
    if size < 0 or offset + 4 + size > len(data):
        raise LayoutError("it is truncated or damaged")
    return offset + 4, size


def _message(data: memoryview) -> Message:
    """Return a message from its metadata."""
    table = _Table.root(data)
    kind, header = table.scalar("<B", 1), table.table(2)
    body_bytes = table.scalar("<q", 3)
    if body_bytes < 0:
        raise LayoutError("its metadata are damaged")
    return Message(kind, _counted(header) if kind == BATCH else None, body_bytes)


def _counted(header: "_Table") -> Batch:
    """Return a record batch. It says how many rows it has, and its first column says it, too."""
    num_rows, columns = header.scalar("<q", 0), header.structs(1, NODE)
    if num_rows < 0 or (columns and columns[0][0] != num_rows):
        raise LayoutError("its metadata are damaged")
    return Batch(num_rows, header.has(3))


class _Table:
    """A table of FlatBuffers: fields by their number, at offsets from the start of the table."""

    def __init__(self, data: memoryview, start: int):
        self._data, self._start = data, start
        self._fields = start - _at("<i", data, start)
        self._num_fields = _at("<H", data, self._fields) // 2 - 2

    @classmethod
    def root(cls, data: memoryview) -> "_Table":
        return cls(data, _at("<I", data, 0))

    def has(self, field: int) -> bool:
        """Return whether a field is written, and not left out as its default."""
        return self._offset(field) != 0

    def scalar(self, form: str, field: int) -> int:
        """Return a number; 0 if it is left out."""
        return _at(form, self._data, self._start + self._offset(field)) if self.has(field) else 0

    def table(self, field: int) -> "_Table":
        """Return a table that a field refers to."""
        if not self.has(field):
            raise LayoutError("its metadata are damaged")
        return _Table(self._data, self._target(field))

    def structs(self, field: int, form: struct.Struct) -> list[tuple[int, ...]]:
        """Return the elements of a vector of structs."""
        if not self.has(field):
            return []
        start = self._target(field)
        count = _at("<I", self._data, start)
        if start + 4 + count * form.size > len(self._data):
            raise LayoutError("its metadata are damaged")
        return list(form.iter_unpack(self._data[start + 4 : start + 4 + count * form.size]))

    def _offset(self, field: int) -> int:
        return _at("<H", self._data, self._fields + 4 + 2 * field) if field < self._num_fields else 0

    def _target(self, field: int) -> int:
        place = self._start + self._offset(field)
        return place + _at("<I", self._data, place)


def _at(form: str, data: memoryview, offset: int) -> int:
    """Return a number at an offset."""
    if offset < 0:
        raise LayoutError("its metadata are damaged")
    return struct.unpack_from(form, data, offset)[0]
