"""MB/s of batches from a CSV file, opened and read once in random order: against other loaders.

    python benchmarks/csv_rows.py kc_house_data.csv
    python benchmarks/csv_rows.py kc_house_data.csv --unquoted
    python benchmarks/csv_rows.py kc_house_data.csv --epochs
    python benchmarks/csv_rows.py kc_house_data.csv --cpu

The rows of the file are written repeatedly until there are `--megabytes`. Every contestant makes batches of 1,024 rows
with 6 features and a target, as `float32`. Ours opens the file, finds its rows, and shuffles them. The others keep the
order of the file. `make_csv_dataset` reads a twentieth of the file. Six of the 21 cells of a row are quoted, unless
`--unquoted` removes the quotes.

`--epochs` measures three epochs of ours with `cache=`, opening the file and storing its rows included, against three of
polars.
`--cpu` prints milliseconds of processor time per MB, which depend less on what else the machine does than rates.
"""

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import polars as pl
import tensorflow as tf
from in_turn import OURS, measure
from large_csv import BATCH_SIZE, FEATURES, TARGET, repeated, unquoted

import keras_oocore as ko
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.scan import index_records

COLUMNS = [*FEATURES, TARGET]


def parted(rows):
    """`(x, y)` batches of an array of rows."""
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        yield batch[:, :-1], batch[:, -1]


def opened(path, cache=None):
    return ko.CSVChunkSequence(path, TARGET, FEATURES, batch_size=BATCH_SIZE, seed=0, cache=cache)


def once(path):
    """Batches of one epoch. Closing stops the threads, which would make batches of the next one in another's turn."""
    rows = opened(path)
    yield from rows
    rows.close()


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


def cpu_report(contestants, megabytes, runs):
    """Print the least processor time of each contestant in a few runs, with all its threads."""
    for name, work in contestants.items():
        seconds = []
        for _ in range(runs + 1):
            started = time.process_time()
            work()
            seconds.append(time.process_time() - started)
        print(f"{1000 * min(seconds[1:]) / megabytes:6.2f} ms/MB  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", help="kc_house_data.csv")
    parser.add_argument("--megabytes", type=int, default=420)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", help="where the large file is kept; a temporary one unless told")
    parser.add_argument("--unquoted", action="store_true", help="remove the quotes around cells")
    parser.add_argument("--epochs", action="store_true", help="three epochs with a cache against three of polars")
    parser.add_argument("--cpu", action="store_true", help="processor time of ours, of its parts, and of polars")
    parser.add_argument("--save", metavar="FILE", help="also write the rates of all runs to this JSON file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        source = unquoted(options.csv, folder / "source.csv") if options.unquoted else options.csv
        path = repeated(source, options.megabytes, Path(options.directory or folder) / "large.csv")
        megabytes = os.path.getsize(path) / 1e6
        if options.cpu:
            return cpu_report(
                {
                    "finding the rows": lambda: index_records(path, Dialect()),
                    "opening, finding the rows included": lambda: opened(path),
                    "first epoch, opening included": lambda: sum(len(y) for _, y in once(path)),
                    "polars, collect_batches()": lambda: sum(len(y) for _, y in with_polars(path, None)),
                },
                megabytes,
                options.runs,
            )
        if options.epochs:
            numbers = itertools.count()

            def with_cache():
                rows = opened(path, folder / f"cache {next(numbers)}")
                assert sum(len(y) for _ in range(3) for _, y in rows) == 3 * rows.num_rows
                rows.close()
                return 3 * megabytes

            def three_of_polars():
                assert sum(len(y) for _ in range(3) for _, y in with_polars(path, None))
                return 3 * megabytes

            contestants = {f"{OURS}, cache=": with_cache, "polars, collect_batches()": three_of_polars}
            return measure(contestants, options.runs, "MB", f"{OURS}, cache=", save=options.save)
        small = repeated(source, options.megabytes // 20, folder / "small.csv")
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
            OURS: reading(lambda: once(path)),
            "with a saved index": reading(lambda: once(indexed)),
            "a later epoch from its cache": reading(lambda: from_cache),
            "polars, collect_batches(1024)": reading(lambda: with_polars(path, BATCH_SIZE)),
            "polars, collect_batches()": reading(lambda: with_polars(path, None)),
            "pandas, chunksize=1024": reading(lambda: with_pandas(path, None)),
            "pandas, chunksize=1024, usecols": reading(lambda: with_pandas(path, COLUMNS)),
            "make_csv_dataset": reading(lambda: with_tensorflow(small), small),
        }
        print(f"{num_rows:,} rows, {megabytes:,.0f} MB")
        measure(contestants, options.runs, "MB", before=from_cache.close, save=options.save)


if __name__ == "__main__":
    main()
