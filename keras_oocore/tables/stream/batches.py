"""The user's stream as tables of equally many rows, in types that a file can store."""

from collections.abc import Iterable, Iterator
from typing import Any

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import shown
from keras_oocore.tables.arrow.kinds import is_bytes, is_string
from keras_oocore.tables.arrow.names import require_names

try:
    import pyarrow as pa
except ImportError:  # the `tables` extra is not installed
    pa = None

EXPECTED = "record batches, tables or DataFrames"


def is_stream(data: Any) -> bool:
    """Return whether data can be read only once: a `RecordBatchReader`, what yields batches, or what exports a stream.

    >>> is_stream(iter([])), is_stream([1, 2]), is_stream("houses.csv")
    (True, False, False)
    """
    kind = type(data)
    return hasattr(kind, "__arrow_c_stream__") or (hasattr(kind, "__next__") and not hasattr(kind, "readline"))


def opened(data: Any) -> tuple[Any, Iterator[Any]]:
    """Return the schema of a stream, in types that a file can store, and its rows as tables of that schema.

    Raises:
        OptionError: If the stream yields something else than rows, or columns have the same name.
        DataError: If the stream fails.
    """
    tables = _tables(data)
    first = next(tables, None)
    if first is None:
        raise DataError("The stream has no rows, and does not say which columns it has.")
    require_names("stream", first.schema.names)
    schema = _stored_schema(first.schema)
    return schema, _cast(first, tables, schema)


def pieces(tables: Iterable[Any], rows_per_piece: int, num_rows: int | None = None) -> Iterator[Any]:
    """Iterate over the same rows as tables of equally many rows, but the last one.

    Args:
        tables: Tables of one schema.
        rows_per_piece: Number of rows of a piece.
        num_rows: Number of rows to take, or `None` for all. Later ones are not read.

    >>> [len(piece) for piece in pieces([pa.table({"a": [1, 2, 3]}), pa.table({"a": [4, 5]})], 2, num_rows=3)]
    [2, 1]
    """
    waiting, left = None, num_rows
    for table in tables:
        table = table if left is None else table.slice(0, left)
        left = None if left is None else left - len(table)
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while len(waiting) >= rows_per_piece:
            yield waiting.slice(0, rows_per_piece)
            waiting = waiting.slice(rows_per_piece)
        if left == 0:
            break
    if waiting is not None and len(waiting):
        yield waiting


def _tables(data: Any) -> Iterator[Any]:
    """Iterate over the tables of a stream. A stream that says what its columns are begins with a table without rows."""
    if not isinstance(data, pa.RecordBatchReader) and hasattr(type(data), "__arrow_c_stream__"):
        data = pa.RecordBatchReader.from_stream(data)
    if isinstance(data, pa.RecordBatchReader):
        yield data.schema.empty_table()
    num_rows = 0
    try:
        for part in data:
            table = _as_table(part)
            num_rows += len(table)
            yield table
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"The stream failed after {num_rows:,} rows: {error}") from error


def _as_table(part: Any) -> Any:
    """Return what a stream yields as a table of pyarrow."""
    if isinstance(part, pa.Table):
        return part
    if isinstance(part, pa.RecordBatch):
        return pa.Table.from_batches([part])
    if hasattr(type(part), "iloc") and hasattr(type(part), "columns"):  # of pandas, whose index is no column
        return pa.Table.from_pandas(part, preserve_index=False)
    if hasattr(type(part), "__arrow_c_stream__"):
        return pa.table(part)
    if hasattr(type(part), "__arrow_c_array__"):
        return pa.Table.from_batches([pa.record_batch(part)])
    what = "paths. Pass a list of them: sorted(data)" if isinstance(part, str) or hasattr(part, "__fspath__") else None
    raise OptionError(f"`data` is an iterator, which should yield {EXPECTED}. Received: {what or shown(part)}")


def _cast(first: Any, others: Iterable[Any], schema: Any) -> Iterator[Any]:
    """Iterate over tables in one schema.

    Raises:
        DataError: If a table has other columns than the first one.
    """
    yield first.cast(schema)
    for number, table in enumerate(others, 1):
        if table.schema.names != schema.names:
            raise DataError(
                f"Batch {number} of the stream has the columns {table.schema.names}, and the first one {schema.names}."
            )
        for field, stored in zip(_stored_schema(table.schema), schema):
            if field.type != stored.type:
                raise DataError(
                    f"Batch {number} of the stream: column {field.name!r} is of the type {field.type}, and in the "
                    f"first batch of the type {stored.type}. Convert all batches to one type before."
                )
        yield table.cast(schema)


def _stored_schema(schema: Any) -> Any:
    """Return a schema without dictionaries, which may differ from batch to batch, and without views of strings."""
    return pa.schema([field.with_type(_stored(field.type)) for field in schema], schema.metadata)


def _stored(kind: Any) -> Any:
    """Return the type in which a column is stored."""
    while pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    if is_string(kind):
        return pa.large_string()
    return pa.large_binary() if is_bytes(kind) else kind
