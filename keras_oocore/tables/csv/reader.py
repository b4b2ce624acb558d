"""The cells of one chunk of a CSV file as typed columns, or an error that names file, row, line and column.

pyarrow parses: one chunk at a time, which it sees as one block, so that no type is guessed and no record is cut. Its
traps that this avoids are each in a test.
"""

import codecs
import contextlib
import dataclasses
import threading
from collections.abc import Sequence

import numpy as np

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.tables.csv.marks import look, mark, positions
from keras_oocore.tables.csv.scan import CHUNK_BYTES, Dialect, RecordIndex, locate, read_chunk
from keras_oocore.tables.csv.values import (
    FALSE_VALUES,
    LARGEST_FLOAT32,
    NULL_VALUES,
    TRUE_VALUES,
    as_numbers,
    as_seconds,
    is_one_of,
    shortened,
)

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as pa_csv
except ImportError:  # the `csv` extra is not installed
    pa = None

SAMPLED_BYTES = 2**16  # in one place, to tell what kind columns are


@dataclasses.dataclass(frozen=True)
class Column:
    """A column that is read.

    Attributes:
        name: in the header, or as the user calls it.
        position: in the file, from 0.
        kind: `"float32"`, `"bool"`, `"string"` or `"date"`.
        format: of a date, as in `datetime.strptime`.
    """

    name: str
    position: int
    kind: str
    format: str | None = None


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of a chunk.

    Attributes:
        rows: `int64`, which of the chunk's rows these are; all of them unless some were skipped.
        columns: name → a `pyarrow` array: `double` for numbers, for dates (seconds since 1970) and for truth values (0
            or 1), `string` for text; null where a cell is missing.
    """

    rows: np.ndarray
    columns: dict

    def take(self, mask: np.ndarray) -> "Cells":
        """Those of some rows, `bool` of shape `(n,)`."""
        chosen = pa.array(mask)
        return Cells(self.rows[mask], {name: cells.filter(chosen) for name, cells in self.columns.items()})


class CSVReader:
    """Reads chunks of files that all have the same columns. Any number of threads may share it.

    Args:
        num_columns: in the file.
        columns: those that are wanted, at least one.
        null_values: texts that stand for a missing cell, when they are not between quotes; in a column that is not of
            text also between quotes, or padded, unless they are numbers there.
        decimal: `"."` or `","`.
        on_bad_row: `"error"`, or `"skip"` to leave out a row that has too few or too many cells, or one that cannot be
            read.

    Raises:
        OptionError: for an argument that cannot work.
        MissingExtraError: when pyarrow is not installed.

    >>> import tempfile
    >>> from keras_oocore.tables.csv.scan import Dialect, index_records
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city\\n1000,Rome\\nNA,\\n")
    >>> reader = CSVReader(2, [Column("sqft", 0, "float32"), Column("city", 1, "string")])
    >>> cells = reader.read(index_records(path, Dialect()), chunk=0)
    >>> cells.columns["sqft"].to_pylist(), cells.columns["city"].to_pylist()
    ([1000.0, None], ['Rome', None])
    """

    def __init__(
        self,
        num_columns: int,
        columns: Sequence[Column],
        null_values: Sequence[str] = NULL_VALUES,
        decimal: str = ".",
        on_bad_row: str = "error",
    ):
        require_pyarrow()
        if decimal not in (".", ","):
            raise OptionError(f"`decimal` should be '.' or ','. Received: decimal={decimal!r}")
        if on_bad_row not in ("error", "skip"):
            raise OptionError(f'`on_bad_row` should be "error" or "skip". Received: on_bad_row={on_bad_row!r}')
        if not _are_texts(null_values):
            raise OptionError(f"`null_values` should be a list of texts. Received: null_values={null_values!r}")
        self.num_columns = num_columns
        self.columns = tuple(columns)
        self.null_values = tuple(null_values)
        self.decimal = decimal
        self.on_bad_row = on_bad_row
        self._own = threading.local()

    def read(self, index: RecordIndex, chunk: int) -> Cells:
        """The cells of one chunk.

        Raises:
            DataError: for a row of another length or a cell that cannot be read, when `on_bad_row="error"`; when the
                file changed.
        """
        table, ragged = self._parsed(read_chunk(index, chunk, self._memory()), index.dialect)
        rows = np.arange(index.rows[chunk + 1] - index.rows[chunk])
        if ragged:
            rows = np.delete(rows, [row for row, _ in ragged])
        if len(rows) != len(table[self.columns[0].name]):
            raise DataError(
                f"{index.path}: {len(rows)} rows were counted after row {index.rows[chunk]} (line "
                f"{index.lines[chunk]}), where pyarrow finds {len(table[self.columns[0].name])}. Please report it."
            )
        columns, wrong = {}, {}  # the latter: column -> places in the table of cells that cannot be read
        for column in self.columns:
            columns[column.name], places = self._converted(column, table[column.name])
            if len(places):
                wrong[column] = places
        if self.on_bad_row == "error" and (ragged or wrong):
            raise self._error(index, chunk, ragged, rows, table, wrong)
        cells = Cells(rows, columns)
        if not wrong:
            return cells
        readable = np.ones(len(rows), bool)
        readable[np.concatenate(list(wrong.values()))] = False
        return cells.take(readable)

    def sample(self, index: RecordIndex, chunk: int, num_pieces: int) -> dict:
        """Cells from so many places of a chunk: name → `pyarrow` array of text. All columns are of kind `"string"`.

        Rows of another length and wrong bytes are left to those who read all of the chunk.
        """
        data = read_chunk(index, chunk, self._memory())
        if num_pieces == 1:
            data = _head(data, index.dialect)
        elif len(data) > num_pieces * SAMPLED_BYTES:
            data = _pieces(data, index.dialect, num_pieces)
        table, _ = self._parsed(data, index.dialect)
        return {column.name: self._converted(column, table[column.name])[0] for column in self.columns}

    def __reduce__(self):
        return CSVReader, (self.num_columns, self.columns, self.null_values, self.decimal, self.on_bad_row)

    def _memory(self) -> np.ndarray:
        """What this thread reads chunks into."""
        if not hasattr(self._own, "memory"):
            self._own.memory = np.empty(CHUNK_BYTES, np.uint8)
        return self._own.memory

    def _parsed(self, data: bytes | memoryview, dialect: Dialect) -> tuple[dict, list[tuple[int, int]]]:
        """The wanted columns, and `(row, number of cells)` of each row that has too few or too many.

        Numbers come as such where all of a chunk can be read as numbers; otherwise all columns come as text, or as
        bytes where some are no text.
        """
        data = _as_utf8(data, dialect.encoding)
        numbers = [pa.float64() if column.kind == "float32" else pa.string() for column in self.columns]
        for types in (numbers, [pa.string()] * len(numbers), [pa.binary()] * len(numbers)):
            try:
                arrays, ragged = self._parsed_as(types, data, dialect.delimiter)
            except pa.ArrowInvalid as error:
                refused = error
            else:
                if not any(_is_doubtful(array) for array in arrays):
                    return {column.name: array for column, array in zip(self.columns, arrays)}, ragged
        raise refused

    def _parsed_as(self, types: list, data: bytes | memoryview, delimiter: str) -> tuple[list, list[tuple[int, int]]]:
        ragged = []

        def skip(row):
            ragged.append((row.number - 1, row.actual_columns))
            return "skip"

        names = [str(column.position) for column in self.columns]  # those of the file may hold anything
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            pa_csv.ReadOptions(
                use_threads=False,
                block_size=len(data) + 1,
                column_names=[str(position) for position in range(self.num_columns)],
            ),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
            pa_csv.ConvertOptions(
                column_types=dict(zip(names, types)),
                include_columns=names,
                null_values=self.null_values,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                decimal_point=self.decimal,
            ),
        )
        return [table.column(i).combine_chunks() for i in range(len(types))], ragged

    def _converted(self, column: Column, cells) -> tuple:
        """The cells as `double` or text, and the places of those that cannot be read."""
        if pa.types.is_floating(cells.type) or (column.kind == "string" and pa.types.is_string(cells.type)):
            return cells, np.zeros(0, np.int64)
        missing = pc.is_null(cells)
        if pa.types.is_binary(cells.type):
            cells = pa.array([_as_text(cell) for cell in cells.to_pylist()], pa.string())
        if column.kind == "string":
            values = cells
        else:
            texts = pc.utf8_trim_whitespace(cells)
            values = self._as_values(column, texts)
            missing = pc.or_(missing, is_one_of(texts, self.null_values))  # quoted or padded, as some write them
        wrong = pc.and_not(pc.is_null(values), missing).to_numpy(zero_copy_only=False)
        return values, np.flatnonzero(wrong)

    def _as_values(self, column: Column, texts):
        """Texts as `double`; null where one cannot be read."""
        if column.kind == "float32":
            return as_numbers(texts, self.decimal)
        if column.kind == "date":
            return as_seconds(texts, column.format)
        values = is_one_of(texts, TRUE_VALUES).cast(pa.float64())
        return pc.if_else(is_one_of(texts, TRUE_VALUES + FALSE_VALUES), values, pa.scalar(None, pa.float64()))

    def _error(self, index, chunk: int, ragged: list, rows: np.ndarray, table: dict, wrong: dict) -> DataError:
        """The error of the first row that cannot be read."""
        column = min(wrong, key=lambda column: (wrong[column][0], column.position), default=None)
        if column is None or (ragged and ragged[0][0] < rows[wrong[column][0]]):
            row, num_cells = ragged[0]
            place = locate(index, chunk, row)
            text = shortened(place.text.decode(index.dialect.encoding, "replace"))
            return DataError(
                f"{index.path}: row {place.row} (line {place.line}): {num_cells} "
                f"cell{'s' * (num_cells != 1)} and not {self.num_columns}, in {text!r}. "
                "Fix: mend the row, or on_bad_row='skip'."
            )
        first = int(wrong[column][0])
        place = locate(index, chunk, int(rows[first]))
        text = _as_written(table[column.name][first].as_py())
        kind = index.dialect.encoding if isinstance(text, bytes) else _described(column)
        return DataError(
            f"{index.path}: row {place.row} (line {place.line}), column {column.name!r} (#{column.position}): "
            f"cannot read {shortened(text)!r} as {kind}. Fix: {_fix(column, text)}, or on_bad_row='skip'."
        )


def num_cells(record: bytes, dialect: Dialect) -> int:
    """How many cells a record has."""
    options = pa_csv.ReadOptions(
        autogenerate_column_names=True, block_size=len(record) + 2, encoding="latin-1", use_threads=False
    )
    parsing = pa_csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True)
    return pa_csv.read_csv(pa.py_buffer(record + b"\n"), options, parsing).num_columns


def is_missing(cells) -> np.ndarray:
    """Which cells are missing, `bool` of shape `(n,)`."""
    return np.zeros(len(cells), bool) if not cells.null_count else cells.is_null().to_numpy(zero_copy_only=False)


def as_codes(cells, vocabulary: Sequence[str]) -> np.ndarray:
    """The place of each text in `vocabulary`, `int32` of shape `(n,)`; -1 for others and for missing cells."""
    places = pc.index_in(cells, pa.array(vocabulary, pa.string()), skip_nulls=True)
    return places.fill_null(-1).to_numpy(zero_copy_only=False)


def counted(cells) -> dict:
    """How often each text comes, missing cells left out."""
    values, counts = pc.value_counts(cells.drop_null()).flatten()
    return dict(zip(values.to_pylist(), counts.to_pylist()))


def distinct(cells) -> np.ndarray:
    """The different numbers, `float64`, missing cells left out; in no particular order."""
    return pc.unique(cells.drop_null()).to_numpy(zero_copy_only=False)


def null_texts(null_values: Sequence) -> Sequence[str]:
    """The same texts, with the usual ones in place of `...`.

    >>> null_texts([..., "-"])[-2:], null_texts(["-"])
    (['None', '-'], ['-'])
    """
    if not isinstance(null_values, list | tuple) or ... not in null_values:
        return null_values
    return [text for value in null_values for text in (NULL_VALUES if value is ... else [value])]


def give_memory_back() -> None:
    """Give what pyarrow keeps for later back to the system."""
    if pa is not None:
        pa.default_memory_pool().release_unused()


def require_pyarrow() -> None:
    """Raise when pyarrow is not installed.

    Raises:
        MissingExtraError: with the line that installs it.
    """
    if pa is None:
        raise MissingExtraError("CSV files want pyarrow: pip install 'keras_oocore[csv]'")


def _as_utf8(data: bytes | memoryview, encoding: str) -> bytes | memoryview:
    """The same text in UTF-8; bytes that are none in `encoding` stay as they are, which is none in UTF-8 either."""
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii"):
        return data
    return str(data, encoding, "surrogateescape").encode("utf-8", "surrogateescape")


def _head(data: bytes, dialect: Dialect) -> bytes:
    """The first rows of a chunk, at least one; most of it is not looked at."""
    for size_bytes in (2 * SAMPLED_BYTES, len(data)):
        starts = _row_starts(data[:size_bytes], dialect)
        enough = np.searchsorted(starts, SAMPLED_BYTES)
        if enough < len(starts):
            return data[: starts[enough]]
    return data


def _pieces(data: bytes, dialect: Dialect, num_pieces: int) -> bytes:
    """Rows from so many places of a chunk, from its first to its last."""
    starts = _row_starts(data, dialect)
    wanted = np.linspace(0, len(data) - SAMPLED_BYTES, num_pieces).astype(np.int64)
    bounds = np.searchsorted(starts, np.stack([wanted, wanted + SAMPLED_BYTES]))
    bounds[1] = np.maximum(bounds[1], bounds[0] + 1)  # a row that is longer than a piece
    offsets = np.append(starts, [len(data)] * 2)[bounds]
    return b"".join(data[start:stop] for start, stop in offsets.T.tolist())


def _row_starts(data: bytes, dialect: Dialect) -> np.ndarray:
    """Where the rows of a chunk begin."""
    framed = np.frombuffer(b"\n" + data + dialect.delimiter.encode(), np.uint8)
    return positions(mark(look(framed, dialect)).row_starts)


def _are_texts(values) -> bool:
    """Whether it is a list of texts."""
    return (
        isinstance(values, Sequence) and not isinstance(values, str) and all(isinstance(text, str) for text in values)
    )


def _is_doubtful(cells) -> bool:
    """Whether a cell is no finite number of `float32`: too large, or written as "inf" or "NAN"."""
    if not pa.types.is_floating(cells.type):
        return False
    values = cells.to_numpy(zero_copy_only=False)
    if cells.null_count:
        values = values[~is_missing(cells)]
    return bool(len(values)) and not -LARGEST_FLOAT32 <= values.min() <= values.max() <= LARGEST_FLOAT32


def _as_text(cell: bytes | None) -> str | None:
    text = None if cell is None else _as_written(cell)
    return text if isinstance(text, str) else None


def _as_written(cell: str | bytes) -> str | bytes:
    """A cell for a message: as text where it is text."""
    with contextlib.suppress(UnicodeDecodeError):
        return cell.decode() if isinstance(cell, bytes) else cell
    return cell


def _described(column: Column) -> str:
    return {"bool": "true or false", "date": f"a date like {column.format!r}"}.get(column.kind, column.kind)


def _fix(column: Column, text: str | bytes) -> str:
    if isinstance(text, bytes):
        return "the encoding of the file, such as encoding='latin-1'"
    if column.kind == "float32" and text in TRUE_VALUES + FALSE_VALUES:
        return f"dtypes={{{column.name!r}: 'bool'}}"
    if text != shortened(text):
        return f"dtypes={{{column.name!r}: 'string'}}"
    return f"dtypes={{{column.name!r}: 'string'}}, null_values=[..., {text!r}]"
