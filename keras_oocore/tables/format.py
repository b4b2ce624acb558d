"""`TableFormat`: what a tabular file format provides. The other modules of `tables` know no more about a file.

To add a format, write one class with these attributes and methods (`tables/csv/table.py` is the first).
"""

import abc
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean, listed
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.csv.dates import PARTS, PARTS_OF_DATE, PARTS_OF_TIME, has_date, has_time
from keras_oocore.csv.dialect import CellOptions


class KnownCells(NamedTuple):
    """What a format knows about the cells of a column in a chunk without reading them.

    Attributes:
        missing: Number of missing cells.
        smallest: A number that no cell is below, or `None`.
        largest: A number that no cell is above, or `None`.
    """

    missing: int
    smallest: float | None = None
    largest: float | None = None


class CutGroup(NamedTuple):
    """Rows that are stored together, so that reading some of them decodes others, and that are several chunks.

    Attributes:
        name: What messages call it, such as `"houses.parquet: row group 0"`.
        num_parts: Number of chunks.
        fix: Code that writes a table in smaller groups.
    """

    name: str
    num_parts: int
    fix: str


class NamedColumns:
    """Columns by name: those of files, or those that a saved record describes.

    Attributes:
        paths: Paths of the files, in order, as the user gave them.
        columns: Name → `Column` for all columns, in the order of the files. A format may find out their kinds, `notes`,
            `measured` and `suspects` when a column is asked for.
        notes: Name → what is unusual about the cells of the column, as far as it is known: a list of phrases.
        measured: Names of columns of strings that look like numbers or dates, as their notes say.
        suspects: Name → why the column says nothing about other rows, such as `"free text"`.
        hint: What an error message about an unknown column should add, such as a likely delimiter.
        index_columns: Columns that are never features unless the user names them, such as row names: name → what to say
            if they are left out, or `""`.
    """

    hint: str = ""
    index_columns: Mapping[str, str] = types.MappingProxyType({})

    def __init__(
        self, paths: list[str], columns: Mapping[str, Column], notes: Mapping[str, Sequence[str]] | None = None
    ):
        self.paths: list[str] = paths
        self.columns: Mapping[str, Column] = columns
        self.notes: Mapping[str, Sequence[str]] = {} if notes is None else notes
        self.measured: Collection[str] = set()
        self.suspects: Mapping[str, str] = {}

    def expect(self, names: Iterable[str]) -> None:
        """Say which columns will be asked for, so that a format can find out about them at once.

        Args:
            names: Names of columns. Others are ignored.
        """

    def column(self, name: str, argument: str) -> Column:
        """Return the column named `name`.

        Args:
            name: Name of the column.
            argument: The user's argument that names it, for the error message.

        Raises:
            OptionError: If the column does not exist. The message has the most similar name.
        """
        if name not in self.columns:
            if part := self.part_of_date(name):
                raise OptionError(
                    f"`{argument}` should name a column of the data, and {name!r} is a part of a date. "
                    f"Name {part[0]!r}, or add a column with the part to the data."
                )
            raise OptionError(
                f"`{argument}` names a column that does not exist: {name!r}.{did_you_mean(name, self.columns)} "
                f"Columns: {listed(self.columns)}{self.hint}"
            )
        return self.columns[name]

    def part_of_date(self, name: str) -> tuple[str, str] | None:
        """Return the column of dates and the part that a name such as `"sold.year"` means, or `None`."""
        column, _, part = name.rpartition(".") if isinstance(name, str) else ("", "", "")
        if part not in PARTS or name in self.columns or column not in self.columns:
            return None
        self.look_at([column])
        looks_like_dates = any("dates" in note for note in self.notes.get(column, ()))
        return (column, part) if self.columns[column].kind == "date" or looks_like_dates else None

    def why_no_part(self, column: Column, part: str) -> str:
        """Return why a column of dates has no part such as `"hour"`, as the end of a sentence, or `""` if it has it."""
        lacks = (part in PARTS_OF_DATE and not has_date(column.format or "")) or (
            part in PARTS_OF_TIME and not has_time(column.format or "")
        )
        return f"its format {column.format!r} has none" if lacks else ""

    def look_at(self, names: Iterable[str]) -> None:
        """Fill `notes`, `measured` and `suspects` for these columns, if that was not done when the table was opened."""


