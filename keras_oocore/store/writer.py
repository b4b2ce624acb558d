"""Fills a packed store: in any order, from several threads, by one process at a time; it resumes after a crash."""

import contextlib
import dataclasses
import os
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_oocore.core.errors import OutOfCoreError
from keras_oocore.core.files import explained, save_array
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.locks import write_lock
from keras_oocore.core.temporary import remove_leftovers
from keras_oocore.store import open_writers
from keras_oocore.store.claims import Claims
from keras_oocore.store.creation import create_fields, create_record, existing_record
from keras_oocore.store.field_files import FieldFiles
from keras_oocore.store.format import (
    CHECKSUMS,
    MISSING,
    RECORD,
    STATES,
    UNREADABLE,
    WHOLE,
    StoreRecord,
    checked_fields,
)
from keras_oocore.store.mapped_rows import MappedRows
from keras_oocore.store.reader import PackedStore, block_checksums, load_states
from keras_oocore.store.row_files import sync_data
from keras_oocore.store.synced import SyncedRows


class PackedStoreWriter(SyncedRows):
    """The only writer of a store that is being filled. Rows that are stored can be read at the same time.

    It creates a store, or continues one that was created with the same arguments.

    Args:
        directory: A new or empty directory, or one with such a store.
        fields: Name → `(shape of a row, dtype)`.
        num_rows: The number of rows of every field.
        fingerprint: What determines the rows, as plain JSON. Rows of different fingerprints are never stored together.
        overwrite: Whether to replace an existing store.

    Attributes:
        states: `uint8` of shape `(num_rows,)`: 0 for a missing row, 1 for a stored one, 2 for an unreadable one.
        num_missing: The number of missing rows.
        unreadable: Row → why it could not be read.
        doubtful: Row → why it may be wrong, although it could be read.

    Raises:
        BusyError: If another process, or another writer of this process, has locked the directory.
        DestinationError: If the disk is too small, or the directory is read-only or contains other files.
        DataError: If other rows are stored there (the message says what differs), or the store is damaged.

    >>> directory = getfixture("tmp_path") / "store"
    >>> with PackedStoreWriter(directory, {"x": ((2,), "uint8")}, num_rows=3, fingerprint={}) as writer:
    ...     writer.write(np.array([2, 0]), {"x": np.uint8([[20, 21], [0, 1]])})
    >>> with PackedStoreWriter(directory, {"x": ((2,), "uint8")}, num_rows=3, fingerprint={}) as writer:
    ...     print(writer.states.tolist(), writer.num_missing)
    [1, 0, 1] 1
    """

    complete = False  # `finish` returns a store that is
    _closed = True  # until the constructor has finished

    def __init__(
        self,
        directory: str | os.PathLike[str],
        fields: Mapping[str, tuple[Any, ...]],
        num_rows: int,
        fingerprint: Mapping[str, Any],
        overwrite: bool = False,
    ):
        directory = Path(directory).absolute()  # stays valid after `os.chdir`
        expected = StoreRecord(num_rows, checked_fields(fields), dict(fingerprint))
        existing_record(directory, expected, overwrite)  # raises before the first byte is written
        with contextlib.ExitStack() as stack:
            stack.enter_context(write_lock(directory))
            remove_leftovers(directory)
            existing = existing_record(directory, expected, overwrite)
            if existing is None:
                create_record(directory, expected)
            record = expected if existing is None else existing
            create_fields(directory, record)
            files = stack.enter_context(FieldFiles(directory, record))
            states = load_states(directory, record)
            self._rows = {name: MappedRows(array) for name, array in files.arrays.items()}
            with explained(directory / STATES):
                states_file = stack.enter_context(open(directory / STATES, "r+b", buffering=0))
            self._files_and_lock = stack.pop_all()
        super().__init__(directory, record, states, files, states_file)
        self._claims = Claims(num_rows)
        self._finishing = threading.RLock()
        self._closed = False
        open_writers.register(self)
        register_fork_aware(self)

    @property
    def writable(self) -> bool:
        """Whether `write` may be called: the writer is not closed, and this is not a forked child process."""
        return not self._closed and os.getpid() == self._process

    def read(self, name: str, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, of shape `(len(rows), ...)`, with these rows of a field. All of them must be stored."""
        self._rows[name].copy(rows, out)

    def write(
        self, rows: np.ndarray, arrays: Mapping[str, np.ndarray], doubtful: Mapping[int, str] | None = None
    ) -> None:
        """Store rows. Several threads may call this. Rows that are stored already do not change.

        Args:
            rows: Row numbers, of shape `(n,)`.
            arrays: Name → array of shape `(n, ...)`, for every field.
            doubtful: Row → why it may be wrong, for those of the rows where this is known.

        Raises:
            DestinationError: If they cannot be written, for example because the disk is full. They stay missing.
        """
        if arrays.keys() != self.record.fields.keys():
            raise OutOfCoreError(f"A row has the fields {list(self.record.fields)}. Received: {list(arrays)}")
        self.record.require_rows(rows, arrays)
        with self._writing(rows) as claimed:
            self._fields.write(rows, arrays, claimed)
            self._mark_whole(rows[claimed], doubtful)

    def add_written(self, rows: np.ndarray, doubtful: Mapping[int, str] | None = None) -> None:
        """Count rows as stored that another process has written with `FieldFiles`, and synced.

        Args:
            rows: Row numbers, of shape `(n,)`. Rows that are stored already do not change.
            doubtful: As for `write`.

        Raises:
            DestinationError: If an earlier row could not be written.
        """
        with self._writing(rows) as claimed:
            self._mark_whole(rows[claimed], doubtful)

    def _mark_whole(self, rows: np.ndarray, doubtful: Mapping[int, str] | None) -> None:
        if doubtful:
            with self._changed:  # in place, as in `mark_unreadable`
                self.record.doubtful.update(doubtful)
                self._unsaved = True
        self._mark(rows, WHOLE)

    def mark_unreadable(self, rows: np.ndarray, reason: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store that rows cannot be read.

        Args:
            rows: Row numbers, of shape `(n,)`.
            reason: Why they cannot be read.
            arrays: Name → array of shape `(n, ...)`, for the fields that are known.

        Raises:
            DestinationError: If this cannot be written.
        """
        self.record.require_rows(rows, arrays)
        with self._writing(rows) as claimed:
            self._fields.write(rows, arrays, claimed)
            with self._changed:  # in place: a new dictionary per row would take quadratic time
                self.record.unreadable.update(dict.fromkeys(rows[claimed].tolist(), reason))
                self._unsaved = True
            self._mark(rows[claimed], UNREADABLE)

    def forget(self, rows: np.ndarray) -> None:
        """Make rows missing again. A finished store becomes unfinished."""
        if not len(rows):
            return
        self._require_writable()
        with self._finishing:
            self._require_writable()
            self.record.complete = False
            self._record_now().save(self.directory)
            self._mark(rows, MISSING)
            self.sync()  # before they are made again: a crash must not leave new rows that are marked as unreadable
            sync_data(self._states_file)

    def wait(self) -> None:
        """Wait until no thread is writing a row."""
        self._claims.wait()

    def _require_writable(self) -> None:
        if not self.writable:
            raise OutOfCoreError(f"The writer of {os.fspath(self.directory)!r} is closed.")

    @contextlib.contextmanager
    def _writing(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Claim the rows that are missing and that no other thread is writing; yield a mask of them."""
        self._require_writable()  # before the lock: in a forked child, its owner may not exist
        with self._changed:
            if self._error is not None:
                raise self._error
            self._require_writable()
            claimed, claim = self._claims.add(rows, self.states[rows] == MISSING)
            own_rows = claim.rows
        try:
            yield claimed
        finally:
            del claim  # first, because Ctrl-C may come in the next line
            with self._changed:
                self._claims.end(own_rows)
        self._sync_if_due()

    def finish(self) -> PackedStore:
        """Write the checksums, close the writer, and open the finished store.

        Raises:
            OutOfCoreError: If rows are missing.
            DestinationError: If it cannot be written. A later run can finish it.
        """
        if not self.record.complete:
            self._require_writable()
        with self._finishing:
            if not self.record.complete:
                self._require_writable()
                self.wait()  # a thread that starts later finds no missing row
                num_missing = int(np.count_nonzero(self.states == MISSING))
                if num_missing:
                    raise OutOfCoreError(f"{num_missing} rows of {os.fspath(self.directory)!r} are missing.")
                self.sync()
                sync_data(self._states_file)
                save_array(self.directory / CHECKSUMS, block_checksums(self.directory, self.record))
                reasons = {row: self.unreadable[row] for row in np.flatnonzero(self.states == UNREADABLE).tolist()}
                finished = dataclasses.replace(
                    self.record, complete=True, unreadable=reasons, states_crc32=zlib.crc32(self.states)
                )
                finished.save(self.directory)
                self.record = finished
            self.close()
            return PackedStore(self.directory)

    def close(self) -> None:
        """Sync all rows written so far, and release the lock of the directory."""
        if os.getpid() != self._process:  # the writer belongs to the parent process
            return
        with self._finishing:
            with self._changed:
                self._closed = True
            self.wait()
            try:
                self.sync()
            finally:
                with self._syncing:
                    self._files_and_lock.close()

    def reset_after_fork(self) -> None:
        """Close the files in a forked child."""
        self._files_and_lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            with contextlib.suppress(OutOfCoreError):  # rows that cannot be kept are made again
                self.close()


def shared_writer(
    directory: str | os.PathLike[str],
    fields: Mapping[str, tuple[Any, ...]],
    num_rows: int,
    fingerprint: Mapping[str, Any],
    overwrite: bool = False,
) -> PackedStoreWriter:
    """Return the writer of these rows that this process already has open, or a new one.

    With `overwrite`, an open writer is closed and its store is replaced.

    Raises:
        BusyError: If another process has locked the directory.
        DestinationError: If the directory cannot be written.
        DataError: If other rows are stored there (the message says what differs), or the store is damaged.
    """
    writer = open_writers.find(directory)
    if writer is not None:
        if overwrite or not (Path(directory) / RECORD).exists():  # its directory was removed
            writer.close()
        else:
            expected = StoreRecord(num_rows, checked_fields(fields), dict(fingerprint))
            writer.record.require_same(expected, Path(directory))
            return writer
    return PackedStoreWriter(directory, fields, num_rows, fingerprint, overwrite)
