"""MB/s of batches from a Parquet file, shuffled within windows: against pyarrow's own batches, which are not.

    python benchmarks/parquet_rows.py kc_house_data.csv
    python benchmarks/parquet_rows.py --columns 20000 --cpu     # 10 of 20,000 columns: opening and the first batch

The rows of the CSV file are written repeatedly, in row groups of 100,000 rows. Every contestant makes batches of 1,024
rows with 6 features and a target, as `float32`, and a MB is one of these values. `--cpu` prints CPU seconds, which a
busy machine does not change much.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from in_turn import OURS, measure
from large_csv import BATCH_SIZE, FEATURES, TARGET
from pyarrow import csv

import keras_oocore as ko

COLUMNS = [*FEATURES, TARGET]
GROUP_ROWS = 100_000
WANTED = 10


def write_rows(source, num_rows, path):
    """Write the rows of a CSV file repeatedly."""
    rows = csv.read_csv(source)
    whole = pa.concat_tables([rows] * -(-num_rows // len(rows))).slice(0, num_rows)
    pq.write_table(whole, path, row_group_size=GROUP_ROWS)


def opened(path, **options):
    return ko.TableSequence(path, TARGET, FEATURES, batch_size=BATCH_SIZE, seed=0, **options)


def with_pyarrow(path):
    """Batches as pyarrow cuts them, as a matrix: a column at a time, because they are of several types."""
    for batch in pq.ParquetFile(path).iter_batches(BATCH_SIZE, columns=COLUMNS):
        rows = np.empty((len(batch), len(COLUMNS)), np.float32)
        for position, name in enumerate(COLUMNS):
            rows[:, position] = batch[name].to_numpy(zero_copy_only=False)
        yield rows[:, :-1], rows[:, -1]


def counted(batches):
    return sum(len(y) for _, y in batches)


def timed(work, runs):
    """Print CPU and wall seconds of the fastest of several runs."""
    best = []
    for _ in range(runs):
        started = time.process_time(), time.perf_counter()
        work()
        best.append((time.process_time() - started[0], time.perf_counter() - started[1]))
    return min(best)


def narrow(options, folder):
    path = folder / "rows.parquet"
    write_rows(options.csv, options.rows, path)
    megabytes = options.rows * len(COLUMNS) * 4 / 1e6
    cached = opened(path, cache=folder / "cache")
    counted(cached)
    contestants = {
        OURS: lambda: counted(opened(path)),
        f"{OURS}, in order": lambda: counted(opened(path, shuffle=False)),
        f"{OURS}, warm epoch from a cache": lambda: counted(cached),
        "pyarrow iter_batches, in order": lambda: counted(with_pyarrow(path)),
    }
    if options.cpu:
        for name, work in contestants.items():
            cpu, wall = timed(work, options.runs)
            print(f"{name:45} {cpu:7.2f} s of CPU, {megabytes / cpu:8.0f} MB per CPU second, {wall:7.2f} s")
        return
    measure(
        {name: lambda work=work: work() * len(COLUMNS) * 4 / 1e6 for name, work in contestants.items()},
        options.runs,
        "MB",
    )


def wide(options, folder):
    """A table of many columns, of which few are wanted: opening and the first batch."""
    names = [f"column_{i}" for i in range(options.columns)]
    values = np.random.default_rng(0).normal(size=options.rows_of_wide)
    table = pa.table({name: values + i for i, name in enumerate(names)})
    wanted = names[:: options.columns // WANTED][:WANTED]
    pq.write_table(table, folder / "wide.parquet", row_group_size=BATCH_SIZE)
    csv.write_csv(table, folder / "wide.csv")

    def ours(path):
        ko.TableSequence(path, wanted[-1], wanted[:-1], batch_size=BATCH_SIZE, shuffle=False, workers=0)[0]

    contestants = {
        f"{OURS}, Parquet": lambda: ours(folder / "wide.parquet"),
        "polars, Parquet": lambda: pl.read_parquet(
            folder / "wide.parquet", columns=wanted, n_rows=BATCH_SIZE
        ).to_numpy(),
        f"{OURS}, CSV": lambda: ours(folder / "wide.csv"),
        "polars, CSV": lambda: pl.read_csv(folder / "wide.csv", columns=wanted, n_rows=BATCH_SIZE).to_numpy(),
    }
    for name, work in contestants.items():
        cpu, wall = timed(work, options.runs)
        print(f"{name:25} {cpu:7.3f} s of CPU, {wall:7.3f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", nargs="?", help="kc_house_data.csv")
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--columns", type=int, help="measure a wide table of so many columns instead")
    parser.add_argument("--rows-of-wide", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="print CPU seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (wide if options.columns else narrow)(options, Path(folder))


if __name__ == "__main__":
    main()
