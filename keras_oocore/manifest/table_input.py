"""Reads filenames and labels from the columns of a CSV file or a DataFrame."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_oocore.core.checks import distinct
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import did_you_mean, listed
from keras_oocore.manifest.columns import SAMPLE_WEIGHT
from keras_oocore.manifest.features import require_names
from keras_oocore.manifest.inputs import as_filenames

CANONICAL_INTEGER = r"-?(?:0|[1-9]\d*)"
PADDED_INTEGER = r"-?0\d+"
DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
FIX = "Fix the file, or read it with pandas and pass the DataFrame."
FILL = (
    " A feature is a number for every sample. Fill the column with pandas, and pass the DataFrame: "
    "frame[{column!r}] = frame[{column!r}].fillna(frame[{column!r}].median())"
)
OF_CLASSES = "For a column of classes, pass `y_col` its name instead of a list."
ENCODE = (
    "Features are numbers. Leave the column out of `feature_cols`, or encode it with pandas, and pass the DataFrame: "
    "pandas.get_dummies(frame, columns=[{column!r}])"
)


class TableValues(NamedTuple):
    """What a manifest takes from a table: filenames, labels, further columns, and features.

    `features` is `float32` of shape `(num_samples, num_features)`, or `None`.
    """

    filenames: np.ndarray
    labels: np.ndarray | None
    columns: dict[str, np.ndarray]
    features: np.ndarray | None


class Table(Protocol):
    """Named columns, of a file or of a DataFrame.

    Attributes:
        path: How messages name the table.
        header: The names of the columns.
    """

    path: str
    header: Sequence[str]

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Return name → values."""

    def where(self, row: int, name: str) -> str:
        """Return how messages name a cell. Rows are counted from 0."""


