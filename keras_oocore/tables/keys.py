"""Cells that decide which part of a split a row is in, read together with the cells of the row."""

from collections.abc import Sequence

import numpy as np

from keras_oocore.csv.cells import Cells, Column
from keras_oocore.tables.format import TableFormat


def read_with_keys(
    table: TableFormat, chunk: int, columns: Sequence[Column], keys: Sequence[Column]
) -> tuple[Cells, Cells]:
    """Return the cells of one chunk in `columns` and in `keys`, with the same rows.

    The chunk is parsed once, or twice if a column is in both with different kinds. Without any column, it is not read.

    Raises:
        DataError: As `TableFormat.read`.
    """
    both = {column.name: column for column in [*keys, *columns]}
    if not both:
        first, end = table.rows[chunk : chunk + 2].tolist()
        cells = Cells(np.arange(end - first), {})
        return cells, cells
    if all(both[column.name] == column for column in keys):
        cells = table.read(chunk, list(both.values()))
        return cells, cells
    cells, of_keys = table.read(chunk, columns), table.read(chunk, keys)
    if not np.array_equal(cells.rows, of_keys.rows):  # some were skipped
        shared = np.intersect1d(cells.rows, of_keys.rows)
        cells, of_keys = (part.select(np.isin(part.rows, shared)) for part in (cells, of_keys))
    return cells, of_keys
