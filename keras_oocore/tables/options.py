"""`ColumnOptions`: what the user chooses about the columns of a table."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

Missing = Literal["error", "nan", "mean", "drop"]
LabelMode = Literal["int", "categorical", "binary"]
ClassWeight = Mapping[str | int, float] | Literal["balanced"]


@dataclasses.dataclass(frozen=True)
class ColumnOptions:
    """Which columns of a table make up a row, and what becomes of their cells. `FeatureSpec` checks them.

    Attributes:
        target: Name of the target, a list of names, or `None` for rows without a target.
        features: Names of the features; a dictionary of lists of names, for models with several inputs; or `None` for
            all other columns.
        sample_weight: Name of the column of sample weights, or `None`.
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
    sample_weight: str | None = None
    categorical: Sequence[str] = ()
    missing: Missing | Mapping[str, float] = "error"
    indicator: bool = False
    ids: str | Sequence[str] = ()
    label_mode: LabelMode | None = None
    label_separator: str | None = None
    class_weight: ClassWeight | None = None
