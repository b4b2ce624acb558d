"""Arrays of Arrow types as cells: `double` for numbers, dates and booleans, `string` for strings, null if missing."""

from typing import Any

import numpy as np

from keras_oocore.csv.cells import BEYOND_INT64, FIRST_ROUNDED, LARGEST_FLOAT32, Column, is_missing
from keras_oocore.csv.conversion import convert
from keras_oocore.csv.dates import NANOSECOND, values_of
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.moments import DAY_US, Moments
from keras_oocore.csv.values import is_one_of
from keras_oocore.tables.arrow.kinds import is_bytes, is_string

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

NONE_WRONG = np.zeros(0, np.int64)
WHOLE_SECONDS = (r"\.0+(Z|[+-]\d{4})?$", r"\1")
FRACTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "s": (),
    "ms": (WHOLE_SECONDS, (r"(\.\d{3})(Z|[+-]\d{4})?$", r"\1000\2")),
    "us": (WHOLE_SECONDS,),
    "ns": (WHOLE_SECONDS, (r"(\.\d{6})000(Z|[+-]\d{4})?$", r"\1\2")),
}  # unit → fractions of a second as pyarrow writes them, and as Python does, so that equal moments are equal strings
LARGEST = {"s": 2**63 // 10**6 - 10**6, "ms": 2**63 // 10**3 - 10**9, "D": 2**63 // DAY_US - 2}  # a zone moves less
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
US = {"s": 1_000_000, "ms": 1000, "us": 1}  # microseconds in a unit of time; a nanosecond is less


def as_cells(array: Any, column: Column, options: CellOptions) -> tuple[Any, np.ndarray]:
    """Return the cells of a column, as `Cells` has them, and the positions of cells that cannot be read.

    A NaN is a missing cell, as in a CSV file. Text is only read as a number or a date if the user or other rows say so.

    Args:
        array: `pyarrow` array, or chunked array, of a type that `can_be` the kind of the column.
        column: The column.
        options: Which strings are missing cells, and how text is read.

    >>> as_cells(pa.array([1, None]), Column("a", 0, "float32"), CellOptions())[0].to_pylist()
    [1.0, None]
    >>> as_cells(pa.array([1.5, float("nan")]), Column("a", 0, "string"), CellOptions())[0].to_pylist()
    ['1.5', None]
    """
    array = plain(array)
    if column.kind == "text":
        texts, wrong = _as_strings(array)
        return texts.fill_null(""), wrong
    if column.kind == "string":
        array = _in_zone(array, column.zone)
        texts, wrong = _as_strings(array)
        return _without_nulls(texts, options) if is_string(array.type) else texts, wrong
    if column.kind == "float32" and not is_string(array.type):
        return _as_numbers(array)
    if column.kind == "exact" and not is_string(array.type):
        numbers, wrong = _as_numbers(array)
        return pc.if_else(pc.is_valid(numbers), array, pa.scalar(None, array.type)), wrong
    if column.kind == "bool" and pa.types.is_boolean(array.type):
        return array.cast(pa.float64()), NONE_WRONG
    if column.kind == "date" and pa.types.is_temporal(array.type):
        wrong = _beyond_microseconds(array)
        if len(wrong):
            mask = np.zeros(len(array), bool)
            mask[wrong] = True
            array = pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)
        if column.part == NANOSECOND:
            return pa.array(_nanoseconds(array), pa.float64(), mask=is_missing(array)), wrong
        moments = as_moments(array, column.zone)
        return pa.array(values_of(moments, column.part), pa.float64(), mask=~moments.readable), wrong
    texts, wrong = _as_strings(array)
    cells, unreadable = convert(column, _without_nulls(texts, options), options)
    return cells, np.union1d(wrong, unreadable)


