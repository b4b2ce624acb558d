"""Samples that are files: each file is read by its number, and named if it cannot be read."""

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import SampleError
from keras_oocore.core.fingerprint import described, of_names
from keras_oocore.core.stopwatch import stage
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.base import RowSpec, StampedSource
from keras_oocore.sources.doubts import warn_of_doubtful


class FileReader(Protocol):
    """Reads one file into a buffer of a fixed shape. It is called from several threads, and must pickle."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read_into(self, path: str, out: np.ndarray) -> str | None:
        """Fill `out`, or raise an error. The error need not name the file.

        Returns:
            Why the content may be wrong, or `None`.
        """


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
        self._doubtful: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.manifest)

    def name(self, sample: int) -> str:
        return self.manifest.path(sample)

    def fingerprint(self) -> dict[str, Any]:
        return {"files": of_names(self.manifest.filenames)}

    def row_fingerprint(self) -> dict[str, Any]:
        try:
            options = self.reader.options
        except AttributeError:  # a user's reader without options: compare its code and values
            options = {"reader": described(self.reader)}
        return {**self.fingerprint(), **options}

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        failed = {}
        for row, sample in enumerate(samples.tolist()):
            try:
                with stage("reading"):  # the stages that the reader names are not counted
                    self._read_file(sample, out[row, ...])  # a view also of an array without axes
            except (MemoryError, Warning):
                raise  # not an error of the file, and a warning that the user turned into an error
            except Exception as error:
                failed[row] = self._explained(sample, error)
        return failed

    def doubtful(self) -> dict[int, str]:
        return self._doubtful.copy()

    def _read_file(self, sample: int, out: np.ndarray) -> None:
        """Read a file, and remember whether it may be damaged. The first such file is warned of."""
        doubt = self.reader.read_into(self.name(sample), out)
        if not isinstance(doubt, str):  # the reader of a user may return anything
            if self._doubtful:
                self._doubtful.pop(sample, None)  # the file was replaced
            return
        is_new = sample not in self._doubtful
        self._doubtful[sample] = doubt
        if is_new and next(iter(self._doubtful)) == sample:  # so that one of several threads warns
            warn_of_doubtful({self.name(sample): doubt})

    def select(self, samples: np.ndarray) -> "FileSamples":
        return FileSamples(self.manifest.take(samples), self.reader)

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        with stage("checking"):
            stamps = [storage.stamp(self.name(sample)) for sample in samples.tolist()]
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
            raise SampleError(
                f"`reader` returned an array of shape {array.shape} and dtype {array.dtype}; "
                f"for the first file it was {self.shape} and {self.dtype}"
            )
        out[...] = array
