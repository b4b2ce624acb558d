"""`SplitByValue`: rows before a date or below a number are for training, and later ones for validation and testing."""

import bisect
import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from keras_oocore.csv.cells import Cells, Column, is_missing
from keras_oocore.csv.dates import as_moment
from keras_oocore.tables.format import KnownCells
from keras_oocore.tables.splits.base import NO_PART, PARTS, Split, kinds_of

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None


@dataclasses.dataclass(frozen=True)
class SplitByValue(Split):
    """Parts between increasing values of a column. A row with exactly a boundary is in the later part.

    Cells are compared as `float64`, which keeps their order. So only a cell that is equal to a boundary may be in
    another part than without rounding. Of an exact column, such a cell is compared again as it is written.

    Args:
        column: A column of dates or numbers. Its kind is `"exact"` if its numbers may have more digits than `float64`.
        at: The boundaries, as the cells are read.
        lowest, highest: The range of the column, if it is known.

    >>> import pyarrow as pa
    >>> rows = Cells(np.arange(3), {"year": pa.array([2013.0, 2014.0, None])})
    >>> SplitByValue(Column("year", 0, "float32"), (2014.0,)).assign(chunk=0, first=0, end=3, keys=rows)
    array([ 0,  1, -1])
    """

    column: Column
    at: tuple[int | float, ...]
    lowest: float = np.nan
    highest: float = np.nan

    @property
    def names(self) -> tuple[str, ...]:
        return PARTS[: len(self.at) + 1]

    @property
    def columns(self) -> tuple[Column, ...]:
        return (self.column,)

    def assign(self, chunk: int, first: int, end: int, keys: Cells) -> np.ndarray:
        cells = keys.columns[self.column.name]
        values, boundaries = rounded(cells), self._boundaries
        parts = np.where(is_missing(cells), NO_PART, np.searchsorted(boundaries, values, side="right"))
        if self.column.kind == "exact":
            written = [as_written(value) for value in self.at]
            for row in np.flatnonzero(np.isin(values, boundaries)).tolist():
                parts[row] = bisect.bisect_right(written, as_written(cells[row].as_py()))
        return parts

    def part_of(self, known: Sequence[KnownCells | None]) -> int | None:
        (cells,) = known
        if cells is None or cells.missing or cells.smallest is None:
            return None
        first, last = np.searchsorted(self._boundaries, [cells.smallest, cells.largest], side="right").tolist()
        is_sure = self.column.kind != "exact" or cells.smallest not in self._boundaries
        return first if first == last and is_sure else None

    def describe(self, part: int) -> dict[str, Any]:
        return {
            "by": self.column.name,
            "at": [as_moment(value) if self.column.kind == "date" else str(value) for value in self.at],
            "part": self.names[part],
            "kinds": kinds_of(self.columns),
        }

    def why_empty(self, part: int, num_rows: int) -> str:
        if not self.lowest <= self.highest:
            return f"No row has a value in column {self.column.name!r}."
        after = [f"from {self.shown(value)} on" for value in self.at[part - 1 : part] if part]
        before = [f"before {self.shown(value)}" for value in self.at[part : part + 1]]
        return (
            f"No row is for {'testing' if part == 2 else self.names[part]}: column {self.column.name!r} has no value "
            f"{' and '.join(after + before)}. Its values are from {self.shown(self.lowest)} to "
            f"{self.shown(self.highest)}."
        )

    def shown(self, value: int | float) -> str:
        """Return a value of the column as people write it."""
        if self.column.kind == "date":
            return as_moment(value)
        return str(value) if isinstance(value, int) else f"{value:.15g}"

    @property
    def _boundaries(self) -> np.ndarray:
        """The boundaries, rounded as the cells are."""
        return np.array(self.at, np.float64)


def rounded(cells: Any) -> np.ndarray:
    """Return cells of a column of dates or numbers as `float64`. Those of missing cells are NaN.

    >>> import pyarrow as pa
    >>> rounded(pa.array(["9007199254740993", None]))
    array([9.00719925e+15,            nan])
    """
    if pa.types.is_decimal(cells.type):
        cells = cells.cast(pa.string())
    return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def as_written(number: int | float | str | Decimal) -> Decimal:
    """Return a number without rounding. A fraction is the decimal number that people write for it.

    >>> as_written(2**53 + 1), as_written(0.1), as_written("1e3")
    (Decimal('9007199254740993'), Decimal('0.1'), Decimal('1E+3'))
    """
    if isinstance(number, float):
        return Decimal(int(number)) if number.is_integer() else Decimal(repr(number))
    return Decimal(number)
