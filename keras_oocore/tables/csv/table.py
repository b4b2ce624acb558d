"""One or several CSV files as one table: its columns, their kinds, and its chunks of rows.

The kinds are inferred once, from cells of all files, and do not change while a model trains.
"""

import contextlib
import copy
import dataclasses
import itertools
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.checks import positive
from keras_oocore.core.errors import DataError
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.csv.cells import Cells, Column, require_pyarrow
from keras_oocore.csv.chunks import index_of_first_rows, locate
from keras_oocore.csv.codecs import codec_of
from keras_oocore.csv.dates import PARTS_OF_TIME
from keras_oocore.csv.dialect import SPACES, CellOptions, Dialect, OnBadRow
from keras_oocore.csv.index import CHUNK_BYTES, RecordIndex
from keras_oocore.csv.reader import CSVReader
from keras_oocore.csv.scan import index_records
from keras_oocore.csv.shape import OTHER_DELIMITERS
from keras_oocore.tables.csv.first_row import require_header
from keras_oocore.tables.csv.inferred import InferredColumns, Place
from keras_oocore.tables.csv.kinds import given_kinds
from keras_oocore.tables.csv.names import table_names
from keras_oocore.tables.csv.paths import INDEX_SUFFIX, paths_of
from keras_oocore.tables.csv.unpacked import unpacked
from keras_oocore.tables.described_files import described, described_copy
from keras_oocore.tables.format import TableFormat

READING_OPTIONS = (
    *(field.name for field in dataclasses.fields(Dialect)),
    *(field.name for field in dataclasses.fields(CellOptions)),
    "column_names",
    "index_column",
)  # names of the options that say how files are read
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
SAMPLED_PLACES = 8  # in the table, to infer the kinds of the columns


