"""`StoredRows`: a table's rows in a packed store, converted in one pass that may be interrupted."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import BusyError, SampleError
from keras_oocore.core.warn import warn_user
from keras_oocore.sources.base import RowSpec, Source
from keras_oocore.sources.layout import X
from keras_oocore.store.format import MISSING
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics_cache import fit_features, remove_statistics

POLL_SECONDS = 0.2
ROWS_AT_ONCE = 2**14  # whose words are read to find the class of each


class StoredRows(Source):
    """Converted rows as samples, read in any order.

    Args:
        source: The rows that were converted.
        store: The store that holds them.
    """

    cached: bool = True
    groups_batches: bool = True
    can_shuffle_blocks: bool = False

    def __init__(self, source: TableRows, store: PackedStore):
        self.source: TableRows = source
        self.store: PackedStore = store
        self.features: FeatureSpec = source.features
        self.spec: RowSpec = source.spec

    def __len__(self) -> int:
        return len(self.source)

    def name(self, sample: int) -> str:
        """Return file, row and line of a sample."""
        return self.source.name(sample)

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the samples, as plain JSON."""
        return self.source.fingerprint()

    def options(self) -> dict[str, Any]:
        """Return the options that determine the rows, as plain JSON."""
        return self.source.options()

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with the row of `samples[i]`."""
        self.store.read(X, samples, out)
        return {}

    def word(self, number: int) -> np.ndarray:
        """Return one word of each row, `float32` of shape `(len(self),)`, whose bits are an `int32` in a code."""
        values = np.empty(len(self), np.float32)
        for start in range(0, len(self), ROWS_AT_ONCE):
            samples = np.arange(start, min(start + ROWS_AT_ONCE, len(self)))
            rows = np.empty((len(samples), *self.spec.shape), self.spec.dtype)
            self.read(samples, rows)
            values[samples] = rows[:, number]
        return values

    def version(self, samples: np.ndarray) -> int:
        return self.source.version(samples)

    def unpack(self, rows: np.ndarray, samples: np.ndarray) -> tuple[Any, ...]:
        """Return `(x, y, sample_weight)` as views of rows. See `FeatureSpec.unpack`."""
        return self.source.unpack(rows, samples)


def convert(rows: TableRows, directory: Path, overwrite: bool, wait: bool = False) -> StoredRows | None:
    """Return the rows from a packed store in `directory`, which is created or completed first.

    Args:
        rows: The rows.
        directory: Directory of the store.
        overwrite: Whether to replace a store of other rows.
        wait: Whether to wait while another process is filling the store.

    Returns:
        The stored rows, or `None`, with a warning, if another process is filling the store.

    Raises:
        DataError: If the store holds other rows, or a cell cannot be read.
        DestinationError: If the store cannot be written, such as on a full disk.
    """
    arguments = (directory, {X: tuple(rows.spec)}, len(rows), rows.row_fingerprint())
    store = None if overwrite else PackedStore.opened_if_finished(*arguments)
    while store is None:
        try:
            with shared_writer(*arguments, overwrite) as writer:  # rows written before an error or Ctrl-C are kept
                if overwrite:
                    remove_statistics(directory)
                fit_features(rows, directory)
                rows.table.save_indexes(directory)
                _fill(rows, writer)
                store = writer.finish()
        except BusyError:
            if not wait:
                warn_user(
                    f"{os.fspath(directory)!r} is being filled by another process or thread. This one reads the data."
                )
                return None
            time.sleep(POLL_SECONDS)
            store = PackedStore.opened_if_finished(*arguments)
    fit_features(rows, directory)
    return StoredRows(rows, store)


def _fill(rows: TableRows, writer: PackedStoreWriter) -> None:
    """Write the rows of all chunks that are not completely stored."""

    def store(chunk: int) -> None:
        numbers = np.arange(rows.starts[chunk], rows.starts[chunk + 1])
        writer.write(numbers, {X: rows.encode_chunk(chunk)})

    missing = writer.states == MISSING
    starts = rows.starts.tolist()
    chunks = [chunk for chunk in range(rows.table.num_chunks) if missing[starts[chunk] : starts[chunk + 1]].any()]
    for _ in rows.map_chunks(store, "converting", chunks):
        pass
