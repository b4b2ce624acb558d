"""A linear model through `model.fit`: rows of a CSV file from its cache against the same arrays in memory.

The third contestant is the least that any `PyDataset` costs in Keras: slices of the arrays, without a shuffle.

    KERAS_BACKEND=jax python benchmarks/csv_fit.py kc_house_data.csv

A step of such a small model takes little time, so every microsecond per batch shows.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from in_turn import OURS, measure
from large_csv import BATCH_SIZE, FEATURES, TARGET, repeated

import keras_oocore as ko


class Slices(keras.utils.PyDataset):
    """Batches of arrays in memory, in their order."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // BATCH_SIZE)

    def __getitem__(self, index):
        rows = slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)
        return self.x[rows], self.y[rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", help="kc_house_data.csv")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = repeated(options.csv, options.megabytes, Path(folder) / "large.csv")
        rows = ko.CSVChunkSequence(path, TARGET, FEATURES, batch_size=BATCH_SIZE, seed=0, cache=Path(folder) / "cache")
        x, y = (np.concatenate(parts) for parts in zip(*rows))

        def fit(*data, batch_size=None):
            model = keras.Sequential([keras.Input((len(FEATURES),)), rows.normalization(), keras.layers.Dense(1)])
            model.compile("adam", "mse")

            def work():
                model.fit(*data, batch_size=batch_size, verbose=0)
                return len(x)

            return work

        contestants = {
            OURS: fit(rows),
            "arrays in memory": fit(x, y, batch_size=BATCH_SIZE),
            "slices in a PyDataset": fit(Slices(x, y)),
        }
        print(f"model.fit on {keras.backend.backend()}, {len(x):,} rows in batches of {BATCH_SIZE}")
        measure(contestants, options.runs, "rows", before=rows.close)


if __name__ == "__main__":
    main()
