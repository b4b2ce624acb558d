"""A Sequence of the rows of one array: in memory, in a large `.npy` or HDF5 file, or in an object like an array."""

import copy
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.errors import OptionError
from keras_oocore.core.locks import who_locked
from keras_oocore.core.text import display_path
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.labels import LabelMode
from keras_oocore.sequences.arguments import ArrayArguments, documented, shares
from keras_oocore.sequences.array_data import open_labels, open_rows
from keras_oocore.sequences.inputs import labelled_data, row_labels
from keras_oocore.sequences.labelled import LabelledSequence
from keras_oocore.sequences.labelled_data import LabelledData
from keras_oocore.sequences.shared_options import batch_options, cache_directory, loading_options
from keras_oocore.sources.base import Source
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.chunked import ChunkedRows
from keras_oocore.sources.fill import fill_store
from keras_oocore.sources.shared_store import RETRY_SECONDS


@documented
class ArraySequence(LabelledSequence):
    """Batches of the rows of one array: in memory, or in a `.npy` or HDF5 file larger than memory.

    Every sample is served exactly once per pass, and the same seed gives the same bytes for any number of workers and
    on every backend.

    Arrays in memory, `.npy` files and contiguous datasets of HDF5 are read row by row, in a global order. Datasets in
    chunks, and objects like arrays, are read in blocks of neighboring rows, each with one call.

    Args:
        data: Array of numbers; path of a `.npy` file, which is read through a memory map; path of an HDF5 file, with
            `dataset`; an open `h5py.Dataset`; or any object with `shape`, `dtype` and slices, such as an array of zarr.
            The first axis is the samples.
        labels: One label per row: an array, a list, the path of a `.npy` file, or for an HDF5 file the name of a
            dataset in it. They are read into memory. `None` for no labels.
        label_mode: `"raw"` for rows of `labels` as they are. The other modes are those of `ImageFolderSequence`.
        class_names: Names of the classes in the order of their indices.
        dataset: Name of the dataset in the HDF5 file, such as `"images"` or `"train/images"`.
        shuffle: `True` for a new order every epoch. It is a global order, except for rows that are read in blocks,
            without `cache`: blocks of about 1 MB, or of one chunk, come in random order, and rows are shuffled in a
            window of 128 blocks. If they exceed half of `memory_limit`, the window is smaller, so the order depends on
            the limit. `"block"` for runs of neighbors in random order, for disks that seek slowly; for rows in blocks,
            a window of one block. `False` for the order on disk. Defaults to `True`.
        cache: Directory that stores all rows, for data that is read in blocks. It is filled before the first batch,
            in one pass over the data. Later epochs and runs read from it, in a global order. A subset is stored in a
            directory within it. `transform`, `rescale` and `dtype` are applied after the cache.
        memory_limit: Limit of all batches in flight, in bytes or as a string such as `"128MB"`. Defaults to the
            smaller of 512 MB and a tenth of the memory of this machine. Blocks have a limit of their own of the same
            size, which defaults to 512 MB on every machine.
        max_queue_size: The largest number of batches made ahead of time. Defaults to 10, or for small batches to as
            many as 4 MB can store, at most 256.
        {shared}

    Raises:
        OptionError: If an argument is not valid, or a dataset does not exist or does not contain numbers.
        DataError: If the file cannot be read, or labels and rows differ in length.
        MissingExtraError: If `data` is an HDF5 file, and h5py is not installed (extra `hdf5`).

    >>> rows = np.arange(12, dtype="float32").reshape(6, 2)
    >>> batches = ArraySequence(rows, labels=[0, 1, 2, 3, 4, 5], batch_size=4, shuffle=False)
    >>> x, y = batches[1]
    >>> x.tolist(), y.tolist()
    ([[8.0, 9.0], [10.0, 11.0]], [4, 5])
    """

    @shares(ArrayArguments, max_queue_size=None)
    def __init__(
        self,
        data: Any,
        labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None,
        label_mode: LabelMode | None = "raw",
        class_names: Sequence[str] | None = None,
        *,
        dataset: str | None = None,
        **shared: Unpack[ArrayArguments],
    ):
        options = batch_options(shared)
        rows = open_rows(data, dataset, shared["memory_limit"])
        labels, class_names = row_labels(open_labels(labels, data, dataset), class_names, len(rows))
        self._overwrite_cache = shared["overwrite_cache"]
        self._serve(
            labelled_data(rows, labels, label_mode, class_names, None, shared, options),
            options,
            loading_options(shared),
            cache_directory(shared),
        )

    def _serve(
        self, data: LabelledData, options: BatchOptions, loading: Mapping[str, Any], directory: Path | None
    ) -> None:
        """Serve rows, through a cache in `directory` unless it is `None`."""
        LabelledSequence.__init__(self, data, options, loading)
        self._cache_directory, self._cached = directory, None
        if directory is None:
            return
        if not isinstance(data.source, ChunkedRows):
            raise OptionError(
                "`cache` is for rows that are read in blocks. These rows can be read in any order without it. "
                f"Received: cache={os.fspath(directory)!r}"
            )
        keep_errors = options.on_error != "raise"
        self._cached = Cached(data.source, directory, keep_errors, self._overwrite_cache, create=False)
        self._source = replace(data, source=self._cached).labelled()
        self._use(None)

    def _ready_source(self) -> Source:
        """Fill the cache, because reading blocks in a global order would read each of them many times."""
        cache = self._cached
        if cache is not None:
            _open_or_wait(cache)
            if len(cache.missing()):
                fill_store(cache, max(1, self.num_workers))
            self._data.source.close()
        return self._source

    def _reopened(self, data: LabelledData, options: BatchOptions, folder: str) -> "ArraySequence":
        sequence = copy.copy(self)
        directory = None if self._cache_directory is None else self._cache_directory / folder
        sequence._serve(data, options, self._loading, directory)
        return sequence

    def _description(self) -> list[tuple[str, str]]:
        rows = self._data.source
        where = "an array"
        if rows.path is not None:
            where = repr(display_path(rows.path)) + (f", dataset {rows.dataset.name!r}" if rows.dataset else "")
        lines = [("rows", f"rows of {where}")]
        if self._cached is not None:
            lines.append(("cache", f"cache {display_path(self._cached.directory)!r}, filled before the first batch"))
        elif isinstance(rows, ChunkedRows):
            window = f", {rows.window_blocks} of them shuffled together" * (self._options.shuffle is True)
            lines.append(("blocks", rows.describe() + window))
        return self._described_samples(*lines)


def _open_or_wait(cache: Cached) -> None:
    """Open a cache. While another process fills it, wait."""
    warned = False
    cache.open()
    while not cache.has_store:
        if not warned:
            warn_user(f"{who_locked(cache.directory)} is filling the cache {str(cache.directory)!r}. Waiting for it.")
            warned = True
        time.sleep(RETRY_SECONDS)
        cache.open()
