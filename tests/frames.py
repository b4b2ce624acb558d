"""The same houses as a CSV file, as objects of several libraries in memory, as Arrow files, and as a stream."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather

NUM_ROWS = 60
IN_MEMORY = ("pandas", "pandas of arrow", "pandas of objects", "polars", "pyarrow", "dictionary")
FILES = ("feather", "uncompressed feather", "stream file")
KINDS = (*IN_MEMORY, *FILES, "stream")
EVERYTHING = ("sqft", "floors", "city", "sold", "day", "moment")  # features of every kind
OF_HOUSES = {"target": "price", "features": [*EVERYTHING], "missing": "mean", "seed": 3, "batch_size": 7}
NARROW = {"floors": pa.int16(), "moment": pa.timestamp("s"), "weight": pa.float32()}


def houses(num_rows=NUM_ROWS, first=0):
    """Houses with cells of every kind, some of which are missing."""
    rows = range(first, first + num_rows)
    start = datetime.datetime(2024, 1, 30, 6, 15, 30)
    return pa.table(
        {
            "id": pa.array([f"h{row:03d}" for row in rows]),
            "sqft": pa.array([None if row % 7 == 3 else 1000 + row / 7 for row in rows], pa.float64()),
            "floors": pa.array([1 + row % 3 for row in rows], pa.int64()),
            "city": pa.array([[None, "Rome", "Oslo", "Köln"][row % 4] for row in rows]),
            "sold": pa.array([row % 5 == 0 for row in rows]),
            "day": pa.array([(start + datetime.timedelta(days=row)).date() for row in rows]),
            "moment": pa.array([start + datetime.timedelta(hours=7 * row) for row in rows], pa.timestamp("us")),
            "weight": pa.array([0.5 + row % 2 for row in rows]),
            "price": pa.array([row * 1.1 for row in rows]),
            "grade": pa.array(["abc"[row % 3] for row in rows]),
        }
    )


def narrow(table):
    """Return the same houses in types of fewer bytes."""
    return table.cast(pa.schema([field.with_type(NARROW.get(field.name, field.type)) for field in table.schema]))


def flat(batch):
    """Return the arrays of a batch as a list."""
    if isinstance(batch, dict):
        return list(batch.values())
    return [array for part in batch for array in flat(part)] if isinstance(batch, tuple) else [batch]


def as_data(table, kind, folder):
    """Return a table of pyarrow as what a user passes as `data`.

    Args:
        table: The table.
        kind: One of `KINDS`, or `"csv"`.
        folder: Where files are written.
    """
    if kind == "csv":
        csv.write_csv(table, folder / "houses.csv")
        return folder / "houses.csv"
    if kind.startswith("pandas"):
        pandas = pytest.importorskip("pandas")
        if kind == "pandas of arrow":
            return table.to_pandas(types_mapper=pandas.ArrowDtype)
        return table.to_pandas().astype(object if kind == "pandas of objects" else {})
    if kind == "polars":
        return pytest.importorskip("polars").from_arrow(table)
    if kind == "dictionary":
        return {name: _as_array(table[name]) for name in table.column_names}
    if kind == "pyarrow":
        return pa.concat_tables([table[:3], table[3:20], table[20:]])
    if kind == "stream":
        return table.to_reader(max_chunksize=7)
    if kind == "stream file":
        with pa.ipc.new_stream(str(folder / "houses.arrows"), table.schema) as writer:
            writer.write_table(table)
        return folder / "houses.arrows"
    compression = "lz4" if kind == "feather" else "uncompressed"
    feather.write_feather(table, folder / "houses.feather", compression=compression)
    return folder / "houses.feather"


def _as_array(column):
    """Return a column as an array of NumPy: of floats if a number is missing, and of objects if a string is."""
    if pa.types.is_string(column.type) and not column.null_count:
        return np.array(column.to_pylist())
    return column.to_numpy()
