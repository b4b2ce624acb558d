"""MB/s of batches from a CSV file, opened and read once in random order: against other loaders.

    python benchmarks/csv_rows.py kc_house_data.csv

The rows of the file are written repeatedly until there are `--megabytes`. Every contestant makes batches of 1,024 rows
with 6 features and a target, as `float32`. Ours opens the file, finds its rows, and shuffles them. The others keep the
order of the file. `make_csv_dataset` reads a twentieth of the file.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import polars as pl
import tensorflow as tf
from in_turn import OURS, measure
from large_csv import BATCH_SIZE, FEATURES, TARGET, repeated

import keras_oocore as ko

COLUMNS = [*FEATURES, TARGET]


def parted(rows):
    """`(x, y)` batches of an array of rows."""
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        yield batch[:, :-1], batch[:, -1]


def opened(path, cache=None):
    return ko.CSVChunkSequence(path, TARGET, FEATURES, batch_size=BATCH_SIZE, seed=0, cache=cache)


def with_polars(path, chunk_size):
    table = pl.scan_csv(path).select(pl.col(COLUMNS).cast(pl.Float32))
    for frame in table.collect_batches(chunk_size=chunk_size):
        yield from parted(frame.to_numpy())


def with_pandas(path, columns):
    for frame in pd.read_csv(path, chunksize=BATCH_SIZE, usecols=columns):
        yield frame[FEATURES].to_numpy(np.float32), frame[TARGET].to_numpy(np.float32)


def with_tensorflow(path):
    data = tf.data.experimental.make_csv_dataset(
        path, BATCH_SIZE, select_columns=COLUMNS, label_name=TARGET, num_epochs=1, shuffle=False
    )
    stacked = data.map(lambda x, y: (tf.stack([tf.cast(x[name], tf.float32) for name in FEATURES], 1), y))
    for x, y in stacked.prefetch(tf.data.AUTOTUNE):
        yield x.numpy(), y.numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", help="kc_house_data.csv")
    parser.add_argument("--megabytes", type=int, default=420)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", help="where the large file is kept; a temporary one unless told")
    parser.add_argument("--save", metavar="FILE", help="also write the rates of all runs to this JSON file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        path = repeated(options.csv, options.megabytes, Path(options.directory or folder) / "large.csv")
        small = repeated(options.csv, options.megabytes // 20, folder / "small.csv")
        indexed, stored = folder / "indexed.csv", folder / "stored.csv"
        for link in (indexed, stored):
            link.symlink_to(os.path.abspath(path))
        opened(indexed).save_index()
        from_cache = opened(stored, folder / "cache")
        num_rows = sum(len(y) for _, y in from_cache)

        def reading(batches, path=path):
            def work():
                assert sum(len(y) for _, y in batches()) in (num_rows, num_rows_small)
                return os.path.getsize(path) / 1e6

            return work

        num_rows_small = opened(small).num_rows
        contestants = {
            OURS: reading(lambda: opened(path)),
            "with a saved index": reading(lambda: opened(indexed)),
            "a later epoch from its cache": reading(lambda: from_cache),
            "polars, collect_batches(1024)": reading(lambda: with_polars(path, BATCH_SIZE)),
            "polars, collect_batches()": reading(lambda: with_polars(path, None)),
            "pandas, chunksize=1024": reading(lambda: with_pandas(path, None)),
            "pandas, chunksize=1024, usecols": reading(lambda: with_pandas(path, COLUMNS)),
            "make_csv_dataset": reading(lambda: with_tensorflow(small), small),
        }
        print(f"{num_rows:,} rows, {os.path.getsize(path) / 1e6:,.0f} MB")
        measure(contestants, options.runs, "MB", before=from_cache.close, save=options.save)


if __name__ == "__main__":
    main()
