"""`Learned`: what training rows determine about other rows, which are then read and encoded in the same way."""

import abc
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_oocore.core.errors import DataError
from keras_oocore.core.text import listed
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.format import NamedColumns, TableFormat
from keras_oocore.tables.raw_rows import RawRowEncoder
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.statistics_cache import fit_features, load_statistics


class Learned(abc.ABC):
    """The layout of training rows, how their files are read, and their means, codes and statistics.

    Attributes:
        layout: The layout of a row, which may not be fitted yet.
        columns: Name → column of the files, for the columns that are read.
        options: How text is read as a cell.
        reading: The options of reading, as `TableFormat.reading_options` returns them.
    """

    layout: FeatureSpec
    columns: dict[str, Column]
    options: CellOptions
    reading: dict[str, Any]

    @abc.abstractmethod
    def features(self) -> FeatureSpec:
        """Return the layout of a row, with means and codes. Computing them may read all training rows."""

    @abc.abstractmethod
    def statistics(self) -> Mapping[str, ColumnStatistics]:
        """Return the statistics of the columns over the training rows. Computing them may read all training rows."""

    @functools.cached_property
    def encoder(self) -> RawRowEncoder:
        """Encodes raw rows, without a target."""
        columns = NamedColumns([], self.columns)
        return RawRowEncoder(self.features().of_other_rows(columns, with_target=False, ids=()), self.options)

    def features_of(self, table: TableFormat, with_target: bool, **changes: Any) -> FeatureSpec:
        """Return the layout of the rows of another table, with the means and codes of the training rows.

        Args:
            table: The other table. Its columns may be in another order, and it may have more of them.
            with_target: Whether its rows have the target.
            **changes: Options of columns that differ.

        Raises:
            DataError: If the table lacks columns. The message has all their names.
        """
        features = self.features()
        own = {name: value for name, value in changes.items() if not value}  # others may name columns of the table
        needed = features.of_other_rows(NamedColumns([], self.columns), with_target, **own).named_columns
        missing = [name for name in needed if name not in table.columns]
        if missing:
            targets = [name for name in missing if name in features.targets]
            ids = [name for name in missing if name in {column.name for column in features.ids}]
            fix = f". For rows without {listed(targets)}: target=None." if targets else ""
            fix += f"{'' if fix else '.'} For rows without {listed(ids)}: ids=()." if ids else ""
            raise DataError(
                f"{table.source}: columns of the training rows are missing: {listed(missing)}. "
                f"Columns: {listed(table.columns)}{table.hint}{fix}"
            )
        return features.of_other_rows(table, with_target, **changes)


class LearnedFromRows(Learned):
    """What training rows determine that are read in this process.

    Args:
        rows: The training rows, or rows that use their means and codes.
        cache: The cache of the rows, or `None`.
    """

    def __init__(self, rows: TableRows, cache: Path | None):
        self._rows, self._cache = rows, cache
        self.layout: FeatureSpec = rows.features
        self.columns: dict[str, Column] = rows.features.named_columns
        self.options: CellOptions = rows.table.options

    @property
    def reading(self) -> dict[str, Any]:
        """The options of reading, as `TableFormat.reading_options` returns them."""
        return self._rows.table.reading_options()

    def features(self) -> FeatureSpec:
        """Return the layout of a row, with means and codes."""
        fit_features(self._rows, self._cache)
        return self._rows.features

    def statistics(self) -> Mapping[str, ColumnStatistics]:
        """Return the statistics of the columns over the training rows."""
        return load_statistics(self._rows.statistics_from, self._rows, self._cache)


@dataclasses.dataclass
class SavedLearned(Learned):
    """What training rows determined that another process has read.

    Attributes:
        path: The file that it comes from, for messages.
        layout: The layout of a row, with means and codes.
        columns: Name → column of the files.
        options: How text is read as a cell.
        reading: The options of reading.
        found: The statistics of the columns over the training rows.
    """

    path: str
    layout: FeatureSpec
    columns: dict[str, Column]
    options: CellOptions
    reading: dict[str, Any]
    found: dict[str, ColumnStatistics]

    def features(self) -> FeatureSpec:
        """Return the layout of a row, with means and codes."""
        return self.layout

    def statistics(self) -> Mapping[str, ColumnStatistics]:
        """Return the statistics of the columns over the training rows."""
        return self.found
