"""Which rows of which row group a chunk has. A row group is a chunk, and one with many cells is several of them.

The chunks depend on the footers only, and not on the memory of a machine, because the order and a split depend on them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_oocore.tables.parquet.file import ParquetFile

MOST_CELLS = 2**23  # of a chunk, 64 MB as numbers, if all columns are read
FEWEST_ROWS = 1024  # of a chunk of a row group that is cut, because each chunk costs a call per column


class Layout(NamedTuple):
    """The chunks of files.

    Attributes:
        files: `int64` of shape `(num_chunks,)`. Number of the file.
        groups: The same, of the row group in the file.
        firsts: The same, of the chunk's first row in the row group.
        in_file: The same, of the chunk's first row in the file.
        rows: `int64` of shape `(num_chunks + 1,)`. Number of rows before each chunk, and of all rows.
    """

    files: np.ndarray
    groups: np.ndarray
    firsts: np.ndarray
    in_file: np.ndarray
    rows: np.ndarray


def layout_of(files: Sequence[ParquetFile], num_rows: int | None = None) -> Layout:
    """Return the chunks of files, or those of their first `num_rows` rows."""
    found, num_left = [], math.inf if num_rows is None else num_rows
    for number, file in enumerate(files):
        in_file = 0
        for group, group_rows in enumerate(file.group_rows):
            step = chunk_rows(group_rows, file.metadata.num_columns)
            for first in range(0, group_rows, step):
                size = min(step, group_rows - first, num_left)
                if size > 0:
                    found.append((number, group, first, in_file + first, size))
                    num_left -= size
            in_file += group_rows
    columns = np.array(found, np.int64).reshape(-1, 5).T
    return Layout(*columns[:4], np.concatenate([[0], np.cumsum(columns[4])]).astype(np.int64))


def chunk_rows(group_rows: int, num_columns: int) -> int:
    """Return how many rows a chunk of a row group has, but the last one.

    >>> chunk_rows(1_000_000, 8), chunk_rows(1_000_000, 20), chunk_rows(1_000_000, 20_000)
    (1000000, 333334, 1025)
    """
    most = max(FEWEST_ROWS, MOST_CELLS // max(1, num_columns))
    num_chunks = max(1, group_rows // most if most == FEWEST_ROWS else math.ceil(group_rows / most))
    return max(1, math.ceil(group_rows / num_chunks))