class CSVTable(TableFormat):
    """The rows of CSV files that have the same columns.

    Args:
        data: A path, a pattern such as `"part-*.csv"`, or a list of paths.
        dialect: The dialect of the files.
        options: How to read the cells.
        column_names: Names that replace those of the header, or names for files without a header.
        sure_of_header: Whether the first row is a header for sure. Otherwise an error if it may be data, in place of
            which `column_names` are given.
        index_column: Name of a column of row names, or of a column that is never a feature unless it is named.
        num_rows: Number of rows to read, over all files, or `None` for all rows.
        dtypes: Column → kind, for columns whose kind should not be inferred: `"float32"` (or any other type of
            numbers), `"bool"`, `"string"`, or the format of a date, such as `"%Y-%m-%d"`.
        num_workers: Number of threads that scan the files. Defaults to `1`.
        cache: Directory of a cache, where compressed files are unpacked.
        kept_in: Directories where `save_indexes` may have stored indexes, besides the folders of the files.
        known: Name → column of other rows. Columns of these names are of the same kinds, and no kind is inferred.

    Attributes:
        indexes: The `RecordIndex` of each file.
        rows_limit: The user's `num_rows`.

    Raises:
        DataError: If a file does not exist or is empty, if the columns of a file differ from those of the first, if a
            name occurs twice, or if it is not clear whether a file has a header.
        OptionError: If an argument is not supported.
        MissingExtraError: If pyarrow is not installed.

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city\\n1000,Rome\\n2000,Oslo\\n")
    >>> table = CSVTable(path, Dialect())
    >>> table.num_rows, [(column.name, column.kind) for column in table.columns.values()]
    (2, [('sqft', 'float32'), ('city', 'string')])
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        dialect: Dialect,
        options: CellOptions | None = None,
        column_names: Sequence[str] | None = None,
        dtypes: Mapping[str, object] | None = None,
        num_workers: int = 1,
        cache: Path | None = None,
        kept_in: Sequence[Path] = (),
        sure_of_header: bool = True,
        index_column: str | None = None,
        num_rows: int | None = None,
        known: Mapping[str, Column] | None = None,
    ):
        require_pyarrow()
        num_left = None if num_rows is None else positive(num_rows, "num_rows")
        self.rows_limit: int | None = num_left
        paths = paths_of(data)
        self.dialect: Dialect = dialect
        self.options: CellOptions = options or CellOptions()
        on_bad_row = self.options.on_bad_row
        self.indexes: list[RecordIndex] = []
        for number, path in enumerate(paths):
            if num_left == 0:
                break
            codec = None if cache is None else codec_of(path)
            plain = path if codec is None else unpacked(path, codec, cache, number)
            kept = [plain + INDEX_SUFFIX, *(folder / _index_name(number) for folder in kept_in)]
            index = _kept_index(plain, dialect, on_bad_row, kept, num_left)
            index = index or _index(plain, dialect, on_bad_row, num_workers, num_left)
            self.indexes.append(index)
            num_left = None if num_left is None else num_left - index.num_rows
        self.paths: list[str] = paths[: len(self.indexes)]
        self._chunks = [(file, chunk) for file, index in enumerate(self.indexes) for chunk in range(index.num_chunks)]
        sizes = [np.diff(index.rows) for index in self.indexes]
        self.rows: np.ndarray = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
        self.may_skip_rows: bool = on_bad_row == "skip"
        self.num_bad_rows: int = sum(len(index.bad) for index in self.indexes)
        found = table_names(self.indexes, column_names, index_column)
        super().__init__(self.paths, {}, {})
        self.index_columns: dict[str, str] = found.index_columns
        self._positions = found.positions
        self._column_names = None if column_names is None else list(column_names)
        self._index_column = index_column
        kinds_of_rows = {(shape.num_cells, shape.extra) for shape in found.shapes}
        readers = {kind: CSVReader(kind[0], self.options, kind[1]) for kind in kinds_of_rows}
        self._readers = [readers[shape.num_cells, shape.extra] for shape in found.shapes]
        self.columns: Mapping[str, Column] = (
            self._inferred(found.names, given_kinds(dtypes or {}, found.names))
            if known is None
            else _as_known(found.names, known)
        )
        self.hint: str = _hint(found.names) if column_names is None else ""
        if column_names is not None and dialect.header and not sure_of_header:
            first, columns = found.first, self.columns.values()
            require_header(self.indexes[first], columns, found.shapes[first].extra == "first", self.options)

    def read(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of one chunk, as in `TableFormat`."""
        file, chunk_of_file = self._chunks[chunk]
        return self._readers[file].read(self.indexes[file], chunk_of_file, self._in_file(file, columns))

    def bad_rows(self, most: int) -> list[tuple[str, str]]:
        """Return the file and line of each of the first rows with a misplaced quote, and the reason."""
        bad = ((index, row) for index in self.indexes for row in index.bad)
        return [(f"{index.path}: line {row.line}", row.reason) for index, row in itertools.islice(bad, most)]

    def raising(self) -> "CSVTable":
        """Return the same table, in which a row that `read` would skip is an error."""
        table = copy.copy(self)
        table.options = dataclasses.replace(self.options, on_bad_row="error")
        table._readers = [CSVReader(reader.num_columns, table.options, reader.extra) for reader in self._readers]
        return table

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row: file, row and line."""
        file, chunk_of_file = self._chunks[chunk]
        place = locate(self.indexes[file], chunk_of_file, row_in_chunk)
        return f"{self.indexes[file].path}: row {place.row} (line {place.line})"

    def position(self, chunk: int, column: Column) -> int:
        """Return the position of a column in the file of a chunk."""
        return self._positions[self._chunks[chunk][0]][column.position]

    def why_no_part(self, column: Column, part: str) -> str:
        """Return why a column of dates has no part such as `"hour"`, or `""`, as in `NamedColumns`."""
        why_no_time = self.columns.why_no_time if isinstance(self.columns, InferredColumns) else {}
        return (why_no_time.get(column.name, "") if part in PARTS_OF_TIME else "") or super().why_no_part(column, part)

    @property
    def source(self) -> str:
        """What messages and `repr` call the files."""
        return super().source if self.rows_limit is None else f"{super().source} (num_rows={self.rows_limit})"

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON."""
        return {
            **self._rows_limit(),
            "files": [described(index.path, index.size_bytes, index.changed_ns) for index in self.indexes],
            "dialect": self.dialect.to_json(),
            "null_values": list(self.options.null_values),
            "decimal": self.options.decimal,
            "on_bad_row": self.options.on_bad_row,
            **({"thousands": self.options.thousands} if self.options.thousands is not None else {}),
            **({"strip": list(self.options.strip)} if self.options.strip else {}),
        }

    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON: names and sizes of the files, without folders and times."""
        return {
            **self._rows_limit(),
            "files": [described_copy(index.path, index.size_bytes) for index in self.indexes],
            "on_bad_row": self.options.on_bad_row,
        }

    def reading_options(self) -> dict[str, Any]:
        """Return the user's options that say how files are read, as in `TableFormat`."""
        options = {**dataclasses.asdict(self.dialect), **dataclasses.asdict(self.options)}
        lists = {name: list(value) for name, value in options.items() if isinstance(value, tuple)}
        return {**options, **lists, "column_names": self._column_names, "index_column": self._index_column}

    def save_indexes(self, directory: Path | None = None) -> None:
        """Save the indexes beside the files, or in a directory, so that the next run does not scan the files.

        The index of the first rows of a file is not saved.

        Raises:
            DestinationError: If a file cannot be written.
        """
        for number, index in enumerate(self.indexes):
            if not index.is_whole:
                continue
            index.save(index.absolute_path + INDEX_SUFFIX if directory is None else directory / _index_name(number))

    def _rows_limit(self) -> dict[str, int]:
        """Return the part of the fingerprints that a table of all rows does not have."""
        return {} if self.rows_limit is None else {"num_rows": self.rows_limit}

    def _in_file(self, file: int, columns: Sequence[Column]) -> list[Column]:
        """Return columns with their positions in one file."""
        positions = self._positions[file]
        return [dataclasses.replace(column, position=positions[column.position]) for column in columns]

    def expect(self, names: Iterable[str]) -> None:
        """Infer the kinds of several columns at once, as in `NamedColumns`."""
        if isinstance(self.columns, InferredColumns):
            self.columns.infer(names)

    def _inferred(self, names: list[str], given: Mapping[str, tuple[str, str | None]]) -> InferredColumns:
        """Return the columns with their given or inferred kinds. What their cells tell becomes known with the kinds."""
        chunks = np.linspace(0, self.num_chunks - 1, SAMPLED_PLACES).round() if self.num_chunks else []
        places = []
        for number, num_pieces in sorted(Counter(map(int, chunks)).items()):
            file, chunk = self._chunks[number]
            places.append(Place(self._readers[file], self.indexes[file], chunk, self._positions[file], num_pieces))
        columns = InferredColumns(names, given, self.options, places)
        self.notes: Mapping[str, Sequence[str]] = columns.notes
        self.measured: Collection[str] = columns.measured
        self.suspects: Mapping[str, str] = columns.suspects
        return columns


