"""Files per second of `pack` with a reader that is written in Python: in threads, and in worker processes.

    python benchmarks/pack.py --workers 2

The reader adds up bytes in a Python loop, so it holds the lock of the interpreter. Each turn packs the same small files
into a new store. The workers are started before the first turn.
"""

import argparse
import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from in_turn import measure

import keras_oocore as ko

NUM_BYTES = 100_000  # per file: some milliseconds of Python


def sums(path):
    """The sums of the bytes of a file in 10 parts."""
    content, parts = Path(path).read_bytes(), np.zeros(10, np.float32)
    for part in range(10):
        total = 0
        for byte in content[part::10]:
            total += byte
        parts[part] = total
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as executor,
    ):
        files = [Path(folder, f"{number:05d}.bin") for number in range(options.files)]
        for file in files:
            file.write_bytes(rng.bytes(NUM_BYTES))
        sequence = ko.NpyManifestSequence(files, labels=None, reader=sums, workers=options.workers)
        store = Path(folder, "packed")

        def packed(**arguments):
            sequence.pack(store, **arguments)
            return len(files)

        measure(
            {"threads": packed, "processes": lambda: packed(executor=executor)},
            options.runs,
            "files",
            "processes",
            before=lambda: shutil.rmtree(store, ignore_errors=True),
        )


if __name__ == "__main__":
    main()
