"""Samples of 8 bytes in files, read through a cache."""

import os
from pathlib import Path

import numpy as np

from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.cache import cached
from keras_oocore.sources.files import FileSamples


class RawReader:
    """A file of 8 bytes."""

    shape, dtype, options = (8,), np.dtype(np.uint8), {"reader": "raw"}

    def read_into(self, path, out):
        content = np.fromfile(path, np.uint8)
        if len(content) != 8:
            raise ValueError(f"{len(content)} bytes")
        out[...] = content


def make_files(folder, num_files):
    folder.mkdir()
    for number in range(num_files):
        (folder / f"{number}.raw").write_bytes(bytes([number]) * 8)
    return folder


def change(path, content):
    """Change the content of a file, and its time."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_bytes(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def samples_of(folder, reader=None):
    names = np.array(sorted((path.name for path in Path(folder).iterdir()), key=lambda name: int(name[:-4])))
    return FileSamples(Manifest(names, np.arange(len(names)), None, folder), reader or RawReader())


def cache_of(folder, directory, keep_errors=True, overwrite=False, reader=None):
    return cached(samples_of(folder, reader), directory, keep_errors, overwrite)


def read_all(samples, order=None):
    """`(first byte of each sample, errors)`."""
    order = np.arange(len(samples)) if order is None else order
    out = np.full((len(order), *samples.spec.shape), 255, samples.spec.dtype)
    errors = {}
    for start in range(0, len(order), 4):  # as many at a time as a loader's thread takes
        part = slice(start, start + 4)
        errors |= {start + row: error for row, error in samples.read(order[part], out[part]).items()}
    good = [row for row in range(len(order)) if row not in errors]
    assert (out[good] == out[good][:, :1]).all()
    return out[:, 0].tolist(), errors


def finish_all(samples):
    """Read everything, and wait for the thread that finishes the store, even if it fails."""
    read_all(samples)
    samples.shared.wait()
