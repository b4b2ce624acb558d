"""Samples that are files: each file is read by its number, and named if it cannot be read."""

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.checks import non_negative
from keras_oocore.core.errors import SampleError
from keras_oocore.core.faults import RETRIES, Fault, fault_of, pause, stopped_by
from keras_oocore.core.fingerprint import described, of_names
from keras_oocore.core.stopwatch import stage
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.missing_files import why_missing
from keras_oocore.manifest.part import ManifestPart
from keras_oocore.sources.base import RowSpec, StampedSource
from keras_oocore.sources.doubts import warn_of_doubtful

PATHS_PER_BLOCK = 65_536  # limits the memory for the paths of millions of files


class FileReader(Protocol):
    """Reads one file into a buffer of a fixed shape. It is called from several threads, and must pickle.

    For several arrays per file, `shape` is `()`, and `dtype` is structured, with names as in `sources/layout`.
    """

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
        manifest: The files. A `ManifestPart` is enough to read them.
        reader: Reads one file.
        retries: How often reading a file is tried again if the disk or the network fails.

    Raises:
        OptionError: If `retries` is not a non-negative integer.
    """

    rows_per_task = 4  # small enough to divide a batch among threads, large enough to be handed out at no cost

    def __init__(self, manifest: Manifest | ManifestPart, reader: FileReader, retries: int = RETRIES):
        self.manifest: Any = manifest
        self.reader = reader
        self.retries: int = non_negative(retries, "retries")
        self.spec: RowSpec = RowSpec(tuple(reader.shape), np.dtype(reader.dtype))
        self._doubtful: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def has_images(self) -> bool:
        return isinstance(self.reader, ImageReader) and self.spec.dtype == np.uint8

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
        """Read samples into a buffer, as in `Source.read`.

        Faults that may pass are tried again after all other rows, so that a call pauses once per attempt.

        Raises:
            ResourceError: If this process has too many open files.
            MemoryError: If there is not enough memory.
        """
        numbers, outer, failed = samples.tolist(), sys.exception(), {}
        rows = range(len(numbers))
        for attempt in range(self.retries + 1):
            if attempt:
                with stage("reading"):
                    pause(attempt)
            passing = {}
            for row in rows:
                try:
                    with stage("reading"):  # the stages that the reader names are not counted
                        self._read_file(numbers[row], out[row, ...])  # a view also without axes
                except Warning:  # that the user turned into an error
                    raise
                except Exception as error:
                    fault = fault_of(error, outer)
                    errors = passing if fault.passes else failed
                    errors[row] = explained(numbers[row], self.name(numbers[row]), error, fault)
            if not passing:
                return failed
            rows = list(passing)
        return failed | passing

    def doubtful(self) -> dict[int, str]:
        return self._doubtful

    def add_doubtful(self, doubts: Mapping[int, str]) -> None:
        self._doubtful.update(doubts)

    def _read_file(self, sample: int, out: np.ndarray) -> None:
        """Read a file, and remember whether it may be damaged. The first such file is warned of."""
        doubt = self._read_row(sample, out)
        if not isinstance(doubt, str):  # the reader of a user may return anything
            if self._doubtful:
                self._doubtful.pop(sample, None)  # the file was replaced
            return
        is_new = sample not in self._doubtful
        self._doubtful[sample] = doubt
        if is_new and next(iter(self._doubtful)) == sample:  # so that one of several threads warns
            warn_of_doubtful({self.name(sample): doubt})

    def _read_row(self, sample: int, out: np.ndarray) -> str | None:
        """Fill a row. Returns why it may be wrong, or `None`."""
        return self.reader.read_into(self.name(sample), out)

    def check_others(self, sample: int, height: int, width: int) -> None:
        """Read the other files of a sample, such as the mask of an image of this size.

        Raises:
            SampleError: If one of them cannot be read or does not fit.
        """
        return

    def select(self, samples: np.ndarray) -> "FileSamples":
        return FileSamples(self.manifest.take(samples), self.reader, self.retries)

    def part(self, samples: np.ndarray) -> "FileSamples":
        return FileSamples(ManifestPart(self.manifest, samples), self.reader, self.retries)

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        return self._stamps_of(self.manifest, samples)

    def _stamps_of(self, manifest: Manifest | ManifestPart, samples: np.ndarray) -> np.ndarray:
        with stage("checking"):
            blocks = np.split(samples, range(PATHS_PER_BLOCK, len(samples), PATHS_PER_BLOCK))
            stamps = [storage.stamp(path) for block in blocks for path in manifest.paths(block)]
        return np.array(stamps, np.int64).reshape(-1, 2)


def explained(sample: int, name: str, error: Exception, fault: Fault) -> SampleError:
    """Return the error of a sample, whose file is `name`, that a reader could not read because of `error`.

    Raises:
        ResourceError, MemoryError: If this process or machine is the reason, so that the run must stop.
    """
    if fault.exhausted is not None:
        raise stopped_by(error, fault.exhausted, f"sample {sample}, {name!r}") from error
    if isinstance(error, SampleError):
        reason = str(error)
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        reason = f"{type(error).__name__}: {error}"
    reason = reason.rstrip(".")
    if hint := why_missing(name):
        reason = f"{reason}. {hint}"
    explained = SampleError.of(sample, name, reason, fault.proven)
    if fault.proven and isinstance(error, SampleError):
        explained.fix = error.fix
    explained.__cause__ = error
    return explained
