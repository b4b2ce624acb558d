"""`SplitByValue`: rows before a date or below a number are for training, and later ones for validation and testing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.csv.cells import Cells, Column, is_missing
from keras_oocore.csv.dates import as_moment
from keras_oocore.tables.format import KnownCells
from keras_oocore.tables.splits.base import NO_PART, PARTS, Split, kinds_of


@dataclasses.dataclass(frozen=True)
class SplitByValue(Split):
    """Parts between increasing values of a column. A row with exactly a boundary is in the later part.

    Args:
        column: A column of dates or numbers.
        at: The boundaries, as the cells are read.
        lowest, highest: The range of the column, if it is known.

    >>> import pyarrow as pa
    >>> rows = Cells(np.arange(3), {"year": pa.array([2013.0, 2014.0, None])})
    >>> SplitByValue(Column("year", 0, "float32"), (2014.0,)).assign(chunk=0, first=0, end=3, keys=rows)
    array([ 0,  1, -1])
    """

    column: Column
    at: tuple[float, ...]
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
        values = cells.to_numpy(zero_copy_only=False)
        return np.where(is_missing(cells), NO_PART, np.searchsorted(self.at, values, side="right"))

    def part_of(self, known: Sequence[KnownCells | None]) -> int | None:
        (cells,) = known
        if cells is None or cells.missing or cells.smallest is None:
            return None
        first, last = np.searchsorted(self.at, [cells.smallest, cells.largest], side="right").tolist()
        return first if first == last else None

    def describe(self, part: int) -> dict[str, Any]:
        return {
            "by": self.column.name,
            "at": [self.shown(value) for value in self.at],
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

    def shown(self, value: float) -> str:
        """Return a value of the column as people write it."""
        return as_moment(value) if self.column.kind == "date" else f"{value:.15g}"
