"""Statistics of a table's columns, stored in a cache, and features fitted to them."""

import contextlib
import json
from pathlib import Path
from typing import Any

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.core.record import RecordFormat
from keras_oocore.store.format import StoreRecord
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.splits.base import PARTS
from keras_oocore.tables.statistics import ColumnStatistics

WHOLE = "statistics.json"
STATISTICS_FORMAT = RecordFormat(version=1, remedy="Remove it; it will be computed again.", unversioned=True)


def fit_features(rows: TableRows, directory: Path | None) -> None:
    """Compute the means and codes that the features of `rows` need, if any.

    Args:
        rows: The rows.
        directory: The cache of the rows, or `None`.

    Raises:
        DataError: If a cell cannot be read, or a column whose mean is needed has no number.
    """
    features, of = rows.features, rows.statistics_from
    if features.needs_fit:
        features.fit(load_statistics(of, rows, directory), of.counted.target_strings)
    if features.classes is not None and features.classes.needs_cells:
        features.adopt_cells(load_statistics(of, rows, directory), of.counted.target_strings)


def load_statistics(of: TableRows, rows: TableRows, directory: Path | None) -> dict[str, ColumnStatistics]:
    """Return the statistics of all columns that are read: from memory, from the cache, or from a pass over the files.

    Args:
        of: The rows that the statistics describe.
        rows: The rows that the cache holds: the same, or rows that use the statistics of `of`.
        directory: The cache, where the statistics are saved once its store exists, or `None`.

    Raises:
        DataError: If a cell cannot be read.
    """
    if directory is None:
        return of.statistics()
    path = directory / (WHOLE if of.subset is None else _name(of.subset.name))
    is_kept = path.exists()
    if not of.counted.is_known:
        kept = _read(of, path)
        is_kept = kept is not None
        if is_kept:
            of.counted.adopt(*kept)
    found = of.statistics()
    if not is_kept and _is_stored(rows, directory):
        columns = {name: statistics.as_json() for name, statistics in found.items()}
        with contextlib.suppress(DestinationError):  # a complete store may be read-only
            strings = {"target_strings": of.counted.target_strings} if of.counted.targets_of_all_rows else {}
            STATISTICS_FORMAT.write(path, {"of": _as_json(of.row_fingerprint()), "columns": columns, **strings})
    return found


def remove_statistics(directory: Path) -> None:
    """Remove all statistics from a cache."""
    for name in (WHOLE, *map(_name, PARTS)):
        (directory / name).unlink(missing_ok=True)


def _name(part: str) -> str:
    """Return the name of the file with the statistics of a part of a split."""
    return f"statistics-{part}.json"


def _is_stored(rows: TableRows, directory: Path) -> bool:
    """Return whether the store in `directory` exists and is a store of these rows."""
    try:
        record = StoreRecord.load(directory)
    except DataError:
        return False
    return record is not None and _as_json(record.fingerprint) == _as_json(rows.row_fingerprint())


def _read(rows: TableRows, path: Path) -> tuple[dict[str, ColumnStatistics], dict[str, list[str]]] | None:
    """Return the saved statistics and strings of the targets of `rows`.

    `None` if the file is missing or damaged, or describes other rows.
    """

    def parse(saved: dict[str, Any]) -> tuple[dict[str, ColumnStatistics], dict[str, list[str]]] | None:
        if saved["of"] != _as_json(rows.row_fingerprint()):
            return None
        columns = [(column.name, column) for column in rows.features.columns]
        found = {name: ColumnStatistics.from_json(column, saved["columns"][name]) for name, column in columns}
        targets = [column.name for column in rows.counted.targets_of_all_rows]
        return found, {name: [str(text) for text in saved["target_strings"][name]] for name in targets}

    try:
        return STATISTICS_FORMAT.read(path, parse)
    except DataError:
        return None


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return what comes back when a value is saved as JSON."""
    return json.loads(json.dumps(value))
