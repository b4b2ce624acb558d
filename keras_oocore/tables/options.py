"""`ColumnOptions`: what the user chooses about the columns of a table."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

Missing = Literal["error", "nan", "mean", "drop"]


@dataclasses.dataclass(frozen=True)
class ColumnOptions:
    """Which columns of a table make up a row, and what becomes of their cells. `FeatureSpec` checks them.

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
    """

    target: str | Sequence[str] | None
    features: Sequence[str] | Mapping[str, Sequence[str]] | None = None
    exclude: Sequence[str] = ()
    sample_weight: str | None = None
    dates: Mapping[str, str | Sequence[str] | None] | Sequence[str] | None = None
    categorical: Sequence[str] = ()
    missing: Missing | Mapping[str, float] = "error"
    indicator: bool = False
