"""The work of one task of `pack` in a worker process: read some files and write their rows into the store, in place.

It marks no row as stored: that is left to the process that holds the lock of the store. A task that runs twice writes
the same bytes. This module imports no Keras, so that workers start fast.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_oocore.core.errors import SampleError
from keras_oocore.core.storage import UNKNOWN
from keras_oocore.core.warn import collected_warnings
from keras_oocore.images.measures import measures_of
from keras_oocore.sources.base import StampedSource
from keras_oocore.sources.layout import X, arrays_of
from keras_oocore.store.field_files import FieldFiles
from keras_oocore.store.format import MEASURES, StoreRecord
from keras_oocore.store.row_checksums import checksums_of

SOURCE_FIELD = "source"


def changed_samples(stored: np.ndarray, stamps: np.ndarray) -> np.ndarray:
    """Return which samples have a file that changed, `bool` of shape `(n,)`. A missing file has not changed.

    >>> changed_samples(np.array([[9, 1, 9, 1]] * 3), np.array([[9, 1, 9, 2], [9, 1, -1, -1], [9, 1, 9, 1]])).tolist()
    [True, False, False]
    """
    exists = np.repeat(stamps[:, ::2] >= 0, 2, axis=1)
    return ((stored != stamps) & exists).any(axis=1)


class ReadRows(NamedTuple):
    """What reading samples of files found.

    Attributes:
        stamps: Stamps of their files before they were read, `int64` of shape `(n, 2 * files_per_sample)`.
        failed: Row → error, of those that could not be read.
        sound: Which rows may be stored, `bool` of shape `(n,)`: their files were read, and did not change meanwhile.
        doubtful: Sample → why it may be wrong, of the sound rows.
    """

    stamps: np.ndarray
    failed: dict[int, SampleError]
    sound: np.ndarray
    doubtful: dict[int, str]


def read_rows(source: StampedSource, samples: np.ndarray, out: np.ndarray) -> ReadRows:
    """Read samples into `out`, as `Source.read` does, and find out which of them may be stored."""
    stamps = source.stamps(samples)
    failed = source.read(samples, out)
    sound = (source.stamps(samples) == stamps).all(axis=1)  # not changed while they were read
    sound &= (stamps.reshape(len(stamps), -1, 2) != UNKNOWN).all(axis=(1, 2))
    sound[list(failed)] = False
    doubtful = source.doubtful()
    return ReadRows(stamps, failed, sound, {i: doubtful[i] for i in samples[sound].tolist() if i in doubtful})


def stored_values(record: StoreRecord, read: ReadRows, out: np.ndarray) -> dict[str, np.ndarray]:
    """Return the sound rows of all fields of a store, in the order of its fields.

    Args:
        record: The record of the store. An earlier version created stores without measures.
        read: What `read_rows` found.
        out: The rows that it filled.
    """
    values = {**arrays_of(out), SOURCE_FIELD: read.stamps}
    if not read.sound.all():
        values = {name: rows[read.sound] for name, rows in values.items()}
    if MEASURES in record.fields:
        values[MEASURES] = measures_of(values[X])
    return values


@dataclass
class WrittenRows:
    """What a task did.

    Attributes:
        rows: Numbers of the rows whose bytes are on disk.
        checksums: Their checksums: see `store/row_checksums`.
        doubtful: Row → why it may be wrong, although it could be read.
        failed: Row → error, of files that could not be read.
        stamps: Row → stamp, of the same files.
        num_rows: Number of rows of the task. Files of rows that are not named above changed while they were read.
        warnings: Kind → message of a warning for the user.
    """

    rows: np.ndarray
    checksums: np.ndarray
    num_rows: int
    doubtful: dict[int, str] = field(default_factory=dict)
    failed: dict[int, SampleError] = field(default_factory=dict)
    stamps: dict[int, np.ndarray] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)


def write_rows(source: StampedSource, rows: np.ndarray, directory: Path, expected: StoreRecord) -> WrittenRows:
    """Read samples, write them into the field files of an unfinished store, and wait until they are on disk.

    Args:
        source: The samples, under the numbers of their rows.
        rows: Numbers of the rows, in ascending order.
        directory: Directory of the store.
        expected: What the store should contain.

    Raises:
        DataError: If the store was replaced by one of other rows.
        DestinationError: If the rows cannot be written, for example because the disk is full.
        ResourceError, MemoryError: If this process has too many open files, or too little memory.
    """
    record = StoreRecord.load(directory)
    if record is None or record.complete:  # this task is late: another one did its work, and the store is finished
        return WrittenRows(rows[:0], np.zeros(0, np.uint32), len(rows))
    record.require_same(expected, directory)
    out = np.empty((len(rows), *source.spec.shape), source.spec.dtype)
    with collected_warnings() as warnings:
        read = read_rows(source, rows, out)
    values, sound = stored_values(record, read, out), rows[read.sound]
    with FieldFiles(directory, record) as files:
        files.write(sound, values, np.ones(len(sound), bool))
        files.sync()
    return WrittenRows(
        sound,
        checksums_of(values),
        len(rows),
        read.doubtful,
        {int(rows[i]): error for i, error in read.failed.items()},
        {int(rows[i]): read.stamps[i] for i in read.failed},
        warnings,
    )
