"""Some rows of a chunk, from which the kinds of columns are inferred; most of the chunk is not parsed."""

import dataclasses

import numpy as np

from keras_oocore.csv.bits import positions
from keras_oocore.csv.chunks import read_chunk
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.look import framed, look
from keras_oocore.csv.marks import mark

SAMPLED_BYTES = 2**16  # per piece
FIRST_BYTES = 2**14  # of a file, where the shape of its rows is found


def first_rows(index: RecordIndex) -> bytes | memoryview:
    """Return the first rows of a file, at least one, as `read_chunk` returns rows; the rest of it is not read."""
    start, stop = index.starts[:2].tolist()
    size_bytes = FIRST_BYTES
    while start + size_bytes < stop:
        head = dataclasses.replace(index, starts=np.array([start, start + size_bytes]))
        data = read_chunk(head, 0)
        starts = _row_starts(data, index.dialect)
        if len(starts) > 1:
            return data[: starts[-1]]  # the last row is cut
        size_bytes *= 2
    return read_chunk(index, 0)


def sample_rows(data: bytes | memoryview, dialect: Dialect, num_pieces: int) -> bytes | memoryview:
    """Return whole rows from `num_pieces` places of a chunk, spread from its beginning to its end.

    Args:
        data: The rows of a chunk, as `read_chunk` returns them.
        dialect: The dialect of the file.
        num_pieces: Number of places, each of about `SAMPLED_BYTES`.
    """
    if num_pieces == 1:
        return _head(data, dialect)
    return _pieces(data, dialect, num_pieces) if len(data) > num_pieces * SAMPLED_BYTES else data


def _head(data: bytes | memoryview, dialect: Dialect) -> bytes | memoryview:
    """Return the first rows of a chunk, at least one."""
    for size_bytes in (2 * SAMPLED_BYTES, len(data)):
        starts = _row_starts(data[:size_bytes], dialect)
        enough = np.searchsorted(starts, SAMPLED_BYTES)
        if enough < len(starts):
            return data[: starts[enough]]
    return data


def _pieces(data: bytes | memoryview, dialect: Dialect, num_pieces: int) -> bytes:
    """Return rows from several places of a chunk, joined."""
    starts = _row_starts(data, dialect)
    begins = np.linspace(0, len(data) - SAMPLED_BYTES, num_pieces).astype(np.int64)
    bounds = np.searchsorted(starts, np.stack([begins, begins + SAMPLED_BYTES]))
    bounds[1] = np.maximum(bounds[1], bounds[0] + 1)  # a row may be longer than a piece
    offsets = np.append(starts, [len(data)] * 2)[bounds]
    return b"".join(data[start:stop] for start, stop in offsets.T.tolist())


def _row_starts(data: bytes | memoryview, dialect: Dialect) -> np.ndarray:
    """Return where the rows of a chunk begin."""
    return positions(mark(look(framed(data, dialect), dialect)).row_starts)
