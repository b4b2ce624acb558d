"""Finds the rows of a table that are not samples. Predictions have a row for each of them, too, which says why.

Rows that the user left out with `without` have no row, because no prediction of them is expected.
"""

from collections.abc import Callable

import numpy as np

from keras_oocore.sequences.in_order import LeftOut
from keras_oocore.tables.rows import TableRows

UNREADABLE = "the row cannot be read, and on_bad_row='skip' leaves it out"
INCOMPLETE = "a cell is missing, and missing='drop' leaves the row out"


class RowsLeftOut:
    """Finds the rows that are left out before and between samples.

    Args:
        rows: All rows of a table, some of which are left out.
        numbers_of: Function of the numbers of samples. It returns the numbers of their rows in the table.
    """

    def __init__(self, rows: TableRows, numbers_of: Callable[[np.ndarray], np.ndarray]):
        self._rows, self._numbers_of = rows, numbers_of

    def __call__(self, first: int, stop: int) -> LeftOut:
        """Return the rows after that of sample `first - 1` and up to that of sample `stop - 1`, or to the end."""
        table, kept = self._rows.table, self._numbers_of(np.arange(max(first - 1, 0), stop))
        start, kept = (0, kept) if first == 0 else (int(kept[0]) + 1, kept[1:])
        end = int(table.rows[-1]) if stop == len(self._rows) else int(kept[-1]) + 1
        others = table.removed[slice(*np.searchsorted(table.removed, (start, end)))]
        numbers = np.setdiff1d(np.arange(start, end), np.concatenate([kept, others]), assume_unique=True)
        names, reasons = [], []
        texts = {column.name: [] for column in self._rows.features.ids}
        chunks = np.searchsorted(table.rows, numbers, side="right") - 1
        for chunk in np.unique(chunks).tolist():
            within = numbers[chunks == chunk] - int(table.rows[chunk])
            readable = np.isin(within, table.read(chunk, self._rows.features.columns).rows)
            names += [table.where(chunk, row) for row in within.tolist()]
            reasons += [INCOMPLETE if is_readable else UNREADABLE for is_readable in readable.tolist()]
            for name, found in self._ids_of(chunk, within).items():
                texts[name] += found
        row = {"row": numbers}
        ids = {name: np.array([*values, None], object)[:-1] for name, values in texts.items()}
        order = np.argsort(np.concatenate([kept, numbers]), kind="stable")
        return LeftOut(order, names, reasons, ids or row, row if ids else {})

    def _ids_of(self, chunk: int, within: np.ndarray) -> dict[str, list[str]]:
        """Return the exact text of the columns of `ids` in these rows of a chunk: empty if it cannot be read."""
        columns = self._rows.features.ids
        if not columns:
            return {}
        cells = self._rows.table.read(chunk, columns)
        found = {}
        for column in columns:
            texts = dict(zip(cells.rows.tolist(), cells.columns[column.name].to_pylist()))
            found[column.name] = [texts.get(row) or "" for row in within.tolist()]
        return found
