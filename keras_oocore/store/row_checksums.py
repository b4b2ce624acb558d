"""The CRC-32 of each row over all fields: of rows in memory, and of rows as they are in a store."""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_oocore.store.format import StoreRecord
from keras_oocore.store.reader import map_fields, read_blocks


def checksums_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the checksums of rows, `uint32` of shape `(n,)`.

    Args:
        arrays: Name → array of shape `(n, ...)`, for every field, in the order of the store.

    >>> checksums_of({"x": np.uint8([[1, 2], [1, 2], [1, 3]])}).tolist()
    [3066839698, 3066839698, 3251335684]
    """
    checksums = [0] * len(next(iter(arrays.values())))
    for values in arrays.values():
        row_bytes = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
        checksums = [zlib.crc32(row, checksum) for row, checksum in zip(row_bytes, checksums)]
    return np.array(checksums, np.uint32)


def stored_checksums(directory: Path, record: StoreRecord, rows: np.ndarray) -> np.ndarray:
    """Read rows from the files of a store, which are opened for it, and return their checksums as `checksums_of` does.

    Raises:
        DataError: If a file is missing, damaged, or not the array that the record describes.
    """
    fields, step = map_fields(directory, record), record.rows_per_block
    checksums = np.empty(len(rows), np.uint32)

    def read(blocks: Iterator[int]) -> None:
        for block in blocks:
            part = slice(block * step, (block + 1) * step)
            checksums[part] = checksums_of({name: array[rows[part]] for name, array in fields.items()})

    read_blocks(read, -(-len(rows) // step))
    return checksums
