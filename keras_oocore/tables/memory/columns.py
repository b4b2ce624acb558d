"""One column of a DataFrame, a table or a dictionary of arrays, from which rows are taken as arrays of pyarrow.

pandas and polars are recognized by what their objects can do, and never imported. No column is copied as a whole.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.tables.memory.objects import type_of_objects

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

UNITS = ("s", "ms", "us", "ns")  # of moments that pyarrow has, too


@dataclasses.dataclass(frozen=True)
class MemoryColumn:
    """A column in memory.

    Attributes:
        kind: The `pyarrow` type of its cells, or `None` if they cannot be read.
        take: Function `take(first, end)` that returns rows as a `pyarrow` array, or chunked array. It can be pickled.
        refusal: Why the cells cannot be read, and what to do, as the end of a sentence.
        num_rows: Number of rows.
    """

    kind: Any
    take: Callable[[int, int], Any]
    num_rows: int
    refusal: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> "MemoryColumn":
        return self  # a copy of a Sequence shares the data


def column_of(values: Any, name: str) -> MemoryColumn:
    """Return a column of any library, or a list.

    Args:
        values: A NumPy array, a Series of pandas or polars, an array of pyarrow, or a list.
        name: Its name, for the error message.

    Raises:
        OptionError: If it has more than one dimension, or is no column at all.

    >>> column = column_of(np.array([1.5, np.nan, 3.0]), "a")
    >>> str(column.kind), column.take(1, 3).to_pylist()
    ('double', [None, 3.0])
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return MemoryColumn(values.type, partial(_sliced, values), len(values))
    if hasattr(values, "iloc") and hasattr(values, "dtype"):
        return _of_pandas(values)
    if hasattr(values, "__arrow_c_stream__") and hasattr(values, "slice"):
        return _of_polars(values)
    if not hasattr(values, "__array__") and not isinstance(values, list | tuple | range):
        raise OptionError(f"`data[{name!r}]` should be an array with one value per row. Received: {values!r:.60}")
    return _of_numpy(_as_array(values, name))


def _as_array(values: Any, name: str) -> np.ndarray:
    """Return a column as a NumPy array with one dimension."""
    if isinstance(values, list | tuple | range):
        array = np.fromiter(values, object, len(values))
    else:
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim != 1:
        raise OptionError(
            f"`data[{name!r}]` should be an array with one value per row. Received: shape {array.shape}. Pass a "
            "column per feature; or use ko.ArraySequence, which reads arrays of any shape."
        )
    return array


def _of_numpy(array: np.ndarray) -> MemoryColumn:
    """Return an array as a column."""
    kind = array.dtype.kind
    if kind == "O":
        found, take, refusal = type_of_objects(array)
        return MemoryColumn(found, take, len(array), refusal)
    if kind == "U" or type(array.dtype).__name__ == "StringDType":
        return MemoryColumn(pa.string(), partial(_strings, array), len(array))
    if kind in "cV":
        return _refused(len(array), f"of dtype {str(array.dtype)!r}, which is no number, string or date")
    stored = _stored_dtype(array.dtype)
    return MemoryColumn(pa.from_numpy_dtype(stored), partial(_as_stored, array, stored), len(array))


def _stored_dtype(dtype: np.dtype) -> np.dtype:
    """Return the dtype, or the next one that pyarrow has."""
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    if dtype.kind in "mM" and np.datetime_data(dtype) not in [(unit, 1) for unit in (*UNITS, "D")]:
        return np.dtype(f"{dtype.kind}8[s]")
    if dtype.kind == "m" and np.datetime_data(dtype)[0] == "D":
        return np.dtype("m8[s]")
    return dtype.newbyteorder("=")


def _sliced(values: Any, first: int, end: int) -> Any:
    """Return some rows of an array of pyarrow."""
    return values.slice(first, end - first)


def _as_stored(array: np.ndarray, dtype: np.dtype, first: int, end: int) -> Any:
    """Return some rows; NaN, NaT and masked values are null."""
    values = array[first:end]
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    return pa.array(np.asarray(values).astype(dtype, copy=False), mask=mask, from_pandas=True)


def _strings(array: np.ndarray, first: int, end: int) -> Any:
    """Return some rows of strings."""
    values = array[first:end]
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    return pa.array(np.asarray(values).astype(object), pa.string(), mask=mask, from_pandas=True)


def _of_pandas(series: Any) -> MemoryColumn:
    """Return a Series of pandas as a column."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _of_numpy(series.to_numpy())
    if str(dtype) == "category":
        return _of_categories(series)
    if str(dtype).startswith("Sparse"):
        stored = _stored_dtype(dtype.subtype)
        if stored.kind == "O":
            return _refused(len(series), "sparse objects: convert it first, .sparse.to_dense()")
        return MemoryColumn(pa.from_numpy_dtype(stored), partial(_of_sparse, series, stored), len(series))
    kind = pa.array(series.iloc[:0], from_pandas=True).type
    if isinstance(kind, pa.BaseExtensionType):
        remedy = "convert it first, such as with .dt.to_timestamp()" if "period" in str(kind) else "convert it first"
        return _refused(len(series), f"of dtype {str(dtype)!r}, which is no number, string or date: {remedy}")
    return MemoryColumn(kind, partial(_of_extension, series), len(series))


def _of_categories(series: Any) -> MemoryColumn:
    """Return a categorical Series as a column: codes and categories, which are converted once."""
    categories = column_of(series.cat.categories.to_series(), "categories")
    if categories.kind is None or isinstance(categories.kind, pa.BaseExtensionType):
        return _refused(len(series), f"of categories {categories.refusal}")
    names = categories.take(0, categories.num_rows)
    names = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    codes = series.cat.codes.to_numpy()
    kind = pa.dictionary(pa.from_numpy_dtype(codes.dtype), names.type)
    return MemoryColumn(kind, partial(_decoded, codes, names), len(series))


def _decoded(codes: np.ndarray, names: Any, first: int, end: int) -> Any:
    """Return some rows of categories."""
    of_rows = codes[first:end]
    return pa.DictionaryArray.from_arrays(pa.array(of_rows, mask=of_rows < 0), names)


def _of_extension(series: Any, first: int, end: int) -> Any:
    """Return some rows of a Series of pandas that is no array of NumPy."""
    return pa.array(series.iloc[first:end], from_pandas=True)


def _exported(series: Any, first: int, end: int) -> Any:
    """Return some rows of a Series with the PyCapsule interface."""
    return pa.chunked_array(series.slice(first, end - first))


def _nulls(first: int, end: int) -> Any:
    return pa.nulls(end - first)


def _of_sparse(series: Any, dtype: np.dtype, first: int, end: int) -> Any:
    """Return some rows of a sparse Series of pandas."""
    values = np.asarray(series.iloc[first:end].array)
    return _as_stored(values, dtype, 0, len(values))


def _of_polars(series: Any) -> MemoryColumn:
    """Return a Series of polars, or of another library with the PyCapsule interface of Arrow, as a column."""
    try:
        kind = pa.chunked_array(series.slice(0, 0)).type
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError) as error:
        dtype = getattr(series, "dtype", type(series).__name__)
        reason = str(error).splitlines()[0]
        return _refused(len(series), f"of dtype {str(dtype)!r}, which pyarrow cannot read ({reason:.60}): convert it")
    return MemoryColumn(kind, partial(_exported, series), len(series))


def _refused(num_rows: int, why: str) -> MemoryColumn:
    """Return a column that cannot be read."""
    return MemoryColumn(None, _nulls, num_rows, why)
