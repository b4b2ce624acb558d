"""`FeatureSpec`: the layout of a row with what training rows determine, and the views of rows that a model receives."""

import copy
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.text import and_more, listed
from keras_oocore.tables.feature_warnings import warn_of_one_class_per_row
from keras_oocore.tables.format import NamedColumns
from keras_oocore.tables.lookalikes import Lookalikes
from keras_oocore.tables.options import ColumnOptions
from keras_oocore.tables.row_layout import RowLayout
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.targets import sorted_classes


class FeatureSpec(RowLayout):
    """The layout of a row, with the means and codes that `fit` computes from the training rows.

    Args:
        table: The columns of the table.
        options: The user's choice of columns.

    Attributes:
        means: Column → value that replaces a missing cell, after `fit`, with `missing="mean"`.
        vocabularies: Column → strings in the order of their codes, after `fit`.
        infinite: Columns for which a warning said that they have an infinite number.
        lookalikes: Compares unknown categories with the known ones.
        unique: Targets for which a warning said that each row has a class of its own.
        learned: If means and codes are those of other rows: what identifies them. Otherwise `None`.

    Raises:
        OptionError: If a column does not exist, or has the wrong kind for its use.

    >>> import tempfile
    >>> from keras_oocore.tables.csv.table import CSVTable, Dialect
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n,Oslo,2\\n")
    >>> features = FeatureSpec(
    ...     CSVTable(path, Dialect()), ColumnOptions("price", ["sqft", "city"], missing="nan", indicator=True)
    ... )
    >>> [(word.column.name, word.role) for word in features.words]
    [('sqft', 'feature'), ('city', 'feature'), ('sqft', 'missing'), ('price', 'target')]
    >>> x, y, sample_weight = features.unpack(np.zeros((32, 4), np.float32))
    >>> x.shape, y.shape
    ((32, 3), (32,))
    """

    def __init__(self, table: NamedColumns, options: ColumnOptions):
        super().__init__(table, options)
        self.means: dict[str, float] = {}
        self.vocabularies: dict[str, list[str]] = {}
        self.unique: set[str] = set()  # shared by all copies, as the next one, so that each warning comes once
        self.infinite: set[str] = set()
        self.lookalikes: Lookalikes = Lookalikes()
        self.learned: str | None = None
        self._adopted: dict[str, list[str]] = {}  # the codes of other rows

    @property
    def needs_fit(self) -> bool:
        """Whether means or codes are still to be computed, which requires a pass over all rows."""
        coded = {word.column.name for word in self.words if word.is_code}
        needs_means = self.missing == "mean" and any(w.role == "feature" and not w.is_code for w in self.words)
        return bool(coded - set(self.vocabularies)) or (needs_means and not self.means)

    def of_other_rows(self, table: NamedColumns, with_target: bool, **changes: Any) -> "FeatureSpec":
        """Return the layout of other rows with the same features, and with the means and codes of these rows.

        Args:
            table: The columns of the other rows, in any order.
            with_target: Whether the other rows have the target.
            **changes: Options that differ.
        """
        features = FeatureSpec(table, self.chosen.for_other_rows(with_target, **changes))
        features.adopt(self.means, self.vocabularies)
        features.rounded, features.unique, features.infinite = self.rounded, self.unique, self.infinite
        return features

    def adopt(self, means: Mapping[str, float], vocabularies: Mapping[str, list[str]]) -> None:
        """Set means and codes to those of other rows. Those of columns that are not read are ignored."""
        names = {column.name for column in self.columns}
        self.means = {name: mean for name, mean in means.items() if name in names}
        self.vocabularies = {name: strings for name, strings in vocabularies.items() if name in names}
        values = json.dumps([self.means, self.vocabularies], sort_keys=True)
        self._adopted = self.vocabularies
        if self.classes is not None:
            self.classes.adopt(self.vocabularies[self.classes.column])
        self.learned = f"CRC-32 {zlib.crc32(values.encode()):08x}"

    def adopt_cells(
        self, statistics: Mapping[str, ColumnStatistics], target_strings: Mapping[str, Sequence[str]]
    ) -> None:
        """Add the cells of a target with several labels, for rows with the means and codes of other rows. See `fit`."""
        column = self.classes.column
        self.classes.adopt_cells(target_strings.get(column) or statistics[column].counts)
        self.vocabularies = {**self.vocabularies, column: self.classes.strings}

    def unfitted(self) -> "FeatureSpec":
        """Return a copy without means and codes, unless they are those of other rows."""
        if self.learned is not None and (self.classes is None or self.classes.separator is None):
            return self
        features = copy.copy(self)
        if self.learned is not None:
            features.classes, features.vocabularies = self.classes.unfitted(), self._adopted
            features.classes.adopt(self._adopted[self.classes.column])
            return features
        features.means, features.vocabularies = {}, {}
        features.classes = None if self.classes is None else self.classes.unfitted()
        return features

    def fit(
        self, statistics: Mapping[str, ColumnStatistics], target_strings: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Take the values that replace missing cells, and the codes of strings, from statistics of the training rows.

        Strings have codes in the order of their frequency. Classes of a target are sorted.

        Args:
            statistics: The statistics of all columns, over the training rows.
            target_strings: Target → the distinct strings of all rows. Empty if all rows are training rows.

        Raises:
            DataError: If a column has no number, but its mean is needed.
            OptionError: If `label_mode` or `class_weight` does not fit the classes.
        """
        features = {word.column.name for word in self.words if word.role == "feature" and not word.is_code}
        empty = [name for name in features if not statistics[name].count]
        if self.missing == "mean" and empty:
            first, *_ = paths = self._choice.table.paths
            raise DataError(
                f"{first}{and_more(len(paths), 1)}: columns have no number to compute a mean of: "
                f"{listed(sorted(empty))}. Fix: features=[...] without them, or missing='nan'."
            )
        self.means = {name: statistics[name].mean for name in sorted(features)} if self.missing == "mean" else {}
        roles = {word.column.name: word.role for word in self.words if word.is_code}
        strings = {name: statistics[name].by_frequency for name in roles}
        for name in self.targets:
            if name in roles:
                strings[name] = sorted_classes((target_strings or strings)[name])
                if self.classes is None or self.classes.separator is None:
                    warn_of_one_class_per_row(statistics[name], self.unique)
        if self.classes is not None:
            self.classes.fit(strings[self.classes.column], statistics[self.classes.column])
        for name, categories in strings.items():
            self.lookalikes.warn_of_numbers_written_twice(name, categories)
        self.vocabularies = strings  # last: an error above leaves the features unfitted

    def unpack(self, rows: np.ndarray, weigh_classes: bool = False) -> tuple[Any, ...]:
        """Return `(x, y, sample_weight)` of rows, `float32` of shape `(batch, words)`, as views as far as possible.

        `x` is `float32` of shape `(batch, features)`, or a dictionary of such arrays; it is `int32` if all columns of
        an input are codes. `y` is `float32`, or the `int32` index of a class, of shape `(batch,)` for one target and
        `(batch, targets)` otherwise. With `label_mode` or `label_separator`, it is what `TargetClasses.arrays` returns.
        `y` and `sample_weight` are `None` if there is no target or no weight.

        Args:
            rows: The rows.
            weigh_classes: Whether `sample_weight` is the weight of the class.
        """
        inputs = {name: rows[:, first:end].view(dtype) for name, (first, end, dtype) in self.inputs.items()}
        x = inputs.get(None, inputs)
        end = self.first_target + len(self.targets)
        if not self.targets:
            return x, None, None
        y = rows[:, self.first_target : end]
        if self.words[self.first_target].is_code:
            y = y.view(np.int32)
        weight = rows[:, end] if self.has_weight else None
        if self.classes is not None:
            if weigh_classes:
                weight = self.classes.weights[y[:, 0]]
            if self.classes.changes_shape:
                return x, self.classes.arrays(y[:, 0]), weight
        return x, y[:, 0] if self.one_target else y, weight

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the words of a row, as plain JSON."""
        return {**super().fingerprint(), **({} if self.learned is None else {"means and codes": self.learned})}
