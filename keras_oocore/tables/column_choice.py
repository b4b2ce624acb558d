"""`ColumnChoice`: the columns that the user's options name, with the kinds that these options give them."""

import dataclasses
from collections.abc import Iterable, Sequence

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import listed, shown
from keras_oocore.csv.cells import Column
from keras_oocore.tables.date_parts import date_parts, require_part_in_dates
from keras_oocore.tables.feature_checks import as_names, strings_as_features
from keras_oocore.tables.format import NamedColumns
from keras_oocore.tables.options import ColumnOptions


class ColumnChoice:
    """The columns of a table, and the parts of its dates, as the user's options see them.

    Args:
        table: The columns of the table.
        options: The user's choice of columns.

    Attributes:
        kinds: Column → `"string"`, for columns that are read as categories, whatever their kind in the table.
        excluded: Names of columns that are not features.
        names_features: Whether the user names the features.

    Raises:
        OptionError: If a column does not exist, or has the wrong kind for its use.
    """

    def __init__(self, table: NamedColumns, options: ColumnOptions):
        self.table: NamedColumns = table
        table.expect(table.columns if options.features is None else options.mentioned())
        self._parts = date_parts(table, options.dates)
        self._part_named = {part.name: part for parts in self._parts.values() for part in parts}
        self.kinds: dict[str, str] = self._checked_categories(options.categorical)
        self.excluded: set[str] = {self.column(name, "exclude").name for name in as_names(options.exclude, "exclude")}
        self.names_features: bool = options.features is not None

    def used_names(self, names: Sequence[str]) -> list[str]:
        """Return the names of features without the excluded ones, and the parts of a date instead of its name.

        Raises:
            OptionError: If a date is named and one of its parts, too.
        """
        left = [name for name in names if name not in self.excluded]
        parts = [part for name in left for part in ([column.name for column in self._parts.get(name, ())] or [name])]
        used = [name for name in parts if name not in self.excluded]
        if len(set(used)) < len(used):
            twice = [part.name for name in left for part in self._parts.get(name, ()) if used.count(part.name) > 1]
            raise OptionError(
                f"`features` names a date and its parts, {listed(twice)}. `dates` replaces the date by these parts. "
                "Name only the date, or only the parts."
            )
        return used

    def column(self, name: str, argument: str) -> Column:
        """Return a column, or a part of a date, with the kind that it has here."""
        if name in self._part_named:
            return self._part_named[name]
        require_part_in_dates(self.table, name, argument)
        column = self.table.column(name, argument)
        return dataclasses.replace(column, kind=self.kinds.get(name, column.kind))

    def number_column(self, name: str, argument: str) -> Column:
        """Return a column of numbers."""
        if not isinstance(name, str):
            raise OptionError(f"`{argument}` should be the name of a column. Received: {shown(name)}")
        column = self.column(name, argument)
        if column.kind == "string":
            raise OptionError(f"`{argument}` should be a column of numbers. Received: {name!r}, which holds strings")
        return column

    def require_no_strings(self, names: list[str]) -> None:
        """Raise for columns of strings that the user did not name as features."""
        strings = [name for name in names if self.column(name, "features").kind == "string" and name not in self.kinds]
        if strings:
            measured = [name for name in strings if name in self.table.measured]
            raise strings_as_features(strings, {name: self.table.notes[name] for name in measured})

    def suspects(self, features: Iterable[str]) -> dict[str, str]:
        """Return the features that say little about other rows → why.

        Of the features that the user named, only strings are meant, because their codes cannot be learnt.
        """
        suspects = {}
        for name in features:
            is_named = self.names_features or name in self.kinds
            if name in self.table.suspects and (not is_named or self.table.columns[name].kind == "string"):
                suspects[name] = self.table.suspects[name]
        return suspects

    def _checked_categories(self, categorical: Sequence[str]) -> dict[str, str]:
        """Return column → kind for the argument `categorical`."""
        names = as_names(categorical, "categorical")
        parts = [name for name in names if name in self._part_named or self.table.part_of_date(name)]
        if parts:
            raise OptionError(
                f"`categorical` names a part of a date, which is a number: {listed(parts)}. Encode it in the model, "
                "such as with keras.layers.CategoryEncoding."
            )
        return {self.table.column(name, "categorical").name: "string" for name in names}
