"""How many rows a chunk of a table has whose rows can be cut anywhere: about 4 MB of numbers."""

import numpy as np

CELL_BYTES = 4  # of a row that is served
CHUNK_BYTES = 4 * 2**20
FEWEST_ROWS, MOST_ROWS = 1024, 65_536


def rows_of_chunks(num_rows: int, num_columns: int) -> np.ndarray:
    """Return the number of rows before each chunk, and of all rows. What holds the rows does not matter.

    >>> rows_of_chunks(200_000, num_columns=10).tolist()
    [0, 65536, 131072, 196608, 200000]
    """
    return np.array([*range(0, num_rows, rows_per_chunk(num_columns)), num_rows], np.int64)


def rows_per_chunk(num_columns: int) -> int:
    """Return how many rows a chunk has: about 4 MB of numbers.

    >>> rows_per_chunk(1), rows_per_chunk(100), rows_per_chunk(20_000)
    (65536, 10485, 1024)
    """
    return int(np.clip(CHUNK_BYTES // (CELL_BYTES * max(1, num_columns)), FEWEST_ROWS, MOST_ROWS))
