"""The summary of a table: the statistics of its columns by name, and its first rows."""

import datetime
import heapq
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keras_oocore.core import html
from keras_oocore.core.checks import positive
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.csv.dates import DAYS, has_date, moment_at
from keras_oocore.csv.moments import DAY_SECONDS
from keras_oocore.tables.statistics import MOST_DISTINCT, ColumnStatistics

MOST_FREQUENT = 10  # strings of a column that are listed with their counts
SHOWN_ROWS = 50  # of `head` in a notebook; further ones are counted


@dataclass(frozen=True)
class ColumnSummary:
    """The statistics of one column.

    Attributes:
        name: Name of the column.
        kind: `"float32"`, `"bool"`, `"string"`, `"date"`, or `"time"` for times without a date. A part of a date, such
            as `"sold.year"`, is `"float32"`.
        count: Number of cells that are neither missing nor infinite.
        missing: Number of missing cells.
        distinct: Number of distinct values, or `None` if there are more than 100,000 numbers.
        mean, std, min, max: Numbers, or `None` for strings and for a column without numbers. Those of a date are
            days since 1970, and those of a time fractions of a day, as the model receives them. `std` is that of the
            population.
        most_frequent: The ten most frequent strings with their counts. Empty for numbers.
    """

    name: str
    kind: str
    count: int
    missing: int
    distinct: int | None
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    most_frequent: dict[str, int]

    @classmethod
    def of(cls, found: ColumnStatistics) -> "ColumnSummary":
        has_numbers = found.column.kind != "string" and found.count > 0
        numbers = (found.mean, found.std, found.smallest, found.largest) if has_numbers else (None,) * 4
        frequent = heapq.nsmallest(MOST_FREQUENT, found.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        column = found.column
        return cls(column.name, _kind(column), found.count, found.missing, found.distinct, *numbers, dict(frequent))

    def figures(self) -> list[str]:
        """Return mean, standard deviation, min, max, missing and distinct as strings."""
        counts = [
            f"{self.missing:,}",
            f"more than {MOST_DISTINCT:,}" if self.distinct is None else f"{self.distinct:,}",
        ]
        if self.mean is None:
            return ["", "", "", "", *counts]
        if self.kind in ("date", "time"):
            moments = [_shown(_moment(_whole_seconds(days), self.kind)) for days in (self.mean, self.min, self.max)]
            return [moments[0], f"{self.std:,.6g} days", *moments[1:], *counts]
        return [*(_number(value) for value in (self.mean, self.std, self.min, self.max)), *counts]


class TableSummary(Mapping[str, ColumnSummary]):
    """The statistics of the columns of a table, by name. It prints as a table, and a notebook shows it as one.

    Args:
        headline: What the table is, as a line of text.
        columns: Statistics of the columns, in order.
        max_columns: The largest number of columns to print.
        used: The columns that `head` shows.
        read: Function from a number of rows to the cells of the first rows, in one or several parts.

    >>> price = ColumnStatistics(Column("price", 0, "float32"), count=2, mean=3.0, squares=2.0, smallest=2, largest=4)
    >>> summary = TableSummary("2 rows", [price], 10, [price.column], lambda num_rows: [])
    >>> summary["price"].mean, summary["price"].std, list(summary)
    (3.0, 1.0, ['price'])
    """

    def __init__(
        self,
        headline: str,
        columns: Iterable[ColumnStatistics],
        max_columns: int,
        used: Sequence[Column],
        read: Callable[[int], list[Cells]],
    ):
        self._headline, self._max_columns, self._used, self._read = headline, max_columns, used, read
        self._columns = {found.column.name: ColumnSummary.of(found) for found in columns}

    def __getitem__(self, column: str) -> ColumnSummary:
        return self._columns[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return all statistics as plain JSON: column → `{"kind", "count", "missing", "distinct", "mean", ...}`."""
        return {name: {k: v for k, v in asdict(found).items() if k != "name"} for name, found in self.items()}

    def head(self, num_rows: int = 5) -> "TableHead":
        """Read the first rows of the used columns, as they are in the file.

        Args:
            num_rows: Number of rows. Defaults to `5`.

        Returns:
            A list of dictionaries from column to value, which a notebook and `print` show as a table. Numbers are
            `float`, dates `datetime`, times without a date `time`, and missing cells `None`. Codes and replaced missing
            numbers, which the model receives, are in the batches: `rows[0]`.

        Raises:
            DataError: If a cell cannot be read.
        """
        return TableHead(_rows(self._used, self._read(positive(num_rows, "num_rows")), num_rows))

    def __repr__(self) -> str:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("column", "kind", box=None, pad_edge=True)
        for title in ("mean", "std", "min", "max", "missing", "distinct"):
            table.add_column(title, justify="right")
        for found in self._shown:
            table.add_row(escape(repr(found.name)[1:-1]), found.kind, *found.figures())
        if self._more:
            table.add_row(self._more)
        console = Console(file=io.StringIO(), width=140, color_system=None, force_jupyter=False)
        console.print(table)
        return "\n".join([self._headline, *(line.rstrip() for line in console.file.getvalue().splitlines())])

    @html.never_raising
    def _repr_html_(self) -> str:
        titles = ("column", "kind", "mean", "std", "min", "max", "missing", "distinct")
        rows = [(found.name, found.kind, *found.figures()) for found in self._shown]
        rows += [(self._more,)] if self._more else []
        return html.page(html.note(self._headline), html.table(titles, rows, numbers=range(2, 8)))

    @property
    def _shown(self) -> list[ColumnSummary]:
        return list(self._columns.values())[: self._max_columns]

    @property
    def _more(self) -> str:
        more = len(self) - self._max_columns
        return f"… and {more:,} more" if more > 0 else ""


class TableHead(list[dict[str, Any]]):
    """A list of rows, dictionaries from column to value, which a notebook and `print` show as a table."""

    def __str__(self) -> str:
        names = list(self[0]) if self else []
        rows = [[_cell(value) for value in row.values()] for row in self]
        widths = [max(map(len, column)) for column in zip(names, *rows)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in [names, *rows]]
        return "\n".join(lines)

    @html.never_raising
    def _repr_html_(self) -> str:
        names = list(self[0]) if self else []
        rows = [[_cell(value) for value in row.values()] for row in self[:SHOWN_ROWS]]
        numbers = [i for i, name in enumerate(names) if any(isinstance(row[name], (float, bool)) for row in self)]
        more = [html.note(f"… and {len(self) - SHOWN_ROWS:,} more")] if len(self) > SHOWN_ROWS else []
        return html.page(html.table(names, rows, numbers), *more)


def _rows(columns: Sequence[Column], parts: list[Cells], num_rows: int) -> list[dict[str, Any]]:
    """The cells of the first rows as values of Python."""
    rows = []
    for cells in parts:
        values = [
            [_value(cell, column) for cell in cells.columns[column.name][:num_rows].to_pylist()] for column in columns
        ]
        rows += [dict(zip((column.name for column in columns), row)) for row in zip(*values)]
    return rows[:num_rows]


def _kind(column: Column) -> str:
    """The kind that a column is shown as."""
    if column.kind != "date" or column.part == DAYS:
        return column.kind
    if column.part is not None:
        return "float32"
    return "date" if has_date(column.format) else "time"


def _value(cell: float | str | None, column: Column) -> Any:
    kind = _kind(column)
    if cell is None or kind in ("string", "float32"):
        return cell
    return bool(cell) if kind == "bool" else _moment(cell, kind)


def _moment(days: float, kind: str) -> datetime.datetime | datetime.time:
    """Days since 1970 as a date, or the fraction of a day as a time."""
    moment = moment_at(days)
    return moment if kind == "date" else moment.time()


def _whole_seconds(days: float) -> float:
    return round(days * DAY_SECONDS) / DAY_SECONDS


def _number(value: float) -> str:
    """Return a number with six digits, and a large one without an exponent, as prices are written.

    >>> _number(2079.934), _number(7_700_000.0), _number(1e30)
    ('2,079.93', '7,700,000', '1e+30')
    """
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime | datetime.time):
        return _shown(value)
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def _shown(moment: datetime.datetime | datetime.time) -> str:
    """Return a date without midnight, or a time, to the second."""
    if isinstance(moment, datetime.time):
        return moment.isoformat("seconds")
    return moment.isoformat(" ", "seconds").removesuffix(" 00:00:00")
