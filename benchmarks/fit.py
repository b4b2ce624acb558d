"""Training speed through `model.fit`: a packed store and `.npy` rows on disk against the same arrays in memory.

    KERAS_BACKEND=jax python benchmarks/fit.py

The network trains on several thousand images of 96 by 96 per second, so the loader could be the bottleneck. `--tiny`
uses an even faster network, which shows the cost of handing over a batch.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from in_turn import OURS, measure
from stored_rows import write_store

import keras_oocore as ko

NUM_IMAGES, BATCH_SIZE = 4096, 32


def small_network(tiny):
    model = keras.Sequential(
        [
            keras.Input((96, 96, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.AveragePooling2D(4 if tiny else 2),
            keras.layers.Conv2D(8 if tiny else 16, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--tiny", action="store_true", help="a network that is quicker still")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (NUM_IMAGES, 96, 96, 3), np.uint8)
    y = rng.integers(0, 10, NUM_IMAGES).astype("int32")
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", x)
        write_store(Path(folder) / "packed", [x], y)
        store = ko.open_packed(Path(folder) / "packed", batch_size=BATCH_SIZE, seed=0)
        rows = ko.ArraySequence(Path(folder) / "x.npy", y, batch_size=BATCH_SIZE, seed=0)

        def fit(*data, batch_size=None):
            model = small_network(options.tiny)

            def work():
                model.fit(*data, batch_size=batch_size, verbose=0)
                return NUM_IMAGES

            return work

        def tidy():  # nothing is made ahead in the others' turns, nor served in ours without its time
            store.close()
            rows.close()

        contestants = {
            OURS: fit(store),
            ".npy rows": fit(rows),
            "arrays in memory": fit(x, y, batch_size=BATCH_SIZE),
        }
        print(f"model.fit on {keras.backend.backend()}")
        measure(contestants, options.runs, "images", before=tidy)


if __name__ == "__main__":
    main()
