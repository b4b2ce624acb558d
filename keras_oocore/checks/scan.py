"""Reads all files of a check in threads or on an executor, or stored rows in threads, with a progress bar."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from keras_oocore.checks.inputs import Input
from keras_oocore.checks.measured import DIGEST_BYTES, FORMATS, Measured
from keras_oocore.core import storage
from keras_oocore.core.faults import fault_of, retried
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.tasks import in_threads, on_executor, rows_per_task
from keras_oocore.images.decode import decode
from keras_oocore.images.formats import format_name
from keras_oocore.images.look import SHORT_SIDE
from keras_oocore.images.measures import measures_of
from keras_oocore.images.reader import read_bytes
from keras_oocore.manifest.part import ManifestPart
from keras_oocore.sources.files import FileSamples, explained
from keras_oocore.sources.layout import arrays_of, image_field

FILES_PER_TASK = 32  # a thread reads so many between two updates of the progress bar
FILES_PER_EXECUTOR_TASK = 512  # some seconds of work
AGAIN = "Call `check` again with a new executor."
ROW_BYTES_PER_TASK = 2**23
ROWS_PER_BLOCK = 65_536  # whose measures are in memory twice
BLOCK_BYTES = 2**20  # of a file that is hashed without being decoded
JPEG_START = b"\xff\xd8\xff"


def stat_files(data: Input, measured: Measured) -> None:
    """Find the sizes of all files."""
    if data.rows is not None:
        return
    for start in range(0, measured.num_files, 65_536):
        part = slice(start, start + 65_536)
        measured.size_bytes[part] = [max(-1, storage.stamp(path)[0]) for path in data.manifest.paths(part)]


def take_measures(inputs: list[Input], parts: list[Measured]) -> None:
    """Take the measures that were stored with rows, if all rows have some. Exact copies then have equal measures."""
    stored = [(one, part) for one, part in zip(inputs, parts) if one.rows is not None]
    if any(not one.images or one.rows.measures(one.numbers[:0]) is None for one, _ in stored):
        return
    for one, part in stored:
        for start in range(0, part.num_files, ROWS_PER_BLOCK):
            measures = one.rows.measures(one.numbers[start : start + ROWS_PER_BLOCK])
            known = np.flatnonzero(~np.isnan(measures[:, 0]))
            part.add(start + known, measures[known])


def read_all(
    data: Input,
    measured: Measured,
    may_be_copy: np.ndarray,
    num_workers: int,
    task: str,
    executor: Executor | None = None,
) -> None:
    """Read and measure all files.

    Args:
        data: The files.
        measured: Its arrays are filled.
        may_be_copy: Which files have the size of another one, `bool`. Only their contents are hashed.
        num_workers: Number of threads, without an executor.
        task: Text of the progress bar.
        executor: What reads files in place of threads. Stored rows are read in threads.

    Raises:
        ResourceError, MemoryError: If this process has too many open files, or too little memory, or the executor lost
            a worker.
        OptionError: If the executor cannot run the tasks.
    """
    bar = tqdm(total=measured.num_files, unit=" files", desc=task, delay=QUIET_SECONDS)
    with bar:
        if executor is None or data.rows is not None:
            _read_in_threads(data, measured, may_be_copy, num_workers, bar)
        else:
            _read_on_executor(data, measured, may_be_copy, executor, bar)


def _read_in_threads(data: Input, measured: Measured, may_be_copy: np.ndarray, num_workers: int, bar: Any) -> None:
    if data.rows is not None:
        scan, step = _RowScan(data, measured, may_be_copy), _rows_per_task(data)
    else:
        scan, step = _FileScan(data, measured, may_be_copy), FILES_PER_TASK

    def read(starts: Iterator[int]) -> None:
        for start in starts:
            stop = min(start + step, measured.num_files)
            scan(start, stop)
            bar.update(stop - start)

    in_threads(read, range(0, measured.num_files, step), num_workers, "keras_oocore-check")


def _read_on_executor(data: Input, measured: Measured, may_be_copy: np.ndarray, executor: Executor, bar: Any) -> None:
    step = rows_per_task(measured.num_files, FILES_PER_EXECUTOR_TASK)
    parts = ((start, min(start + step, measured.num_files)) for start in range(0, measured.num_files, step))
    tasks = (
        (
            start,
            _part(data, np.arange(start, stop)),
            measured.size_bytes[start:stop],
            may_be_copy[start:stop],
        )
        for start, stop in parts
    )

    def accept(result: tuple[int, Measured]) -> None:
        start, part = result
        measured.add_part(start, part)
        bar.update(part.num_files)

    on_executor(executor, measure_files, tasks, accept, AGAIN)


def _part(data: Input, files: np.ndarray) -> Input:
    """Return what a worker process needs to read some files."""
    others = None if data.others is None else data.others.part(files)
    return replace(data, manifest=ManifestPart(data.manifest, files), numbers=None, others=others)


def measure_files(first: int, data: Input, size_bytes: np.ndarray, may_be_copy: np.ndarray) -> tuple[int, Measured]:
    """Read and measure some files in a worker process.

    Args:
        first: Number of the first file.
        data: The files, with their paths alone.
        size_bytes: Their sizes.
        may_be_copy: Which of them have the size of another file.

    Returns:
        `first`, and the measures of these files.
    """
    measured = Measured(len(size_bytes))
    measured.size_bytes[:] = size_bytes
    _FileScan(data, measured, may_be_copy, first)(0, measured.num_files)
    return first, measured


class _FileScan:
    """Reads files: images once, to decode and to hash them, and others with the reader of the data.

    Args:
        data: The files.
        measured: The measures of the files from `first` on.
        may_be_copy: Which of these files have the size of another one.
        first: Number of the first file.
    """

    def __init__(self, data: Input, measured: Measured, may_be_copy: np.ndarray, first: int = 0):
        self.data, self.measured, self.may_be_copy, self.first = data, measured, may_be_copy, first
        self.samples = None if data.reader is None else FileSamples(data.manifest, data.reader)

    def __call__(self, start: int, stop: int) -> None:
        read: Callable[[int], None] = self._read_image if self.data.images else self._read_other
        for i in range(start, stop):
            outer = sys.exception()
            try:
                read(i)
            except Warning:  # that the user turned into an error
                raise
            except Exception as error:
                reason = explained(self.first + i, self._path(i), error, fault_of(error, outer)).reason
                self.measured.bad[i] = reason

    def _path(self, i: int) -> str:
        return self.data.manifest.path(self.first + i)

    def _read_image(self, i: int) -> None:
        content = retried(read_bytes, self._path(i))
        measured = self.measured
        if self.may_be_copy[i] or len(content) != measured.size_bytes[i]:
            measured.size_bytes[i] = len(content)
            self._add_digest(i, hashlib.blake2b(content, digest_size=DIGEST_BYTES))
        measured.formats[i] = FORMATS.index(format_name(content))
        # Luma alone is decoded much faster from JPEGs, and color from PNGs.
        color_mode = "grayscale" if content.startswith(JPEG_START) else "rgb"
        image = decode(content, color_mode, lambda height, width: (SHORT_SIDE, SHORT_SIDE))
        measured.heights[i], measured.widths[i] = image.height, image.width
        if image.doubt:
            measured.bad[i] = _doubt(image.doubt)
        measured.add([i], measures_of(image.pixels[None]))
        if self.data.others is not None:
            self.data.others.check_others(self.first + i, image.height, image.width)

    def _read_other(self, i: int) -> None:
        if self.samples is not None:
            out = np.empty((1, *self.samples.spec.shape), self.samples.spec.dtype)
            for error in self.samples.read(np.array([self.first + i]), out).values():
                self.measured.bad[i] = error.reason or str(error)
                if not error.proven:
                    return
        if self.may_be_copy[i] or self.samples is None:
            retried(self._hash_file, i)

    def _hash_file(self, i: int) -> None:
        """Hash a file in blocks, because files that are not images may be large."""
        digest, size_bytes = hashlib.blake2b(digest_size=DIGEST_BYTES), 0
        with storage.open_file(self._path(i), buffered=False) as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                size_bytes += len(block)
        self.measured.size_bytes[i] = size_bytes
        self._add_digest(i, digest)
        if not size_bytes:
            self.measured.bad.setdefault(i, "empty file")

    def _add_digest(self, i: int, digest: "hashlib.blake2b") -> None:
        self.measured.digests[i] = np.frombuffer(digest.digest(), np.uint64)
        self.measured.has_digest[i] = True


class _RowScan:
    """Reads stored rows that were not measured yet, and those that may be copies. Copies are rows with equal values."""

    def __init__(self, data: Input, measured: Measured, may_be_copy: np.ndarray):
        self.data, self.measured, self.may_be_copy = data, measured, may_be_copy
        doubtful = data.rows.doubtful()
        numbers = data.numbers.tolist() if doubtful else []
        measured.bad.update({i: _doubt(doubtful[n]) for i, n in enumerate(numbers) if n in doubtful})

    def __call__(self, start: int, stop: int) -> None:
        rows, measured = self.data.rows, self.measured
        files = start + np.flatnonzero(~measured.has_picture[start:stop] | self.may_be_copy[start:stop])
        values = np.empty((len(files), *rows.spec.shape), rows.spec.dtype)
        errors = rows.read(self.data.numbers[files], values)
        measured.bad.update({int(files[row]): error.reason or str(error) for row, error in errors.items()})
        sound = np.array([row for row in range(len(files)) if row not in errors], np.int64)
        for row, i in zip(sound.tolist(), files[sound].tolist()):
            digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
            for array in arrays_of(values[row : row + 1]).values():
                digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            measured.digests[i] = np.frombuffer(digest.digest(), np.uint64)
            measured.has_digest[i], measured.size_bytes[i] = True, values[row].nbytes
        if self.data.images:
            measured.add(files[sound], measures_of(arrays_of(values[sound])[image_field(rows.spec)]))


def _doubt(reason: str) -> str:
    """Return why the pixels of a file that can be read are doubtful."""
    return f"may be damaged: {reason.rstrip('.')}"


def _rows_per_task(data: Input) -> int:
    shape, dtype = data.rows.spec
    return int(np.clip(ROW_BYTES_PER_TASK // max(1, np.prod(shape, dtype=int) * dtype.itemsize), 1, 1024))