class TableFormat(NamedColumns, abc.ABC):
    """The rows of one or several files that have the same columns, in chunks of a few MB that are read on their own.

    Attributes:
        paths, columns, notes, measured, suspects, hint, index_columns: As in `NamedColumns`.
        options: How text is read as a cell.
        rows: `int64` of shape `(num_chunks + 1,)`. Number of rows before each chunk, over all files, and `num_rows`.
        may_skip_rows: Whether `read` may skip rows, so that only reading a chunk tells how many rows it has.
        num_bad_rows: Number of rows that are not even counted in `rows`, because they cannot be parsed.
        removed: Numbers of the rows that the user left out with `without`, distinct, in rising order, `int64`.
        cut_group: The group of rows with the most chunks, or `None` if each chunk is read on its own.
    """

    options: CellOptions
    rows: np.ndarray
    may_skip_rows: bool = False
    num_bad_rows: int = 0
    removed: np.ndarray = np.empty(0, np.int64)
    cut_group: CutGroup | None = None

    @abc.abstractmethod
    def read(self, chunk: int, columns: Sequence[Column]) -> Cells:
        """Return the cells of one chunk. Any number of threads may call this at once.

        Args:
            chunk: Number of the chunk, over all files.
            columns: The columns to read, at least one. A column with the kind `"string"` is read as strings, whatever
                the kind in `self.columns`. If all have the kind `"text"`, they are the exact text of each cell, and
                none is missing.

        Raises:
            DataError: If a cell cannot be read, or a file changed. The message names file, row and column.
        """

    def read_first(self, columns: Sequence[Column], num_rows: int) -> Cells:
        """Return the cells of the first rows, to show them: about `num_rows`, or those of the first chunk."""
        return self.read(0, columns)

    def bad_rows(self, most: int) -> list[tuple[str, str]]:
        """Return how messages name each of the first `most` of the `num_bad_rows` rows, and why it cannot be parsed."""
        return []

    def raising(self) -> "TableFormat":
        """Return the same table, in which a row that `read` would skip is an error."""
        return self

    @abc.abstractmethod
    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row, such as `"houses.csv: row 7 (line 9)"`."""

    @abc.abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON: files with their times, and how they are read."""

    @abc.abstractmethod
    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON. Copies of the files have the same portable fingerprint."""

    @abc.abstractmethod
    def reading_options(self) -> dict[str, Any]:
        """Return the user's options that say how files are read, by their names, to read other files in the same way.

        All values are plain JSON. Options that choose some of the rows are not among them.
        """

    @abc.abstractmethod
    def save_indexes(self, directory: Path | None = None) -> None:
        """Save what was found by scanning the files, so that the next run does not scan them again.

        Args:
            directory: Folder for the index files. `None` saves them beside the data files.

        Raises:
            DestinationError: If a file cannot be written.
        """

    def known_cells(self, chunk: int, column: Column) -> KnownCells | None:
        """Return what is known about the cells of a column in a chunk without reading them, or `None`."""
        return None

    def has_decimals(self, column: Column) -> bool:
        """Return whether a column has numbers of more digits than `float64` holds, below 2^53, too."""
        return False

    def float_bits(self, column: Column) -> set[int]:
        """Return how many bits the floats of a column of numbers have: 64 for digits, and none for integers."""
        return {64}

    def position(self, chunk: int, column: Column) -> int:
        """Return the position of a column in the file of a chunk, for error messages."""
        return column.position

    @property
    def source(self) -> str:
        """What messages and `repr` call the files: their paths, and which of their rows are used."""
        return listed(self.paths)

    @property
    def num_rows(self) -> int:
        """Number of rows of all files."""
        return int(self.rows[-1])

    @property
    def num_chunks(self) -> int:
        """Number of chunks of all files."""
        return len(self.rows) - 1
