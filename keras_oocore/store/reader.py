"""Reads a finished packed store: its rows in any order, and whether its files are still as they were written."""

import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.errors import DataError
from keras_oocore.core.faults import opening
from keras_oocore.core.npy import read_header
from keras_oocore.core.tasks import in_threads
from keras_oocore.core.text import and_more
from keras_oocore.store.format import CHECKSUMS, OVERWRITE, RECORD, STATES, UNREADABLE, StoreRecord, checked_fields
from keras_oocore.store.mapped_rows import MappedRows


class PackedStore:
    """A finished store that is open for reading. Any number of threads and processes may read it at the same time.

    Args:
        directory: The directory where a `PackedStoreWriter` has written it.

    Attributes:
        fields: Name → `(shape of a row, dtype)`.
        states: `uint8` of shape `(num_rows,)`: 1 for a stored row, 2 for an unreadable one.
        unreadable: Row → why it could not be read.
        doubtful: Row → why it may be wrong, although it could be read.
        complete, writable, num_missing: `True`, `False` and 0, where a `PackedStoreWriter` has its own.

    Raises:
        DataError: If there is no store, or it is unfinished, truncated, damaged, or of a newer version.

    >>> import tempfile
    >>> from keras_oocore.store.writer import PackedStoreWriter
    >>> directory = tempfile.mkdtemp()
    >>> writer = PackedStoreWriter(directory, {"x": ((2,), "uint8"), "y": ((), "int32")}, num_rows=3, fingerprint={})
    >>> writer.write(np.array([2, 0, 1]), {"x": np.uint8([[20, 21], [0, 1], [10, 11]]), "y": np.int32([2, 0, 1])})
    >>> store, out = writer.finish(), np.empty((2, 2), "uint8")
    >>> store.read("x", np.array([2, 1]), out)
    >>> out.tolist()
    [[20, 21], [10, 11]]
    >>> np.load(f"{directory}/y.npy", mmap_mode="r").tolist()
    [0, 1, 2]
    """

    complete = True
    writable = False
    num_missing = 0

    def __init__(self, directory: str | os.PathLike[str]):
        self.directory: Path = Path(os.path.abspath(directory))
        record = StoreRecord.load(self.directory)
        if record is None:
            if not storage.exists(directory):
                raise DataError(f"{os.fspath(directory)!r} does not exist.{storage.where_instead(directory)}")
            raise DataError(
                f"{os.fspath(directory)!r} is not a packed store: it has no {RECORD}. sequence.pack(DIR) makes one."
            )
        if not record.complete:
            raise DataError(
                f"The packed store {os.fspath(directory)!r} is unfinished. Finish it where the original files are: "
                "with sequence.pack(...), or by training with cache=..."
            )
        self.record = record
        self.fields: dict[str, tuple[tuple[int, ...], np.dtype]] = record.fields
        self.unreadable: dict[int, str] = record.unreadable
        self.doubtful: dict[int, str] = record.doubtful
        self._rows = {name: MappedRows(array) for name, array in map_fields(self.directory, record).items()}
        # After the fields: overwriting removes the states first.
        self.states: np.ndarray = load_states(self.directory, record)
        if zlib.crc32(self.states) != record.states_crc32:
            raise DataError(f"{os.fspath(self.directory / STATES)!r} is damaged. {OVERWRITE}")

    @classmethod
    def opened_if_finished(
        cls,
        directory: str | os.PathLike[str],
        fields: Mapping[str, tuple[Any, ...]],
        num_rows: int,
        fingerprint: Mapping[str, Any],
    ) -> "PackedStore | None":
        """Return the store of these rows, or `None` if it does not exist or is unfinished.

        Args:
            directory: The directory of the store.
            fields: Name → `(shape of a row, dtype)`.
            num_rows: The number of rows.
            fingerprint: What determines the rows, as plain JSON.

        Raises:
            DataError: If other rows are stored there (the message says what differs), or the store is damaged.
        """
        record = StoreRecord.load(Path(directory))
        if record is None:
            return None
        record.require_same(StoreRecord(num_rows, checked_fields(fields), dict(fingerprint)), Path(directory))
        return cls(directory) if record.complete else None

    def read(self, name: str, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, of shape `(len(rows), ...)`, with these rows of a field, in this order."""
        self._rows[name].copy(rows, out)

    def close(self) -> None:
        """Do nothing: the files are open for reading only, and shared."""

    def verify(self) -> None:
        """Read all files and compare them with the checksums.

        Raises:
            DataError: If they changed since they were written: the message names the files and rows. If the disk or
                network fails: the files may be intact.
            ResourceError: If this process has too many open files.
        """
        what = f"the packed store {os.fspath(self.directory)!r}"
        with opening(what):
            try:
                found = block_checksums(self.directory, self.record)
            except OSError as error:
                raise DataError(f"Cannot read {what}: {error.strerror or error}.") from error
            written = _map_array(self.directory / CHECKSUMS, found.shape, found.dtype)
        step, last_row = self.record.rows_per_block, self.record.num_rows - 1
        damaged = [
            f"rows {block * step} to {min(block * step + step - 1, last_row)} of {name}.npy"
            for column, name in enumerate(self.fields)
            for block in np.flatnonzero(written[:, column] != found[:, column]).tolist()
        ]
        if damaged:
            blocks = ", ".join(damaged[:5]) + and_more(len(damaged), 5)
            raise DataError(f"{os.fspath(self.directory)!r} changed since it was written: {blocks}. {OVERWRITE}")

    def __reduce__(self) -> tuple[Any, ...]:  # by its directory: another process maps the files itself
        return PackedStore, (self.directory,)


def load_states(directory: Path, record: StoreRecord) -> np.ndarray:
    """Load the states of a store, `uint8` of shape `(num_rows,)`.

    Raises:
        DataError: If they are missing or damaged.
    """
    states = np.array(_map_array(directory / STATES, (record.num_rows,), np.dtype(np.uint8)))
    if states.max(initial=0) > UNREADABLE:
        raise DataError(f"{os.fspath(directory / STATES)!r} is damaged. {OVERWRITE}")
    return states


def map_fields(directory: Path, record: StoreRecord) -> dict[str, np.memmap]:
    """Return a memory map of shape `(num_rows, ...)` for each field.

    Raises:
        DataError: If a file is missing, damaged, or not the array that the record describes.
    """
    return {
        name: _map_array(directory / f"{name}.npy", (record.num_rows, *shape), dtype)
        for name, (shape, dtype) in record.fields.items()
    }


def _map_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """Return a memory map of a file. One changed bit of its header could mean other rows, so all of it is compared."""
    try:
        with open(path, "rb") as file:
            read_header(file)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        size_bytes = path.stat().st_size
    except Exception as error:  # a changed bit of a header makes numpy raise nearly any error
        raise DataError(f"{os.fspath(path)!r} is missing, truncated or damaged ({error}). {OVERWRITE}") from error
    is_as_written = array.flags.c_contiguous and array.offset + array.nbytes == size_bytes
    if array.shape != shape or array.dtype != dtype or not is_as_written:
        raise DataError(f"{os.fspath(path)!r} is not the array that {RECORD} describes. {OVERWRITE}")
    return array


def block_checksums(directory: Path, record: StoreRecord) -> np.ndarray:
    """Read all rows and return CRC-32 checksums, `uint32` of shape `(num_blocks, num_fields)`."""
    num_blocks = -(-record.num_rows // record.rows_per_block)
    checksums = np.zeros((num_blocks, len(record.fields)), np.uint32)
    for column, (name, array) in enumerate(map_fields(directory, record).items()):
        block_bytes = min(record.rows_per_block, record.num_rows) * record.row_bytes(name)  # `read` allocates as many
        checksums[:, column] = _checksums_of_file(directory / f"{name}.npy", array.offset, block_bytes, num_blocks)
    return checksums


def _checksums_of_file(path: Path, first: int, block_bytes: int, num_blocks: int) -> np.ndarray:
    """Return the checksum of each block of a file, from byte `first` on. The last block may be shorter."""
    checksums = np.zeros(num_blocks, np.uint32)

    def read(blocks: Iterator[int]) -> None:
        with open(path, "rb") as file:
            for block in blocks:
                file.seek(first + block * block_bytes)
                checksums[block] = zlib.crc32(file.read(block_bytes))

    read_blocks(read, num_blocks)
    return checksums


def read_blocks(read: Callable[[Iterator[int]], object], num_blocks: int) -> None:
    """Call `read(blocks)` in a thread per core. Checksums are computed without the lock of the interpreter."""
    num_threads = min(num_cpus(), num_blocks) if num_blocks > 1 else 1
    in_threads(read, range(num_blocks), num_threads, "keras_oocore-checksums")
