"""Rows per second: `ko.predict` in memory, into CSV and into Parquet, against `model.predict` of the same Sequence.

KERAS_BACKEND=jax python benchmarks/predict.py DIR
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from in_turn import measure

import keras_oocore as ko

REFERENCE = "ko.predict"


def network(shape, num_classes):
    """A small network, next to which the work around it shows."""
    layers = [keras.Input(shape)]
    if len(shape) == 3:
        layers += [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(32, 3, strides=2, activation="relu")]
        layers += [keras.layers.Conv2D(64, 3, strides=2, activation="relu"), keras.layers.GlobalMaxPooling2D()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, activation="softmax")])


def compare(title, model, sequence, folder, runs):
    """Print the table of one data set."""

    def counted(work):
        def turn():
            work()
            return sequence.num_samples

        return turn

    print(f"{title}, on {keras.backend.backend()}")
    contestants = {
        "model.predict": lambda: model.predict(sequence, verbose=0),
        REFERENCE: lambda: ko.predict(model, sequence),
        "to a .csv": lambda: ko.predict(model, sequence, to=folder / "predictions.csv"),
        "to a .parquet": lambda: ko.predict(model, sequence, to=folder / "predictions.parquet"),
    }
    measure({name: counted(work) for name, work in contestants.items()}, runs, "rows", REFERENCE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="a folder of images, in class folders")
    parser.add_argument("--image-size", type=int, default=80)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    size = options.image_size
    images = ko.ImageFolderSequence(options.directory, image_size=size, shuffle=False)
    rows = np.random.default_rng(0).random((12_800, 8), "float32")
    numbers = ko.ArraySequence(rows, labels=None, batch_size=128, shuffle=False)
    with tempfile.TemporaryDirectory() as folder:
        model = network((size, size, 3), len(images.class_names))
        compare(f"{images.num_samples:,} images of {size} x {size}", model, images, Path(folder), options.runs)
        few = network((8,), 10)
        compare("12,800 rows of 8 numbers, 10 classes", few, numbers, Path(folder), options.runs)


if __name__ == "__main__":
    main()
