"""`UsedRows`: the cells of the rows of a chunk that are used, because they are complete and in one part of a split."""

from collections.abc import Sequence

import numpy as np

from keras_oocore.csv.cells import Cells, Column
from keras_oocore.tables.encoding import complete_rows
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.splits.base import RowSubset, Split


class UsedRows:
    """Reads chunks of a table, and leaves out rows that are not used. Any number of threads may share it.

    Args:
        table: The table.
        features: The layout of a row. With `missing="drop"`, rows with a missing cell are not used.
        subset: The part of a split, or `None` for all rows.

    Raises:
        DataError: All methods, if a cell cannot be read, or a file changed.
    """

    def __init__(self, table: TableFormat, features: FeatureSpec, subset: RowSubset | None):
        self.table: TableFormat = table
        self.features: FeatureSpec = features
        self.subset: RowSubset | None = subset

    @property
    def may_skip_rows(self) -> bool:
        """Whether only reading a chunk tells which of its rows are complete."""
        return self.table.may_skip_rows or self.features.missing == "drop"

    @property
    def keys(self) -> tuple[Column, ...]:
        """The columns that decide which rows are in the part."""
        return () if self.subset is None else self.subset.split.columns

    def cells(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of the used rows, at least in `columns`."""
        return self.all_and_used_cells(chunk, columns)[1]

    def numbers(self, chunk: int) -> np.ndarray:
        """Return the numbers of the used rows within the chunk."""
        return self.cells(chunk, ()).rows

    def all_and_used_cells(self, chunk: int, columns: Sequence[Column]) -> tuple[Cells, Cells]:
        """Return the cells of all complete rows, and of those that are in the part, at least in `columns`."""
        cells, keys = self.complete_cells(chunk, columns, self.keys)
        if self.subset is None:
            return cells, cells
        first, end = self._bounds(chunk)
        return cells, cells.select(self.subset.mask(chunk, first, end, keys))

    def parts(self, chunk: int, split: Split) -> np.ndarray:
        """Return the part of each complete row in a split, an integer array."""
        _, keys = self.complete_cells(chunk, (), split.columns)
        return split.assign(chunk, *self._bounds(chunk), keys)

    def ids(self, chunk: int) -> list[np.ndarray]:
        """Return the exact text of each column of `ids` in the used rows, arrays of dtype `object`."""
        numbers, (first, end) = self.numbers(chunk), self._bounds(chunk)
        if not len(numbers):
            return [np.empty(0, object) for _ in self.features.ids]
        cells, found = self.table.read(chunk, self.features.ids), []
        for column in self.features.ids:
            texts = np.full(end - first, "", object)  # also of rows that `on_bad_row="skip"` skips for their ids
            texts[cells.rows] = cells.columns[column.name].to_numpy(zero_copy_only=False)
            found.append(texts[numbers])
        return found

    def complete_cells(self, chunk: int, columns: Sequence[Column], keys: Sequence[Column]) -> tuple[Cells, Cells]:
        """Return the cells of all complete rows, whatever their part, at least in `columns`, and in `keys`.

        Both contain the same rows. A column may be in both, with different kinds.
        """
        if self.may_skip_rows:
            # The cells of the features decide which rows are complete.
            columns = list({column.name: column for column in (*columns, *self.features.columns)}.values())
        cells, of_keys = self._read(chunk, columns, keys)
        complete = complete_rows(self.features, cells)
        return (cells, of_keys) if complete is None else (cells.select(complete), of_keys.select(complete))

    def _read(self, chunk: int, columns: Sequence[Column], keys: Sequence[Column]) -> tuple[Cells, Cells]:
        """Parse a chunk once, or twice if a column is read as two kinds. Without any column, it is not read."""
        both = {column.name: column for column in [*keys, *columns]}
        if not both:
            first, end = self._bounds(chunk)
            cells = Cells(np.arange(end - first), {})
            return cells, cells
        if all(both[column.name] == column for column in keys):
            cells = self.table.read(chunk, list(both.values()))
            return cells, cells
        cells, of_keys = self.table.read(chunk, columns), self.table.read(chunk, keys)
        if np.array_equal(cells.rows, of_keys.rows):
            return cells, of_keys
        shared = np.intersect1d(cells.rows, of_keys.rows)  # the others were skipped
        return cells.select(np.isin(cells.rows, shared)), of_keys.select(np.isin(of_keys.rows, shared))

    def _bounds(self, chunk: int) -> tuple[int, int]:
        """Return the number of the chunk's first row in the table, and of its last row, plus 1."""
        first, end = self.table.rows[chunk : chunk + 2].tolist()
        return first, end
