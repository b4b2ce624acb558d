"""The arguments that Sequences of rows of tables share. Types, defaults and documentation are written once, here."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from keras_oocore.csv.dialect import OnBadRow
from keras_oocore.sequences.arguments import (
    DEFAULTS,
    DESCRIPTIONS,
    BatchArguments,
    ThreadArguments,
    describe,
)
from keras_oocore.sequences.sampling import SamplingArgument
from keras_oocore.tables.date_parts import Dates
from keras_oocore.tables.options import ClassWeight, ColumnOptions, LabelMode, Missing


class ColumnArguments(TypedDict, total=False):
    """Which columns of a table make up a row, and how their cells are used."""

    exclude: Sequence[str]
    sample_weight: str | None
    ids: str | Sequence[str]
    label_mode: LabelMode | None
    label_separator: str | None
    class_weight: ClassWeight | None
    dtypes: Mapping[str, object] | None
    dates: Dates | None
    categorical: Sequence[str]
    missing: Missing | Mapping[str, float]
    indicator: bool


class RowArguments(BatchArguments, ThreadArguments, total=False):
    """How rows of a table become batches."""

    sampling: SamplingArgument
    samples_per_epoch: int | None
    max_queue_size: int | None  # chosen by the size of a batch
    cache: str | os.PathLike[str] | None
    overwrite_cache: bool


class TableArguments(ColumnArguments, RowArguments, total=False):
    """How a table becomes batches."""

    on_bad_row: OnBadRow
    num_rows: int | None


CHOICES = {field.name: field.default for field in dataclasses.fields(ColumnOptions)}
COLUMN_DEFAULTS: dict[str, Any] = {name: CHOICES.get(name) for name in ColumnArguments.__annotations__}
ROW_DEFAULTS: dict[str, Any] = {
    "on_bad_row": "error",
    "num_rows": None,
    **DEFAULTS,
    "batch_size": 100,
    "max_queue_size": None,
}

COLUMN_DESCRIPTIONS = {
    "exclude": "Columns that are not features, such as ids and free text.",
    "sample_weight": "Column of sample weights.",
    "ids": 'Column, or list of columns, to carry beside the rows as strings, such as `["transaction_id"]`. They are '
    "never features. `ids()` and `served_ids` return them.",
    "label_mode": 'The form of `y` for a target of classes. `"int"` (or `None`): `int32` indices of shape `(batch,)`. '
    '`"categorical"`: one-hot `float32` of shape `(batch, classes)`. `"binary"`: `float32` of shape `(batch, 1)`, for '
    "exactly two classes. A column of numbers has classes if `categorical` names it.",
    "label_separator": 'String between several labels in a cell of the target, such as `"|"` in `"action|drama"`. `y` '
    "is then `float32` of shape `(batch, classes)`: 1 for each label of the row. A missing cell has no label.",
    "class_weight": "Dictionary from class, by its name or its index, to weight; other classes have a weight of 1. Or "
    '`"balanced"`, as in scikit-learn. The rows get the weight of their class as `sample_weight`, except in the '
    "validation and test parts of `split`. Do not also pass `class_weight` to `fit`.",
    "dtypes": 'Dictionary from column to `"float32"`, `"bool"`, `"string"`, or a date format such as `"%d.%m.%Y"`, for '
    "columns that should not be read as what they are, such as dates that are stored as strings.",
    "dates": 'Dictionary from column of dates to its parts, each a feature such as `"sold.year"`: `"year"`, '
    '`"quarter"`, `"month"`, `"week"`, `"day"`, `"weekday"` (Monday is 0), `"day_of_year"`, `"hour"`, `"minute"`, '
    '`"second"` and `"days"`, those since 1970. Or a list of columns that must be dates, which become days.',
    "categorical": "Columns of numbers to treat as categories. Columns of strings always are. Categories become codes: "
    "0 for a missing cell, 1 for a category that is not in the training rows, and 2, 3, ... in order of frequency, as "
    "in `keras.layers.StringLookup`.",
    "missing": 'How to handle missing numbers. `"error"`: raise an error. `"nan"`: use NaN. `"mean"`: use the mean of '
    'the column. `"drop"`: leave the row out. `{{column: value}}`: use this value, and raise an error for other '
    "columns.",
    "indicator": "Whether to add, for every numeric feature, another feature that is 1 if the cell is missing, else 0.",
}
ROW_DESCRIPTIONS = {
    **DESCRIPTIONS,
    "on_bad_row": 'How to handle rows that cannot be read. `"error"`: raise an error. `"skip"`: leave the row out.',
    "num_rows": "Number of rows to use, the first ones of all files, for a first try: later rows are not read. `None` "
    "for all rows.",
    "transform": "As in `ImageFolderSequence`. `x` is a matrix or a dictionary.",
    "sampling": '`"balanced"` draws every class of the target equally often in each epoch, with a difference of one '
    "draw at most: a row of a small class several times, and one of a large class in some epochs only. An array with "
    "one weight per row, in the order of `row_numbers`, draws each row in proportion to its weight. It requires "
    "`cache`. By default, each row is drawn once per epoch.",
    "samples_per_epoch": "Number of draws per epoch, with `sampling`. Defaults to the number of rows.",
    "cache": "Directory that stores all rows, in one pass before the first batch. If that pass was stopped, the next "
    "run resumes it. Every epoch and every later run reads rows at the speed of memory, with a global shuffle.",
    "memory_limit": 'Limit of all parsed rows and batches in flight, in bytes or as a string such as `"128MB"`. '
    "Defaults to the smaller of 512 MB and a tenth of the memory of this machine. Two blocks are always kept, and "
    "parsing needs about 20 MB per thread in addition.",
    "max_queue_size": "The largest number of batches made ahead of time. Defaults to 10, or for small batches to as "
    "many as 4 MB can store, at most 256.",
}

C = TypeVar("C", bound=type)


def documented_table(sequence: C) -> C:
    """Replace `{columns}` and `{shared}` in the docstring of a class with the descriptions of its shared arguments."""
    describe(sequence, "{columns}", COLUMN_DESCRIPTIONS)
    return describe(sequence, "{shared}", ROW_DESCRIPTIONS)


def column_options(
    target: str | Sequence[str] | None,
    features: Sequence[str] | Mapping[str, Sequence[str]] | None,
    arguments: Mapping[str, Any],
) -> ColumnOptions:
    """Return the user's choice of columns."""
    chosen = {name: value for name, value in arguments.items() if name in CHOICES}
    return ColumnOptions(target, features, **chosen)
