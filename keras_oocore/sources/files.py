"""Samples that are files: each file is read by its number, and named if it cannot be read."""

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import FormError, SampleError
from keras_oocore.core.fingerprint import described, of_names
from keras_oocore.core.stopwatch import stage
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.missing_files import why_missing
from keras_oocore.sources.base import RowSpec, StampedSource


class FileReader(Protocol):
    """Reads one file into a buffer of a fixed shape. It is called from several threads, and must pickle."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out`, or raise an error. The error need not name the file."""


class FileSamples(StampedSource):
    """The files of a manifest, read by a reader.

    Args:
        manifest: The files.
        reader: Reads one file.
    """

    rows_per_task = 4  # small enough to divide a batch among threads, large enough to be handed out at no cost

    def __init__(self, manifest: Manifest, reader: FileReader):
        self.manifest = manifest
        self.reader = reader
        self.spec = RowSpec(tuple(reader.shape), np.dtype(reader.dtype))

    def __len__(self) -> int:
        return len(self.manifest)

    def name(self, sample: int) -> str:
        return self.manifest.path(sample)

    def fingerprint(self) -> dict[str, Any]:
        return {"files": of_names(self.manifest.filenames)}

    def options(self) -> dict[str, Any]:
        return self._reader_options() or super().options()

    def row_fingerprint(self) -> dict[str, Any]:
        return {**self.fingerprint(), **self._reader_options()}

    def _reader_options(self) -> dict[str, Any]:
        try:
            return self.reader.options
        except AttributeError:  # a user's reader without options: compare its code and values
            return {"reader": described(self.reader)}

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        failed = {}
        for row, sample in enumerate(samples.tolist()):
            try:
                with stage("reading"):  # the stages that the reader names are not counted
                    self.reader.read_into(self.name(sample), out[row, ...])  # a view also of an array without axes
            except MemoryError:
                raise  # not an error of the file
            except Exception as error:
                failed[row] = self._explained(sample, error)
        return failed

    def select(self, samples: np.ndarray) -> "FileSamples":
        return FileSamples(self.manifest.take(samples), self.reader)

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        with stage("checking"):
            stamps = [storage.stamp(self.name(sample)) for sample in samples.tolist()]
        return np.array(stamps, np.int64).reshape(-1, 2)

    def _explained(self, sample: int, error: Exception) -> SampleError:
        return explained(sample, self.name(sample), error)


def explained(sample: int, name: str, error: Exception) -> SampleError:
    """Return the error of a sample, whose file is `name`, that a reader could not read because of `error`."""
    if isinstance(error, SampleError):
        reason = str(error)
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        reason = f"{type(error).__name__}: {error}"
    reason = reason.rstrip(".")
    if hint := why_missing(name):
        reason = f"{reason}. {hint}"
    explained = SampleError.of(sample, name, reason)
    if isinstance(error, SampleError):
        explained.fix = error.fix
    explained.__cause__ = error
    return explained


class FunctionReader:
    """Makes a reader from a function that takes a path and returns an array of a fixed shape.

    Args:
        function: Function that takes a path and returns an array.
        path: Path of the file that defines shape and dtype, usually the first one.
    """

    def __init__(self, function: Callable[[str], Any], path: str | os.PathLike):
        first = np.asarray(function(storage.local_path(path)))
        if first.dtype.kind not in "biufc":
            raise SampleError(f"`reader` should return numbers. Received: an array of dtype {first.dtype}")
        self.function = function
        self.shape = first.shape
        self.dtype = first.dtype
        self.options = {"reader": described(function)}

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out` with the array that the function returns for `path`."""
        array = np.asarray(self.function(storage.local_path(path)))
        floats = array.dtype.kind == self.dtype.kind == "f"  # converting them loses at most precision
        if array.shape != self.shape or not (floats or np.can_cast(array.dtype, self.dtype, "safe")):
            raise FormError(
                f"`reader` returned an array of shape {array.shape} and dtype {array.dtype}; "
                f"for the first file it was {self.shape} and {self.dtype}"
            )
        out[...] = array
