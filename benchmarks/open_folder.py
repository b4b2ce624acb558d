"""Opening a tree of 200,000 files in 100 class folders: against a bare sorted walk, and Keras.

python benchmarks/open_folder.py
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import keras_oocore as ko


def bare_walk(directory):
    with os.scandir(directory) as folders:
        for folder in sorted(folders, key=lambda entry: entry.name):
            with os.scandir(folder.path) as files:
                sorted(entry.name for entry in files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for label in range(100):
            folder = Path(directory, f"class_{label:03d}")
            folder.mkdir()
            for number in range(2000):
                (folder / f"image_{number:06d}.jpg").touch()
        contestants = {
            "sorted os.scandir": lambda: bare_walk(directory),
            "ImageFolderSequence": lambda: ko.ImageFolderSequence(directory, seed=0),
            "image_dataset_from_directory": lambda: keras.utils.image_dataset_from_directory(directory, verbose=False),
        }
        seconds = {name: [] for name in contestants}
        for run in range(options.runs + 1):
            for name, work in contestants.items():
                started = time.perf_counter()
                work()
                if run:
                    seconds[name].append(time.perf_counter() - started)
        bare = seconds["sorted os.scandir"]
        for name, values in seconds.items():
            ratio = statistics.median(value / other for value, other in zip(values, bare))
            print(f"{name:30}{statistics.median(values):8.3f} s{ratio:8.1f} x")


if __name__ == "__main__":
    main()
