"""Statistics of columns, computed in one pass: counts, mean, standard deviation, extremes and frequencies.

Statistics of parts are combined in the order of the parts. The result is bitwise the same for any number of threads.
"""

import collections
import dataclasses
import math
from typing import Any

import numpy as np

from keras_oocore.core.moments import Moments
from keras_oocore.csv.cells import Column, is_missing
from keras_oocore.tables.cells import count_strings, distinct_numbers

MOST_DISTINCT = 100_000  # distinct numbers are counted up to here; beyond, the count is "more than"
FIGURES: dict[str, type] = {
    "count": int,
    "missing": int,
    "mean": float,
    "squares": float,
    "smallest": float,
    "largest": float,
    "counts": collections.Counter,
}  # the attributes that are plain values, with their types


@dataclasses.dataclass
class ColumnStatistics:
    """The statistics of one column.

    Attributes:
        column: The column.
        count: Number of cells that are neither missing nor infinite.
        missing: Number of missing cells.
        mean: Mean of the numbers.
        squares: Sum of squared differences from the mean.
        smallest: Smallest number.
        largest: Largest number.
        counts: How often each string occurs.
        numbers: The distinct numbers, `float64`, or `None` if there are more than `MOST_DISTINCT`.

    >>> part = ColumnStatistics(Column("a", 0, "float32"), count=2, mean=1.0, squares=2.0)
    >>> part.join(ColumnStatistics(Column("a", 0, "float32"), count=1, mean=4.0))
    >>> part.count, part.mean, part.squares
    (3, 2.0, 8.0)
    """

    column: Column
    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    smallest: float = math.inf
    largest: float = -math.inf
    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter[str])
    numbers: np.ndarray | None = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def std(self) -> float:
        """Standard deviation of the population, as in `keras.layers.Normalization`; NaN if nothing was counted."""
        return math.sqrt(self.squares / self.count) if self.count else math.nan

    @property
    def distinct(self) -> int | None:
        """Number of distinct values, or `None` if there are more than `MOST_DISTINCT` numbers."""
        if self.column.kind == "string":
            return len(self.counts)
        return None if self.numbers is None else len(self.numbers)

    @property
    def by_frequency(self) -> list[str]:
        """The strings, most frequent first. Equally frequent strings are in alphabetical order."""
        return [text for text, _ in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))]

    @classmethod
    def of(cls, column: Column, cells: Any) -> "ColumnStatistics":
        """Compute the statistics of the cells of one part."""
        missing = int(is_missing(cells).sum())
        found = cls(column, count=len(cells) - missing, missing=missing)
        if column.kind == "string":
            found.counts.update(count_strings(cells))
        elif found.count:
            values = cells.drop_null().to_numpy(zero_copy_only=False)
            found.smallest, found.largest = float(values.min()), float(values.max())
            if np.isinf(found.smallest) or np.isinf(found.largest):
                values = values[np.isfinite(values)]
                found.count = len(values)
            if found.count:
                found.mean = float(values.mean())
                found.squares = float(np.square(values - found.mean).sum())
            found._add_numbers(distinct_numbers(cells))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all statistics as plain JSON, without loss of precision."""
        values = {name: getattr(self, name) for name in FIGURES}
        return {**values, "numbers": None if self.numbers is None else self.numbers.tolist()}

    @classmethod
    def from_json(cls, column: Column, record: dict[str, Any]) -> "ColumnStatistics":
        """Restore what `as_json` returned.

        >>> found = ColumnStatistics(Column("a", 0, "float32"), count=2, mean=1.0, squares=2.0)
        >>> ColumnStatistics.from_json(found.column, found.as_json()).std
        1.0
        """
        values = {name: kind(record[name]) for name, kind in FIGURES.items()}
        values["counts"] = collections.Counter({name: int(count) for name, count in record["counts"].items()})
        numbers = None if record["numbers"] is None else np.array([*map(float, record["numbers"])])
        return cls(column, **values, numbers=numbers)

    def join(self, other: "ColumnStatistics") -> None:
        """Add the statistics of the next part."""
        joined = Moments(self.count, self.mean, self.squares).joined(Moments(other.count, other.mean, other.squares))
        self.count, self.mean, self.squares = joined
        self.missing += other.missing
        self.smallest, self.largest = min(self.smallest, other.smallest), max(self.largest, other.largest)
        self.counts.update(other.counts)
        self._add_numbers(other.numbers)

    def _add_numbers(self, numbers: np.ndarray | None) -> None:
        """Add distinct numbers."""
        if self.numbers is not None:
            self.numbers = None if numbers is None else np.union1d(self.numbers, numbers)
            if self.numbers is not None and len(self.numbers) > MOST_DISTINCT:
                self.numbers = None
