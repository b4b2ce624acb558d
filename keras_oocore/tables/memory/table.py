"""`MemoryTable`: columns in memory as a table. Rows are converted chunk by chunk, when a batch needs them."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import counted
from keras_oocore.csv.cells import Column
from keras_oocore.tables.arrow.chunks import rows_of_chunks
from keras_oocore.tables.arrow.content import ContentChecksum
from keras_oocore.tables.arrow.part import Part
from keras_oocore.tables.arrow.table import ArrowTable
from keras_oocore.tables.memory.columns import MemoryColumn
from keras_oocore.tables.opening import Opening

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None


class MemoryTable(ArrowTable):
    """The rows of a DataFrame, of a table of pyarrow, or of a dictionary of arrays.

    Args:
        name: What messages call the data, such as `"DataFrame"`.
        columns: Name → column, all of one length.
        opening: How the data are opened.
        hint: What an error message about an unknown column should add.
        index: Names of the columns that were the index of a DataFrame. They are not features.

    Raises:
        OptionError: If columns differ in length, or `dtypes` does not fit them.

    >>> from keras_oocore.tables.memory.columns import column_of
    >>> columns = {"sqft": column_of(np.array([1000, 2000]), "sqft"), "city": column_of(["Rome", "Oslo"], "city")}
    >>> table = MemoryTable("dictionary", columns, Opening())
    >>> table.num_rows, [(column.name, column.kind) for column in table.columns.values()], table.where(0, 1)
    (2, [('sqft', 'float32'), ('city', 'string')], 'row 1 of the dictionary')
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, MemoryColumn],
        opening: Opening,
        hint: str = "",
        index: Sequence[str] = (),
    ):
        self.name: str = name
        self.memory: Mapping[str, MemoryColumn] = columns
        kinds = {key: pa.null() if column.kind is None else column.kind for key, column in columns.items()}
        refused = {
            key: f"column {key!r} of the {name} is {column.refusal}."
            for key, column in columns.items()
            if column.kind is None
        }
        if opening.num_rows is not None:
            positive(opening.num_rows, "num_rows")
        super().__init__([name], [Part(f"the {name}", kinds, refused=refused)], opening, index)
        self._places = {key: place for place, key in enumerate(columns)}
        self.hint: str = hint
        self.rows: np.ndarray = rows_of_chunks(self._count_rows(), len(columns))

    def read_arrays(self, chunk: int, names: Sequence[str]) -> Mapping[str, Any]:
        """Return the rows of one chunk, as in `ArrowTable`."""
        first, end = self.rows[chunk : chunk + 2].tolist()
        return {name: self._taken(name, first, end) for name in names}

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row, such as `"row 7 of the DataFrame"`."""
        return f"row {self.rows[chunk] + row_in_chunk} of the {self.name}"

    def position(self, chunk: int, column: Column) -> int:
        """Return the position of a column among all columns, for error messages."""
        return self._places[column.name_in_file]

    @property
    def source(self) -> str:
        """What messages and `repr` call the data."""
        limit = "" if self.rows_limit is None else f" (num_rows={self.rows_limit})"
        return f"the {self.name} of {counted(self._count_all(), 'row')}{limit}"

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON."""
        return {**self.portable_fingerprint(), **self.of_reading()}

    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON: a checksum of the content of all columns."""
        return {**self.of_rows(), "files": [self.content]}

    @functools.cached_property
    def content(self) -> str:
        """Number of rows and columns, and a checksum of all cells. It is computed once, when it is needed."""
        checksum = ContentChecksum({name: column.kind for name, column in self.memory.items()})
        for chunk in range(self.num_chunks):
            checksum.add(self.read_arrays(chunk, checksum.names))
        return str(checksum)

    def save_indexes(self, directory: Path | None = None) -> None:
        """Save nothing: rows in memory have no index."""

    def _count_all(self) -> int:
        return next((column.num_rows for column in self.memory.values()), 0)

    def _count_rows(self) -> int:
        """Return the number of rows to read, once all columns have equally many."""
        lengths = {name: column.num_rows for name, column in self.memory.items()}
        if len(set(lengths.values())) > 1:
            (first, num_first), *others = lengths.items()
            other, num_other = next(pair for pair in others if pair[1] != num_first)
            raise OptionError(
                f"The columns of the {self.name} should have equally many rows. Received: {num_first:,} in {first!r}, "
                f"and {num_other:,} in {other!r}"
            )
        num_rows = self._count_all()
        return num_rows if self.rows_limit is None else min(num_rows, self.rows_limit)

    def _taken(self, name: str, first: int, end: int) -> Any:
        """Return some rows of a column.

        Raises:
            DataError: If a value is not of the type of its column. This happens if it changed.
        """
        try:
            return self.memory[name].take(first, end)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            row = self._first_unreadable(name, first, end)
            raise DataError(
                f"row {row} of the {self.name}, column {name!r} (#{self._places[name]}): cannot read the value as "
                f"{self.memory[name].kind}, the type of its column ({str(error).splitlines()[0]:.100}). Convert the "
                "column first, such as with .astype(float) or .astype(str)."
            ) from error

    def _first_unreadable(self, name: str, first: int, end: int) -> int:
        """Return the first row of a range that cannot be read, by halving the range."""
        while end - first > 1:
            middle = (first + end) // 2
            try:
                self.memory[name].take(first, middle)
                first = middle
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                end = middle
        return first
