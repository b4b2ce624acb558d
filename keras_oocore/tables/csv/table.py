"""One or several CSV files as one table: which columns it has, of what kind, and which rows lie in which chunk.

Nothing is guessed while a model trains: kinds are settled here, from cells spread over all files, and then held.
"""

import contextlib
import glob
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.text import did_you_mean, listed
from keras_oocore.tables.csv.gzip import gunzipped, is_gzip
from keras_oocore.tables.csv.reader import Cells, Column, CSVReader, null_texts, num_cells, require_pyarrow
from keras_oocore.tables.csv.scan import CHUNK_BYTES, Dialect, RecordIndex, index_records, locate
from keras_oocore.tables.csv.values import NULL_VALUES, looks_like

SAMPLED_PLACES = 8  # of the table, to tell what kind its columns are
INDEX_SUFFIX = ".keras_oocore-index.json"
OTHER_DELIMITERS = (",", ";", "\t", "|")
ALIKE = "All files of a table have the same columns in the same order."


class CSVTable:
    """The rows of CSV files that all have the same columns.

    Args:
        data: a path, a pattern such as `"part-*.csv"`, or a list of paths.
        dialect: how the files are written.
        column_names: names in place of the header's, or of a header that is not there.
        dtypes: column → kind, where it is not to be inferred: `"float32"` (and every other type of numbers), `"bool"`,
            `"string"`, or the format of a date, such as `"%Y-%m-%d"`.
        null_values: texts that stand for a missing cell.
        decimal: `"."` or `","`.
        on_bad_row: `"error"` or `"skip"`.
        num_workers: threads that look for the ends of rows.
        cache: the directory of a cache, where gzip files are unpacked.
        kept_in: directories where `save_indexes` may have left where the rows lie; beside each file is looked too.

    Attributes:
        paths: of the files, in order, as they were given.
        columns: all of them, in the files' order: name → `Column`.
        notes: column → what is odd about its cells, in words, as far as was seen.
        rows: `int64` of shape `(num_chunks + 1,)`: how many rows come before each chunk, over all files.

    Raises:
        DataError: when a file is missing or empty, when files have other columns than the first, when a name stands
            twice.
        OptionError: when an argument cannot work.
        MissingExtraError: when pyarrow is not installed.

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
        data: str | os.PathLike | Sequence[str | os.PathLike],
        dialect: Dialect,
        column_names: Sequence[str] | None = None,
        dtypes: Mapping[str, object] | None = None,
        null_values: Sequence[str] = NULL_VALUES,
        decimal: str = ".",
        on_bad_row: str = "error",
        num_workers: int = 1,
        cache: Path | None = None,
        kept_in: Sequence[Path] = (),
    ):
        require_pyarrow()
        self.paths = _paths(data)
        self.dialect, self.null_values = dialect, null_texts(null_values)
        self.decimal, self.on_bad_row = decimal, on_bad_row
        CSVReader(0, [], self.null_values, decimal, on_bad_row)  # refuses options before the files are gone through
        self.indexes = []
        for number, path in enumerate(self.paths):
            if cache is not None and is_gzip(path):
                path = gunzipped(path, cache, number)
            kept = [path + INDEX_SUFFIX, *(folder / _index_name(number) for folder in kept_in)]
            self.indexes.append(
                _kept_index(path, dialect, on_bad_row, kept) or _index(path, dialect, on_bad_row, num_workers)
            )
        self._chunks = [(file, chunk) for file, index in enumerate(self.indexes) for chunk in range(index.num_chunks)]
        sizes = [np.diff(index.rows) for index in self.indexes]
        self.rows = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
        names = _names(self.indexes, column_names)
        self.columns, self.notes = self._with_kinds(names, _given_kinds(dtypes or {}, names))

    @property
    def num_rows(self) -> int:
        """Rows of all files."""
        return int(self.rows[-1])

    @property
    def num_chunks(self) -> int:
        """Chunks of all files."""
        return len(self._chunks)

    def column(self, name: str, argument: str) -> Column:
        """The column of this name.

        Raises:
            OptionError: when there is none; the message has the nearest name.
        """
        if name not in self.columns:
            raise OptionError(
                f"`{argument}` names a column that does not exist: {name!r}.{did_you_mean(name, self.columns)} "
                f"Columns: {listed(self.columns)}{self._delimiter_hint()}"
            )
        return self.columns[name]

    def _delimiter_hint(self) -> str:
        """What to say of a file whose only column is probably several."""
        only = next(iter(self.columns))
        if only.lower().startswith("sep="):  # as Excel writes it
            return f". Is the first line no header? Fix: skip_rows=1, delimiter={only[4:5] or ','!r}"
        found = [delimiter for delimiter in OTHER_DELIMITERS if delimiter in only and len(self.columns) == 1]
        return f". Is it delimiter={found[0]!r}?" if found else ""

    def reader(self, columns: Sequence[Column]) -> CSVReader:
        """What reads these columns of any chunk."""
        return CSVReader(len(self.columns), columns, self.null_values, self.decimal, self.on_bad_row)

    def read(self, reader: CSVReader, chunk: int) -> Cells:
        """The cells of one of the table's chunks."""
        file, chunk_of_file = self._chunks[chunk]
        return reader.read(self.indexes[file], chunk_of_file)

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """A row as messages name it: file, row and line."""
        file, chunk_of_file = self._chunks[chunk]
        place = locate(self.indexes[file], chunk_of_file, row_in_chunk)
        return f"{self.indexes[file].path}: row {place.row} (line {place.line})"

    def save_indexes(self, directory: Path | None = None) -> None:
        """Save where the rows lie, so that the next run need not look for them: beside each file, or in a directory.

        Raises:
            DestinationError: when nothing can be written there.
        """
        for number, index in enumerate(self.indexes):
            index.save(index.absolute_path + INDEX_SUFFIX if directory is None else directory / _index_name(number))

    def _with_kinds(self, names: list[str], given: Mapping[str, tuple]) -> tuple[dict[str, Column], dict]:
        """The columns, each of the kind that is given or that its cells look like; and what is odd about these."""
        texts = [Column(name, position, "string") for position, name in enumerate(names)]
        reader = CSVReader(len(names), texts, self.null_values, self.decimal, "skip")
        places = np.linspace(0, self.num_chunks - 1, SAMPLED_PLACES).round() if self.num_chunks else []
        samples = []
        for chunk, num_pieces in sorted(Counter(map(int, places)).items()):
            file, chunk_of_file = self._chunks[chunk]
            samples.append(reader.sample(self.indexes[file], chunk_of_file, num_pieces))
        columns, notes = {}, {}
        for column in texts:
            name, form = column.name, None
            if name in given:
                kind, form = given[name]
            else:
                kind, notes[name] = looks_like([sample[name] for sample in samples], self.decimal, self.null_values)
            columns[name] = Column(name, column.position, kind, form)
        return columns, notes


