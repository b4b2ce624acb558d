"""Child processes that write predictions, for predictions/test_written.py and predictions/test_killed.py."""

import contextlib
import resource
import signal

import numpy as np
from stub_models import StubModel

import keras_oocore as ko
from keras_oocore.predictions import written

NUM_ROWS, BATCH_SIZE = 400, 4
CLASSES = ["cat", "dog", "öwl"]
SMALL_PARTS = (1000, 1000)  # about ten batches


def rows(folder, **options):
    """A Sequence of rows in a file."""
    path = folder / "rows.npy"
    if not path.exists():
        np.save(path, np.random.default_rng(0).normal(size=(NUM_ROWS, 3)).astype("float32"))
    labels = np.arange(NUM_ROWS) % 3
    return ko.ArraySequence(path, labels, batch_size=BATCH_SIZE, class_names=CLASSES, seed=1, **options)


def predicting(folder, suffix, seconds_per_batch):
    """Predict in small parts."""
    written.PART_BYTES = SMALL_PARTS
    print("ready", flush=True)
    ko.predict(StubModel(seconds=seconds_per_batch), rows(folder), to=folder / f"killed.{suffix}")
    print("done", flush=True)


def measuring(folder, suffix):
    """Print the size of a file of predictions, and how much memory the process needed while it was written."""

    def peak_bytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    sequence = ko.ArraySequence(folder / "many.npy", labels=None, batch_size=64)
    names = [f"class {number}" for number in range(100)]
    few = ko.ArraySequence(np.zeros((640, 1), "float32"), labels=None, batch_size=64)
    ko.predict(StubModel(100), few, to=folder / f"few.{suffix}", class_names=names)  # imports and first calls
    before = peak_bytes()
    path = ko.predict(StubModel(100), sequence, to=folder / f"many.{suffix}", class_names=names)
    print("measured", path.stat().st_size, peak_bytes() - before, flush=True)


@contextlib.contextmanager
def largest_file(num_bytes):
    """Within the block, this process cannot write longer files."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)  # for `make coverage`


def on_a_small_disk(folder):
    """Predict while no file may be as long as the result, and print the error."""
    written.PART_BYTES = SMALL_PARTS
    sequence = rows(folder)
    with largest_file(4000):
        try:
            ko.predict(StubModel(), sequence, to=folder / "all.csv")
        except ko.DestinationError as error:
            print(error, flush=True)
