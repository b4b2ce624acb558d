"""Objects with `shape`, `dtype` and slices, as other libraries have them."""

import threading

import numpy as np


class Slices:
    """An object like an array of zarr, which records what is read. It pickles."""

    def __init__(self, rows, chunks=None):
        self.rows, self.shape, self.dtype, self.chunks = np.asarray(rows), rows.shape, rows.dtype, chunks
        self.read = []

    def __getitem__(self, key):
        assert isinstance(key, slice)
        self.read.append((key.start, key.stop))
        return self.rows[key]


class WithLock(Slices):
    """An object that does not pickle."""

    def __init__(self, rows):
        super().__init__(rows)
        self.lock = threading.Lock()
