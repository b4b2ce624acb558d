"""Microseconds per batch: a bare loop over a Sequence of tiny arrays, 50 rows per batch. Only overhead is left.

python benchmarks/overhead.py
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_oocore as ko

NUM_BATCHES, BATCH_SIZE, RUNS = 4000, 50, 7


class Bare(keras.utils.PyDataset):
    """The least that a PyDataset can do for shuffled rows."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.order = x, y, np.random.default_rng(0).permutation(len(x))

    def __len__(self):
        return NUM_BATCHES

    def __getitem__(self, index):
        rows = self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        return self.x[rows], self.y[rows]


def main():
    x = np.zeros((NUM_BATCHES * BATCH_SIZE, 6), "float32")
    y = np.zeros((NUM_BATCHES * BATCH_SIZE, 1), "float32")
    contestants = {"bare PyDataset": Bare(x, y)}
    for workers in (0, 1, 2):
        contestants[f"keras_oocore, workers={workers}"] = ko.ArraySequence(
            x, y, batch_size=BATCH_SIZE, seed=0, workers=workers
        )
    seconds = {name: [] for name in contestants}
    for run in range(RUNS + 1):
        for name, batches in contestants.items():
            started = time.perf_counter()
            for _ in batches:
                pass
            if run:
                seconds[name].append(time.perf_counter() - started)
    for name, values in seconds.items():
        print(f"{name:28}{statistics.median(values) / NUM_BATCHES * 1e6:8.1f} us per batch")


if __name__ == "__main__":
    main()
