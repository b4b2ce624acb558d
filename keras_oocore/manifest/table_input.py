"""Reads filenames and labels from the columns of a CSV file or a DataFrame."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.core.text import did_you_mean, listed
from keras_oocore.manifest.inputs import as_filenames

CANONICAL_INTEGER = r"-?(?:0|[1-9]\d*)"
PADDED_INTEGER = r"-?0\d+"
DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
BLOCK_BYTES = 16 * 2**20  # pyarrow parses blocks of this size, and no row may be longer


def read_table(
    data: str | os.PathLike | Any, x_col: str, y_col: str | Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Filenames and labels from the columns of a CSV file or a DataFrame, as described in `Manifest.from_csv`.

    Args:
        data: Path of a CSV file, or an object with `columns` (names) and `data[name].to_numpy()`, such as a `DataFrame`
            of pandas or polars.
        x_col: Name of the column of filenames.
        y_col: Name of the column of labels, list of names of columns of numbers, or `None`.
    """
    y_cols = [] if y_col is None else [y_col] if isinstance(y_col, str) else [*y_col]
    if y_col is not None and not y_cols:
        raise OptionError("`y_col` should contain at least one column. Received: an empty list")
    from_file = isinstance(data, (str, os.PathLike))
    if from_file:
        name = repr(os.fspath(data))
        columns = _read_csv(data, x_col, y_cols, name)
    elif hasattr(data, "columns"):
        name = "the DataFrame"
        _require_columns(data.columns, x_col, y_cols, name)
        columns = {column: np.asarray(data[column].to_numpy()) for column in {x_col, *y_cols}}
    else:
        raise OptionError(f"`data` should be the path of a CSV file or a DataFrame. Received: {type(data).__name__}")
    for column, values in columns.items():
        _require_values(values, column, name)
    filenames = as_filenames(columns[x_col].astype(str))
    if y_col is None:
        return filenames, None
    if isinstance(y_col, str):
        return filenames, _as_classes(columns[y_col], from_file)
    return filenames, np.stack([_as_numbers(columns[column], column, name) for column in y_cols], axis=1)


def _read_csv(path: str | os.PathLike, x_col: str, y_cols: list[str], name: str) -> dict[str, np.ndarray]:
    """The columns as arrays of strings, with `None` for empty cells."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError('CSV files require pyarrow: pip install "keras_oocore[csv]"') from error
    columns = [*dict.fromkeys([x_col, *y_cols])]
    try:
        table, ragged = _parsed(path, columns)
        if table is None:
            _require_columns(_header(path), x_col, y_cols, name)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not a CSV file with a header, in UTF-8: {error}.") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise DataError(f"Cannot read {name}: {reason}.") from error
    if ragged:
        row = ragged[0]
        raise DataError(
            f"Row {row.number - 1} of {name} (the header not counted) should have {row.expected_columns} cells, as the "
            f"header has. Received: {row.actual_columns} {'cell' if row.actual_columns == 1 else 'cells'}"
        )
    return {column: table[column].to_numpy() for column in columns}


def _parsed(path: str | os.PathLike, columns: list[str]):
    """A `pyarrow.Table` of strings (`None` if a column does not exist), and the rows with too few or too many cells."""
    import pyarrow as pa
    from pyarrow import csv

    ragged = []
    reading = csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)  # with threads, rows have no numbers
    parsing = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda row: (ragged.append(row), "skip")[1])
    types = dict.fromkeys(columns, pa.string())
    conversion = csv.ConvertOptions(
        include_columns=columns, column_types=types, strings_can_be_null=True, null_values=[""]
    )
    with _opened(path) as file:
        try:
            return csv.read_csv(file, reading, parsing, conversion), ragged
        except pa.ArrowKeyError:
            return None, ragged


def _header(path: str | os.PathLike) -> list[str]:
    from pyarrow import csv

    parsing = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    with _opened(path) as file, csv.open_csv(file, parse_options=parsing) as rows:
        return rows.schema.names


def _opened(path: str | os.PathLike):
    """The file as a stream of pyarrow, decompressed if its name ends in a suffix such as `.gz`."""
    import pyarrow as pa

    return pa.input_stream(storage.local_path(path), compression="detect")


def _require_columns(header: Iterable, x_col: str, y_cols: list[str], name: str) -> None:
    header = [*map(str, header)]
    for argument, column in [("x_col", x_col), *(("y_col", column) for column in y_cols)]:
        if column not in header:
            delimiter = next((character for character in ";\t|" if len(header) == 1 and character in header[0]), None)
            hint = f" The delimiter seems to be {delimiter!r}: read the file with pandas, and pass the DataFrame."
            raise DataError(
                f"{name} has no column {column!r} (`{argument}`).{did_you_mean(column, header)} "
                f"Columns: {listed(header)}.{hint if delimiter else ''}"
            )


def _require_values(values: np.ndarray, column: str, name: str) -> None:
    """Raise a `DataError` if a value is missing: `None`, NaN, NaT or `pandas.NA`."""
    try:
        missing = (values != values) | (np.equal(values, None) if values.dtype == object else False)
    except TypeError:  # `pandas.NA` is neither true nor false
        missing = np.array([_is_missing(value) for value in values])
    if np.any(missing):
        row = int(np.argmax(missing))
        raise DataError(f"Row {row + 1} of {name} (the header not counted) has no value in column {column!r}.")


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


def _as_numbers(values: np.ndarray, column: str, name: str) -> np.ndarray:
    """A column of numbers as `float32`."""
    if values.dtype.kind in "iubf":
        return values.astype(np.float32)
    numbers = np.array([_as_number(value) for value in values.tolist()], np.float64)
    if np.isnan(numbers).any():
        row = int(np.argmax(np.isnan(numbers)))
        raise DataError(
            f"Row {row + 1} of {name} (the header not counted) contains {values[row]!r} in column {column!r}, where a "
            "number is required. For a column of classes, pass `y_col` its name instead of a list."
        )
    return numbers.astype(np.float32)


def _as_number(value) -> float:
    """The number that a value is or is written as, or NaN."""
    try:
        return np.nan if isinstance(value, str) and "_" in value else float(value)  # float("1_000") is 1000.0
    except (TypeError, ValueError):
        return np.nan
