"""`FeatureSpec`: which columns make up a row, and where a batch finds its inputs, targets and weights in the rows.

A row is a sequence of 4-byte words, `float32` or the bits of an `int32`. So one buffer, one order and one store serve
all columns, and `unpack` returns views.
"""

import copy
import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.checks import boolean
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import LISTED_NAMES, listed, shown
from keras_oocore.csv.cells import Column
from keras_oocore.tables.date_parts import date_parts
from keras_oocore.tables.feature_checks import as_names, checked_missing, strings_as_features
from keras_oocore.tables.feature_warnings import (
    warn_of_index_columns,
    warn_of_leak,
    warn_of_notes,
    warn_of_one_class_per_row,
    warn_of_suspects,
    warn_of_unused_categories,
)
from keras_oocore.tables.format import NamedColumns
from keras_oocore.tables.lookalikes import Lookalikes
from keras_oocore.tables.options import ColumnOptions, Missing
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.targets import TargetClasses, checked_options, require_classes, sorted_classes

IN_DAYS = "in days"  # in place of the part of a date, in fingerprints


@dataclasses.dataclass(frozen=True)
class Word:
    """One 4-byte word of a row.

    Attributes:
        column: The column that it comes from.
        role: `"feature"`, `"missing"` (1 if the feature's cell is missing, 0 otherwise), `"target"` or `"weight"`.
    """

    column: Column
    role: str

    @property
    def is_code(self) -> bool:
        """Whether the word is an integer code of a string."""
        return self.column.kind == "string" and self.role != "missing"


