"""Samples that are files: find each by its number, read it, and say which one cannot be read."""

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from keras_oocore.core.errors import SampleError
from keras_oocore.core.fingerprint import described, of_names
from keras_oocore.core.stopwatch import stage
from keras_oocore.manifest.manifest import Manifest


class FileReader(Protocol):
    """Reads one file into a buffer of one fixed shape. Called from several threads; must pickle."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out`, or raise; the error need not name the file."""


class FileSamples:
    """The files of a manifest, read by a reader.

    Args:
        manifest: which files there are.
        reader: reads one of them.
    """

    rows_per_task = 4  # small enough to share a batch among threads, large enough that handing out costs nothing

    def __init__(self, manifest: Manifest, reader: FileReader):
        self.manifest = manifest
        self.reader = reader
        self.shape = tuple(reader.shape)
        self.dtype = np.dtype(reader.dtype)

    def __len__(self) -> int:
        return len(self.manifest)

    def which(self) -> dict:
        """Which samples these are, as plain JSON."""
        return {"files": of_names(self.manifest.filenames)}

    def name(self, sample: int) -> str:
        """The path of this sample's file."""
        return self.manifest.path(sample)

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with sample `samples[i]`; returns why, by row, for those that cannot be read."""
        failed = {}
        for row, sample in enumerate(samples.tolist()):
            try:
                with stage("reading"):  # less what the reader itself calls otherwise
                    self.reader.read_into(self.name(sample), out[row, ...])  # a view also of an array without axes
            except MemoryError:
                raise  # says nothing about the file
            except Exception as error:
                failed[row] = self._explained(sample, error)
        return failed

    def take(self, samples: np.ndarray) -> "FileSamples":
        """The same reader, for these of the files."""
        return FileSamples(self.manifest.take(samples), self.reader)

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        """`int64` of shape `(n, 2)`: size in bytes and time of change of each file; -1 for one that is gone."""
        stamps = []
        with stage("checking"):
            for sample in samples.tolist():
                try:
                    status = os.stat(self.name(sample))
                    stamps.append((status.st_size, status.st_mtime_ns))
                except OSError:
                    stamps.append((-1, -1))
        return np.array(stamps, np.int64).reshape(-1, 2)

    def _explained(self, sample: int, error: Exception) -> SampleError:
        if isinstance(error, SampleError):
            reason = str(error)
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = f"{type(error).__name__}: {error}"
        reason = reason.rstrip(".")
        explained = SampleError.of(sample, self.name(sample), reason)
        explained.__cause__ = error
        return explained


class FunctionReader:
    """Makes a reader of a function that takes a path and returns an array of one fixed shape.

    Args:
        function: path → array.
        path: a file that shows the shape and dtype; the first one, usually.
    """

    def __init__(self, function: Callable[[str], Any], path: str | os.PathLike):
        first = np.asarray(function(os.fspath(path)))
        if first.dtype.kind not in "biufc":
            raise SampleError(f"`reader` should return numbers. Received: an array of dtype {first.dtype}")
        self.function = function
        self.shape = first.shape
        self.dtype = first.dtype
        self.options = {"reader": described(function)}

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out` with what the function returns for `path`."""
        array = np.asarray(self.function(path))
        floats = array.dtype.kind == self.dtype.kind == "f"  # these lose precision at most
        if array.shape != self.shape or not (floats or np.can_cast(array.dtype, self.dtype, "safe")):
            raise SampleError(
                f"`reader` returned an array of shape {array.shape} and dtype {array.dtype}; "
                f"for the first file it was {self.shape} and {self.dtype}"
            )
        out[...] = array
