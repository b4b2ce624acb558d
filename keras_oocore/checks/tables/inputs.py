"""Which rows of which table a check reads: of files, of a Sequence, or of a table of any format."""

import contextlib
import dataclasses
import glob
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import counted, listed
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.csv.dates import DAYS, NANOSECOND
from keras_oocore.csv.dialect import SUFFIXES
from keras_oocore.csv.moments import ISO
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.tables.csv.suspects import NUMBER_PER_ROW, ROW_NUMBERS, STRING_PER_ROW
from keras_oocore.tables.feature_checks import as_names
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.formats import FORMATS, format_of
from keras_oocore.tables.ipc import paths as ipc
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.parquet import paths as parquet
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.used_rows import UsedRows

IN_FOLDERS = (*parquet.SUFFIXES, *ipc.SUFFIXES)  # of tables that may be folders
NOT_TABLES = (*IMAGE_EXTENSIONS, ".npy")  # endings of files that are in directories of samples
IDS = (NUMBER_PER_ROW, ROW_NUMBERS, STRING_PER_ROW)  # what columns contain that tell copies of a row apart


@dataclasses.dataclass(frozen=True)
class TableInput:
    """The rows to check.

    Attributes:
        name: What a person calls them.
        table: The table.
        columns: The columns to check, each once: features, targets and weights.
        targets: Names of the targets.
        used: The rows to use, or `None` for all rows that can be read.
        skips: Whether rows that cannot be read are skipped, and are a finding.
        refused: Name → why a column cannot be read, such as one of lists.
        rounded: Name → dtype to which numbers are rounded before they are compared with those of another table.
    """

    name: str
    table: TableFormat
    columns: tuple[Column, ...]
    targets: tuple[str, ...] = ()
    used: UsedRows | None = None
    skips: bool = False
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rounded: Mapping[str, np.dtype] = dataclasses.field(default_factory=dict)

    def read(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of the used rows of a chunk."""
        if self.used is not None:
            return self.used.cells(chunk, columns)
        return self.table.read(chunk, columns)

    def exact(self, chunk: int, column: Column, rows: np.ndarray) -> Any:
        """Return the numbers of a column in some rows of a chunk without rounding, a `pyarrow` array.

        Args:
            chunk: Number of the chunk.
            column: A column of numbers.
            rows: Numbers of the rows within the chunk, as `read` returns them.
        """
        cells = self.table.read(chunk, [dataclasses.replace(column, kind="exact")])
        return cells.select(np.isin(cells.rows, rows)).columns[column.name]

    def nanoseconds(self, columns: Sequence[Column]) -> dict[str, Column]:
        """Return name of a column of moments → the column of the nanoseconds within their seconds, to be read, too."""
        moments = [column for column in columns if column.kind == "date" and column.part in (None, DAYS)]
        found = {}
        for column in moments:
            name = f"{column.name_in_file}.{NANOSECOND}"
            if (column.format == ISO or "%f" in (column.format or "")) and name not in self.table.columns:
                found[column.name] = dataclasses.replace(column, name=name, part=NANOSECOND)
        return found

    @property
    def ids(self) -> list[str]:
        """Names of the columns that number the rows, as some of their cells tell."""
        suspects = {name for name, reason in self.table.suspects.items() if reason in IDS}
        suspects.update(self.table.index_columns)
        return [column.name for column in self.columns if column.name in suspects and column.name not in self.targets]

    @property
    def compared(self) -> list[Column]:
        """The columns whose cells are equal in copies of a row: all but targets and ids, or but targets."""
        others = [column for column in self.columns if column.name not in self.targets]
        return [column for column in others if column.name not in self.ids] or others


def is_table(data: Any) -> bool:
    """Return whether an argument of `ko.check` is a table, and not a directory, files or a Sequence of files."""
    if isinstance(data, TableFormat) or hasattr(data, "rows_of_table"):
        return True
    if isinstance(data, Manifest):
        return False
    if isinstance(data, str | os.PathLike):
        return _is_path_of_table(os.path.expanduser(os.fspath(data)))
    if isinstance(data, list | tuple):
        return bool(data) and (all(isinstance(path, str | os.PathLike) for path in data) or _has_format(data))
    return _has_format(data) or any(hasattr(data, name) for name in ("column_names", "collect_schema"))


def _is_path_of_table(path: str) -> bool:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in NOT_TABLES:
        return False
    if storage.is_directory(path):
        return _may_have_tables(path) and _has_format(path)
    return storage.exists(path) or glob.has_magic(path) or suffix in SUFFIXES


def _may_have_tables(directory: str) -> bool:
    """Return whether a directory is worth a visit of all its files: it has files of tables, or folders of keys."""
    with storage.scan(directory) as entries:
        names = [entry.name for entry in entries]
    return any("=" in name or os.path.splitext(name)[1].lower() in IN_FOLDERS for name in names)


def _has_format(data: Any) -> bool:
    """Return whether data are of a format that knows its data. The last one accepts everything."""
    return format_of(data) is not FORMATS[-1]


def open_table(
    data: Any, target: Any, workers: int, stack: contextlib.ExitStack, like: "TableInput | None" = None
) -> TableInput:
    """Return the rows to check.

    Args:
        data: A path, a pattern, a list of them, a Sequence of rows, or a `TableFormat`.
        target: The user's argument: a name, a list of names, or `None`.
        workers: Number of threads that find the rows of files.
        stack: Removes temporary files at its end: the text of compressed files.
        like: Files are read like those of this table, and lack its targets or have them.

    Raises:
        OptionError: If a target does not exist, or the target of a Sequence is another one.
        DataError: If a file does not exist, is empty, or is not a table.
    """
    if isinstance(data, TableFormat):
        return _of_table(data, target, like)
    if hasattr(data, "rows_of_table"):
        return _of_sequence(data, target)
    reading = {} if like is None else like.table.reading_options()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keras_oocore-")))
    opening = Opening({**reading, "on_bad_row": "skip"}, num_workers=workers, cache=folder)
    table = format_of(data).open(data, opening)
    table.look_at(table.columns)
    return _of_table(table, target, like)


def with_equal_floats(mine: TableInput, theirs: TableInput, names: Sequence[str]) -> tuple[TableInput, TableInput]:
    """Return two tables that are compared by the floats of fewest bits, so that 0.1 is equal in 32 and in 64 bits.

    Args:
        mine: A table.
        theirs: Another one.
        names: Columns of one kind in both.
    """
    rounded = {}
    for name in names:
        columns = [(data.table, next(c for c in data.columns if c.name == name)) for data in (mine, theirs)]
        bits = set().union(*(table.float_bits(column) for table, column in columns))
        if columns[0][1].kind == "float32" and len(bits) > 1:
            rounded[name] = np.dtype(f"float{min(bits)}")
    return dataclasses.replace(mine, rounded=rounded), dataclasses.replace(theirs, rounded=rounded)


def rounded_to(dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    """Return numbers as those of a dtype, except for numbers that it cannot hold, `float64` of shape `(n,)`.

    >>> rounded_to(np.dtype(np.float32), np.array([0.1, 1e300])).tolist()
    [0.10000000149011612, 1e+300]
    """
    with np.errstate(over="ignore"):
        found = values.astype(dtype).astype(np.float64)
    return np.where(np.isinf(found), values, found)


def _of_table(table: TableFormat, target: Any, like: TableInput | None) -> TableInput:
    names = [] if target is None else as_names(target, "target")
    table.expect(table.columns)
    if like is None:
        targets, wanted = [table.column(name, "target").name for name in names], [*table.columns]
    else:
        targets = [name for name in like.targets if name in table.columns]
        used = {column.name for column in like.columns}
        # Columns that a Sequence leaves out are left out of files, too. Further columns are a finding.
        wanted = [name for name in table.columns if name in used or name not in like.table.columns]
    columns = [table.columns[name] for name in wanted]
    refused = {name: why for name, why in table.index_columns.items() if name not in table.columns}
    if not columns:
        raise DataError(f"{_name(table)} has no column that can be read. {' '.join(refused.values())}".rstrip())
    return TableInput(_name(table), table, tuple(columns), tuple(targets), skips=table.may_skip_rows, refused=refused)


def _name(table: TableFormat) -> str:
    """Return what a person calls the files."""
    if len(table.paths) < 2:
        return table.paths[0] if table.paths else table.source
    return f"{table.paths[0]} and {counted(len(table.paths) - 1, 'more file')}"


def _of_sequence(sequence: Any, target: Any) -> TableInput:
    rows: TableRows = sequence.rows_of_table()
    features, table = rows.features, rows.table
    if target is not None and as_names(target, "target") != features.targets:
        raise OptionError(
            f"`target` should be None, or that of the Sequence: {listed(features.targets) or 'it has none'}. "
            f"Received: target={target!r}"
        )
    columns = {}
    for column in features.columns:  # several parts of a date are one column
        whole = table.columns[column.name_in_file] if column.part else column
        columns.setdefault(whole.name, whole)
    name = _name(table) if rows.subset is None else f"{_name(table)} ({rows.subset.name})"
    return TableInput(name, table, tuple(columns.values()), tuple(features.targets), rows.used)
