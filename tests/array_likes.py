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


class Lazy:
    """An object like an array of dask: the sizes of all its chunks, and slices that are computed by `np.asarray`."""

    def __init__(self, rows, sizes):
        self._rows, self.shape, self.dtype = rows, rows.shape, rows.dtype
        self.chunks = (tuple(sizes), *((length,) for length in rows.shape[1:]))
        self.computed = []

    def __getitem__(self, key):
        assert isinstance(key, slice)
        return _Computed(self, key)


class _Computed:
    """A slice of a `Lazy` array."""

    def __init__(self, whole, key):
        self._whole, self._key = whole, key

    def __array__(self, dtype=None, copy=None):
        self._whole.computed.append((self._key.start, self._key.stop))
        return np.array(self._whole._rows[self._key], dtype)


class WithLock(Slices):
    """An object that does not pickle."""

    def __init__(self, rows):
        super().__init__(rows)
        self.lock = threading.Lock()
