"""The cells of a few rows that a report shows, in words."""

from collections.abc import Mapping

from keras_oocore.checks.tables.chunk import shown_cell
from keras_oocore.checks.tables.equal_rows import RowGroups, RowLeaks
from keras_oocore.checks.tables.inputs import TableInput
from keras_oocore.checks.tables.verified import MOST_ROWS, MOST_SHOWN, Row

MOST_CELLS = 12


def examples_of(
    data: TableInput, duplicates: RowGroups, conflicts: RowGroups, leaks: RowLeaks, cells: Mapping[int, Row]
) -> dict[int, str]:
    """Return number of a row → its cells in words, for the first rows that were found.

    Args:
        data: The table.
        duplicates: Groups of equal rows.
        conflicts: Groups of rows that are equal but for their classes.
        leaks: Pairs of a row and an equal one of another table.
        cells: Number of a row → its cells, for the rows that a report names.
    """
    rows = {group[0] for groups in (duplicates, conflicts) for group in groups[:MOST_SHOWN]}
    rows.update(leaks.rows[:MOST_SHOWN].tolist())
    found = {row: _in_words(data, cells[row]) for row in sorted(rows) if row in cells}
    for group in conflicts[:MOST_SHOWN]:
        found[group[0]] = _classes(data, [row for row in group[:MOST_ROWS] if row in cells], cells)
    return found


def _in_words(data: TableInput, cells: Row) -> str:
    targets = [column for column in data.columns if column.name in data.targets]
    others = [column for column in data.columns if column.name not in data.targets]
    shown = [f"{column.name}={shown_cell(column, cells[column.name])}" for column in (targets + others)[:MOST_CELLS]]
    return ", ".join([*shown, *(["..."] if len(data.columns) > MOST_CELLS else [])])


def _classes(data: TableInput, rows: list[int], cells: Mapping[int, Row]) -> str:
    """Return which class each row of a conflict has."""
    targets = [column for column in data.columns if column.name in data.targets]
    found = []
    for row in rows:
        classes = [f"{column.name}={shown_cell(column, cells[row][column.name])}" for column in targets]
        found.append(f"row {row}: {', '.join(classes)}")
    return ", ".join(found)