def _as_known(names: Sequence[str], known: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns of the same kinds as known ones of the same names. Others are strings, which are not read."""
    columns = [known.get(name, Column(name, 0, "string")) for name in names]
    return {column.name: dataclasses.replace(column, position=i) for i, column in enumerate(columns)}


def _index_name(number: int) -> str:
    """Return the name of an index file in a directory."""
    return f"index-{number}.json"


def _kept_index(
    path: str, dialect: Dialect, on_bad_row: OnBadRow, kept: Sequence[str | Path], num_rows: int | None
) -> RecordIndex | None:
    """Return a saved index of a file, or its first rows, if it is still valid."""
    for saved in kept:
        with contextlib.suppress(DataError):
            index = RecordIndex.load(saved, path)
            if num_rows is not None:
                index = index_of_first_rows(index, num_rows)
            if index.dialect == dialect and (on_bad_row == "skip" or not index.bad):
                return index
    return None


def _index(path: str, dialect: Dialect, on_bad_row: OnBadRow, num_workers: int, num_rows: int | None) -> RecordIndex:
    """Scan a file, or its first rows, with a progress bar."""
    size_bytes = max(0, storage.stamp(path)[0])
    task = f"finding the rows of {Path(path).name}"
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc=task, delay=QUIET_SECONDS) as bar:
        return index_records(path, dialect, CHUNK_BYTES, num_workers, on_bad_row, bar.update, num_rows)


def _hint(names: list[str]) -> str:
    """Return what is likely if a column does not exist: another delimiter, or a file without a header."""
    only = names[0]
    if only.lower().startswith("sep="):  # the first line of files that Excel wrote
        return f". Is the first line not the header? Fix: skip_rows=1, delimiter={only[4:5] or ','!r}"
    found = [repr(delimiter) for delimiter in OTHER_DELIMITERS if delimiter in only]
    if "  " in only:
        found.append(f"r'{SPACES}'")
    if found and len(names) == 1:
        return f". Is it delimiter={found[0]}?"
    is_row = any(map(NUMBER.fullmatch, names))
    return ". If the first line is a row: header=False, column_names=[...]" if is_row else ""
