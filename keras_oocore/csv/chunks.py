"""The bytes of one chunk of an indexed CSV file, and the location of its rows."""

import bisect
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.faults import retried
from keras_oocore.core.storage import open_file
from keras_oocore.csv.bits import count, next_one, positions
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import RecordIndex, cannot_read
from keras_oocore.csv.look import find_lines, framed, look
from keras_oocore.csv.marks import mark


class Location(NamedTuple):
    """The location of a row: its number in the file, the physical line on which it begins, its bytes and its offset."""

    row: int
    line: int
    text: bytes
    offset: int


def read_chunk(index: RecordIndex, chunk: int, memory: np.ndarray | None = None) -> bytes | memoryview:
    """Read the rows of one chunk for a strict parser, without the header, comments and bad rows. Blank lines stay.

    Args:
        index: The index of the file.
        chunk: Number of the chunk.
        memory: `uint8` buffer to read into if the chunk fits, because allocating memory costs more than reading. The
            result may be a view of it.

    Raises:
        DataError: If the file changed since the scan, or cannot be read.
        IndexError: If the chunk does not exist.
    """
    pieces = [_without_comments(piece, index.dialect) for _, piece in _good_pieces(index, chunk, memory)]
    return pieces[0] if memory is not None and len(pieces) == 1 else b"".join(pieces)


def locate(index: RecordIndex, chunk: int, row_in_chunk: int) -> Location:
    """Return the location of a row that a parser rejects.

    Args:
        index: The index of the file.
        chunk: Number of the chunk.
        row_in_chunk: Number of the row, counted from 0, among those of `read_chunk(index, chunk)`.

    Raises:
        DataError: If the file changed since the scan, or cannot be read.
        IndexError: If the chunk or the row does not exist.
    """
    num_rows = int(index.rows[chunk + 1] - index.rows[chunk])
    if not 0 <= row_in_chunk < num_rows:
        raise IndexError(
            f"{index.path}: row {row_in_chunk} of chunk {chunk} does not exist; its rows are 0 to {num_rows - 1}"
        )
    row = row_in_chunk
    for offset, piece in _good_pieces(index, chunk):  # noqa: B007 - the piece that holds the row
        marks = mark(look(framed(piece, index.dialect), index.dialect))
        starts = positions(marks.row_starts)
        if row < len(starts):
            break
        row -= len(starts)
    start = int(starts[row])
    stop = next_one(marks.record_ends, start)
    text = bytes(piece[start : stop if stop >= 0 else None]).rstrip(b"\r\n")
    before = framed(_raw_chunk(index, chunk)[: offset + start], index.dialect)
    num_lines = count(find_lines(before)[0])
    number, line = int(index.rows[chunk]) + row_in_chunk, int(index.lines[chunk]) + num_lines
    return Location(number, line, text, int(index.starts[chunk]) + offset + start)


def index_of_first_rows(index: RecordIndex, num_rows: int) -> RecordIndex:
    """Return an index of the first rows of a file, at least one of them, or `index` itself if the file has no more.

    Raises:
        DataError: If the file changed since the scan, or cannot be read.
    """
    if num_rows >= index.num_rows:
        return index
    chunk = index.chunk_of(num_rows)
    end = locate(index, chunk, num_rows - int(index.rows[chunk]))
    num_kept = chunk + (num_rows > index.rows[chunk])  # number of chunks
    ends = ((index.starts, end.offset), (index.rows, num_rows), (index.lines, end.line))
    starts, rows, lines = (np.append(of_chunks[:num_kept], at_end) for of_chunks, at_end in ends)
    bad = tuple(row for row in index.bad if row.start < end.offset)
    return dataclasses.replace(index, starts=starts, rows=rows, lines=lines, bad=bad)


def _raw_chunk(index: RecordIndex, chunk: int, memory: np.ndarray | None = None) -> memoryview:
    """Read all bytes of a chunk."""
    if not 0 <= chunk < index.num_chunks:
        raise IndexError(f"{index.path}: chunk {chunk} does not exist; chunks are 0 to {index.num_chunks - 1}")
    start, stop = index.starts[chunk : chunk + 2].tolist()
    fits = memory is not None and stop - start <= len(memory)
    data = memoryview(memory if fits else bytearray(stop - start))[: stop - start]
    try:
        num_read = retried(_read_into, index.absolute_path, start, data)
    except OSError as error:
        raise cannot_read(index.path, error) from error
    index.require_unchanged()  # after reading, so that a change during the read is noticed
    if num_read != stop - start:
        raise DataError(
            f"{index.path}: read {num_read:,} of {stop - start:,} bytes at offset {start:,}. Does the disk fail?"
        )
    return data


def _read_into(path: str, start: int, out: memoryview) -> int:
    """Read the bytes of a file from `start` on, and return their number."""
    with open_file(path, buffered=False) as file:
        file.seek(start)
        return file.readinto(out)


def _good_pieces(index: RecordIndex, chunk: int, memory: np.ndarray | None = None) -> Iterator[tuple[int, memoryview]]:
    """Iterate over the parts of a chunk between its bad rows, as positions in the chunk and bytes."""
    raw = _raw_chunk(index, chunk, memory)
    start, stop = index.starts[chunk : chunk + 2].tolist()
    position = start
    among = [bisect.bisect_left(index.bad, offset, key=lambda bad: bad.start) for offset in (start, stop)]
    for bad in index.bad[slice(*among)]:
        if bad.start > position:
            yield position - start, raw[position - start : bad.start - start]
        position = bad.stop
    if position < stop:
        yield position - start, raw[position - start :]


def _without_comments(piece: memoryview, dialect: Dialect) -> bytes | memoryview:
    """Remove the comments from whole records."""
    if dialect.comment is None:
        return piece
    seen = look(framed(piece, dialect), dialect)
    starts, ends = positions(mark(seen).comments), positions(seen.line_ends)
    stops = np.append(ends + 1, len(piece))[np.searchsorted(ends, starts)]
    kept = zip([0, *stops.tolist()], [*starts.tolist(), len(piece)])
    return b"".join(piece[start:stop] for start, stop in kept)
