"""The cells of one chunk of a CSV file as typed columns, or an error that names file, row, line and column.

pyarrow parses one chunk at a time as a single block, so that it neither infers types nor cuts a record in two. The
tests list the pitfalls of pyarrow that this avoids.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from keras_oocore.core.errors import CSVError, DataError
from keras_oocore.csv.cells import LARGEST_FLOAT32, Cells, Column, is_blank, is_missing, require_pyarrow
from keras_oocore.csv.chunks import locate, read_chunk
from keras_oocore.csv.conversion import convert
from keras_oocore.csv.decoding import EVERY_BYTE, as_bytes, as_utf8, decoded, from_every_byte, is_utf8
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.csv.faults import option_for
from keras_oocore.csv.index import CHUNK_BYTES, RecordIndex
from keras_oocore.csv.parsing import parse_options, parseable
from keras_oocore.csv.remedies import describe, remedy
from keras_oocore.csv.sample import first_rows, sample_rows
from keras_oocore.csv.values import shortened

try:
    import pyarrow as pa
    from pyarrow import csv as pa_csv
except ImportError:  # the `csv` extra is not installed
    pa = None

Extra = Literal["first", "last"]  # a cell of each row that the header does not name
EXPECTED: dict[Extra | None, str] = {
    None: "",
    "first": " (the name of the row is the first one)",
    "last": " (the last one is empty)",
}


class CSVReader:
    """Reads chunks of files that have the same columns. Any number of threads may share it.

    Args:
        num_columns: Number of cells per row.
        options: How to read the cells.
        extra: Which cell of a row belongs to no name of the header. If it is the last one, it must be empty.

    Raises:
        MissingExtraError: If pyarrow is not installed.

    >>> import tempfile
    >>> from keras_oocore.csv.scan import index_records
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city\\n1000,Rome\\nNA,\\n")
    >>> columns = [Column("sqft", 0, "float32"), Column("city", 1, "string")]
    >>> cells = CSVReader(num_columns=2).read(index_records(path, Dialect()), chunk=0, columns=columns)
    >>> cells.columns["sqft"].to_pylist(), cells.columns["city"].to_pylist()
    ([1000.0, None], ['Rome', None])
    """

    def __init__(self, num_columns: int, options: CellOptions | None = None, extra: Extra | None = None):
        require_pyarrow()
        self.num_columns = num_columns
        self.options: CellOptions = options or CellOptions()
        self.extra: Extra | None = extra
        self._names = [str(position) for position in range(num_columns)]  # the file's own names may hold any character
        self._empty = [Column("\0", num_columns - 1, "string")] if extra == "last" else []
        self._own = threading.local()

    def read(self, index: RecordIndex, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of one chunk.

        Args:
            index: The index of the file.
            chunk: Number of the chunk.
            columns: The columns to read, at least one.

        Raises:
            DataError: If the file changed; or, with `on_bad_row="error"`, if a row has too few or too many cells or a
                cell cannot be read.
        """
        data = read_chunk(index, chunk, self._memory())
        table, ragged = self._parse(data, index.dialect, [*columns, *self._empty])
        rows = np.arange(index.rows[chunk + 1] - index.rows[chunk])
        num_found = len(table[columns[0].name]) + len(ragged)
        if len(rows) != num_found:
            raise DataError(
                f"{index.path}: {len(rows)} rows were counted after row {index.rows[chunk]} (line "
                f"{index.lines[chunk]}), but pyarrow finds {num_found}. If an index of the file was saved, remove it. "
                "Otherwise, please report it."
            )
        if ragged:
            rows = np.delete(rows, [row for row, _ in ragged])
        converted, wrong = {}, {}  # the latter: column -> positions in the table of cells that cannot be read
        for column in columns:
            converted[column.name], unreadable = convert(column, table[column.name], self.options)
            if len(unreadable):
                wrong[column] = unreadable
        for column in self._empty:
            filled = np.flatnonzero(~is_blank(table[column.name]))
            if len(filled):
                wrong[column] = filled
        if self.options.on_bad_row == "error" and (ragged or wrong):
            raise self._error(index, chunk, ragged, rows, table, wrong)
        cells = Cells(rows, converted)
        if not wrong:
            return cells
        readable = np.ones(len(rows), bool)
        readable[np.concatenate(list(wrong.values()))] = False
        return cells.select(readable)

    def sample(self, index: RecordIndex, chunk: int, columns: Sequence[Column], num_pieces: int) -> dict[str, Any]:
        """Return cells from several places of a chunk as strings: name → `pyarrow` array.

        Rows with too few or too many cells and undecodable bytes are ignored; `read` reports them.
        """
        data = sample_rows(read_chunk(index, chunk, self._memory()), index.dialect, num_pieces)
        table, _ = self._parse(data, index.dialect, columns)
        return {column.name: convert(column, table[column.name], self.options)[0] for column in columns}

    def first_rows(self, index: RecordIndex, column: Column) -> tuple[Any, Counter[int]]:
        """Return the strings of a column in the first rows of a file, and how many rows have how many cells.

        As `sample`, it ignores rows with too few or too many cells.
        """
        table, ragged = self._parse(first_rows(index), index.dialect, [column])
        widths = Counter(num_found for _, num_found in ragged)
        widths[self.num_columns] = len(table[column.name])
        return convert(column, table[column.name], self.options)[0], widths

    def __reduce__(self) -> tuple[Any, ...]:
        return CSVReader, (self.num_columns, self.options, self.extra)

    def _memory(self) -> np.ndarray:
        """Return the buffer into which this thread reads chunks."""
        if not hasattr(self._own, "memory"):
            self._own.memory = np.empty(CHUNK_BYTES, np.uint8)
        return self._own.memory

    def _parse(
        self, data: bytes | memoryview, dialect: Dialect, columns: Sequence[Column]
    ) -> tuple[dict, list[tuple[int, int]]]:
        """Return the columns, and `(row, number of cells)` for each row that has too few or too many.

        Columns of numbers are `double` if every number of the chunk can be read. Otherwise all columns are strings, or
        bytes if some cannot be decoded.
        """
        data = parseable(as_utf8(data, dialect.encoding), dialect)
        texts = {column.position for column in columns if column.kind != "float32"}
        positions = sorted({column.position for column in columns})  # parts of a date share theirs
        numbers = [pa.string() if position in texts else pa.float64() for position in positions]
        strings = [pa.string()] * len(positions)
        null_values = () if columns[0].kind == "text" else self.options.null_values
        # pyarrow decodes a row with too few or too many cells before it asks what to do about it, and fails otherwise.
        encoding = "utf8" if is_utf8(data) else None
        for types in (numbers, strings, [pa.binary()] * len(positions)):
            try:
                arrays, ragged = self._parse_as(types, data, dialect, positions, null_values, encoding)
            except pa.ArrowInvalid as error:
                refused = error
            else:
                if not any(_is_doubtful(array) for array in arrays.values()):
                    return {column.name: arrays[column.position] for column in columns}, ragged
        if encoding is not None:
            raise refused
        null_values = [str(value.encode(), EVERY_BYTE) for value in null_values]
        arrays, ragged = self._parse_as(strings, from_every_byte(data), dialect, positions, null_values, EVERY_BYTE)
        found = {position: as_bytes(array) for position, array in arrays.items()}
        return {column.name: found[column.position] for column in columns}, ragged

    def _parse_as(
        self,
        types: list,
        data: bytes | memoryview,
        dialect: Dialect,
        positions: Sequence[int],
        null_values: Sequence[str],
        encoding: str | None,
    ) -> tuple[dict[int, Any], list[tuple[int, int]]]:
        """Parse columns as pyarrow types, and return position → array.

        Args:
            types: Type of each column.
            data: The rows, as `parseable` returns them.
            dialect: The dialect of the file.
            positions: Positions of the columns, each once.
            null_values: Strings that mark a missing cell.
            encoding: `"utf8"`; `EVERY_BYTE` for rows that are the result of `from_every_byte`; or `None` for UTF-8 with
                bytes that cannot be decoded, where a row with too few or too many cells raises `ArrowInvalid`.
        """
        ragged = []

        def skip(row):
            ragged.append((row.number - 1, row.actual_columns))
            return "skip"

        names = [self._names[position] for position in positions]
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            pa_csv.ReadOptions(
                use_threads=False,
                block_size=len(data) + 1,
                column_names=self._names,
            ),
            parse_options(dialect, invalid_row_handler=skip if encoding else None),
            pa_csv.ConvertOptions(
                column_types=dict(zip(names, types)),
                include_columns=names,
                null_values=null_values,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                decimal_point=self.options.decimal,
            ),
            memory_pool=pa.system_memory_pool(),  # mimalloc, the default, would return and clear the pages per chunk
        )
        return {position: _joined(table.column(i)) for i, position in enumerate(positions)}, ragged

    def _error(
        self, index, chunk: int, ragged: list, rows: np.ndarray, table: dict[str, Any], wrong: dict[str, Any]
    ) -> CSVError:
        """Return the error for the first row that cannot be read."""
        column = min(wrong, key=lambda column: (wrong[column][0], column.position), default=None)
        if column is None or (ragged and ragged[0][0] < rows[wrong[column][0]]):
            row, num_found = ragged[0]
            place = locate(index, chunk, row)
            text = shortened(place.text.decode(index.dialect.encoding, "replace"))
            expected = f"{self.num_columns} cells{EXPECTED[self.extra]}"
            return CSVError.of(
                index.path,
                f"row {place.row} (line {place.line}): expected {expected}, found {num_found}, in {text!r}.",
                f"{option_for(place.text, index.dialect)} Fix the row, or on_bad_row='skip'.".lstrip(),
            )
        first = int(wrong[column][0])
        place = locate(index, chunk, int(rows[first]))
        cells = table[column.name]
        text = decoded(cells[first].as_py())
        if column in self._empty:
            return CSVError.of(
                index.path,
                f"row {place.row} (line {place.line}): expected an empty cell after the last delimiter, as in the "
                f"first rows, found {shortened(text)!r}.",
                "Fix: name this column too, column_names=[...], or on_bad_row='skip'.",
            )
        kind = index.dialect.encoding if isinstance(text, bytes) else describe(column)
        others = cells if pa.types.is_string(cells.type) else pa.array([], pa.string())
        return CSVError.of(
            index.path,
            f"row {place.row} (line {place.line}), column {column.name_in_file!r} (#{column.position}): "
            f"cannot read {shortened(text)!r} as {kind}.",
            f"Fix: {remedy(column, text, others, self.options)}.",
        )


def num_cells(record: bytes, dialect: Dialect) -> int:
    """Return the number of cells of a record."""
    data = from_every_byte(parseable(record + b"\n", dialect))
    options = pa_csv.ReadOptions(autogenerate_column_names=True, block_size=len(data) + 1, use_threads=False)
    return pa_csv.read_csv(pa.py_buffer(data), options, parse_options(dialect)).num_columns


def _joined(cells: Any) -> Any:
    """Return a chunked array as one array. `combine_chunks` would copy a single chunk."""
    return cells.chunk(0) if cells.num_chunks == 1 else cells.combine_chunks()


def _is_doubtful(cells) -> bool:
    """Return whether a cell is not a finite number of `float32`: too large, or written as "inf" or "NAN"."""
    if not pa.types.is_floating(cells.type):
        return False
    values = cells.to_numpy(zero_copy_only=False)
    if cells.null_count:
        values = values[~is_missing(cells)]
    return bool(len(values)) and not -LARGEST_FLOAT32 <= values.min() <= values.max() <= LARGEST_FLOAT32
