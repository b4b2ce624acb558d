"""Data that look like a stream but are not, such as a query whose rows do not exist yet, and what to type."""

from typing import Any

from keras_oocore.core.errors import OptionError

QUERIES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "a LazyFrame of polars, whose rows do not exist yet",
        ("collect_schema", "sink_parquet"),
        'data.collect() if the rows fit into memory; otherwise data.sink_parquet("rows.parquet"), and pass that path',
    ),
    (
        "a relation of DuckDB, whose rows do not exist yet",
        ("to_arrow_reader", "write_parquet"),
        "data.to_arrow_table() if the rows fit into memory; data.to_arrow_reader() with cache=DIR, a stream of any "
        'size; or data.write_parquet("rows.parquet"), and pass that path',
    ),
    (
        "a relation of DuckDB, whose rows do not exist yet",
        ("fetch_arrow_reader",),  # before DuckDB 1.4
        "data.to_arrow_table() if the rows fit into memory; data.fetch_arrow_reader() with cache=DIR, a stream of any "
        'size; or data.write_parquet("rows.parquet"), and pass that path',
    ),
    (
        "a connection of DuckDB, and not the rows of a query",
        ("execute", "from_parquet", "register"),
        "data.sql(QUERY).to_arrow_table() if the rows fit into memory; otherwise "
        'data.sql(QUERY).write_parquet("rows.parquet"), and pass that path',
    ),
    (
        "a DataFrame of Spark, whose rows are elsewhere",
        ("toPandas", "write"),
        'data.write.parquet("rows"), and pass "rows/*.parquet"; or data.toPandas() if the rows fit into memory',
    ),
    (
        "a DataFrame of Dask, whose rows do not exist yet",
        ("compute", "to_parquet", "npartitions"),
        'data.to_parquet("rows"), and pass "rows/*.parquet"; or data.compute() if the rows fit into memory',
    ),
    (
        "a data set of pyarrow, whose rows are in files",
        ("scanner", "to_batches", "schema"),
        "data.files, the paths of its files; or data.scanner().to_reader() with cache=DIR for a stream",
    ),
    ("a single column", ("to_frame", "dtype"), "a DataFrame with the features and the target"),
    ("a single column", ("combine_chunks", "num_chunks", "type"), "a table with the features and the target"),
)  # what it is, the attributes that tell, and what to type


def is_lazy(data: Any) -> bool:
    """Return whether data are a query, whose rows would be computed again each time, or a single column."""
    return any(_has(data, attributes) for _, attributes, _ in QUERIES)


def lazy_error(data: Any) -> OptionError:
    """Return the error for a query or a single column."""
    what, fix = next((what, fix) for what, attributes, fix in QUERIES if _has(data, attributes))
    return OptionError(f"`data` is {what}. Pass {fix}. Received: data of type {type(data).__name__!r}")


def _has(data: Any, names: tuple[str, ...]) -> bool:
    """Return whether the class of an object has all these attributes."""
    return not isinstance(data, type) and all(hasattr(type(data), name) for name in names)