def _paths(data) -> list[str]:
    several = [data] if isinstance(data, str | os.PathLike) else data
    try:
        if hasattr(data, "columns") or hasattr(data, "read"):  # a table in memory, an open file
            raise TypeError
        paths = [path for pattern in several for path in _matching(os.path.expanduser(pattern))]
    except TypeError:
        raise OptionError(f"`data` should be a path, a pattern or a list of them. Received: {data!r}") from None
    if not paths:
        raise OptionError("`data` should be a path, a pattern or a list of them. Received: an empty list")
    return paths


def _matching(pattern: str) -> list[str]:
    """The files that a pattern stands for; a path stands for itself."""
    if os.path.exists(pattern) or not glob.has_magic(pattern):
        return [pattern]
    found = [path for path in sorted(glob.glob(pattern, recursive=True)) if not os.path.isdir(path)]
    paths = [path for path in found if not path.endswith(INDEX_SUFFIX)]
    if not paths:
        raise DataError(f"No file matches {pattern!r}.")
    return paths


def _index_name(number: int) -> str:
    return f"index-{number}.json"


def _kept_index(path: str, dialect: Dialect, on_bad_row: str, kept: Sequence[str | Path]) -> RecordIndex | None:
    """Where the rows of a file lie as it was saved, if it is still so."""
    for saved in kept:
        with contextlib.suppress(DataError):
            index = RecordIndex.load(saved, path)
            if index.dialect == dialect and (on_bad_row == "skip" or not index.bad):
                return index
    return None


