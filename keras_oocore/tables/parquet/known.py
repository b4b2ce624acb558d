"""What the footer of a file says about the cells of a row group, and only that: missing cells and bounds of values.

Statistics of floats say nothing about NaN, which is a missing cell here, and those of strings may be shortened.
"""

import datetime
from typing import Any

import numpy as np

from keras_oocore.csv.cells import Column
from keras_oocore.tables.arrow.cells import as_cells
from keras_oocore.tables.arrow.kinds import plain_type
from keras_oocore.tables.format import KnownCells
from keras_oocore.tables.parquet.file import ParquetFile

try:
    import pyarrow as pa
except ImportError:  # the `tables` extra is not installed
    pa = None


def known_cells(file: ParquetFile, group: int, column: Column, options: Any) -> KnownCells | None:
    """Return what is known of the cells of a column in a row group, or `None` if nothing is.

    Args:
        file: The file.
        group: Number of the row group.
        column: The column, as it is read.
        options: How text is read as a cell.
    """
    position = leaf_of(file, column.name_in_file)
    if position is None:
        return None
    dtype = plain_type(file.schema.field(column.name_in_file).type)
    is_number = pa.types.is_integer(dtype) and column.kind in ("float32", "exact")
    is_date = pa.types.is_temporal(dtype) and column.kind == "date"
    is_string = column.kind == "string" and not options.null_values and not pa.types.is_floating(dtype)
    is_plain = is_string or (pa.types.is_boolean(dtype) and column.kind in ("bool", "float32"))
    if not (is_number or is_date or is_plain or (pa.types.is_decimal(dtype) and column.kind in ("float32", "exact"))):
        return None
    statistics = file.metadata.row_group(group).column(position).statistics
    if statistics is None or not statistics.has_null_count:
        return None
    bounds = None
    if (is_number or (is_date and column.part is None)) and statistics.has_min_max:
        bounds = _as_numbers([statistics.min, statistics.max], dtype, column, options)
    return KnownCells(statistics.null_count, *(bounds or (None, None)))


def leaf_of(file: ParquetFile, name: str) -> int | None:
    """Return the position of a flat column among those that the footer describes, or `None` if it is not clear."""
    leaves = file.metadata.schema
    if len(file.schema.get_all_field_indices(name)) != 1:
        return None
    if len(file.schema) == file.metadata.num_columns:
        position = file.positions[name]
        return position if leaves.column(position).path == name else None
    found = [i for i in range(file.metadata.num_columns) if leaves.column(i).path == name]
    return found[0] if len(found) == 1 and "." not in name else None


def _as_numbers(values: list[Any], dtype: Any, column: Column, options: Any) -> tuple[float, float] | None:
    """Return the smallest and the largest value as cells, or `None` if pyarrow gives them as another type."""
    if pa.types.is_integer(dtype):
        return tuple(map(float, values)) if all(type(value) is int for value in values) else None
    if not all(isinstance(value, datetime.date | datetime.time) for value in values):
        return None
    try:
        cells, wrong = as_cells(pa.array(values, dtype), column, options)
    except (pa.ArrowException, OverflowError, ValueError):  # such as a moment that Python does not have
        return None
    smallest, largest = cells.to_numpy(zero_copy_only=False)
    return None if len(wrong) or not np.isfinite([smallest, largest]).all() else (float(smallest), float(largest))
