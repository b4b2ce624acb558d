"""Columns of strings of a whole CSV file that fits into memory, such as a list of filenames and labels."""

import contextlib
import os
from collections.abc import Iterable, Iterator

import numpy as np

from keras_oocore.core.errors import CSVError
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import Column, require_pyarrow
from keras_oocore.csv.chunks import locate
from keras_oocore.csv.compression import plain_file
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.reader import CSVReader
from keras_oocore.csv.scan import index_records
from keras_oocore.csv.shape import NOTES, row_shape

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None


class StringColumns:
    """The columns of a CSV file with a header, as strings. Create it with `open_columns`.

    Attributes:
        path: The file, as messages name it.
        header: The names of the columns exactly as the file has them.
    """

    def __init__(self, path: str, index: RecordIndex):
        self.path = path
        self.header: tuple[str, ...] | None = index.header
        self._index = index
        shape = row_shape(index)
        self._first = int(shape.extra == "first")  # position of the first column that the header names
        self._reader = CSVReader(shape.num_cells, CellOptions(null_values=()), shape.extra)
        if shape.extra is not None:
            warn_user(f"{path}: {NOTES[shape.extra]}.")

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Return name → strings, an object array of shape `(num_rows,)`. Empty cells are `None`.

        Args:
            names: Names of columns in `header`.

        Raises:
            DataError: If a row has too few or too many cells, a cell cannot be decoded, or the header has a name twice.
        """
        columns = [Column(name, self._position(name), "string") for name in dict.fromkeys(names)]
        parts = [self._reader.read(self._index, chunk, columns).columns for chunk in range(self._index.num_chunks)]
        return {column.name: _joined([part[column.name] for part in parts]) for column in columns}

    def where(self, row: int, name: str) -> str:
        """Return how messages name a cell: file, row, line and column."""
        chunk = self._index.chunk_of(row)
        place = locate(self._index, chunk, row - int(self._index.rows[chunk]))
        return f"{self.path}: row {row} (line {place.line}), column {name!r} (#{self._position(name)})"

    def _position(self, name: str) -> int:
        """Return the position of a column in the file."""
        times = self.header.count(name)
        if times > 1:
            raise CSVError.of(self.path, f"the header has {name!r} {times} times.", "Expected distinct names.")
        return self._first + self.header.index(name)


@contextlib.contextmanager
def open_columns(path: str | os.PathLike[str], fix: str = "Fix the file.") -> Iterator[StringColumns]:
    """Open a CSV file, also a compressed one, to read whole columns. Use it in a `with` statement.

    Fields are separated by commas, and the file is in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        fix: What to do about a file that cannot be read, for messages. Defaults to `"Fix the file."`.

    Raises:
        DataError: If the file cannot be read or is empty, if a quote is misplaced, or as in `StringColumns.read`. The
            message names file, row, line and column.
        MissingExtraError: If pyarrow is not installed.

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/train.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("filename,class\\n007.png,cat\\n008.png,\\n")
    >>> with open_columns(path) as table:
    ...     table.header, table.read(["class"]), table.where(1, "class").removeprefix(path)
    (('filename', 'class'), {'class': array(['cat', None], dtype=object)}, ": row 1 (line 3), column 'class' (#1)")
    """
    require_pyarrow()
    path = os.fspath(path)
    with plain_file(path) as plain:
        try:
            yield StringColumns(path, index_records(plain, Dialect()))
        except CSVError as error:
            raise CSVError.of(path, error.fault, fix) from None


def _joined(parts: list) -> np.ndarray:
    """Join `pyarrow` arrays of strings as one object array, with `None` for empty strings."""
    cells = pa.chunked_array(parts, pa.string())
    return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells).to_numpy()
