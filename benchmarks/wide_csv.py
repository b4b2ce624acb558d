"""Seconds to open a CSV file of 20,000 columns and make its first batch from ten of them, against polars.

    python benchmarks/wide_csv.py

Ours opens the file, finds all of its rows, and makes a batch of 100 rows. polars reads the same columns of the first
100 rows. The scan that finds the rows is measured by itself.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import polars as pl
from in_turn import OURS, measure

import keras_oocore as ko
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.scan import index_records

NUM_COLUMNS, NUM_FEATURES, BATCH_SIZE = 20_000, 9, 100


def written(path, num_rows):
    """Write a file of integers."""
    rng = np.random.default_rng(0)
    with open(path, "w") as file:
        file.write(",".join(f"c{i}" for i in range(NUM_COLUMNS)) + "\n")
        for _ in range(num_rows):
            file.write(",".join(map(str, rng.integers(0, 1000, NUM_COLUMNS))) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    target, *features = names = [f"c{i * NUM_COLUMNS // (NUM_FEATURES + 1)}" for i in range(NUM_FEATURES + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.csv"
        written(path, options.rows)

        def ours(shuffle):
            rows = ko.CSVChunkSequence(path, target, features, batch_size=BATCH_SIZE, shuffle=shuffle)
            assert len(rows[0][1]) == BATCH_SIZE
            rows.close()
            return 1

        def polars():
            return len(pl.scan_csv(path).select(names).head(BATCH_SIZE).collect()) // BATCH_SIZE

        def scan():
            return index_records(path, Dialect(), num_workers=os.cpu_count() or 1).num_rows // options.rows

        contestants = {
            OURS: lambda: ours(True),
            f"{OURS}, shuffle=False": lambda: ours(False),
            "polars": polars,
            "finding the rows alone": scan,
        }
        print(f"{os.path.getsize(path) / 1e6:,.0f} MB")
        rates = measure(contestants, options.runs, "openings")
        for name, values in rates.items():
            print(f"{1000 / np.median(values):8.0f} ms  {name}")


if __name__ == "__main__":
    main()
