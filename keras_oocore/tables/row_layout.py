"""`RowLayout`: which columns make up a row, and where a batch finds its inputs, targets and weights in the rows.

A row is a sequence of 4-byte words, `float32` or the bits of an `int32`. So one buffer, one order and one store serve
all columns.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_oocore.core.checks import boolean
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import LISTED_NAMES, listed
from keras_oocore.csv.cells import Column
from keras_oocore.tables.column_choice import ColumnChoice
from keras_oocore.tables.feature_checks import as_names, checked_missing
from keras_oocore.tables.feature_warnings import (
    warn_of_index_columns,
    warn_of_leak,
    warn_of_notes,
    warn_of_suspects,
    warn_of_unused_categories,
)
from keras_oocore.tables.format import NamedColumns
from keras_oocore.tables.options import ColumnOptions, Missing
from keras_oocore.tables.target_checks import require_classes, require_options
from keras_oocore.tables.targets import TargetClasses

IN_DAYS = "in days"  # instead of the part of a date, in fingerprints


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


class RowLayout:
    """The layout of a row, from the user's choice of columns. It is fixed, except for what `classes` learns.

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
        ids: The columns that are read beside the rows, as the exact text of their cells.
        classes: The classes of a target of strings, or `None` for numbers and for several targets.
        rounded: Columns for which a warning said that `float32` rounds their integers.

    Raises:
        OptionError: If a column does not exist, or has the wrong kind for its use.
    """

    def __init__(self, table: NamedColumns, options: ColumnOptions):
        target, features, sample_weight = options.target, options.features, options.sample_weight
        self._choice = choice = ColumnChoice(table, options)
        indicator = boolean(options.indicator, "indicator")
        self.targets: list[str] = [] if target is None else as_names(target, "target")
        self.one_target: bool = isinstance(target, str)
        require_options(options, len(self.targets))
        if options.label_separator is not None:
            choice.kinds.update(dict.fromkeys(self.targets, "string"))
        self.ids: list[Column] = [
            dataclasses.replace(table.column(name, "ids"), kind="text") for name in as_names(options.ids, "ids")
        ]
        self.missing: Missing | dict[str, float] = checked_missing(options.missing, choice.column)
        used = {choice.column(name, "target").position for name in self.targets}
        if sample_weight is not None:
            used.add(choice.number_column(sample_weight, "sample_weight").position)
        used.update(column.position for column in self.ids)
        if features is None:
            features = [
                name
                for name, column in table.columns.items()
                if column.position not in used and name not in table.index_columns
            ]
            named = choice.used_names(features)
            table.look_at([*self.targets, *named])
            choice.require_no_strings(named)
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
        features_read = [word.column.name for word in self.words if word.role == "feature"]
        if options.features is None:
            used_elsewhere = {*self.targets, *(column.name for column in self.ids), *choice.excluded}
            warn_of_index_columns(table.index_columns, used_elsewhere)
        warn_of_leak(features_read, self.targets)
        self.first_target: int = len(self.words)
        self.words += [Word(choice.column(name, "target"), "target") for name in self.targets]
        if target is not None:
            self._require_targets_of_one_kind()
        elif sample_weight is not None:
            raise OptionError("`sample_weight` requires a `target`. Received: target=None")
        self.classes: TargetClasses | None = self._target_classes(options)
        self.has_weight: bool = sample_weight is not None
        if self.has_weight:
            self.words.append(Word(choice.number_column(sample_weight, "sample_weight"), "weight"))
        self.columns: list[Column] = list({word.column.name: word.column for word in self.words}.values())
        warn_of_unused_categories(choice.kinds, self.columns)
        names = self._feature_names()
        self.chosen: ColumnOptions = dataclasses.replace(
            options,
            target=target if target is None or self.one_target else self.targets,
            features=names.get(None, names),
            categorical=list(choice.kinds),
            missing=self.missing,
            indicator=indicator,
        )
        warned = warn_of_suspects(choice.suspects(features_read))
        rounded = warn_of_notes(
            [column for column in self.columns if column.name not in warned], table.notes, choice.kinds
        )
        self.rounded: set[str] = set(rounded)  # shared by all copies, so that each warning comes once

    @property
    def named_columns(self) -> dict[str, Column]:
        """Name → column, for the columns that are read, as the table has them: without the kinds of `categorical`."""
        used = dict.fromkeys(column.name_in_file for column in (*self.columns, *self.ids))
        columns = {name: self._choice.table.columns[name] for name in used if name in self._choice.table.columns}
        return dict(sorted(columns.items(), key=lambda item: item[1].position))

    @property
    def class_columns(self) -> list[Column]:
        """The targets that are strings."""
        columns = {word.column.name: word.column for word in self.words if word.is_code and word.role == "target"}
        return list(columns.values())

    def column(self, name: str, argument: str) -> Column:
        """Return a column, or a part of a date, with the kind that it has here."""
        return self._choice.column(name, argument)

    def holds_bits(self, i: int) -> bool:
        """Return whether word `i`, if it is a code, is stored as the bits of an `int32`, and not as a `float32`."""
        if i >= self.first_target:
            return True
        return next(dtype for first, end, dtype in self.inputs.values() if first <= i < end) is np.int32

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the words of a row, as plain JSON."""
        zones = {word.column.name: word.column.zone for word in self.words if word.column.part and word.column.zone}
        return {
            "columns": [[*_described(word.column), word.role] for word in self.words],
            **({"zones": zones} if zones else {}),
            "inputs": [[name, first, end] for name, (first, end, _) in self.inputs.items()],
            "missing": self.missing,
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
        columns = [self._choice.column(name, "features") for name in self._choice.used_names(names)]
        if not columns:
            excluded = self._choice.excluded
            received = f"exclude={sorted(excluded)}, which leaves none" if excluded else "none"
            found = {} if self._choice.names_features else self._choice.table.index_columns
            notes = [why.rstrip(".") for why in found.values() if why]
            left_out = "".join(f"{note}. " for note in notes[:LISTED_NAMES])
            raise OptionError(
                f"`features` should name at least one column for each input. {left_out}Received: {received}"
            )
        self.words += [Word(column, "feature") for column in columns]
        if indicator:
            self.words += [Word(column, "missing") for column in columns if column.kind != "string"]
        words = self.words[first:]
        return first, len(self.words), np.int32 if all(word.is_code for word in words) else np.float32

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
        are_codes = [word.is_code for word in self.words[self.first_target :]]
        if not are_codes:
            raise OptionError("`target` should name at least one column. Received: none")
        if any(are_codes) and not all(are_codes):
            kinds = {word.column.name: word.column.kind for word in self.words[self.first_target :]}
            raise OptionError(f"Several targets should all be strings, or all numbers. Received: {kinds}")
        table = self._choice.table
        for name in self.targets:
            if name in table.measured and name not in self._choice.kinds:
                raise OptionError(
                    f"Target {name!r} is {table.notes[name][0]}. Otherwise each value would be a class. If they "
                    f"are names of classes: categorical=[{name!r}]"
                )


def _described(column: Column) -> tuple[Any, ...]:
    """Return a column for the fingerprint. A date says that it is in days, because it was in seconds once."""
    return (column.name, column.position, column.kind, column.format, *_unit(column))


def _unit(column: Column) -> list[str]:
    """Return the unit of a date, for fingerprints and options."""
    return [column.part or IN_DAYS] if column.kind == "date" else []