def plain(array: Any) -> Any:
    """Return one array of plain values: without chunks, dictionaries, runs and extension types."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        elif pa.types.is_dictionary(array.type):
            array = plain(_without_views(array.dictionary)).take(array.indices)
        elif pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        else:
            return array


def _without_views(array: Any) -> Any:
    """Return strings with offsets: `take` has no views of strings, which polars exports."""
    return array.cast(pa.string()) if is_string(array.type) else array


def as_moments(array: Any, zone: str | None = None) -> Moments:
    """Return dates, moments or times of day as `Moments`.

    Days are those of UTC, and the parts of a date, such as the hour, are those of the time zone.

    Args:
        array: The moments.
        zone: The time zone in place of that of the array, if that has one.
    """
    array, readable = _in_zone(array, zone), ~is_missing(array)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        local = _microseconds(pc.local_timestamp(array))
        return Moments(local, local - _microseconds(array), readable)
    local = _microseconds(array)
    return Moments(local, np.zeros_like(local), readable)


def _in_zone(array: Any, zone: str | None) -> Any:
    """Return moments that have a time zone in another one, if it is known, and other arrays as they are."""
    if not zone or not pa.types.is_timestamp(array.type) or array.type.tz is None:
        return array
    return array.cast(pa.timestamp(array.type.unit, zone))


def _microseconds(array: Any) -> np.ndarray:
    """Return microseconds since 1970, or since midnight, `int64` of shape `(n,)`; 0 for a missing cell."""
    dtype = array.type
    width = pa.int32() if dtype.bit_width == 32 else pa.int64()
    values = array.cast(width).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    if pa.types.is_date32(dtype):
        return values * DAY_US
    unit = "ms" if pa.types.is_date64(dtype) else dtype.unit
    return values // 1000 if unit == "ns" else values * US[unit]


def _nanoseconds(array: Any) -> np.ndarray:
    """Return the nanosecond within its second of each moment, `int64` of shape `(n,)`; 0 for a missing cell."""
    dtype = array.type
    if pa.types.is_date(dtype):
        return np.zeros(len(array), np.int64)
    width = pa.int32() if dtype.bit_width == 32 else pa.int64()
    values = array.cast(width).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return values % PER_SECOND[dtype.unit] * (PER_SECOND["ns"] // PER_SECOND[dtype.unit])


def _beyond_microseconds(array: Any) -> np.ndarray:
    """Return the positions of moments beyond 64 bits of microseconds, such as the largest integer as "never"."""
    dtype = array.type
    unit = "D" if pa.types.is_date32(dtype) else "ms" if pa.types.is_date64(dtype) else dtype.unit
    if unit not in LARGEST or pa.types.is_time(dtype):
        return NONE_WRONG
    values = array.cast(pa.int32() if dtype.bit_width == 32 else pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if values.max(initial=0) <= LARGEST[unit] and values.min(initial=0) >= -LARGEST[unit]:
        return NONE_WRONG
    return np.flatnonzero((values > LARGEST[unit]) | (values < -LARGEST[unit]))


def _as_numbers(array: Any) -> tuple[Any, np.ndarray]:
    """Return numbers or booleans as `double`, null for NaN, and the positions of those that `float32` cannot hold."""
    dtype = array.type
    if pa.types.is_decimal(dtype):
        values = array.cast(pa.string()).cast(pa.float64())  # exact: the direct cast multiplies by a rounded power
    elif pa.types.is_float16(dtype):
        values = pa.array(_halves(array), pa.float64(), mask=is_missing(array))
    else:
        values = array.cast(pa.float64(), safe=False)
    if not (pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)):
        return values, NONE_WRONG
    if not values.null_count and len(values):
        numbers = values.to_numpy()
        if numbers.min() >= -LARGEST_FLOAT32 and numbers.max() <= LARGEST_FLOAT32:  # neither if one of them is NaN
            return values, NONE_WRONG
    nan = pc.is_nan(values).fill_null(False)
    if pc.any(nan).as_py():
        values = pc.if_else(nan, pa.scalar(None, pa.float64()), values)
    largest = pc.max(pc.abs(values)).as_py()
    if largest is None or largest <= LARGEST_FLOAT32:
        return values, NONE_WRONG
    too_large = pc.and_(pc.greater(pc.abs(values), LARGEST_FLOAT32), pc.is_finite(values))
    return values, np.flatnonzero(too_large.fill_null(False).to_numpy(zero_copy_only=False))


def large_whole_number(array: Any) -> float | None:
    """Return the first whole number from 2^53 on in an array of floats of 64 bits, or `None`.

    >>> large_whole_number(pa.array([1.0, 1e18])), large_whole_number(pa.array([10**18]))
    (1e+18, None)
    """
    if not pa.types.is_float64(array.type):
        return None
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    large = np.isfinite(values) & (np.abs(values) >= FIRST_ROUNDED)
    return float(values[np.argmax(large)]) if large.any() else None


def _halves(array: Any) -> np.ndarray:
    """Return `float16` values, which older versions of pyarrow cannot cast. Those of missing cells are arbitrary."""
    values = np.frombuffer(array.buffers()[1], np.float16)
    return values[array.offset : array.offset + len(array)].astype(np.float64)


def _as_strings(array: Any) -> tuple[Any, np.ndarray]:
    """Return values as strings, and the positions of those that are not UTF-8, as no reader of files checks."""
    if is_bytes(array.type) or is_string(array.type):
        try:
            texts = array.cast(pa.string())
            texts.validate(full=True)
            return texts, NONE_WRONG
        except pa.ArrowInvalid:
            found = [_decoded(cell) for cell in _as_bytes(array).to_pylist()]
            texts = pa.array(found, pa.string())
            return texts, np.flatnonzero(is_missing(texts) & ~is_missing(array))
    if pa.types.is_boolean(array.type):
        return pc.if_else(array, "True", "False"), NONE_WRONG
    if pa.types.is_timestamp(array.type) or pa.types.is_time(array.type):
        texts = array.cast(pa.string())
        for written, by_python in FRACTIONS[array.type.unit]:
            texts = pc.replace_substring_regex(texts, written, by_python)
        if getattr(array.type, "tz", None) is not None:
            texts = pc.replace_substring_regex(texts, r"([+-]\d\d)(\d\d)$", r"\1:\2")
        return texts, NONE_WRONG
    if pa.types.is_float16(array.type):
        array = pa.array(_halves(array).astype(np.float32), pa.float32(), mask=is_missing(array))
    if pa.types.is_floating(array.type):
        nan = pc.is_nan(array).fill_null(False)
        array = pc.if_else(nan, pa.scalar(None, array.type), array) if pc.any(nan).as_py() else array
        return _digits_of_floats(array), NONE_WRONG
    return array.cast(pa.string()), NONE_WRONG


def _digits_of_floats(array: Any) -> Any:
    """Return floats as strings: whole ones as the integers that they are in another file, and not as `1.5e+11` or `-0`.

    >>> _digits_of_floats(pa.array([7.0, 150_000_000_000.0, 0.5, 1e30])).to_pylist()
    ['7', '150000000000', '0.5', '1e+30']
    """
    whole = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), BEYOND_INT64)).fill_null(False)
    integers = pc.if_else(whole, array, pa.scalar(0, array.type)).cast(pa.int64())
    return pc.if_else(whole, integers.cast(pa.string()), array.cast(pa.string()))


def not_utf8(array: Any, row: int) -> bytes | None:
    """Return a string that is not UTF-8, as bytes, or `None` if the cell is another string."""
    if not (is_bytes(array.type) or is_string(array.type)):
        return None
    (cell,) = _as_bytes(array.slice(row, 1)).to_pylist()
    return None if cell is None or _decoded(cell) is not None else cell


def _as_bytes(array: Any) -> Any:
    """Return strings, or bytes, as bytes: a string that is not UTF-8 cannot become one of Python."""
    return (array.cast(pa.large_string()) if is_string(array.type) else array).cast(pa.large_binary())


def _decoded(cell: bytes | None) -> str | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return None


def _without_nulls(texts: Any, options: CellOptions) -> Any:
    """Return strings, with null for those that mark a missing cell."""
    if not options.null_values:
        return texts
    return pc.if_else(is_one_of(texts, options.null_values), pa.scalar(None, pa.string()), texts)
