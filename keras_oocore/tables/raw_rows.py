"""Raw rows, as dictionaries or as a data frame, encoded as the rows of a file are."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import did_you_mean, listed
from keras_oocore.csv.cells import LARGEST_FLOAT32, Cells, Column, is_missing
from keras_oocore.csv.conversion import convert
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.tables.encoding import encode, first_gap
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.raw_texts import RawTexts, UnreadableError

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

FORMS = "a dictionary of values or of columns, a list of dictionaries, or a DataFrame"


class RawRowEncoder:
    """Encodes raw rows as the rows of a file, cell by cell the same.

    Args:
        features: The layout of a row, fitted if necessary, without a target.
        options: How text is read as a cell.

    >>> from keras_oocore.tables.format import NamedColumns
    >>> from keras_oocore.tables.options import ColumnOptions
    >>> columns = {"sqft": Column("sqft", 0, "float32"), "sold": Column("sold", 1, "bool")}
    >>> features = FeatureSpec(NamedColumns([], columns), ColumnOptions(None))
    >>> RawRowEncoder(features, CellOptions()).encode([{"sqft": 1000, "sold": True}, {"sqft": "1e3", "sold": "no"}])
    array([[1000.,    1.],
           [1000.,    0.]], dtype=float32)
    """

    def __init__(self, features: FeatureSpec, options: CellOptions):
        self._features, self._options = features, options
        nulls = pa.array(options.null_values, pa.string())
        self._has_null_numbers = convert(Column("", 0, "float32"), nulls, options)[0].null_count < len(nulls)
        names = {column.position: name for name, column in features.named_columns.items()}
        self._texts = [
            RawTexts(column, options, features.vocabularies.get(column.name, ()), names[column.position])
            for column in features.columns
        ]

    def encode(self, rows: Any) -> Any:
        """Return `x`, as `FeatureSpec.unpack` does, for raw rows.

        Raises:
            OptionError: If `rows` is neither dictionaries nor a data frame, or columns differ in length.
            DataError: If a column lacks, a value cannot be read, or is missing and has no replacement.
        """
        columns = columns_of(rows, list(dict.fromkeys(texts.source for texts in self._texts)))
        cells = {texts.column.name: self._cells(texts, columns[texts.source]) for texts in self._texts}
        self._require_present({name: is_missing(array) for name, array in cells.items()})
        num_rows = len(next(iter(cells.values())))
        return self._features.unpack(encode(self._features, Cells(np.arange(num_rows), cells), _where))[0]

    def _cells(self, texts: RawTexts, values: Sequence[Any]) -> Any:
        """Return the values of a column as a `pyarrow` array of `double` or strings. Missing ones are null."""
        column = texts.column
        if column.kind == "float32" and isinstance(values, np.ndarray) and not self._has_null_numbers:
            return self._checked_numbers(texts, values)
        found: list[str | None] = []
        for row, value in enumerate(values):
            try:
                found.append(texts.of(value))
            except UnreadableError as error:
                raise _error(row, column, str(error)) from None
        try:
            cells, unreadable = convert(column, pa.array(found, pa.string()), self._options)
        except UnicodeEncodeError as error:  # half of a surrogate pair
            row = found.index(error.object)
            raise _error(row, column, texts.refusal(values[row])) from None
        if len(unreadable):
            row = int(unreadable[0])
            raise _error(row, column, texts.refusal(values[row]))
        return cells

    def _checked_numbers(self, texts: RawTexts, values: np.ndarray) -> Any:
        """Return an array of numbers as `double`, null where it is NaN."""
        numbers = values.astype(np.float64)
        too_large = (np.abs(numbers) > LARGEST_FLOAT32) & np.isfinite(numbers)
        if too_large.any():
            row = int(np.argmax(too_large))
            raise _error(row, texts.column, texts.refusal(values[row]))
        return pa.array(numbers, mask=np.isnan(numbers))

    def _require_present(self, absent: Mapping[str, np.ndarray]) -> None:
        """Raise for the first missing value that makes an error, or drops a row."""
        if self._features.missing == "drop":
            gaps = [(int(np.argmax(mask)), name) for name, mask in absent.items() if mask.any()]
            if gaps:
                row, name = min(gaps)
                raise DataError(
                    f"{_where(row)}, column {name!r}: the value is missing, and training left such rows out "
                    "(missing='drop'). Remove them before `encode`, which returns one row per row."
                )
        gap = first_gap(self._features, absent)
        if gap is not None:
            row, word = gap
            raise DataError(
                f"{_where(row)}, column {word.column.name!r}: the value is missing, and training has no number for it "
                f"(missing={self._features.missing!r}). Pass a number, or train with missing='mean'."
            )


def columns_of(rows: Any, names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return name → the values of a column, all of one length.

    Args:
        rows: A dictionary of scalars (one row) or of columns, a list of dictionaries, or a data frame.
        names: The columns to return.

    >>> columns_of({"a": 1, "b": "x", "c": 2}, ["a", "b"]), columns_of([{"a": 1}, {"a": 2}], ["a"])
    ({'a': [1], 'b': ['x']}, {'a': [1, 2]})
    """
    if isinstance(rows, list | tuple):
        return _columns_of_dictionaries(rows, names)
    if hasattr(rows, "to_pydict"):
        rows = rows.to_pydict()  # a table of pyarrow
    elif not isinstance(rows, Mapping) and not hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        rows = rows.to_dict()  # a row of a pandas data frame
    if not isinstance(rows, Mapping) and not (hasattr(rows, "columns") and hasattr(rows, "__getitem__")):
        raise OptionError(f"`rows` should be {FORMS}. Received: an object of type {type(rows).__name__!r}")
    present = list(rows if isinstance(rows, Mapping) else rows.columns)
    _require_names(names, present, "`rows`")
    values = {name: rows[name] for name in names}
    columns = {name: value for name, value in values.items() if _is_column(value)}
    if not columns and isinstance(rows, Mapping):
        return {name: [value] for name, value in values.items()}
    scalars = [name for name in names if name not in columns]
    if scalars:
        raise OptionError(
            f"`rows` should have columns, or one value per name. Received: values for {listed(scalars)}, and columns "
            f"for {listed(columns)}"
        )
    columns = {name: _as_sequence(name, value) for name, value in columns.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise OptionError(f"`rows` should have columns of one length. Received: lengths {lengths}")
    return columns


def _columns_of_dictionaries(rows: Sequence[Any], names: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return the columns of a list of dictionaries."""
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise OptionError(f"`rows` should be {FORMS}. Received: a list with {row!r:.60} at index {number}")
        if any(name not in row for name in names):
            _require_names(names, list(row), _where(number))
    return {name: [row[name] for row in rows] for name in names}


def _require_names(names: Sequence[str], present: Collection[Any], where: str) -> None:
    """Raise if columns lack."""
    missing = [name for name in names if name not in present]
    if missing:
        similar = did_you_mean(missing[0], present) if len(missing) == 1 else ""
        raise DataError(
            f"{where}: columns of the training rows are missing: {listed(missing)}.{similar} "
            f"Received: {listed(map(str, present)) or 'no column'}. Pass None for a value that is not known."
        )


def _is_column(value: Any) -> bool:
    """Return whether a value is a column, and not a scalar."""
    return not isinstance(value, str | bytes | Mapping) and hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def _as_sequence(name: str, values: Any) -> Sequence[Any]:
    """Return a column as a NumPy array of numbers, or as a list of Python's, NumPy's or the data frame's values."""
    if getattr(values, "ndim", 1) != 1:
        raise OptionError(f"`rows` should have one value per row in column {name!r}. Received: shape {values.shape}")
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return np.asarray(values)
    return list(values)


def _where(row: int) -> str:
    """Return how messages name a row."""
    return f"`rows`, row {row}"


def _error(row: int, column: Column, reason: str) -> DataError:
    """Return the error for a value."""
    return DataError(f"{_where(row)}, column {column.name!r}: {reason}. Pass None if it is not known.")
