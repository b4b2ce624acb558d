"""A table's rows in a packed store: converted in one pass that may be stopped, then read in any order."""

import json
import os
import warnings
from pathlib import Path

import numpy as np

from keras_oocore.csv_rows import CSVRows
from keras_oocore.errors import BusyError, SampleError
from keras_oocore.files import write_whole
from keras_oocore.packed_format import MISSING
from keras_oocore.packed_store import PackedStore
from keras_oocore.packed_writer import PackedStoreWriter, shared_writer

FIELD = "x"
SETTLED = "settled.json"  # means and codes, which took a pass to find


class StoredRows:
    """Rows that were converted; see `batch_maker.Samples`.

    Args:
        rows: where they come from.
        store: that holds them.
    """

    cached = True
    rows_per_task = 2**30  # a whole batch: copying rows is too quick to be worth sharing out

    def __init__(self, rows: CSVRows, store: PackedStore):
        self.source, self.store, self.recipe = rows, store, rows.recipe
        self.shape, self.dtype = rows.shape, rows.dtype

    def __len__(self) -> int:
        return len(self.source)

    def name(self, sample: int) -> str:
        """File, row and line."""
        return self.source.name(sample)

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with row `samples[i]`."""
        self.store.read(FIELD, samples, out)
        return {}


def fingerprint(rows: CSVRows) -> dict:
    """What shapes the rows, as plain JSON: files, how they are read, and what of them is taken."""
    table, recipe = rows.table, rows.recipe
    return {
        "files": [[os.path.basename(i.path), i.size_bytes, i.changed_ns] for i in table.indexes],
        "dialect": vars(table.dialect),
        "null_values": list(table.null_values),
        "decimal": table.decimal,
        "on_bad_row": table.on_bad_row,
        "columns": [[word.column.name, word.column.kind, word.column.format, word.role] for word in recipe.words],
        "inputs": [[name, first, end] for name, (first, end, _) in recipe.inputs.items()],
        "missing": recipe.missing,
        "part": None if rows.part is None else vars(rows.part),
    }


def converted(rows: CSVRows, directory: Path, overwrite: bool) -> StoredRows | None:
    """The rows from a packed store in `directory`, which is made or finished first; `None` while another process does.

    Raises:
        DataError: when the store holds other rows, or a cell cannot be read.
        DestinationError: when the disk is too small, say.
    """
    arguments = (directory, {FIELD: (rows.shape, rows.dtype)}, len(rows), fingerprint(rows))
    store = None if overwrite else PackedStore.opened_if_finished(*arguments)
    if store is None or not settled_as_saved(rows, directory):
        try:
            with shared_writer(*arguments, overwrite) as writer:  # after an error or Ctrl-C, what is there counts
                store = _filled(rows, directory, writer)
        except BusyError:
            warnings.warn(
                f"{os.fspath(directory)!r} is being filled by another process; this one reads the files.", stacklevel=3
            )
            return None
    return StoredRows(rows, store)


def _filled(rows: CSVRows, directory: Path, writer: PackedStoreWriter) -> PackedStore:
    """The store, once all rows that are missing are in it."""
    if not settled_as_saved(rows, directory):
        rows.settle()
        _save_settled(rows, directory)
    rows.table.save_indexes(directory)
    _fill(rows, writer)
    return writer.finish()


def _fill(rows: CSVRows, writer: PackedStoreWriter) -> None:
    def store(chunk: int) -> None:
        numbers = np.arange(rows.starts[chunk], rows.starts[chunk + 1])
        writer.write(numbers, {FIELD: rows.rows(chunk)})

    missing = writer.states == MISSING
    starts = rows.starts.tolist()
    chunks = [chunk for chunk in range(rows.table.num_chunks) if missing[starts[chunk] : starts[chunk + 1]].any()]
    for _ in rows.over_chunks(store, "converting", chunks):
        pass


def _save_settled(rows: CSVRows, directory: Path) -> None:
    recipe = rows.recipe
    record = {"of": fingerprint(rows), "means": recipe.means, "vocabularies": recipe.vocabularies}
    with write_whole(directory / SETTLED) as file:
        file.write(json.dumps(record).encode())


def settled_as_saved(rows: CSVRows, directory: Path) -> bool:
    """Settle the recipe as it was when the store in `directory` was begun; whether it is of these rows."""
    try:
        saved = json.loads((directory / SETTLED).read_bytes())
        if saved["of"] != json.loads(json.dumps(fingerprint(rows))):
            return False
        if rows.recipe.waits_for_statistics:
            rows.recipe.settle(saved["means"], saved["vocabularies"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
