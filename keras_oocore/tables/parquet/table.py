"""One or several Parquet files as one table: its columns and their kinds, and its chunks of rows."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.core.threads import ThreadPool
from keras_oocore.csv.cells import Column, require_pyarrow
from keras_oocore.tables.arrow.file_table import FileTable
from keras_oocore.tables.arrow.folders import FoundFile, files_of, hint_of, key_types
from keras_oocore.tables.arrow.part import Part, pandas_index
from keras_oocore.tables.format import CutGroup, KnownCells
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.parquet.file import ParquetFile
from keras_oocore.tables.parquet.known import known_cells
from keras_oocore.tables.parquet.layout import chunk_rows, layout_of
from keras_oocore.tables.parquet.paths import SUFFIXES

try:
    import pyarrow as pa
except ImportError:  # the `tables` extra is not installed
    pa = None


MOST_SAMPLED_CELLS = 2**20  # of a row group whose columns are read as a whole to look at their first cells


class ParquetTable(FileTable[ParquetFile]):
    """The rows of Parquet files that have the same columns.

    Args:
        data: A path, a pattern such as `"part-*.parquet"`, a folder, or a list of them.
        opening: How the files are opened. Defaults to all rows, with the kinds of their types.

    Attributes:
        files: The `ParquetFile` of each file.

    Raises:
        DataError: If a file does not exist, or is not a Parquet file.
        OptionError: If an argument is not supported.
        MissingExtraError: If pyarrow is not installed.

    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> path = f"{tempfile.mkdtemp()}/houses.parquet"
    >>> pq.write_table(pa.table({"sqft": [1000, 2000], "city": ["Rome", "Oslo"]}), path)
    >>> table = ParquetTable(path)
    >>> table.num_rows, [(column.name, column.kind) for column in table.columns.values()]
    (2, [('sqft', 'float32'), ('city', 'string')])
    """

    def __init__(self, data: Any, opening: Opening | None = None):
        require_pyarrow("Parquet files", "tables")
        opening = Opening() if opening is None else opening
        if opening.num_rows is not None:
            positive(opening.num_rows, "num_rows")
        self._own = threading.local()
        found = files_of(data, SUFFIXES, "Parquet")
        self.files: list[ParquetFile] = self._footers(found, opening)
        self._key_types = key_types([file.keys for file in self.files])
        paths, index = [file.path for file in self.files], pandas_index(self.files[0].schema)
        super().__init__(paths, _parts(self.files, self._key_types), opening, index)
        self.hint: str = hint_of(found)
        self._layout = layout_of(self.files, opening.num_rows)
        self.rows: np.ndarray = self._layout.rows
        self.cut_group: CutGroup | None = self._most_cut()

    def read_arrays(self, chunk: int, names: Sequence[str]) -> Mapping[str, Any]:
        """Return the rows of one chunk, as in `ArrowTable`."""
        file = self.files[self._layout.files[chunk]]
        size = int(self.rows[chunk + 1] - self.rows[chunk])
        in_schema = [name for name in names if name in file.positions]
        table = self._rows(file, chunk, in_schema, size) if in_schema else None
        return {name: table[name] if name in in_schema else self.key_array(chunk, name, size) for name in names}

    def sample_arrays(self, chunk: int, names: Sequence[str], num_rows: int) -> Mapping[str, Any]:
        """Return the first rows of a chunk, by decoding the first pages of its row group."""
        file, group = self.files[self._layout.files[chunk]], int(self._layout.groups[chunk])
        size = min(num_rows, int(self.rows[chunk + 1] - self.rows[chunk]))
        in_schema = [name for name in names if name in file.positions]
        in_parts = file.metadata.row_group(group).num_rows * len(names) > MOST_SAMPLED_CELLS
        table = next(file.batches(self._opened(file, in_parts), group, in_schema, size)) if in_schema else None
        return {name: table[name] if name in in_schema else self.key_array(chunk, name, size) for name in names}

    def keys(self, chunk: int) -> Mapping[str, str | None]:
        """Return the columns that folders name, and their values in a chunk, as in `ArrowTable`."""
        return self.files[self._layout.files[chunk]].other_keys

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row: file, row and row group."""
        file, row = self.files[self._layout.files[chunk]], int(self._layout.in_file[chunk]) + row_in_chunk
        return f"{file.path}: row {row} (row group {self._layout.groups[chunk]})"

    def position(self, chunk: int, column: Column) -> int:
        """Return the position of a column in the file of a chunk."""
        file = self.files[self._layout.files[chunk]]
        return file.positions.get(column.name_in_file, len(file.schema.names))

    def known_cells(self, chunk: int, column: Column) -> KnownCells | None:
        """Return what the footer says about a column in the row group of a chunk, as in `TableFormat`."""
        file, group = self.files[self._layout.files[chunk]], int(self._layout.groups[chunk])
        known = known_cells(file, group, column, self.options)
        is_whole = self.rows[chunk + 1] - self.rows[chunk] == file.metadata.row_group(group).num_rows
        return known if known is None or is_whole or not known.missing else None

    def save_indexes(self, directory: Path | None = None) -> None:
        """Do nothing: the footers of the files say where the rows are."""

    def _most_cut(self) -> CutGroup | None:
        """Return the row group with the most chunks, if it has several."""
        groups, counts = np.unique(np.stack([self._layout.files, self._layout.groups]), axis=1, return_counts=True)
        if not len(counts) or counts.max() == 1:
            return None
        file, group = groups[:, counts.argmax()].tolist()
        most = int(np.diff(self.rows).max())
        fix = f"pyarrow.parquet.write_table(table, path, row_group_size={most:_})"
        return CutGroup(f"{self.files[file].path}: row group {group}", int(counts.max()), fix)

    def _rows(self, file: ParquetFile, chunk: int, names: list[str], size: int) -> Any:
        """Return the rows of a chunk as a table."""
        group, first = int(self._layout.groups[chunk]), int(self._layout.firsts[chunk])
        group_rows = file.metadata.row_group(group).num_rows
        step = chunk_rows(group_rows, file.metadata.num_columns)
        if step >= group_rows:
            return next(file.batches(self._opened(file, False), group, names, None)).slice(0, size)
        return self._part(file, group, names, first, size, step)

    def _part(self, file: ParquetFile, group: int, names: list[str], first: int, size: int, step: int) -> Any:
        """Return some rows of a row group. Those before them are decoded, too, unless this thread has just done so."""
        place, position, batches = getattr(self._own, "stream", (None, 0, None))
        if place != (file.path, group, names) or position > first:
            position, batches = 0, file.batches(self._opened(file, True), group, names, step)
        self._own.stream = None, 0, None
        parts = []
        while position < first + size:
            part = next(batches)
            start = max(first - position, 0)
            if start < len(part):
                parts.append(part.slice(start, first + size - position - start))
            position += len(part)
        if position == first + size:
            self._own.stream = (file.path, group, names), position, batches
        return pa.concat_tables(parts)

    def _footers(self, found: list[FoundFile], opening: Opening) -> list[ParquetFile]:
        """Read the footers of files. A single file stays open, because opening one of many columns takes a while."""
        if len(found) > 1:
            return _footers(found, opening)
        file, opened = ParquetFile.open_and_keep(found[0])
        self._own.last = (file, False), opened
        return [file]

    def _opened(self, file: ParquetFile, in_parts: bool) -> Any:
        """Return a file that this thread has opened. It keeps the last one open."""
        last, opened = getattr(self._own, "last", (None, None))
        if last is None or last[0] is not file or last[1] != in_parts:
            self._own.last, self._own.stream = (None, None), (None, 0, None)  # before the file is closed
            if opened is not None:
                opened.close()
            opened = file.opened(in_parts)
            self._own.last = (file, in_parts), opened
        return opened


def _footers(found: list[FoundFile], opening: Opening) -> list[ParquetFile]:
    """Read the footers of files, or of as many as have the first `num_rows` rows."""
    if opening.num_rows is None:
        with ThreadPool(opening.num_workers, "keras_oocore-footers") as threads:
            calls = [threads.submit(ParquetFile.open, file) for file in found]
            return [call.result() for call in calls]
    files, num_left = [], opening.num_rows
    for path in found:
        files.append(ParquetFile.open(path))
        num_left -= files[-1].num_rows
        if num_left <= 0:
            break
    return files


def _parts(files: Sequence[ParquetFile], key_types: Mapping[str, Any]) -> list[Part]:
    """Return the columns of the files, once for files with equal columns."""
    distinct: list[ParquetFile] = []
    for file in files:
        if not any(other.schema.equals(file.schema) and list(other.keys) == list(file.keys) for other in distinct):
            distinct.append(file)
    return [file.part(key_types) for file in distinct]
