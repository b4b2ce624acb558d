"""The user's `data` in memory as named columns, whatever library it is of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import listed
from keras_oocore.tables.arrow.names import require_names
from keras_oocore.tables.arrow.part import pandas_index
from keras_oocore.tables.memory.columns import MemoryColumn, column_of

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None


def is_frame(data: Any) -> bool:
    """Return whether data are a DataFrame of pandas or polars, a table of pyarrow, or a dictionary."""
    return _reader(data) is not None


def are_frames(data: Any) -> bool:
    """Return whether data are a list of DataFrames or tables, which the user has to join first."""
    return isinstance(data, list | tuple) and bool(data) and not is_frame(data) and all(map(is_frame, data))


class NamedData(NamedTuple):
    """Data in memory.

    Attributes:
        name: What messages call the data.
        columns: Name → column.
        hint: What an error message about an unknown column should add.
        index: Names of the columns that were the index of a DataFrame.
    """

    name: str
    columns: dict[str, MemoryColumn]
    hint: str = ""
    index: Sequence[str] = ()


def named_columns(data: Any) -> NamedData:
    """Return the columns of data in memory, and what messages call the data.

    Raises:
        OptionError: If a name is not a string or occurs twice, there is no column, or a column is not one; or if
            Series of pandas have the same index in another order.

    >>> found = named_columns({"a": [1, 2]})
    >>> found.name, list(found.columns)
    ('dictionary', ['a'])
    """
    reader = _reader(data)
    assert reader is not None, "`is_frame` is true"
    name, names, columns, hint, index = reader(data)
    require_names(name, names)
    return NamedData(name, {key: columns(key, i) for i, key in enumerate(names)}, hint, index)


Read = tuple[str, Sequence[Any], Callable[[str, int], MemoryColumn], str, Sequence[str]]


def _reader(data: Any) -> Callable[[Any], Read] | None:
    """Return the function that reads data of this library, or `None`."""
    if isinstance(data, Mapping):
        return _of_mapping
    if _has(data, "iloc", "dtypes", "columns") and not _has(data, "compute"):
        return _of_pandas
    if _has(data, "get_column", "height", "columns"):
        return _of_polars
    if pa is not None and (isinstance(data, pa.Table | pa.RecordBatch) or _are_batches(data)):
        return _of_pyarrow
    return None


def _has(data: Any, *names: str) -> bool:
    """Return whether the class of an object has all these attributes. The columns of a DataFrame are no attributes."""
    return all(hasattr(type(data), name) for name in names)


def _are_batches(data: Any) -> bool:
    """Return whether data are a list of record batches."""
    return isinstance(data, list | tuple) and bool(data) and all(isinstance(part, pa.RecordBatch) for part in data)


def _of_mapping(data: Mapping[str, Any]) -> Read:
    _require_one_order(data)
    return "dictionary", list(data), lambda name, i: column_of(data[name], name), "", ()


def _require_one_order(data: Mapping[str, Any]) -> None:
    """Raise if two Series of pandas have the same index in another order: rows are joined by their positions."""
    indexed = [(name, values.index) for name, values in data.items() if hasattr(values, "iloc")]
    for name, index in indexed[1:]:
        first, of_first = indexed[0]
        if len(index) != len(of_first) or index.equals(of_first):
            continue
        if len(index.difference(of_first)) == 0 and len(of_first.difference(index)) == 0:
            raise OptionError(
                f"`data[{first!r}]` and `data[{name!r}]` are Series with the same index in another order, and rows are "
                "joined by their positions. To join them by the index, pass data=pandas.DataFrame(data). To join them "
                f"by their positions, pass data[{name!r}].to_numpy()."
            )


def _of_pandas(frame: Any) -> Read:
    """Read a DataFrame of pandas. A shallow copy keeps its columns if the user adds others."""
    frame = frame.copy(deep=False)
    named = [name for name in frame.index.names if name is not None]
    hint = ""
    if named:
        hint = f". The index is not a column ({listed(map(str, named))}): pass data.reset_index()"
    return "DataFrame", list(frame.columns), lambda name, i: column_of(frame.iloc[:, i], name), hint, ()


def _of_polars(frame: Any) -> Read:
    return "DataFrame", list(frame.columns), lambda name, i: column_of(frame.get_column(name), name), "", ()


def _of_pyarrow(table: Any) -> Read:
    if isinstance(table, pa.RecordBatch):
        table = [table]
    if not isinstance(table, pa.Table):
        try:
            table = pa.Table.from_batches(table)
        except pa.ArrowInvalid as error:
            raise OptionError(f"`data` is a list of record batches that differ in their columns: {error}") from error
    index = pandas_index(table.schema)
    return "Table", table.column_names, lambda name, i: column_of(table.column(i), name), "", index
