"""The files of the fields of a store, open for writing rows in place, in any process; it marks no row as stored."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from keras_oocore.core.files import explained
from keras_oocore.store.format import StoreRecord
from keras_oocore.store.reader import map_fields
from keras_oocore.store.row_files import sync_data, write_at


class FieldFiles:
    """The open files of all fields. Several threads and processes may write rows at the same time.

    Args:
        directory: Directory of the store, whose files exist at full size.
        record: The record of the store.

    Attributes:
        arrays: Name → memory map of shape `(num_rows, ...)`, for reading.

    Raises:
        DataError: If a file is missing, damaged, or not the array that the record describes.
        DestinationError: If a file cannot be opened for writing.
    """

    def __init__(self, directory: Path, record: StoreRecord):
        self.arrays: dict[str, np.memmap] = map_fields(directory, record)
        with contextlib.ExitStack() as stack:
            self._files = {}
            for name in self.arrays:
                with explained(directory / f"{name}.npy"):
                    file = open(directory / f"{name}.npy", "r+b", buffering=0)  # noqa: SIM115
                self._files[name] = stack.enter_context(file)
            self._close = stack.pop_all().close

    def write(self, rows: np.ndarray, arrays: Mapping[str, np.ndarray], chosen: np.ndarray) -> None:
        """Write rows; neighboring rows are written together.

        Args:
            rows: Row numbers, of shape `(n,)`.
            arrays: Name → array of shape `(n, ...)`.
            chosen: Which of these rows to write, `bool` of shape `(n,)`.

        Raises:
            DestinationError: If they cannot be written, for example because the disk is full.
        """
        places = np.flatnonzero(chosen)
        runs = np.split(places, np.flatnonzero((np.diff(places) != 1) | (np.diff(rows[places]) != 1)) + 1)
        for name, values in arrays.items():
            stored = self.arrays[name]
            row_bytes = stored[:1].nbytes
            for run in runs if len(places) else ():
                offset = stored.offset + int(rows[run[0]]) * row_bytes
                write_at(self._files[name], values[run[0] : run[-1] + 1], offset)

    def sync(self) -> None:
        """Wait until everything that was written to the files is on disk.

        Raises:
            DestinationError: If the disk reports an error.
        """
        for file in self._files.values():
            sync_data(file)

    def close(self) -> None:
        """Close the files."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