class FeatureSpec:
    """The layout of a row, from the user's choice of columns.

    Everything but `means` and `vocabularies` is fixed. These two are computed from the training rows by `fit`.

    Args:
        table: The columns of the table.
        options: The user's choice of columns.

    Attributes:
        chosen: The options, with all names of `features` and `target` as lists.
        words: The words of a row.
        inputs: Name of an input → `(first word, end, dtype)`. The name of a single matrix is `None`.
        targets: Names of the targets.
        first_target: Position of the first target among the words.
        columns: The columns that are read, without repetition.
        means: Column → value that replaces a missing cell, after `fit`, with `missing="mean"`.
        vocabularies: Column → strings in the order of their codes, after `fit`.
        ids: The columns that are read beside the rows, as the exact text of their cells.
        classes: The classes of a target of strings, or `None` for numbers and for several targets.
        rounded: Columns for which a warning said that `float32` rounds their integers.
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
        target, features, sample_weight = options.target, options.features, options.sample_weight
        self._table = table
        table.expect(table.columns if options.features is None else options.mentioned())
        self._parts = date_parts(table, options.dates)
        self._part_named = {part.name: part for parts in self._parts.values() for part in parts}
        self._kinds = self._checked_categories(options.categorical)
        self._excluded = {self.column(name, "exclude").name for name in as_names(options.exclude, "exclude")}
        self._names_features = features is not None
        indicator = boolean(options.indicator, "indicator")
        self.targets: list[str] = [] if target is None else as_names(target, "target")
        self.one_target: bool = isinstance(target, str)
        checked_options(options, len(self.targets))
        if options.label_separator is not None:
            self._kinds.update(dict.fromkeys(self.targets, "string"))
        self.ids: list[Column] = [
            dataclasses.replace(table.column(name, "ids"), kind="text") for name in as_names(options.ids, "ids")
        ]
        self.missing: Missing | dict[str, float] = checked_missing(options.missing, self.column)
        used = {self.column(name, "target").position for name in self.targets}
        if sample_weight is not None:
            used.add(self._number_column(sample_weight, "sample_weight").position)
        used.update(column.position for column in self.ids)
        if features is None:
            features = [
                name
                for name, column in table.columns.items()
                if column.position not in used and name not in table.index_columns
            ]
            named = self._used_names(features)
            table.look_at([*self.targets, *named])
            self._require_no_strings(named)
        else:
            named = features.values() if isinstance(features, Mapping) else [features]
            table.look_at([*self.targets, *(name for names in named for name in as_names(names, "features"))])
        inputs = features if isinstance(features, Mapping) else {None: features}
        if not inputs:
            raise OptionError("`features` should name at least one input. Received: an empty dictionary")
        self.words: list[Word] = []
        self.inputs: dict[str | None, tuple[int, int, type]] = {}
        for name, columns in inputs.items():
            self.inputs[name] = self._add_input(as_names(columns, "features"), indicator)
        self._require_no_id_as_feature()
        names = [word.column.name for word in self.words if word.role == "feature"]
        if options.features is None:
            used_elsewhere = {*self.targets, *(column.name for column in self.ids), *self._excluded}
            warn_of_index_columns(table.index_columns, used_elsewhere)
        warn_of_leak(names, self.targets)
        self.first_target: int = len(self.words)
        self.words += [Word(self.column(name, "target"), "target") for name in self.targets]
        if target is not None:
            self._require_targets_of_one_kind()
        elif sample_weight is not None:
            raise OptionError("`sample_weight` requires a `target`. Received: target=None")
        self.classes: TargetClasses | None = self._target_classes(options)
        self.has_weight: bool = sample_weight is not None
        if self.has_weight:
            self.words.append(Word(self._number_column(sample_weight, "sample_weight"), "weight"))
        self.columns: list[Column] = list({word.column.name: word.column for word in self.words}.values())
        warn_of_unused_categories(self._kinds, self.columns)
        self.means: dict[str, float] = {}
        self.vocabularies: dict[str, list[str]] = {}
        self.rounded: set[str] = set()  # shared by all copies, as the next one, so that each warning comes once
        self.unique: set[str] = set()
        self.infinite: set[str] = set()
        self.lookalikes: Lookalikes = Lookalikes()
        self.learned: str | None = None
        names = self._feature_names()
        self.chosen: ColumnOptions = dataclasses.replace(
            options,
            target=target if target is None or self.one_target else self.targets,
            features=names.get(None, names),
            categorical=list(self._kinds),
            missing=self.missing,
            indicator=indicator,
        )
        warned = warn_of_suspects(self._suspects())
        rounded = warn_of_notes(
            [column for column in self.columns if column.name not in warned], table.notes, self._kinds
        )
        self.rounded.update(rounded)

    @property
    def needs_fit(self) -> bool:
        """Whether means or codes are still to be computed, which requires a pass over all rows."""
        texts = {word.column.name for word in self.words if word.is_code}
        needs_means = self.missing == "mean" and any(w.role == "feature" and not w.is_code for w in self.words)
        return bool(texts - set(self.vocabularies)) or (needs_means and not self.means)

    @property
    def named_columns(self) -> dict[str, Column]:
        """Name → column, for the columns that are read, as the table has them: without the kinds of `categorical`."""
        used = {column.name_in_file for column in (*self.columns, *self.ids)}
        return {name: self._table.columns[name] for name in self._table.columns if name in used}

    def of_other_rows(self, table: NamedColumns, with_target: bool, **changes: Any) -> "FeatureSpec":
        """Return the layout of other rows with the same features, and with the means and codes of these rows.

        Args:
            table: The columns of the other rows, in any order.
            with_target: Whether the other rows have the target.
            **changes: Options that differ.
        """
        features = FeatureSpec(table, self.chosen.for_other_rows(with_target, **changes))
        features.adopt(self.means, self.vocabularies)
        features.rounded, features.unique = self.rounded, self.unique
        features.infinite = self.infinite
        return features

    def adopt(self, means: Mapping[str, float], vocabularies: Mapping[str, list[str]]) -> None:
        """Set means and codes to those of other rows. Those of columns that are not read are ignored."""
        names = {column.name for column in self.columns}
        self.means = {name: mean for name, mean in means.items() if name in names}
        self.vocabularies = {name: texts for name, texts in vocabularies.items() if name in names}
        values = json.dumps([self.means, self.vocabularies], sort_keys=True)
        if self.classes is not None:
            self.classes.adopt(self.vocabularies[self.classes.column])
        self.learned = f"CRC-32 {zlib.crc32(values.encode()):08x}"

    @property
    def class_columns(self) -> list[Column]:
        """The targets that are strings."""
        columns = {word.column.name: word.column for word in self.words if word.is_code and word.role == "target"}
        return list(columns.values())

    def unfitted(self) -> "FeatureSpec":
        """Return a copy without means and codes, unless they are those of other rows."""
        if self.learned is not None:
            return self
        features = copy.copy(self)
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
            first, *others = self._table.paths
            raise DataError(
                f"{first}{f' and {len(others)} more' * bool(others)}: columns have no number to compute a mean of: "
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
        for name, texts in strings.items():
            self.lookalikes.warn_of_numbers_written_twice(name, texts)
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

    def holds_bits(self, i: int) -> bool:
        """Return whether word `i`, if it is a code, is stored as the bits of an `int32`, and not as a `float32`."""
        if i >= self.first_target:
            return True
        return next(dtype for first, end, dtype in self.inputs.values() if first <= i < end) is np.int32

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the words of a row, as plain JSON."""
        return {
            "columns": [[*_described(word.column), word.role] for word in self.words],
            "inputs": [[name, first, end] for name, (first, end, _) in self.inputs.items()],
            "missing": self.missing,
            **({} if self.learned is None else {"means and codes": self.learned}),
        }

    def options(self) -> dict[str, Any]:
        """Return the options that determine the words of a row, by their names, as plain JSON."""
        names = self._feature_names()
        return {
            "target": list(self.targets),
            "features": names.get(None, names),
            "sample_weight": self.words[-1].column.name if self.has_weight else None,
            **({} if self.classes is None else self.classes.options()),
            "indicator": any(word.role == "missing" for word in self.words),
            "dtypes or categorical": {
                word.column.name: " ".join([word.column.kind, *_unit(word.column)])
                for word in self.words
                if word.role != "missing"
            },
        }

    def _feature_names(self) -> dict[str | None, list[str]]:
        """Return the name of each input → the names of its features. The name of a single matrix is `None`."""
        return {
            name: [word.column.name for word in self.words[first:end] if word.role == "feature"]
            for name, (first, end, _) in self.inputs.items()
        }

    def _add_input(self, names: list[str], indicator: bool) -> tuple[int, int, type]:
        """Add the words of one input. Return its first word, its end and its dtype."""
        first = len(self.words)
        columns = [self.column(name, "features") for name in self._used_names(names)]
        if not columns:
            received = f"exclude={sorted(self._excluded)}, which leaves none" if self._excluded else "none"
            notes = [why.rstrip(".") for why in self._table.index_columns.values() if why and not self._names_features]
            left_out = "".join(f"{note}. " for note in notes[:LISTED_NAMES])
            raise OptionError(
                f"`features` should name at least one column for each input. {left_out}Received: {received}"
            )
        self.words += [Word(column, "feature") for column in columns]
        if indicator:
            self.words += [Word(column, "missing") for column in columns if column.kind != "string"]
        words = self.words[first:]
        return first, len(self.words), np.int32 if all(word.is_code for word in words) else np.float32

    def _used_names(self, names: Sequence[str]) -> list[str]:
        """Return the names of features without the excluded ones, and the parts of a date in place of its name."""
        left = (name for name in names if name not in self._excluded)
        parts = [part for name in left for part in ([column.name for column in self._parts.get(name, ())] or [name])]
        return [name for name in parts if name not in self._excluded]

    def column(self, name: str, argument: str) -> Column:
        """Return a column, or a part of a date, with the kind that it has here."""
        if name in self._part_named:
            return self._part_named[name]
        column = self._table.column(name, argument)
        return dataclasses.replace(column, kind=self._kinds.get(name, column.kind))

    def _number_column(self, name: str, argument: str) -> Column:
        """Return a column of numbers."""
        if not isinstance(name, str):
            raise OptionError(f"`{argument}` should be the name of a column. Received: {shown(name)}")
        column = self.column(name, argument)
        if column.kind == "string":
            raise OptionError(f"`{argument}` should be a column of numbers. Received: {name!r}, which holds strings")
        return column

    def _require_no_strings(self, names: list[str]) -> None:
        """Raise for columns of strings that the user did not name as features."""
        strings = [name for name in names if self.column(name, "features").kind == "string" and name not in self._kinds]
        if strings:
            measured = [name for name in strings if name in self._table.measured]
            raise strings_as_features(strings, {name: self._table.notes[name] for name in measured})

    def _suspects(self) -> dict[str, str]:
        """Return the features that say little about other rows → why.

        Of the features that the user named, only strings are meant, because their codes cannot be learnt.
        """
        suspects = {}
        for name in (word.column.name for word in self.words if word.role == "feature"):
            is_named = self._names_features or name in self._kinds
            if name in self._table.suspects and (not is_named or self._table.columns[name].kind == "string"):
                suspects[name] = self._table.suspects[name]
        return suspects

    def _require_no_id_as_feature(self) -> None:
        """Raise for columns that are both features and ids."""
        ids = {column.name for column in self.ids}
        both = [word.column.name for word in self.words if word.role == "feature" and word.column.name in ids]
        if both:
            raise OptionError(f"`ids` are not features. Both contain {listed(both)}. Remove it from one of them.")

    def _target_classes(self, options: ColumnOptions) -> TargetClasses | None:
        """Return the classes of the target, if it is one column of strings."""
        if len(self.targets) != 1:
            return None
        if not self.words[self.first_target].is_code:
            require_classes(self.targets[0], options)
            return None
        return TargetClasses(self.targets[0], options)

    def _require_targets_of_one_kind(self) -> None:
        """Raise for no target, and for targets of strings and numbers."""
        texts = [word.is_code for word in self.words[self.first_target :]]
        if not texts:
            raise OptionError("`target` should name at least one column. Received: none")
        if any(texts) and not all(texts):
            kinds = {word.column.name: word.column.kind for word in self.words[self.first_target :]}
            raise OptionError(f"Several targets should all be strings, or all numbers. Received: {kinds}")
        for name in self.targets:
            if name in self._table.measured and name not in self._kinds:
                raise OptionError(
                    f"Target {name!r} is {self._table.notes[name][0]}. Otherwise each value would be a class. If they "
                    f"are names of classes: categorical=[{name!r}]"
                )

    def _checked_categories(self, categorical: Sequence[str]) -> dict[str, str]:
        """Return column → kind for the argument `categorical`."""
        names = as_names(categorical, "categorical")
        parts = [name for name in names if name in self._part_named]
        if parts:
            raise OptionError(
                f"`categorical` names a part of a date, which is a number: {listed(parts)}. Encode it in the model, "
                "such as with keras.layers.CategoryEncoding."
            )
        return {self._table.column(name, "categorical").name: "string" for name in names}


def _described(column: Column) -> tuple[Any, ...]:
    """Return a column for the fingerprint. A date says that it is in days, because it was in seconds once."""
    *described, _ = dataclasses.astuple(column)
    return (*described, *_unit(column))


def _unit(column: Column) -> list[str]:
    """Return the unit of a date, for fingerprints and options."""
    return [column.part or IN_DAYS] if column.kind == "date" else []
