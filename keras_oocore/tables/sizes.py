"""How many rows of each chunk are used, and how many of them are in each part of a split."""

import numpy as np

from keras_oocore.tables.passes import over_chunks
from keras_oocore.tables.splits.base import NO_PART, Split
from keras_oocore.tables.used_rows import UsedRows


def sizes_of(used: UsedRows, num_threads: int) -> list[int]:
    """Count the used rows of each chunk, without reading them unless rows may be skipped.

    Raises:
        DataError: If rows must be read to count them, and one cannot be read.
    """
    if used.subset is not None:
        return sizes_of_parts(used, used.subset.split, num_threads)[used.subset.part]
    if used.may_skip_rows:
        return list(over_chunks(used.table, lambda chunk: _count(used, chunk), "counting rows", num_threads))
    return np.diff(used.table.rows).tolist()


def _count(used: UsedRows, chunk: int) -> int:
    """Count the used rows of a chunk, without reading it if it is known that no cell is missing."""
    table, columns = used.table, used.features.columns
    known = (table.known_cells(chunk, column) for column in columns)
    if not table.may_skip_rows and all(cells is not None and not cells.missing for cells in known):
        return int(table.rows[chunk + 1] - table.rows[chunk])
    return len(used.cells(chunk, columns).rows)


def sizes_of_parts(used: UsedRows, split: Split, num_threads: int) -> list[list[int]]:
    """Count the rows of each part in each chunk, `sizes[part][chunk]`, without reading them if possible.

    Raises:
        DataError: If rows must be read to find their part, and one cannot be read.
    """
    table = used.table
    known = split.known_sizes(table.rows, used.may_skip_rows)
    if known is not None:
        return known

    def of_chunk(chunk: int) -> list[int]:
        if not used.may_skip_rows:
            part = split.part_of([table.known_cells(chunk, column) for column in split.columns])
            if part is not None:
                size = int(table.rows[chunk + 1] - table.rows[chunk])
                return [size if i == part else 0 for i in range(len(split.names))]
        parts = used.parts(chunk, split)
        return np.bincount(parts[parts != NO_PART], minlength=len(split.names)).tolist()

    sizes = list(over_chunks(table, of_chunk, "counting rows", num_threads))
    return [[of_chunk[part] for of_chunk in sizes] for part in range(len(split.names))]
