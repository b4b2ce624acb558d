"""A table's rows in a packed store: converted in one pass that may be stopped, then read in any order."""

import contextlib
import datetime
import json
import os
import warnings
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, DestinationError, SampleError
from keras_oocore.core.files import write_whole
from keras_oocore.sources.base import FIELD, Source
from keras_oocore.store.format import MISSING, StoreRecord
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer
from keras_oocore.tables.csv.index import RecordIndex
from keras_oocore.tables.rows import CSVRows
from keras_oocore.tables.statistics import ColumnStatistics

STATISTICS = {None: "statistics.json", False: "statistics-training.json", True: "statistics-validation.json"}


class StoredRows(Source):
    """Rows that were converted; see `batch_maker.Samples`.

    Args:
        rows: where they come from.
        store: that holds them.
    """

    cached = groups_batches = True

    def __init__(self, rows: CSVRows, store: PackedStore):
        self.source, self.store, self.recipe = rows, store, rows.recipe
        self.spec = rows.spec

    def __len__(self) -> int:
        return len(self.source)

    def fingerprint(self) -> dict:
        """Which samples these are, as plain JSON."""
        return self.source.fingerprint()

    def unpack(self, rows: np.ndarray, samples: np.ndarray) -> tuple:
        """`(x, y, sample_weight)` of rows."""
        return self.recipe.parts(rows)

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
        "files": [_described(index) for index in table.indexes],
        "dialect": vars(table.dialect),
        "null_values": list(table.null_values),
        "decimal": table.decimal,
        "on_bad_row": table.on_bad_row,
        "columns": [[*vars(word.column).values(), word.role] for word in recipe.words],
        "inputs": [[name, first, end] for name, (first, end, _) in recipe.inputs.items()],
        "missing": recipe.missing,
        "part": None if rows.part is None else vars(rows.part),
    }


def _described(index: RecordIndex) -> str:
    """A file as it is now, so that a person sees what changed."""
    seconds, nanoseconds = divmod(index.changed_ns, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{os.path.basename(index.path)}, {index.size_bytes:,} bytes, of {moment}.{nanoseconds:09d} UTC"


def converted(rows: CSVRows, directory: Path, overwrite: bool) -> StoredRows | None:
    """The rows from a packed store in `directory`, which is made or finished first; `None` while another process does.

    Raises:
        DataError: when the store holds other rows, or a cell cannot be read.
        DestinationError: when the disk is too small, say.
    """
    arguments = (directory, {FIELD: tuple(rows.spec)}, len(rows), fingerprint(rows))
    store = None if overwrite else PackedStore.opened_if_finished(*arguments)
    if store is None:
        try:
            with shared_writer(*arguments, overwrite) as writer:  # after an error or Ctrl-C, what is there counts
                if overwrite:
                    for name in STATISTICS.values():
                        (directory / name).unlink(missing_ok=True)
                settle(rows, directory)
                rows.table.save_indexes(directory)
                _fill(rows, writer)
                store = writer.finish()
        except BusyError:
            warnings.warn(
                f"{os.fspath(directory)!r} is being filled by another process or thread; this one reads the files.",
                stacklevel=3,
            )
            return None
    settle(rows, directory)
    return StoredRows(rows, store)


def _fill(rows: CSVRows, writer: PackedStoreWriter) -> None:
    def store(chunk: int) -> None:
        numbers = np.arange(rows.starts[chunk], rows.starts[chunk + 1])
        writer.write(numbers, {FIELD: rows.rows(chunk)})

    missing = writer.states == MISSING
    starts = rows.starts.tolist()
    chunks = [chunk for chunk in range(rows.table.num_chunks) if missing[starts[chunk] : starts[chunk + 1]].any()]
    for _ in rows.over_chunks(store, "converting", chunks):
        pass


def settle(rows: CSVRows, directory: Path | None) -> None:
    """Find the means and codes that the recipe waits for."""
    if rows.recipe.waits_for_statistics:
        rows.recipe.learn(statistics(rows.learns_from, rows, directory))


def statistics(of: CSVRows, rows: CSVRows, directory: Path | None) -> dict[str, ColumnStatistics]:
    """Of every column that is used: as they are known, as the cache keeps them, or found in one pass over the files.

    Args:
        of: whose.
        rows: whose cache it is; the same, or those that learn from them.
        directory: of the cache, where they are kept once its store was begun; `None` without one.
    """
    if directory is None:
        return of.statistics()
    path = directory / STATISTICS[None if of.part is None else of.part.validation]
    is_kept = path.exists()
    if of.known_statistics is None:
        of.known_statistics = _kept_statistics(of, path)
        is_kept = of.known_statistics is not None
    found = of.statistics()
    if not is_kept and _stores(rows, directory):
        columns = {name: of_column.as_json() for name, of_column in found.items()}
        with contextlib.suppress(DestinationError), write_whole(path) as file:  # a finished store may be read-only
            file.write(json.dumps({"of": _as_json(fingerprint(of)), "columns": columns}).encode())
    return found


def _stores(rows: CSVRows, directory: Path) -> bool:
    """Whether the store in `directory` was begun, and is of these rows."""
    try:
        record = StoreRecord.load(directory)
    except DataError:
        return False
    return record is not None and _as_json(record.fingerprint) == _as_json(fingerprint(rows))


def _as_json(value: dict) -> dict:
    return json.loads(json.dumps(value))


def _kept_statistics(rows: CSVRows, path: Path) -> dict[str, ColumnStatistics] | None:
    try:
        kept = json.loads(path.read_bytes())
        if kept["of"] != _as_json(fingerprint(rows)):
            return None
        columns = rows.recipe.columns
        return {column.name: ColumnStatistics.from_json(column, kept["columns"][column.name]) for column in columns}
    except (OSError, ValueError, KeyError, TypeError):
        return None