class DataFrameTable:
    """The columns of a DataFrame: an object with `columns` (names) and `data[name].to_numpy()`.

    Args:
        data: A `DataFrame`, such as those of pandas and polars.
    """

    path = "the DataFrame"

    def __init__(self, data: Any):
        self._data = data
        self.header: list[str] = [*map(str, data.columns)]

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Return name → values, as in `Table`."""
        return {name: np.asarray(self._data[name].to_numpy()) for name in dict.fromkeys(names)}

    def where(self, row: int, name: str) -> str:
        """Return how messages name a cell, as in `Table`."""
        return f"{self.path}: row {row}, column {name!r}"


def read_table(
    data: str | os.PathLike[str] | Any,
    x_col: str,
    y_col: str | Sequence[str] | None,
    weight_col: str | None = None,
    columns: Sequence[str] = (),
    feature_cols: str | Sequence[str] | None = None,
) -> TableValues:
    """Filenames, labels and further values from the columns of a table, as described in `Manifest.from_csv`.

    Args:
        data: Path of a CSV file, or an object with `columns` (names) and `data[name].to_numpy()`, such as a `DataFrame`
            of pandas or polars.
        x_col: Name of the column of filenames.
        y_col: Name of the column of labels, list of names of columns of numbers, or `None`.
        weight_col: Name of the column of sample weights, or `None`.
        columns: Names of further columns.
        feature_cols: Names of columns of numbers that a model receives, or `None`.
    """
    features = require_names(feature_cols)
    y_cols = [] if y_col is None else [y_col] if isinstance(y_col, str) else distinct(y_col, "y_col")
    columns = [columns] if isinstance(columns, str) else distinct(columns, "columns")
    if y_col is not None and not y_cols:
        raise OptionError("`y_col` should contain at least one column. Received: an empty list")
    if isinstance(data, (str, os.PathLike)):
        from keras_oocore.csv.columns import open_columns  # imports pyarrow, which only files require

        with open_columns(data, FIX) as table:
            return _read(table, x_col, y_col, y_cols, weight_col, columns, features, from_file=True)
    if hasattr(data, "columns"):
        return _read(DataFrameTable(data), x_col, y_col, y_cols, weight_col, columns, features, from_file=False)
    raise OptionError(f"`data` should be the path of a CSV file or a DataFrame. Received: {type(data).__name__}")


def _read(
    table: Table,
    x_col: str,
    y_col: str | Sequence[str] | None,
    y_cols: list[str],
    weight_col: str | None,
    columns: Sequence[str],
    features: Sequence[str],
    from_file: bool,
) -> TableValues:
    """Filenames, labels and further values from the columns of a table. `y_cols` lists the columns of `y_col`."""
    weight_cols = [] if weight_col is None else [weight_col]
    _require_columns(table, x_col=[x_col], y_col=y_cols, weight_col=weight_cols, columns=columns, feature_cols=features)
    read = table.read(dict.fromkeys([x_col, *y_cols, *weight_cols, *columns, *features]))
    for column, values in read.items():
        _require_values(table, column, values, FILL.format(column=column) if column in features else "")
    filenames = as_filenames(read[x_col].astype(str))
    further = {column: _as_classes(read[column], from_file) for column in columns}
    if weight_col is not None:
        further[SAMPLE_WEIGHT] = _as_numbers(table, weight_col, read[weight_col])
    inputs = _matrix(table, read, features, ENCODE) if features else None
    labels = None
    if isinstance(y_col, str):
        labels = _as_classes(read[y_col], from_file)
    elif y_col is not None:
        labels = _matrix(table, read, y_cols)
    if inputs is not None:
        _require_finite(table, features, inputs)
    return TableValues(filenames, labels, further, inputs)


def _matrix(table: Table, read: dict[str, np.ndarray], columns: Sequence[str], *fix: str) -> np.ndarray:
    """Columns of numbers as `float32` of shape `(num_samples, num_columns)`."""
    return np.stack([_as_numbers(table, column, read[column], *fix) for column in columns], axis=1)


def _require_finite(table: Table, columns: Sequence[str], values: np.ndarray) -> None:
    """Raise a `DataError` for a feature that is infinite, also because `float32` cannot hold it."""
    if not np.isfinite(values).all():
        row, number = np.argwhere(~np.isfinite(values))[0].tolist()
        raise DataError(
            f"{table.where(row, columns[number])}: features should be finite numbers that float32 can hold. Divide "
            "the column by a constant, for example, or replace the value."
        )


def _require_columns(table: Table, **columns: Sequence[str]) -> None:
    """Raise a `DataError` if a column does not exist. Each argument of the user has a list of names."""
    header = table.header
    for argument, column in [(argument, column) for argument, names in columns.items() for column in names]:
        if column not in header:
            delimiter = next((character for character in ";\t|" if len(header) == 1 and character in header[0]), None)
            hint = f" The delimiter seems to be {delimiter!r}: read the file with pandas, and pass the DataFrame."
            raise DataError(
                f"{table.path}: there is no column {column!r} (`{argument}`).{did_you_mean(column, header)} "
                f"Columns: {listed(header)}.{hint if delimiter else ''}"
            )


def _require_values(table: Table, column: str, values: np.ndarray, fix: str) -> None:
    """Raise a `DataError` if a value is missing: `None`, NaN, NaT or `pandas.NA`."""
    try:
        missing = (values != values) | (np.equal(values, None) if values.dtype == object else False)
    except TypeError:  # `pandas.NA` is neither true nor false
        missing = np.array([_is_missing(value) for value in values])
    if np.any(missing):
        raise DataError(f"{table.where(int(np.argmax(missing)), column)}: the value is missing.{fix}")


def _is_missing(value) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _as_classes(values: np.ndarray, from_file: bool) -> np.ndarray:
    """A column of classes: `int64` or boolean for class indices, `float32` for measured values, or strings.

    In a file, a column contains integers if all of its values are written as integers, without leading zeros.
    """
    if values.dtype.kind in "iub":
        return values
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    strings = values.astype(str)
    if from_file and _match(all, values, CANONICAL_INTEGER):
        with contextlib.suppress(OverflowError):  # numbers longer than 64 bits are names
            return strings.astype(np.int64)
    elif from_file and _match(all, values, DECIMAL) and not _match(any, values, PADDED_INTEGER):
        return strings.astype(np.float32)
    return strings


def _match(all_or_any: Callable[[Iterable], bool], values: np.ndarray, pattern: str) -> bool:
    """Whether all or any of the strings match a pattern. Stops at the first one that decides."""
    return all_or_any(map(re.compile(pattern, re.ASCII).fullmatch, values.tolist()))


def _as_numbers(table: Table, column: str, values: np.ndarray, fix: str = OF_CLASSES) -> np.ndarray:
    """A column of numbers as `float32`. `fix` says what to do about a value that is not a number."""
    if values.dtype.kind in "iubf":
        with np.errstate(over="ignore"):
            return values.astype(np.float32)
    numbers = np.array([_as_number(value) for value in values.tolist()], np.float64)
    if np.isnan(numbers).any():
        row = int(np.argmax(np.isnan(numbers)))
        raise DataError(
            f"{table.where(row, column)}: cannot read {values[row]!r} as a number. {fix.format(column=column)}"
        )
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def _as_number(value) -> float:
    """The number that a value is or is written as, or NaN."""
    try:
        return np.nan if isinstance(value, str) and "_" in value else float(value)  # float("1_000") is 1000.0
    except (TypeError, ValueError):
        return np.nan
