"""`ArrowTable`: what the tables of all formats that have types share. A subclass reads the arrays of a chunk."""

import abc
import copy
import dataclasses
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import Cells, Column, require_pyarrow
from keras_oocore.csv.date_formats import are_days
from keras_oocore.csv.dates import DAYS, PARTS_OF_TIME, why_no_time
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.moments import ISO
from keras_oocore.csv.remedies import describe
from keras_oocore.csv.values import shortened
from keras_oocore.tables.arrow.cells import as_cells, large_whole_number, not_utf8, plain
from keras_oocore.tables.arrow.columns import IndexColumns, found_columns
from keras_oocore.tables.arrow.folders import key_array
from keras_oocore.tables.arrow.kinds import is_string, plain_type, zone_of
from keras_oocore.tables.arrow.looks import look_of
from keras_oocore.tables.arrow.part import Part
from keras_oocore.tables.csv.kinds import infer_kind, present
from keras_oocore.tables.csv.suspects import suspicion
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.opening import Opening

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

SAMPLED_PLACES, SAMPLED_ROWS = 8, 2000  # chunks, and rows of all of them together, that tell whether a column is an id
OPTIONS = ("null_values", "on_bad_row")  # options of reading of all formats that have types


class ArrowTable(TableFormat):
    """The rows of files or tables whose columns have Arrow types.

    A subclass sets `rows`, and implements `read_arrays`, `where`, both fingerprints and `save_indexes`.

    Args:
        paths: Paths of the files, or what messages call the table.
        parts: The columns of each file; files with equal columns need not be repeated.
        opening: How the data are opened.
        index: Names of the columns that were the index of a DataFrame. They are not features.

    Attributes:
        refused: Name of a column that cannot be read → why, as a sentence.
        rows_limit: The user's `num_rows`.

    Raises:
        OptionError: If an argument is not valid.
        MissingExtraError: If pyarrow is not installed.
    """

    _key_types: Mapping[str, Any] = types.MappingProxyType({})  # of the columns that folders name

    def __init__(self, paths: list[str], parts: Sequence[Part], opening: Opening, index: Sequence[str] = ()):
        require_pyarrow("Tables", "tables")
        given = {name: opening.reading[name] for name in OPTIONS if opening.reading.get(name) is not None}
        self._given = given
        self.options: CellOptions = CellOptions(**{"null_values": (), **given})
        self._parts: Sequence[Part] = parts
        self.rows_limit: int | None = opening.num_rows
        found = found_columns(parts, opening.dtypes, opening.known)
        super().__init__(paths, found.columns, {})
        self.refused: Mapping[str, str] = found.refused
        self.notes: dict[str, list[str]] = {}
        self.measured: set[str] = set()
        self.suspects: dict[str, str] = {}
        self._is_known, self._looked_at, self._given_kinds = opening.known is not None, set(), {*(opening.dtypes or ())}
        index = [name for name in index if name in self.columns]
        self.index_columns: Mapping[str, str] = IndexColumns(found.refused if opening.known is None else {}, index)
        self._warned_of_digits: set[str] = set()
        self.may_skip_rows: bool = self.options.on_bad_row == "skip"

    def raising(self) -> Self:
        """Return the same table, in which a row that `read` would skip is an error."""
        table = copy.copy(self)
        table.options = dataclasses.replace(self.options, on_bad_row="error")
        return table

    @abc.abstractmethod
    def read_arrays(self, chunk: int, names: Sequence[str]) -> Mapping[str, Any]:
        """Return the rows of one chunk: name → `pyarrow` array, or chunked array, for these columns of the files.

        Any number of threads may call this at once.

        Raises:
            DataError: If a file cannot be read, or changed.
        """

    def read(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of one chunk, as in `TableFormat`."""
        return self._cells(chunk, columns, self.read_arrays(chunk, _names_of(columns)))

    def read_first(self, columns: Sequence[Column], num_rows: int) -> Cells:
        """Return the cells of the first rows, as in `TableFormat`."""
        return self._cells(0, columns, self.sample_arrays(0, _names_of(columns), num_rows))

    def _cells(self, chunk: int, columns: Sequence[Column], arrays: Mapping[str, Any]) -> Cells:
        """Return the cells in the arrays of the first rows of a chunk."""
        rows = np.arange(len(next(iter(arrays.values()))))
        cells, readable = {}, np.ones(len(rows), bool)
        for column in columns:
            array = plain(self._as_written(chunk, column, arrays[column.name_in_file]))
            cells[column.name], wrong = as_cells(array, column, self.options)
            if column.kind in ("string", "text"):
                self._warn_of_lost_digits(column.name_in_file, array)
            if len(wrong) and self.options.on_bad_row == "error":
                raise self._error(chunk, int(wrong[0]), column, array)
            readable[wrong] = False
        found = Cells(rows, cells)
        return found if readable.all() else found.select(readable)

    def keys(self, chunk: int) -> Mapping[str, str | None]:
        """Return the columns that folders name, and that are not in the file: name → value in all rows of a chunk."""
        return {}

    def key_array(self, chunk: int, name: str, size: int) -> Any:
        """Return a column that a folder names, for `read_arrays`."""
        return key_array(self.keys(chunk)[name], self._key_types[name], size)

    def _as_written(self, chunk: int, column: Column, array: Any) -> Any:
        """Return the array, or for a column of strings that folders name, such as `01`, the names and not numbers."""
        keys, name = self.keys(chunk), column.name_in_file
        if column.kind not in ("string", "text") or name not in keys:
            return array
        return key_array(keys[name], pa.string(), len(array))

    def look_at(self, names: Iterable[str]) -> None:
        """Find out which of these columns say nothing about other rows, or may be meant as numbers or dates.

        The first rows of some chunks tell. A column of categories, or one in `dtypes`, is what it is.
        """
        wanted = dict.fromkeys(name for name in names if name in self.columns and name not in self._looked_at)
        columns = [self.columns[name] for name in wanted if self.columns[name].kind in ("float32", "string")]
        self._looked_at.update(wanted)
        if self._is_known or not columns or not self.num_rows:
            return
        sampled = self._sampled(list(wanted))
        for column in columns:
            texts = self._texts_in(sampled, column)
            is_chosen = column.name in self._given_kinds or pa.types.is_dictionary(sampled[0][column.name].type)
            if column.kind == "string" and not is_chosen:
                note, is_measured = look_of(column.name, texts, self.options)
                if note:
                    self.notes[column.name] = [note]
                if is_measured:
                    self.measured.add(column.name)
                    continue
            if column.kind == "float32" and not is_chosen and len(texts) and are_days(texts):
                self.notes[column.name] = list(infer_kind(texts, self.options).notes)
            reason = suspicion(column.name, column.kind, texts)
            if reason:
                self.suspects[column.name] = reason

    def _sampled(self, names: list[str]) -> list[Mapping[str, Any]]:
        """Return the first rows of some chunks, as `sample_arrays` does."""
        places = np.unique(np.linspace(0, self.num_chunks - 1, SAMPLED_PLACES).round().astype(int)).tolist()
        return [self.sample_arrays(place, names, SAMPLED_ROWS // len(places)) for place in places]

    def _texts_in(self, sampled: list[Mapping[str, Any]], column: Column) -> Any:
        """Return the cells of a column in sampled rows as strings, without missing ones."""
        text = dataclasses.replace(column, kind="string")
        texts = [as_cells(sample[column.name], text, self.options)[0] for sample in sampled]
        return present(texts, self.options.null_values)

    def sample_arrays(self, chunk: int, names: Sequence[str], num_rows: int) -> Mapping[str, Any]:
        """Return the first `num_rows` rows of a chunk, as `read_arrays` does. A subclass may read less to do so."""
        return {name: array.slice(0, num_rows) for name, array in self.read_arrays(chunk, names).items()}

    def column(self, name: str, argument: str) -> Column:
        """Return the column named `name`, as in `NamedColumns`; also one that cannot be read, to exclude it."""
        if name in self.refused:
            if argument == "exclude":
                return Column(name, -1, "string")
            raise OptionError(f"`{argument}` names a column that cannot be read: {self.refused[name]}")
        return super().column(name, argument)

    def why_no_part(self, column: Column, part: str) -> str:
        """Return why a column of dates has no part such as `"hour"`, or `""`, as in `NamedColumns`."""
        types = {file.name: plain_type(file.types[column.name]) for file in self._parts}
        without = [(name, dtype) for name, dtype in types.items() if pa.types.is_date(dtype)]
        if part in PARTS_OF_TIME and without:
            name, dtype = without[0]
            return f"its type {dtype} {f'in {name} ' if len(types) > 1 else ''}has none"
        zones = {zone_of(dtype): name for name, dtype in reversed(types.items()) if pa.types.is_timestamp(dtype)}
        if part != DAYS and len(zones) > 1 and column.zone is None:
            found = " and ".join(f"{zone!r} in {name}" for zone, name in sorted(zones.items(), key=str)[:2])
            return f"its time zone is {found}. Write all files in one time zone"
        are_strings = all(map(is_string, types.values())) and column.format == ISO
        if part in PARTS_OF_TIME and are_strings and self.num_rows and not self._is_known:
            return why_no_time(self._texts_in(self._sampled([column.name]), column))
        return super().why_no_part(column, part)

    def has_decimals(self, column: Column) -> bool:
        """Return whether a column is of a type of decimal numbers in one of the files, as in `TableFormat`."""
        types = (part.types[column.name] for part in self._parts if column.name in part.types)
        return any(pa.types.is_decimal(plain_type(dtype)) for dtype in types)

    def float_bits(self, column: Column) -> set[int]:
        """Return how many bits the floats of a column of numbers have, in all files, as in `TableFormat`."""
        types = {plain_type(part.types[column.name]) for part in self._parts if column.name in part.types}
        others = {dtype for dtype in types if not (pa.types.is_integer(dtype) or pa.types.is_null(dtype))}
        return {dtype.bit_width if pa.types.is_floating(dtype) else 64 for dtype in others}

    @property
    def source(self) -> str:
        """What messages and `repr` call the files."""
        return super().source if self.rows_limit is None else f"{super().source} (num_rows={self.rows_limit})"

    def reading_options(self) -> dict[str, Any]:
        """Return the user's options that say how files are read, as in `TableFormat`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._given.items()}

    def of_reading(self) -> dict[str, Any]:
        """Return the part of the fingerprint that says how cells are read, as plain JSON."""
        return {**self.of_rows(), "null_values": list(self.options.null_values)}

    def of_rows(self) -> dict[str, Any]:
        """Return the part of both fingerprints that says which rows are read, as plain JSON."""
        limit = {} if self.rows_limit is None else {"num_rows": self.rows_limit}
        return {**limit, "on_bad_row": self.options.on_bad_row}

    def _warn_of_lost_digits(self, name: str, array: Any) -> None:
        """Warn once of names that are floats and so large that several integers are the same float."""
        if name in self._warned_of_digits or not (large := large_whole_number(array)):
            return
        self._warned_of_digits.add(name)
        warn_user(
            f"Column {name!r} has floats from 2^53 on, such as {large:.0f}: different integers may have become one "
            "number before. pandas turns integers into floats if a cell of their column is missing. Read them as dtype "
            "'Int64' or as strings."
        )

    def _error(self, chunk: int, row: int, column: Column, array: Any) -> DataError:
        """Return the error for a cell that cannot be read."""
        name = column.name_in_file
        where = f"{self.where(chunk, row)}, column {name!r} (#{self.position(chunk, column)})"
        if (raw := not_utf8(array, row)) is not None:
            return DataError(
                f"{where}: the string is not UTF-8. Received: {shortened(raw)!r}. Fix: on_bad_row='skip', or write the "
                "table again in UTF-8."
            )
        text = shortened(_shown(array[row]))
        missing = f"null_values=[..., {text!r}], " if is_string(array.type) else ""
        return DataError(
            f"{where}: cannot read {text!r} as {describe(column)}. Fix: {missing}on_bad_row='skip', or "
            f"dtypes={{{name!r}: 'string'}}."
        )


def _names_of(columns: Sequence[Column]) -> list[str]:
    """Return the names of columns in the files, each once."""
    return list(dict.fromkeys(column.name_in_file for column in columns))


def _shown(cell: Any) -> str:
    """Return how messages show a cell of `pyarrow`. Python has no dates beyond the year 9999."""
    try:
        return str(cell.as_py())
    except (ValueError, OverflowError):
        return str(cell.value)
