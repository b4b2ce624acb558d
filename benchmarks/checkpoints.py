"""The cost of saving a training: `fit_resumable` against plain `fit`, and against `BackupAndRestore` of Keras.

    KERAS_BACKEND=jax python benchmarks/checkpoints.py

Epochs take about a second. In practice they are longer, and saving at the end of each epoch costs less.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from in_turn import OURS, measure

import keras_oocore as ko
from keras_oocore.core.sizes import format_bytes
from keras_oocore.training.state.checkpoints import Checkpoints

NUM_FEATURES, BATCH_SIZE = 256, 128


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=512, help="of each of three layers")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x, y = rng.random((options.rows, NUM_FEATURES), "float32"), rng.random(options.rows)
    written_seconds, save = [], Checkpoints.save

    def timed(checkpoints, state, arrays):
        started = time.perf_counter()
        path = save(checkpoints, state, arrays)
        written_seconds.append(time.perf_counter() - started)
        timed.size_bytes = sum(file.stat().st_size for file in path.iterdir())
        return path

    Checkpoints.save = timed

    def contestant(fit):
        layers = [keras.layers.Dense(options.width, "relu") for _ in range(3)]
        model = keras.Sequential(
            [keras.Input((NUM_FEATURES,)), *layers, keras.layers.Dropout(0.2), keras.layers.Dense(1)]
        )
        model.compile("adam", "mse")
        rows = ko.ArraySequence(x, y, batch_size=BATCH_SIZE, seed=0)

        def work():
            with tempfile.TemporaryDirectory() as folder:
                fit(model, rows, Path(folder))
            return options.epochs * options.rows

        return work

    def ours(model, rows, folder):
        ko.fit_resumable(model, rows, options.epochs, folder / "ours", verbose=0)

    def plain(model, rows, folder):
        model.fit(rows, epochs=options.epochs, verbose=0)

    def backup(model, rows, folder):
        model.fit(
            rows, epochs=options.epochs, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(folder / "keras")]
        )

    contestants = {OURS: contestant(ours), "plain fit": contestant(plain), "BackupAndRestore": contestant(backup)}
    print(f"{options.epochs} epochs on {keras.backend.backend()}")
    measure(contestants, options.runs, "rows")
    print(
        f"{len(written_seconds) / (options.runs + 1):.1f} checkpoints a training, of {format_bytes(timed.size_bytes)}, "
        f"each written in {np.median(written_seconds):.3f} s"
    )


if __name__ == "__main__":
    main()
