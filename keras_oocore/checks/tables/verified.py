"""Compares the cells of the equal rows that a report names. Until then, only hashes of these rows are equal."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from keras_oocore.checks.tables.chunk import as_numbers, beyond_float64
from keras_oocore.checks.tables.equal_rows import RowGroups, RowLeaks
from keras_oocore.checks.tables.inputs import TableInput, rounded_to
from keras_oocore.core.tasks import in_order
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dates import NANOSECOND
from keras_oocore.tables.splits.by_value import as_written

MOST_SHOWN = 20  # groups of each kind
MOST_ROWS = 6  # of a group

Row = Mapping[str, Any]  # name of a column → cell, and of moments also `_within(name)` → nanoseconds


def shown_rows(groups: RowGroups) -> list[int]:
    """Return the rows that a report names."""
    return [row for rows in groups[:MOST_SHOWN] for row in rows[:MOST_ROWS]]


def read_rows(data: TableInput, names: Sequence[str] | None, rows: Iterable[int], workers: int) -> dict[int, Row]:
    """Return number of a row → its cells. Each chunk that has some of the rows is read once, in threads.

    Args:
        data: The table.
        names: Names of the columns to read, or `None` for all.
        rows: Numbers of the rows.
        workers: Number of threads.
    """
    columns = [column for column in data.columns if names is None or column.name in names]
    wanted = np.unique(np.fromiter(rows, np.int64))
    of_chunk = np.searchsorted(data.table.rows, wanted, side="right") - 1
    chunks = np.unique(of_chunk).tolist()

    def read(chunk: int) -> dict[int, Row]:
        return _cells(data, columns, chunk, wanted[of_chunk == chunk])

    found: dict[int, Row] = {}
    for part in in_order(read, chunks, workers, "keras_oocore-check"):
        found.update(part)
    return found


def verified_groups(groups: RowGroups, data: TableInput, names: Sequence[str], cells: dict[int, Row]) -> RowGroups:
    """Return the same groups, without rows that a report would name though their cells differ.

    Args:
        groups: Groups of rows with equal hashes.
        data: The table.
        names: The columns in which rows of a group are equal.
        cells: The cells of the rows that a report names. Further rows of a group with different cells are added.
    """
    shown = groups[:MOST_SHOWN]
    parts = [_equal_parts(rows, data, names, cells, groups.are_conflicts) for rows in shown]
    if all(part == [rows] for part, rows in zip(parts, shown)):
        return groups
    kept = sorted([*(rows for part in parts for rows in part), *groups[MOST_SHOWN:]])
    rows = np.array([row for group in kept for row in group], np.int64)
    return RowGroups(rows, np.array([len(group) for group in kept], np.int64), groups.are_conflicts)


def verified_leaks(
    leaks: RowLeaks,
    names: Sequence[str],
    cells: Mapping[int, Row],
    cells_there: Mapping[int, Row],
    rounded: Mapping[str, np.dtype],
) -> RowLeaks:
    """Return the same pairs, without those that a report would name though their cells differ.

    Args:
        leaks: Pairs of rows with equal hashes.
        names: The columns in which the rows of a pair are equal.
        cells: The cells of the rows that a report names.
        cells_there: Those of the rows of the other table.
        rounded: Name → dtype to which the numbers of a column are rounded before.
    """
    same = np.ones(len(leaks), bool)
    for place, (row, other) in enumerate(leaks[:MOST_SHOWN]):
        same[place] = _key(cells[row], names, rounded) == _key(cells_there[other], names, rounded)
    if same.all():
        return leaks
    return RowLeaks(leaks.rows[same], leaks.others[same], leaks.num_pairs - int(np.count_nonzero(~same)))


def _cells(data: TableInput, columns: Sequence[Column], chunk: int, rows: np.ndarray) -> dict[int, Row]:
    """Return the cells of rows of one chunk."""
    nanoseconds = data.nanoseconds(columns)
    cells = data.read(chunk, [*columns, *nanoseconds.values()])
    places = np.searchsorted(cells.rows + int(data.table.rows[chunk]), rows)
    taken = {name: array.take(places).to_pylist() for name, array in cells.columns.items()}
    taken.update({_within(name): taken.pop(column.name) for name, column in nanoseconds.items()})
    for column in columns:
        if column.kind != "string" and len(beyond_float64(column, as_numbers(cells.columns[column.name].take(places)))):
            exact = data.exact(chunk, column, cells.rows).take(places).to_pylist()
            taken[column.name] = [cell if cell is None else _number(cell) for cell in exact]
    return {row: {name: taken[name][k] for name in taken} for k, row in enumerate(rows.tolist())}


def _number(cell: Any) -> int | float | Decimal:
    """Return a number without rounding, equal to all numbers of its value."""
    number = as_written(cell)
    if number.is_finite() and number == int(number):
        return int(number)
    return cell if isinstance(cell, float) else number


def _equal_parts(
    rows: tuple[int, ...], data: TableInput, names: Sequence[str], cells: dict[int, Row], are_conflicts: bool
) -> list[tuple[int, ...]]:
    """Return the group, or groups of those of its rows whose cells are equal."""
    if len({_key(cells[row], names) for row in rows[:MOST_ROWS]}) == 1:
        return [rows]
    cells.update(read_rows(data, None, [row for row in rows if row not in cells], workers=1))
    parts: dict[Hashable, list[int]] = {}
    for row in rows:
        parts.setdefault(_key(cells[row], names), []).append(row)
    if are_conflicts:
        return [tuple(part) for part in parts.values() if len({_key(cells[row], data.targets) for row in part}) > 1]
    return [tuple(part) for part in parts.values() if len(part) > 1]


def _key(cells: Row, names: Sequence[str], rounded: Mapping[str, np.dtype] | None = None) -> Hashable:
    rounded = rounded or {}
    return tuple((_rounded(cells[name], rounded.get(name)), cells.get(_within(name)) or 0) for name in names)


def _rounded(cell: Any, dtype: np.dtype | None) -> Any:
    return cell if cell is None or dtype is None else float(rounded_to(dtype, np.array([float(cell)]))[0])


def _within(name: str) -> str:
    """Return the key of the nanoseconds within the seconds of a column of moments."""
    return f"{name}.{NANOSECOND}"
