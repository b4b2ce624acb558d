"""Reads filenames and labels from the columns of a CSV file or a DataFrame."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.core.text import did_you_mean
from keras_oocore.manifest.inputs import as_filenames

if TYPE_CHECKING:
    import pandas

CANONICAL_INTEGER = r"-?(?:0|[1-9]\d*)"
PADDED_INTEGER = r"-?0\d+"
DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


def read_table(
    data: "str | os.PathLike | pandas.DataFrame", x_col: str, y_col: str | Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Filenames and labels from the columns of a CSV file or DataFrame, as `Manifest.from_csv` describes them."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError(
            'Reading a table of filenames needs pandas. Install it: pip install "keras_oocore[pandas]"'
        ) from error
    columns = [] if y_col is None else [y_col] if isinstance(y_col, str) else [*y_col]
    if y_col is not None and not columns:
        raise OptionError("`y_col` should name at least one column. Received: an empty list")
    if isinstance(data, pd.DataFrame):
        name, from_file = "the DataFrame", False
        _require_columns(data.columns, x_col, columns, name)
    else:
        name, from_file = repr(os.fspath(data)), True
        data = _read_csv(pd, data, x_col, columns, name)
    filenames = as_filenames(_whole(data, x_col, name).astype(str).to_numpy(dtype=object))
    if y_col is None:
        return filenames, None
    if isinstance(y_col, str):
        return filenames, _as_classes(_whole(data, y_col, name), from_file)
    return filenames, np.stack([_as_numbers(pd, _whole(data, y, name), name) for y in columns], axis=1)


def _read_csv(pd, path, x_col, columns, name):
    try:
        header = pd.read_csv(path, nrows=0).columns
        _require_columns(header, x_col, columns, name)
        wanted = {x_col, *columns}
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], usecols=lambda c: c in wanted)
    except OSError as error:
        raise DataError(f"Cannot read {name}: {error.strerror or error}.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not a CSV file with a header, in UTF-8: {error}.") from error


def _require_columns(header: Iterable, x_col: str, columns: list[str], name: str) -> None:
    header = [*map(str, header)]
    for argument, column in [("x_col", x_col), *(("y_col", column) for column in columns)]:
        if column not in header:
            separator = next((s for s in ";\t|" if len(header) == 1 and s in header[0]), None)
            hint = f" It seems to be separated by {separator!r}: pass pandas.read_csv(path, sep={separator!r})."
            raise DataError(
                f"{name} has no column {column!r} ({argument}).{did_you_mean(column, header)} "
                f"Columns: {', '.join(map(repr, header[:20]))}{'.' + hint if separator else ''}"
            )


def _whole(table, column, name):
    """A column without missing values."""
    values = table[column]
    if values.isna().any():
        row = int(values.isna().to_numpy().argmax())
        raise DataError(f"Row {row + 1} of {name} (the header not counted) has no value in column {column!r}.")
    return values


def _as_classes(values, from_file: bool) -> np.ndarray:
    """A column of text, of `int64`, or of `float32`; in a file, integers are those written without padding zeros."""
    if values.dtype.kind in "iub":
        return values.to_numpy()
    if values.dtype.kind == "f":
        return values.to_numpy(dtype=np.float32)
    text = values.astype(str)
    if from_file and text.str.fullmatch(CANONICAL_INTEGER).all():
        return text.to_numpy(dtype=np.int64)
    if from_file and text.str.fullmatch(DECIMAL).all() and not text.str.fullmatch(PADDED_INTEGER).any():
        return text.to_numpy(dtype=np.float32)
    return text.to_numpy(dtype=object).astype(str)


def _as_numbers(pd, values, name) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.isna().any():
        row = int(numbers.isna().to_numpy().argmax())
        raise DataError(
            f"Row {row + 1} of {name} (the header not counted) holds {values.iloc[row]!r} in column {values.name!r}, "
            "where a number is needed. A column of classes is named by itself: y_col='name', not a list."
        )
    return numbers.to_numpy(dtype=np.float32)
