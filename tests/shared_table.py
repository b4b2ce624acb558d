"""A table in a file, and what a Sequence of it delivers: the same code for one process and for several."""

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

import keras_oocore as ko
from keras_oocore.tables.csv import table as csv_table

NUM_ROWS, BATCH_SIZE = 3_000, 20
PARTS = {  # what `served` returns → number of rows
    "shuffled": NUM_ROWS,
    "in order": NUM_ROWS,
    "shuffled training": 2_400,
    "in order training": 2_400,
    "in order validation": 600,
    "in order validation of shuffled": 600,
}


def write(folder, kind):
    """Write the table, row `i` of which has the target `i`, and return its path."""
    numbers = np.arange(NUM_ROWS)
    table = pa.table(
        {
            "x": pa.array(np.where(numbers % 7 == 3, np.nan, numbers / 8), from_pandas=True),
            "city": [["Rome", "Oslo", "Köln"][number % 3] for number in numbers],
            "y": numbers,
        }
    )
    path = folder / f"rows.{kind}"
    if kind == "csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=400)
    return str(path)


def served(path, cache, shard=lambda rows: rows):
    """Return the rows of two epochs, batch by batch: name of `PARTS` → epochs.

    Args:
        path: The file.
        cache: Directory of a cache, or `None`.
        shard: Function that returns the share of a process.
    """
    epochs = {}
    for order, shuffle in (("shuffled", True), ("in order", False)):
        whole, (train, val) = (_opened(path, cache, shuffle), _opened(path, cache, shuffle).split(0.2, seed=1))
        parts = {order: whole, f"{order} training": train}
        parts["in order validation" + " of shuffled" * shuffle] = val
        for name, rows in parts.items():
            share = shard(rows)
            epochs[name] = [[np.column_stack([x, y]).tolist() for x, y in share] for _ in range(2)]
    return epochs


def _opened(path, cache, shuffle):
    chunk_bytes, csv_table.CHUNK_BYTES = csv_table.CHUNK_BYTES, 8_000  # several chunks
    try:
        return ko.TableSequence(
            path, "y", ["x", "city"], missing="mean", shuffle=shuffle, batch_size=BATCH_SIZE, seed=1, cache=cache
        )
    finally:
        csv_table.CHUNK_BYTES = chunk_bytes
