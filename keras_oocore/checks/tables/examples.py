"""The cells of a few rows that a report shows, in words."""

from typing import Any

import numpy as np

from keras_oocore.checks.tables.chunk import shown_cell
from keras_oocore.checks.tables.equal_rows import RowGroups, RowLeaks
from keras_oocore.checks.tables.inputs import TableInput

MOST_SHOWN = 20  # groups of each kind, for which up to one chunk is read
MOST_CELLS = 12


def examples_of(data: TableInput, duplicates: RowGroups, conflicts: RowGroups, leaks: RowLeaks) -> dict[int, str]:
    """Return number of a row → its cells in words, for the first rows that were found."""
    first = {rows[0] for groups in (duplicates, conflicts) for rows in groups[:MOST_SHOWN]}
    first.update(leaks.rows[:MOST_SHOWN].tolist())
    rows = np.array(sorted(first), np.int64)
    found = {row: _in_words(data, cells) for row, cells in _cells(data, rows)}
    for group in conflicts[:MOST_SHOWN]:
        classes = dict(_cells(data, np.array(group[:MOST_SHOWN], np.int64)))
        found[group[0]] = _classes(data, group, classes)
    return found


def _cells(data: TableInput, rows: np.ndarray) -> list[tuple[int, dict[str, Any]]]:
    """Return the cells of rows, by reading their chunks."""
    starts, found = data.table.rows, []
    chunks = np.searchsorted(starts, rows, side="right") - 1
    for chunk in np.unique(chunks).tolist():
        cells = data.read(chunk, data.columns)
        numbers = cells.rows + int(starts[chunk])
        for row in rows[chunks == chunk].tolist():
            place = int(np.searchsorted(numbers, row))
            found.append((row, {name: array[place].as_py() for name, array in cells.columns.items()}))
    return found


def _in_words(data: TableInput, cells: dict[str, Any]) -> str:
    targets = [column for column in data.columns if column.name in data.targets]
    others = [column for column in data.columns if column.name not in data.targets]
    shown = [f"{column.name}={shown_cell(column, cells[column.name])}" for column in (targets + others)[:MOST_CELLS]]
    return ", ".join([*shown, *(["..."] if len(data.columns) > MOST_CELLS else [])])


def _classes(data: TableInput, rows: tuple[int, ...], cells: dict[int, dict[str, Any]]) -> str:
    """Return which class each row of a conflict has."""
    targets = [column for column in data.columns if column.name in data.targets]
    found = []
    for row in [row for row in rows if row in cells]:
        classes = [f"{column.name}={shown_cell(column, cells[row][column.name])}" for column in targets]
        found.append(f"row {row}: {', '.join(classes)}")
    return ", ".join(found)
