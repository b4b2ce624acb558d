"""The base class of Sequences of files, with their cache and `pack()`."""

import copy
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.files import as_path
from keras_oocore.core.locks import who_locked
from keras_oocore.core.tasks import as_executor
from keras_oocore.core.text import display_path
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.labelled import LabelledSequence
from keras_oocore.sequences.labelled_data import LabelledData
from keras_oocore.sources.base import Source
from keras_oocore.sources.cache import cached
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.fill import fill_store


class FileSequence(LabelledSequence):
    """Base class of Sequences of files.

    Args:
        data: The samples with their labels. Their source is a `FileSamples`.
        options: How samples become batches.
        loading: The arguments `memory_limit`, `workers`, `max_queue_size` and `use_multiprocessing`.
        cache: Directory of the cache, or `None`.
        overwrite_cache: Whether to replace an existing cache.
    """

    def __init__(
        self,
        data: LabelledData,
        options: BatchOptions,
        loading: Mapping[str, Any],
        cache: Path | None = None,
        overwrite_cache: bool = False,
    ):
        super().__init__(data, options, loading)
        self._files, self._cached, self._overwrite_cache = data.source, None, overwrite_cache
        self._cache_directory = cache
        if cache is not None:  # last, so that an error above does not keep a cache open in the traceback
            self._read_through(self._open_cache(cache, overwrite_cache, create=False))

    def _open_cache(self, directory: str | os.PathLike[str], overwrite: bool, create: bool = True) -> Cached:
        return cached(self._files, directory, self._options.on_error != "raise", overwrite, create)

    def _ready_source(self) -> Source:
        """Create the cache with the first batch, so that a Sequence that is only split has none."""
        if self._cached is not None:
            self._cached.open()
            if not self._cached.has_store:
                directory = self._cached.directory
                warn_user(
                    f"{who_locked(directory)} is filling the cache {str(directory)!r}. Until it has finished, this "
                    "Sequence reads the files."
                )
        return self._source

    def _read_through(self, cache: Cached) -> None:
        """Read the samples through this cache."""
        self._cached = cache
        self._source = replace(self._data, source=cache).labelled()
        self._use(None)

    def rows_and_files(self) -> tuple[Source, Manifest | None, np.ndarray]:
        files, manifest, numbers = super().rows_and_files()
        cache = self._cached
        is_filled = cache is not None and cache.has_store and not len(cache.missing())
        return cache if is_filled else files, manifest, numbers

    def _reopened(self, data: LabelledData, options: BatchOptions, folder: str) -> "FileSequence":
        sequence = copy.copy(self)
        cache = None if self._cache_directory is None else self._cache_directory / folder
        FileSequence.__init__(sequence, data, options, self._loading, cache, self._overwrite_cache)
        return sequence

    def pack(
        self, directory: str | os.PathLike[str], overwrite_cache: bool = False, executor: Executor | None = None
    ) -> Path:
        """Store all samples as rows of a packed store, with a progress bar. A call resumes one that was stopped.

        `open_packed(directory)` reads from it, also on a machine without the files: labels, class names and file names
        are stored with the rows. `transform`, `rescale` and `dtype` are not applied. If `directory` is the `cache` of
        this Sequence, the cache is filled.

        The files are read in threads. A `reader` written in Python runs in one thread at a time, so worker processes
        are faster for it. The store has the same bytes:

            if __name__ == "__main__":  # workers import this file
                with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as executor:
                    sequence.pack("packed", executor=executor)

        Args:
            directory: A new or empty directory, or one with an unfinished store of these files and options.
            overwrite_cache: Whether to replace an existing store.
            executor: A `concurrent.futures.Executor` whose workers read the files and write the rows, such as
                `ProcessPoolExecutor` or the `client.get_executor()` of Dask. Its workers see the files and `directory`
                under the same paths. Defaults to `None`, for threads of this process.

        Returns:
            The directory.

        Raises:
            SampleError: If a file cannot be read and `on_error="raise"`. With other values, the store remembers a file
                that is damaged. A file that is missing, or whose disk fails, is an error after all other files were
                stored, and the next call reads it again.
            ResourceError: If this process has too many open files, or the executor lost a worker. Another call with a
                new executor continues.
            OptionError: If the executor cannot run the tasks, for example because the `reader` is a lambda.
            DataError: If the directory contains other rows.
            DestinationError: If the disk is too small, or another process fills the store.
        """
        executor = None if executor is None else as_executor(executor)
        self.release()  # otherwise rows that threads read ahead would be stored twice
        directory = as_path(directory, "directory")
        is_cache = self._cached is not None and self._cached.directory == Path(os.path.abspath(directory))
        samples = self._cached
        if overwrite_cache or not is_cache:
            samples = self._open_cache(directory, overwrite_cache)
            if is_cache:
                self._read_through(samples)
        try:
            fill_store(samples, max(1, self.num_workers), self._pipeline.bad_samples, executor)
        finally:
            if not is_cache:
                samples.close()
        return directory

    def _thumbnail(self, sample: int) -> str | None:
        return None

    def _description(self) -> list[tuple[str, str]]:
        directory = self.manifest.directory
        where = (
            f"files such as {str(self.manifest.filenames[0])!r}" if directory is None else f"from {str(directory)!r}"
        )
        lines = [("files", where)]
        if self._cached is not None:
            missing = self._cached.missing()
            if self._partition is not None:
                missing = np.intersect1d(missing, self._members())
            num_stored = self.num_samples - len(missing)
            lines.append(("cache", f"cache {display_path(self._cached.directory)!r} contains {num_stored:,} of them"))
        return self._described_samples(*lines)
