"""`KeptRows`: a table without some of its rows, such as copies."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.data_words import LEFT_OUT
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted, shown
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.tables.format import CutGroup, TableFormat

EXPECTED = "`rows` should be numbers of rows, or `duplicates` or `leaks` of the report of ko.check"


class KeptRows(TableFormat):
    """The rows of a table except for some, which are skipped like rows that cannot be read. Others keep their numbers.

    Args:
        table: The table.
        removed: Numbers of rows, distinct, in rising order, `int64`.
    """

    may_skip_rows: bool = True

    def __init__(self, table: TableFormat, removed: np.ndarray):
        super().__init__(table.paths, table.columns, table.notes)
        self.measured: set[str] = table.measured
        self.cut_group: CutGroup | None = table.cut_group
        self.suspects: dict[str, str] = table.suspects
        self.hint: str = table.hint
        self.index_columns: Mapping[str, str] = table.index_columns
        self.options: CellOptions = table.options
        self.rows: np.ndarray = table.rows
        self.num_bad_rows: int = table.num_bad_rows
        self.removed: np.ndarray = removed
        self._table = table

    def read(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of the kept rows of one chunk, as in `TableFormat`."""
        cells = self._table.read(chunk, columns)
        first, end = np.searchsorted(self.removed, self.rows[chunk : chunk + 2])
        if first == end:
            return cells
        return cells.select(~np.isin(cells.rows + self.rows[chunk], self.removed[first:end]))

    def sizes(self) -> list[int] | None:
        """Return the number of kept rows of each chunk, or `None` if only reading them tells."""
        if self._table.may_skip_rows:
            return None
        return np.diff(self.rows - np.searchsorted(self.removed, self.rows)).tolist()

    def column(self, name: str, argument: str) -> Column:
        """Return the column named `name`, as in `NamedColumns`."""
        return self._table.column(name, argument)

    def why_no_part(self, column: Column, part: str) -> str:
        """Return why a column of dates has no part such as `"hour"`, or `""` if it has it."""
        return self._table.why_no_part(column, part)

    def has_decimals(self, column: Column) -> bool:
        """Return whether a column has numbers of more digits than `float64` holds, below 2^53, too."""
        return self._table.has_decimals(column)

    def float_bits(self, column: Column) -> set[int]:
        """Return how many bits the floats of a column of numbers have, in all files."""
        return self._table.float_bits(column)

    def look_at(self, names: Iterable[str]) -> None:
        """Fill `notes`, `measured` and `suspects` for these columns."""
        self._table.look_at(names)

    def bad_rows(self, most: int) -> list[tuple[str, str]]:
        """Return how messages name rows that cannot be parsed, and why, as in `TableFormat`."""
        return self._table.bad_rows(most)

    def raising(self) -> TableFormat:
        """Return the same table, in which a row that cannot be read is an error."""
        return KeptRows(self._table.raising(), self.removed)

    def without(self, removed: np.ndarray) -> "KeptRows":
        """Return this table without further rows."""
        return KeptRows(self._table, np.union1d(self.removed, removed))

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row."""
        return self._table.where(chunk, row_in_chunk)

    def position(self, chunk: int, column: Column) -> int:
        """Return the position of a column in the file of a chunk."""
        return self._table.position(chunk, column)

    @property
    def source(self) -> str:
        """What messages and `repr` call the files."""
        return self._table.source

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON."""
        return {**self._table.fingerprint(), LEFT_OUT: self._digest()}

    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON."""
        return {**self._table.portable_fingerprint(), LEFT_OUT: self._digest()}

    def reading_options(self) -> dict[str, Any]:
        """Return the user's options that say how files are read, by their names."""
        return self._table.reading_options()

    def save_indexes(self, directory: Path | None = None) -> None:
        """Save what was found by scanning the files."""
        self._table.save_indexes(directory)

    def _digest(self) -> list[Any]:
        """Return how many rows are left out, and a checksum of their numbers."""
        return [len(self.removed), hashlib.sha256(self.removed.astype("<i8").tobytes()).hexdigest()]


def rows_to_remove(rows: Any, num_rows: int) -> np.ndarray:
    """Return the numbers of the rows that a user wants to leave out, distinct and in rising order, `int64`.

    Args:
        rows: Numbers of rows, or an object with an attribute `removable_rows`, and the number of rows of its table.
        num_rows: Number of rows of the table.

    Raises:
        OptionError: If `rows` is something else, or of a table of another number of rows, or a number is not that of
            a row.

    >>> rows_to_remove([7, 3, 7], num_rows=10)
    array([3, 7])
    """
    num_checked = getattr(rows, "num_rows_of_table", None)
    if num_checked is not None and num_checked != num_rows:
        raise OptionError(
            f"The report is about a table of {counted(num_checked, 'row')}, and this one has {num_rows:,}. Call "
            "`without` of the Sequence whose data were checked: the first argument of ko.check. Of `against`, pass "
            "the numbers: report.leaks.others."
        )
    rows = getattr(rows, "removable_rows", rows)
    if isinstance(rows, str) or not np.iterable(rows):
        raise OptionError(f"{EXPECTED}. Received: rows={shown(rows)}")
    numbers = np.asarray(rows if isinstance(rows, np.ndarray) else [*rows])
    if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise OptionError(f"{EXPECTED}. Received: rows={shown(rows)}")
    numbers = np.unique(numbers.astype(np.int64))
    outside = numbers[(numbers < 0) | (numbers >= num_rows)]
    if len(outside):
        raise OptionError(f"`rows` should be numbers from 0 to {num_rows - 1}. Received: {int(outside[0])} in it")
    return numbers
