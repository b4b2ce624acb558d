"""Fill a packed store: in any order, from several threads, by one process at a time; resume after a kill.

A row counts on disk only once its bytes are there: they are synced before its state is written. So neither a kill nor
a power cut leaves a row that counts and is not whole; the rows of the last seconds are made again.
"""

import atexit
import contextlib
import dataclasses
import os
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import OutOfCoreError
from keras_oocore.core.files import (
    explained,
    remove_leftovers,
    require_disk,
    reserve_array,
    save_array,
    sync_data,
    sync_folder,
    write_at,
)
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.locks import only_writer
from keras_oocore.store.format import (
    CHECKSUMS,
    MISSING,
    RECORD,
    STATES,
    UNREADABLE,
    WHOLE,
    StoreRecord,
    checked_fields,
    require_own_folder,
)
from keras_oocore.store.mapped_rows import MappedRows
from keras_oocore.store.reader import PackedStore, block_checksums, load_states, map_fields

SYNC_SECONDS = 2.0  # the rows of so long may have to be made again after a kill


class PackedStoreWriter:
    """The one writer of a store that is being filled; rows that are there can be read meanwhile.

    Begins a store, or goes on with one that was begun with the same arguments.

    Args:
        directory: a new or empty one, or one with such a store.
        fields: name → `(shape of a row, dtype)`.
        num_rows: of every field.
        fingerprint: what shapes the rows, as plain JSON. Rows of another fingerprint never come beside them.
        overwrite: whether a store that is there is made again.

    Attributes:
        states: `uint8` of shape `(num_rows,)`: 0 for a row that is missing, 1 whole, 2 could not be read.
        num_missing: rows that are neither whole nor unreadable.
        unreadable: row → why it could not be read.

    Raises:
        BusyError: when another process, or another writer of this one, holds the directory.
        DestinationError: when the disk is too small, the directory read-only or full of other files.
        DataError: when other rows are stored there (the message says what differs), or the store is damaged.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        fields: Mapping[str, tuple],
        num_rows: int,
        fingerprint: Mapping,
        overwrite: bool = False,
    ):
        self.directory = Path(directory)
        wanted = StoreRecord(num_rows, checked_fields(fields), dict(fingerprint))
        self._found(wanted, overwrite)  # refuses before the first byte
        with contextlib.ExitStack() as stack:
            stack.enter_context(only_writer(self.directory))
            remove_leftovers(self.directory)
            found = self._found(wanted, overwrite)
            self.record = self._begin(wanted) if found is None else found
            arrays = self._maps_of_fields()
            self.states = load_states(self.directory, self.record)
            self.num_missing = int(np.count_nonzero(self.states == MISSING))
            self._rows = {name: MappedRows(array) for name, array in arrays.items()}
            self._offsets = {name: array.offset for name, array in arrays.items()}
            self._files = {name: stack.enter_context(self._opened(f"{name}.npy")) for name in arrays}
            self._states_file = stack.enter_context(self._opened(STATES))
            self._held = stack.pop_all()
        self._process = os.getpid()
        self._changed = threading.Condition()  # guards what follows, and the states
        self._num_writing = 0
        self._in_hand = np.zeros(num_rows, bool)  # rows that a thread is writing
        self._closed = False
        self._unsynced = slice(num_rows, 0)  # states that the disk does not hold yet
        self._unsaved = False  # whether `unreadable` changed since the record was saved
        self._error = None  # of a sync; what the disk holds is unknown since, though a second one may succeed
        self._syncing, self._finishing = threading.Lock(), threading.RLock()
        self._synced_seconds = time.monotonic()
        _writers[os.path.realpath(directory)] = self
        register_fork_aware(self)

    def _found(self, wanted: StoreRecord, overwrite: bool) -> StoreRecord | None:
        """The record to go on with; `None` to begin. Raises when neither may be done."""
        exists = (self.directory / RECORD).exists()
        record = StoreRecord.load(self.directory) if exists and not overwrite else None
        if record is not None:
            record.require_same(wanted, self.directory)
        if not exists:
            require_own_folder(self.directory)
        if record is None or not record.complete:
            names = [f"{name}.npy" for name in wanted.fields]
            stored_bytes = sum(_allocated_bytes(self.directory / name) for name in names) if exists else 0
            require_disk(self.directory, max(0, wanted.size_bytes - stored_bytes), "the packed store")
        return record

    def _begin(self, record: StoreRecord) -> StoreRecord:
        """Make `record` the directory's. At no moment does an old row count as one of the new."""
        self._forget_rows(record)
        record.save(self.directory)
        return record

    def _forget_rows(self, record: StoreRecord) -> None:
        for name in (STATES, CHECKSUMS, *(f"{name}.npy" for name in record.fields)):  # the states first
            (self.directory / name).unlink(missing_ok=True)
        sync_folder(self.directory)

    def _maps_of_fields(self) -> dict[str, np.memmap]:
        """The fields as they are, or made anew where no states say that one of their rows counts."""
        if not (self.directory / STATES).exists() and not self.record.complete:
            self._forget_rows(self.record)
            for name, (shape, dtype) in self.record.fields.items():
                reserve_array(self.directory / f"{name}.npy", (self.record.num_rows, *shape), dtype)
            reserve_array(self.directory / STATES, (self.record.num_rows,), np.dtype(np.uint8))  # last
        return map_fields(self.directory, self.record)

    def _opened(self, name: str):
        with explained(self.directory / name):
            return open(self.directory / name, "r+b", buffering=0)

    @property
    def unreadable(self) -> dict[int, str]:
        return self.record.unreadable

    @property
    def writable(self) -> bool:
        """Whether `write` may be called: neither closed, nor in a child process that was forked since."""
        return not self._closed and os.getpid() == self._process

    def read(self, name: str, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out` with these rows of a field, all of them whole."""
        self._rows[name].copy(rows, out)

    def write(self, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        """Store rows; callable from several threads. Rows that are there already stay as they are.

        Args:
            rows: their numbers, `(n,)`.
            arrays: for every field an array `(n, ...)`.

        Raises:
            DestinationError: when the disk is full, say; the rows then do not count.
        """
        if arrays.keys() != self.record.fields.keys():
            raise OutOfCoreError(f"A row has the fields {list(self.record.fields)}. Received: {list(arrays)}")
        self._check(rows, arrays)
        with self._writing(rows) as ours:
            self._write_fields(rows, arrays, ours)
            self._mark(rows[ours], WHOLE)

    def _check(self, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.record.num_rows:
            raise OutOfCoreError(
                f"There are rows 0 to {self.record.num_rows - 1}. Received: rows {rows.min()} to {rows.max()}"
            )
        for name, values in arrays.items():
            shape, dtype = self.record.fields[name]
            if values.shape != (len(rows), *shape) or values.dtype != dtype:
                raise OutOfCoreError(
                    f"Field {name!r} wants an array of shape {(len(rows), *shape)} and dtype {dtype}. "
                    f"Received: shape {values.shape} and dtype {values.dtype}"
                )

    def _write_fields(self, rows: np.ndarray, arrays: Mapping[str, np.ndarray], ours: np.ndarray) -> None:
        places = np.flatnonzero(ours)
        runs = np.split(places, np.flatnonzero((np.diff(places) != 1) | (np.diff(rows[ours]) != 1)) + 1)
        for name, values in arrays.items():
            for run in runs if len(places) else ():
                offset = self._offsets[name] + int(rows[run[0]]) * self.record.row_bytes(name)
                write_at(self._files[name], values[run[0] : run[-1] + 1], offset)

    def mark_unreadable(self, rows: np.ndarray, reason: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Note that rows cannot be made, and why; `arrays` has the fields of them that are known."""
        self._check(rows, arrays)
        with self._writing(rows) as ours:
            self._write_fields(rows, arrays, ours)
            with self._changed:
                self.record.unreadable = {**self.record.unreadable, **dict.fromkeys(rows[ours].tolist(), reason)}
                self._unsaved = True
            self._mark(rows[ours], UNREADABLE)

    def wait(self) -> None:
        """Until no thread is writing a row."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_writing == 0)

    def forget(self, rows: np.ndarray) -> None:
        """Let rows that could not be read be missing again; a finished store is then unfinished."""
        if not len(rows):
            return
        self._require_writable()
        with self._finishing:
            self._require_writable()
            self.record.complete = False
            self.record.save(self.directory)
            self._mark(rows, MISSING)
            self.sync()  # now: made again but still marked, a row would not be known for one that was mended
            sync_data(self._states_file)

    def _require_writable(self) -> None:
        if not self.writable:
            raise OutOfCoreError(f"The writer of {os.fspath(self.directory)!r} is closed.")

    @contextlib.contextmanager
    def _writing(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Which of `rows` are ours to write, a mask: those that are missing and in no other thread's hands."""
        self._require_writable()  # before the lock, which in a forked child nobody may ever let go
        with self._changed:
            if self._error is not None:
                raise self._error
            self._require_writable()
            ours = (self.states[rows] == MISSING) & ~self._in_hand[rows]
            self._in_hand[rows[ours]] = True
            self._num_writing += 1
        try:
            yield ours
        finally:
            with self._changed:
                self._in_hand[rows[ours]] = False
                self._num_writing -= 1
                self._changed.notify_all()
        if time.monotonic() - self._synced_seconds > SYNC_SECONDS and not self._syncing.locked():
            threading.Thread(target=self._sync_behind, name="keras_oocore-store").start()

    def _mark(self, rows: np.ndarray, state: int) -> None:
        if not len(rows):
            return
        with self._changed:
            rows = np.unique(rows)
            was_missing = np.count_nonzero(self.states[rows] == MISSING)
            self.num_missing += (len(rows) if state == MISSING else 0) - int(was_missing)
            self.states[rows] = state
            low, high = min(self._unsynced.start, int(rows[0])), max(self._unsynced.stop, int(rows[-1]) + 1)
            self._unsynced = slice(low, high)

    def _sync_behind(self) -> None:
        with contextlib.suppress(OutOfCoreError):  # the next `write` raises it
            self.sync()

    def sync(self) -> None:
        """Wait until all rows written so far count on disk."""
        if os.getpid() != self._process:
            return
        with self._syncing:
            self._synced_seconds = time.monotonic()
            if self._states_file.closed:
                return
            if self._error is not None:
                raise self._error
            with self._changed:
                part, unsaved = self._unsynced, self._unsaved
                if part.start >= part.stop:
                    return
                states = self.states[part].copy()
                self._unsynced, self._unsaved = slice(self.record.num_rows, 0), False
            try:
                self._write_states(part, states, unsaved)
            except BaseException as error:
                with self._changed:
                    newer = self._unsynced
                    self._unsynced = slice(min(part.start, newer.start), max(part.stop, newer.stop))
                    self._unsaved |= unsaved
                self._error = error if isinstance(error, OutOfCoreError) else None
                raise

    def _write_states(self, part: slice, states: np.ndarray, unsaved: bool) -> None:
        for file in self._files.values():
            sync_data(file)
        if unsaved:
            self.record.save(self.directory)  # the reasons before the states that want them
        offset = os.fstat(self._states_file.fileno()).st_size - self.record.num_rows
        write_at(self._states_file, states, offset + part.start)

    def finish(self) -> PackedStore:
        """Add the checksums, end the writing, and open the finished store.

        Raises:
            OutOfCoreError: when rows are missing.
            DestinationError: when it cannot be written; a later run can finish it.
        """
        if not self.record.complete:
            self._require_writable()
        with self._finishing:
            if not self.record.complete:
                self._require_writable()
                self.wait()  # who comes later finds no row missing
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
        """Let all rows written so far count, and let another writer go on."""
        if os.getpid() != self._process:  # the writer is our parent's
            return
        with self._finishing:
            with self._changed:
                self._closed = True
                self._changed.wait_for(lambda: self._num_writing == 0)
            try:
                self.sync()
            finally:
                with self._syncing:
                    self._held.close()

    def reset_after_fork(self) -> None:
        """In a forked child: close its files, or it would hold the lock of a parent that was killed."""
        self._held.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        if not getattr(self, "_closed", True):  # nor when the constructor failed, nor after the interpreter closed it
            with contextlib.suppress(OutOfCoreError):  # rows that cannot be kept are made again
                self.close()


def shared_writer(
    directory: str | os.PathLike,
    fields: Mapping[str, tuple],
    num_rows: int,
    fingerprint: Mapping,
    overwrite: bool = False,
) -> PackedStoreWriter:
    """The writer of these rows that this process has open already, or a new one; `overwrite` closes the open one."""
    writer = _writers.get(os.path.realpath(directory))
    if writer is not None and writer.writable:
        if overwrite or not (Path(directory) / RECORD).exists():  # its directory is gone
            writer.close()
        else:
            writer.record.require_same(
                StoreRecord(num_rows, checked_fields(fields), dict(fingerprint)), Path(directory)
            )
            return writer
    return PackedStoreWriter(directory, fields, num_rows, fingerprint, overwrite)


_writers = weakref.WeakValueDictionary()  # directory -> its writer


@atexit.register
def _close_writers() -> None:
    for writer in list(_writers.values()):
        with contextlib.suppress(OutOfCoreError):
            writer.close()


def _allocated_bytes(path: Path) -> int:
    """What a file takes on disk already; a sparse one less than its size."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return min(status.st_size, getattr(status, "st_blocks", 0) * 512)
