"""One or several CSV files as one table: its columns, their kinds, and its chunks of rows.

The kinds are inferred once, from cells of all files, and do not change while a model trains.
"""

import contextlib
import datetime
import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.csv.cells import Cells, Column, require_pyarrow
from keras_oocore.csv.chunks import locate
from keras_oocore.csv.compression import is_gzip
from keras_oocore.csv.dialect import SPACES, CellOptions, Dialect, OnBadRow
from keras_oocore.csv.index import CHUNK_BYTES, RecordIndex
from keras_oocore.csv.reader import CSVReader
from keras_oocore.csv.scan import index_records
from keras_oocore.tables.csv.gzip import gunzipped
from keras_oocore.tables.csv.kinds import given_kinds, infer_kind
from keras_oocore.tables.csv.names import column_names as names_of
from keras_oocore.tables.format import TableFormat

SAMPLED_PLACES = 8  # in the table, to infer the kinds of the columns
INDEX_SUFFIX = ".keras_oocore-index.json"
OTHER_DELIMITERS = (",", ";", "\t", "|")


class CSVTable(TableFormat):
    """The rows of CSV files that have the same columns.

    Args:
        data: A path, a pattern such as `"part-*.csv"`, or a list of paths.
        dialect: The dialect of the files.
        options: How to read the cells.
        column_names: Names that replace those of the header, or names for files without a header.
        dtypes: Column → kind, for columns whose kind should not be inferred: `"float32"` (or any other type of
            numbers), `"bool"`, `"string"`, or the format of a date, such as `"%Y-%m-%d"`.
        num_workers: Number of threads that scan the files. Defaults to `1`.
        cache: Directory of a cache, where gzip files are unpacked.
        kept_in: Directories where `save_indexes` may have stored indexes, besides the folders of the files.

    Attributes:
        indexes: The `RecordIndex` of each file.

    Raises:
        DataError: If a file does not exist or is empty, if the columns of a file differ from those of the first, or if
            a name occurs twice.
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
    ):
        require_pyarrow()
        self.paths: list[str] = _paths(data)
        self.dialect: Dialect = dialect
        self.options: CellOptions = options or CellOptions()
        on_bad_row = self.options.on_bad_row
        self.indexes: list[RecordIndex] = []
        for number, path in enumerate(self.paths):
            if cache is not None and is_gzip(path):
                path = gunzipped(path, cache, number)
            kept = [path + INDEX_SUFFIX, *(folder / _index_name(number) for folder in kept_in)]
            self.indexes.append(
                _kept_index(path, dialect, on_bad_row, kept) or _index(path, dialect, on_bad_row, num_workers)
            )
        self._chunks = [(file, chunk) for file, index in enumerate(self.indexes) for chunk in range(index.num_chunks)]
        sizes = [np.diff(index.rows) for index in self.indexes]
        self.rows: np.ndarray = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
        self.may_skip_rows: bool = on_bad_row == "skip"
        self.num_bad_rows: int = sum(len(index.bad) for index in self.indexes)
        names = names_of(self.indexes, column_names)
        self._reader = CSVReader(len(names), self.options)
        columns, notes = self._with_kinds(names, given_kinds(dtypes or {}, names))
        self.columns: dict[str, Column] = columns
        self.notes: dict[str, list[str]] = notes
        self.hint: str = _delimiter_hint(names)

    def read(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of one chunk, as in `TableFormat`."""
        file, chunk_of_file = self._chunks[chunk]
        return self._reader.read(self.indexes[file], chunk_of_file, columns)

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row: file, row and line."""
        file, chunk_of_file = self._chunks[chunk]
        place = locate(self.indexes[file], chunk_of_file, row_in_chunk)
        return f"{self.indexes[file].path}: row {place.row} (line {place.line})"

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON."""
        return {
            "files": [_describe(index) for index in self.indexes],
            "dialect": self.dialect.to_json(),
            "null_values": list(self.options.null_values),
            "decimal": self.options.decimal,
            "on_bad_row": self.options.on_bad_row,
        }

    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON: names and sizes of the files, without folders and times."""
        return {
            "files": [f"{os.path.basename(index.path)}, {index.size_bytes:,} bytes" for index in self.indexes],
            "on_bad_row": self.options.on_bad_row,
        }

    def save_indexes(self, directory: Path | None = None) -> None:
        """Save the indexes beside the files, or in a directory, so that the next run does not scan the files.

        Raises:
            DestinationError: If a file cannot be written.
        """
        for number, index in enumerate(self.indexes):
            index.save(index.absolute_path + INDEX_SUFFIX if directory is None else directory / _index_name(number))

    def _with_kinds(
        self, names: list[str], given: Mapping[str, tuple[Any, ...]]
    ) -> tuple[dict[str, Column], dict[str, Any]]:
        """Return the columns with their given or inferred kinds, and notes about the inferred ones."""
        texts = [Column(name, position, "string") for position, name in enumerate(names)]
        places = np.linspace(0, self.num_chunks - 1, SAMPLED_PLACES).round() if self.num_chunks else []
        samples = []
        for chunk, num_pieces in sorted(Counter(map(int, places)).items()):
            file, chunk_of_file = self._chunks[chunk]
            samples.append(self._reader.sample(self.indexes[file], chunk_of_file, texts, num_pieces))
        columns, notes = {}, {}
        for column in texts:
            name, form = column.name, None
            if name in given:
                kind, form = given[name]
            else:
                cells = [sample[name] for sample in samples]
                kind, notes[name] = infer_kind(cells, self.options.decimal, self.options.null_values)
            columns[name] = Column(name, column.position, kind, form)
        return columns, notes


def _paths(data) -> list[str]:
    """Return the paths that the argument `data` names."""
    several = [data] if isinstance(data, str | os.PathLike) else data
    try:
        if hasattr(data, "columns") or hasattr(data, "read"):  # a table in memory, or an open file
            raise TypeError
        paths = [path for pattern in several for path in _matching(os.path.expanduser(pattern))]
    except TypeError:
        raise OptionError(f"`data` should be a path, a pattern or a list of them. Received: {data!r}") from None
    if not paths:
        raise OptionError("`data` should be a path, a pattern or a list of them. Received: an empty list")
    return paths


def _matching(pattern: str) -> list[str]:
    """Return the files that match a pattern; an existing path matches itself only."""
    if storage.exists(pattern) or not glob.has_magic(pattern):
        return [pattern]
    paths = [path for path in storage.match(pattern) if not path.endswith(INDEX_SUFFIX)]
    if not paths:
        raise DataError(f"No file matches {pattern!r}.")
    return paths


def _index_name(number: int) -> str:
    """Return the name of an index file in a directory."""
    return f"index-{number}.json"


def _kept_index(path: str, dialect: Dialect, on_bad_row: OnBadRow, kept: Sequence[str | Path]) -> RecordIndex | None:
    """Return a saved index of a file, if it is still valid."""
    for saved in kept:
        with contextlib.suppress(DataError):
            index = RecordIndex.load(saved, path)
            if index.dialect == dialect and (on_bad_row == "skip" or not index.bad):
                return index
    return None


def _index(path: str, dialect: Dialect, on_bad_row: OnBadRow, num_workers: int) -> RecordIndex:
    """Scan a file, with a progress bar."""
    size_bytes = max(0, storage.stamp(path)[0])
    task = f"finding the rows of {Path(path).name}"
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc=task, delay=QUIET_SECONDS) as bar:
        return index_records(path, dialect, CHUNK_BYTES, num_workers, on_bad_row, bar.update)


def _describe(index: RecordIndex) -> str:
    """Return name, size and time of a file as a person reads them, so that an error message shows what changed."""
    seconds, nanoseconds = divmod(index.changed_ns, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{os.path.basename(index.path)}, {index.size_bytes:,} bytes, of {moment}.{nanoseconds:09d} UTC"


def _delimiter_hint(names: list[str]) -> str:
    """Return the likely delimiter of a file that seems to have one column."""
    only = names[0]
    if only.lower().startswith("sep="):  # the first line of files that Excel wrote
        return f". Is the first line not the header? Fix: skip_rows=1, delimiter={only[4:5] or ','!r}"
    found = [repr(delimiter) for delimiter in OTHER_DELIMITERS if delimiter in only]
    if "  " in only:
        found.append(f"r'{SPACES}'")
    return f". Is it delimiter={found[0]}?" if found and len(names) == 1 else ""
