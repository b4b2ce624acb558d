"""Cells of a column, as a parser gives them, converted to the kind of the column."""

from typing import Any

import numpy as np

from keras_oocore.csv.cells import STRINGS, Column
from keras_oocore.csv.dates import as_dates
from keras_oocore.csv.decoding import decoded_or_none
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.numbers import as_digits, as_numbers
from keras_oocore.csv.values import as_booleans, is_one_of

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None


def convert(column: Column, cells: Any, options: CellOptions) -> tuple[Any, np.ndarray]:
    """Return the cells as a `pyarrow` array, as `Cells` has it, and the positions of cells that cannot be read.

    Args:
        column: The column.
        cells: `pyarrow` array of the cells: `double`, or strings, or bytes if some cannot be decoded. Null is missing.
        options: How to read the cells.

    >>> cells, unreadable = convert(Column("sqft", 0, "float32"), pa.array([" 1000", None, "N/A", "x"]), CellOptions())
    >>> cells.to_pylist(), unreadable.tolist()
    ([1000.0, None, None, None], [3])
    """
    if pa.types.is_floating(cells.type) or (column.kind in STRINGS and pa.types.is_string(cells.type)):
        return cells, np.zeros(0, np.int64)
    missing = pc.is_null(cells)
    if pa.types.is_binary(cells.type):
        cells = pa.array([decoded_or_none(cell) for cell in cells.to_pylist()], pa.string())
    if column.kind in STRINGS:
        values = cells
    else:
        texts = pc.utf8_trim_whitespace(cells)
        values = _as_values(column, texts, options)
        missing = pc.or_(missing, is_one_of(texts, options.null_values))  # quoted or padded null values
    wrong = pc.and_not(pc.is_null(values), missing).to_numpy(zero_copy_only=False)
    return values, np.flatnonzero(wrong)


def _as_values(column: Column, texts: Any, options: CellOptions) -> Any:
    """Convert strings to `double`, or to exact digits; null where a string cannot be read."""
    if column.kind == "float32":
        return as_numbers(texts, options)
    if column.kind == "exact":
        return as_digits(texts, options)
    return as_dates(texts, column.format, column.part, column.zone) if column.kind == "date" else as_booleans(texts)
