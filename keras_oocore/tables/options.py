"""`ColumnOptions`: what the user chooses about the columns of a table."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Missing = Literal["error", "nan", "mean", "drop"]
LabelMode = Literal["int", "categorical", "binary"]
ClassWeight = Mapping[str | int, float] | Literal["balanced"]

OF_TRAINING = ("class_weight", "exclude")  # options that other rows do not share
OF_TARGET = ("sample_weight", "label_mode", "label_separator")  # options that rows without a target cannot have


@dataclasses.dataclass(frozen=True)
class ColumnOptions:
    """Which columns of a table make up a row, and how their cells are used. `FeatureSpec` checks them.

    Attributes:
        target: Name of the target, a list of names, or `None` for rows without a target.
        features: Names of the features; a dictionary of lists of names, for models with several inputs; or `None` for
            all other columns.
        exclude: Names of columns that are not features.
        sample_weight: Name of the column of sample weights, or `None`.
        dates: Column of dates → names of its parts, each a feature; or a list of columns of dates.
        categorical: Columns whose cells are names, even if they look like numbers.
        missing: How to handle missing numbers: `"error"`, `"nan"`, `"mean"`, `"drop"`, or `{column: value}`, which is
            an error for other columns.
        indicator: Whether to append, to each input, one word per feature that is a number: 1 if its cell is missing.
        ids: Columns that are read beside the rows, and are never features.
        label_mode: The form of the classes of a target, or `None` for their indices.
        label_separator: String between several labels in a cell of the target, or `None` for one class per cell.
        class_weight: Weights of the classes of the target, by name or index, or `"balanced"`.
    """

    target: str | Sequence[str] | None
    features: Sequence[str] | Mapping[str, Sequence[str]] | None = None
    exclude: Sequence[str] = ()
    sample_weight: str | None = None
    ids: str | Sequence[str] = ()
    label_mode: LabelMode | None = None
    label_separator: str | None = None
    class_weight: ClassWeight | None = None
    dates: Mapping[str, str | Sequence[str] | None] | Sequence[str] | None = None
    categorical: Sequence[str] = ()
    missing: Missing | Mapping[str, float] = "error"
    indicator: bool = False

    def for_other_rows(self, with_target: bool, **changes: Any) -> "ColumnOptions":
        """Return the options for other rows of the same features, such as those of a later file.

        Args:
            with_target: Whether the other rows have the target.
            **changes: Options that differ.

        >>> options = ColumnOptions("price", ["sqft", "city"], "weight", categorical=["city"], missing={"price": 0})
        >>> others = options.for_other_rows(with_target=False)
        >>> others.target, others.sample_weight, others.categorical, others.missing
        (None, None, ['city'], {})
        """
        unset = OF_TRAINING + (() if with_target else OF_TARGET)
        defaults = {field.name: field.default for field in dataclasses.fields(self) if field.name in unset}
        target = self.target if with_target else None
        options = dataclasses.replace(self, **{**defaults, "target": target, **changes})
        used = options.names()
        missing = options.missing
        if isinstance(missing, Mapping):
            missing = {name: value for name, value in missing.items() if name in used}
        dates = {
            name: parts for name, parts in _by_name(self.dates).items() if used & {name, *_part_names(name, parts)}
        }
        return dataclasses.replace(
            options,
            categorical=[name for name in self.categorical if name in used],
            dates=dates or None,
            missing=missing,
        )

    def mentioned(self) -> list[str]:
        """Return the strings that may be names of columns. Arguments that are not valid are ignored.

        >>> ColumnOptions("price", {"near": ["sqft"], "far": ["city"]}, dates={"sold": None}, exclude=3).mentioned()
        ['price', 'sqft', 'city', 'sold']
        """
        dates = list(self.dates) if isinstance(self.dates, Mapping) else self.dates
        named = (self.target, self.features, self.exclude, self.sample_weight, self.ids, dates, self.categorical)
        return [text for value in named for text in _strings_in(value)]

    def names(self) -> set[str]:
        """Return the names of the features, the targets and the weight, if `features` is given."""
        inputs = list(self.features.values()) if isinstance(self.features, Mapping) else [self.features or ()]
        targets = [self.target] if isinstance(self.target, str) else self.target or ()
        weights = [] if self.sample_weight is None else [self.sample_weight]
        return {name for names in (*inputs, targets, weights) for name in names}


def _strings_in(value: Any) -> list[str]:
    """Return a string, or the strings in lists and in the values of a dictionary."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple | set) else ()
    return [text for part in parts for text in _strings_in(part)]


def _by_name(dates: Mapping[str, Any] | Sequence[str] | None) -> Mapping[str, Any]:
    """Return the argument `dates` as a dictionary from column to parts."""
    return dates if isinstance(dates, Mapping) else dict.fromkeys(dates or ())


def _part_names(name: str, parts: str | Sequence[str] | None) -> list[str]:
    """Return the names of the features that are parts of a date."""
    return [f"{name}.{part}" for part in ([parts] if isinstance(parts, str) else parts or ())]