def _index(path: str, dialect: Dialect, on_bad_row: str, num_workers: int) -> RecordIndex:
    """Where the rows of a file lie, looked for, with a progress bar."""
    size_bytes = os.path.getsize(path) if os.path.exists(path) else 0
    task = f"finding the rows of {Path(path).name}"
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc=task, delay=QUIET_SECONDS) as bar:
        return index_records(path, dialect, CHUNK_BYTES, num_workers, on_bad_row, bar.update)


def _names(indexes: list[RecordIndex], column_names: Sequence[str] | None) -> list[str]:
    """The names of the columns, the same for all files."""
    first = indexes[0]
    for index in indexes[1:]:
        if _stripped(index) != _stripped(first):
            raise DataError(f"{index.path}: {_difference(_stripped(index), _stripped(first))} in {first.path}. {ALIKE}")
    num_columns = _width(indexes) if first.header is None else len(first.header)
    if column_names is not None:
        if isinstance(column_names, str) or not all(isinstance(name, str) for name in column_names):
            raise OptionError(f"`column_names` should be a list of texts. Received: column_names={column_names!r}")
        if len(column_names) != num_columns:
            raise OptionError(f"`column_names` should name {num_columns} columns. Received: {len(column_names)} names")
        names = list(column_names)
    elif first.header is None:
        names = [f"column_{position}" for position in range(num_columns)]
    else:
        names = [name or f"Unnamed: {position}" for position, name in enumerate(_stripped(first))]
    if first.header is not None and all(map(_is_number, names if column_names is None else _stripped(first))):
        warnings.warn(
            f"{first.path}: the header holds numbers only, and is no row. If it is one: header=False", stacklevel=5
        )
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        where = "`column_names` has" if column_names is not None else f"{first.path}: the header has"
        raise DataError(f"{where} {name!r} {times} times. Pass column_names=[...] with a name of its own for each.")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _stripped(index: RecordIndex) -> list[str]:
    """The names in a file's header without the spaces around them."""
    return [name.strip() for name in index.header or ()]


def _difference(header: list[str], first: list[str]) -> str:
    """What differs between two headers, in words that end before the first file's name."""
    missing, added = Counter(first) - Counter(header), Counter(header) - Counter(first)
    if missing:
        return f"no column {listed(missing.elements())}, which is"
    if added:
        return f"a column {listed(added.elements())}, which is not"
    return "the columns are in another order than"


def _width(indexes: list[RecordIndex]) -> int:
    """Cells in the first row of the first file; of files without a header."""
    for index in indexes:
        if index.num_chunks:
            return num_cells(locate(index, 0, 0).text, index.dialect)
    raise DataError(f"There are no rows in {listed(index.path for index in indexes)}.")


def _given_kinds(dtypes: Mapping[str, object], names: list[str]) -> dict[str, tuple[str, str | None]]:
    if not isinstance(dtypes, Mapping):
        raise OptionError(f"`dtypes` should be a dictionary, column → type. Received: dtypes={dtypes!r}")
    kinds = {}
    for name, dtype in dtypes.items():
        if name not in names:
            raise OptionError(f"`dtypes` names a column that does not exist: {name!r}.{did_you_mean(name, names)}")
        if isinstance(dtype, str) and "%" in dtype:
            kinds[name] = ("date", dtype)
        elif dtype in ("string", str):
            kinds[name] = ("string", None)
        else:
            try:
                kind = "" if dtype is None else np.dtype(dtype).kind
            except TypeError:
                kind = ""
            if kind in ("U", "S", "O"):
                kinds[name] = ("string", None)
                continue
            if kind not in "biuf" or not kind:
                raise OptionError(
                    "`dtypes` should give a type of numbers, 'bool', 'string', or a format of dates: '%Y-%m-%d'. "
                    f"Received: dtypes={{{name!r}: {dtype!r}}}"
                )
            kinds[name] = ("bool" if kind == "b" else "float32", None)
    return kinds
