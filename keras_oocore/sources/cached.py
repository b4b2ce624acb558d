"""Samples that are read from their files once, and later from a packed store."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, OutOfCoreError, ResourceError, SampleError
from keras_oocore.core.faults import opening
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.stopwatch import stage
from keras_oocore.core.threads import Thread
from keras_oocore.core.warn import warn_user
from keras_oocore.images.measures import MEASURES_SPEC
from keras_oocore.sources.base import WHOLE_BATCH, StampedSource
from keras_oocore.sources.doubts import warn_of_doubtful
from keras_oocore.sources.layout import RowSpec, described_arrays, fields_of
from keras_oocore.sources.store_task import SOURCE_FIELD, WrittenRows, changed_samples, read_rows, stored_values
from keras_oocore.sources.stored import read_stored, stored_measures
from keras_oocore.store.creation import existing_record
from keras_oocore.store.format import MEASURES, MISSING, OVERWRITE, RECORD, UNREADABLE, WHOLE, StoreRecord
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer

RETRY_SECONDS = 2.0  # time between two checks of whether another process has finished the store


class Cached(StampedSource):
    """Samples of any source of files that are read from it once, and later from a packed store.

    One process fills the store. Until it has finished, other processes read the source. If it ends early, another
    process continues to fill the store. If the store can no longer be written, the source is read instead, with a
    warning.

    Args:
        source: The samples.
        directory: Directory of the store.
        keep_errors: Whether the store remembers a sample whose bytes prove that it cannot be read. Such a sample is
            not read again until its file changes.
        overwrite: Whether to replace an existing store.
        create: Whether to create the store now. Otherwise it is created by `open()`, or when the first sample is read.
        keep_beside: Function without arguments that is called when the store is opened. It saves what belongs to the
            store.

    Raises:
        DataError: If the store contains other rows, or files changed after they were stored.
        DestinationError: If the store cannot be written, for example because the disk is full.
    """

    cached = True

    def __init__(
        self,
        source: StampedSource,
        directory: Path,
        keep_errors: bool = False,
        overwrite: bool = False,
        create: bool = True,
        keep_beside: Callable[[], None] | None = None,
    ):
        self.source = source
        self.directory = directory
        self.keep_errors = keep_errors
        self.keep_beside = keep_beside
        self.reset_after_fork()
        if create or overwrite or (directory / RECORD).exists():
            self._open(overwrite)
        else:
            existing_record(directory, self.record(), overwrite=False)

    @property
    def spec(self) -> RowSpec:
        return self.source.spec

    @property
    def _fields(self) -> dict[str, tuple]:
        measures = {MEASURES: MEASURES_SPEC} if self.source.has_images else {}
        arrays = {name: tuple(spec) for name, spec in fields_of(self.spec).items()}
        return {**arrays, SOURCE_FIELD: ((2 * self.source.files_per_sample,), np.dtype(np.int64)), **measures}

    @property
    def _fingerprint(self) -> dict[str, Any]:
        return {**self.source.row_fingerprint(), **described_arrays(self.spec)}

    def reset_after_fork(self) -> None:
        """Forget the open store, in a copy of this object or in a forked child."""
        self._opening = threading.RLock()
        self._store = None
        self._looked_seconds = -RETRY_SECONDS
        self._finishing = None
        self.failure: OutOfCoreError | None = None  # why the store can no longer be written
        register_fork_aware(self)

    def _open(self, overwrite: bool = False) -> None:
        """Open the store if it is finished, or open it for writing if no other process fills it."""
        self._looked_seconds = time.monotonic()
        with opening(f"the cache {str(self.directory)!r}"):
            self._open_files(overwrite)

    def _open_files(self, overwrite: bool) -> None:
        arguments = (self.directory, self._fields, len(self.source), self._fingerprint)
        store = None if overwrite else PackedStore.opened_if_finished(*arguments)
        try:
            if store is None:
                store = shared_writer(*arguments, overwrite)
            stamps = self.source.stamps(np.arange(len(self.source)))  # takes seconds for many files
            fixed = self._fixed(store, stamps)
            if len(fixed):
                store = shared_writer(*arguments)
                store.forget(fixed)
        except BusyError:
            if overwrite:
                raise
            return
        except BaseException:
            if store is not None:
                store.close()  # otherwise a stored traceback would keep the directory locked
            raise
        if self.keep_beside is not None:
            self.keep_beside()
        self._store = store
        if store.doubtful:
            warn_of_doubtful({self.source.name(sample): reason for sample, reason in sorted(store.doubtful.items())})
        if not store.complete and store.num_missing == 0:
            self._finish_behind(store)

    def _fixed(self, store: PackedStore | PackedStoreWriter, stamps: np.ndarray) -> np.ndarray:
        """Return the rows that could not be read and whose files changed since.

        Raises:
            DataError: If files of stored rows changed.
        """
        states, stored = store.states.copy(), np.empty_like(stamps)  # the states first: another Sequence may fill it
        store.read(SOURCE_FIELD, np.arange(len(stamps)), stored)
        changed = changed_samples(stored, stamps)
        stale = np.flatnonzero(changed & (states == WHOLE))
        if len(stale):
            names = [self.source.name(sample) for sample in stale[:3].tolist()]
            raise DataError(
                f"{len(stale):,} of {len(stamps):,} files changed after they were stored in {str(self.directory)!r}: "
                f"{', '.join(map(repr, names))}{', ...' if len(stale) > 3 else ''}. {OVERWRITE}"
            )
        return np.flatnonzero(changed & (states == UNREADABLE))

    def open(self) -> None:
        """Open the store, or create it. It stays closed while another process fills it.

        Raises:
            DataError: If files changed after they were stored.
            DestinationError: If the store cannot be written.
        """
        with self._opening:
            if self._store is None:
                self._open()

    @property
    def has_store(self) -> bool:
        """Whether the store is finished or is filled by this object. `False` while another process fills it."""
        return self._store is not None or self._look_again() is not None

    @property
    def rows_per_task(self) -> int:
        """Rows per task of the source, or a whole batch if all rows are stored."""
        complete = self._store is not None and self._store.complete
        return WHOLE_BATCH if complete else self.source.rows_per_task

    def __len__(self) -> int:
        return len(self.source)

    def fingerprint(self) -> dict[str, Any]:
        return self.source.fingerprint()

    def options(self) -> dict[str, Any]:
        return self.source.options()

    def row_fingerprint(self) -> dict[str, Any]:
        return self.source.row_fingerprint()

    def unpack(self, rows: Any, samples: np.ndarray) -> tuple[Any, Any, Any]:
        return self.source.unpack(rows, samples)

    def name(self, sample: int) -> str:
        return self.source.name(sample)

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        return self.source.stamps(samples)

    def doubtful(self) -> dict[int, str]:
        stored = {} if self._store is None else self._store.doubtful
        return {**stored, **self.source.doubtful()}

    def measures(self, samples: np.ndarray) -> np.ndarray | None:
        """Return the stored measures. They are not known for samples whose files changed."""
        store = self._store
        measures = None if store is None else stored_measures(store, samples)
        if measures is not None:
            measures[list(self._changed(store, samples))] = np.nan
        return measures

    def missing(self) -> np.ndarray:
        """Return the samples that are not stored yet. While another process fills the store, these are all samples."""
        return np.arange(len(self)) if self._store is None else np.flatnonzero(self._store.states == MISSING)

    def unreadable(self) -> dict[int, SampleError]:
        """Return the samples that the store remembers as unreadable, with their errors."""
        store = self._store
        bad = [] if store is None else np.flatnonzero(store.states == UNREADABLE).tolist()
        return {sample: self._bad(store, sample) for sample in bad}

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        store = self._store
        if store is None or not (store.complete or store.writable):
            store = self._look_again()
        if store is None:
            return self.source.read(samples, out)
        states = store.states[samples]
        if (states == WHOLE).all():
            read_stored(store, samples, out)
            return self._changed(store, samples)
        failed = {}
        ends = [*(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
        for start, end in zip([0, *ends], ends):  # runs of samples in the same state
            errors = self._read_alike(store, states[start], samples[start:end], out[start:end])
            failed.update({start + row: error for row, error in errors.items()})
        return failed

    def _read_alike(
        self, store: PackedStore | PackedStoreWriter, state: int, samples: np.ndarray, out: np.ndarray
    ) -> dict[int, SampleError]:
        if state == WHOLE:
            read_stored(store, samples, out)
            return self._changed(store, samples)
        if state == UNREADABLE:
            return {row: self._bad(store, sample) for row, sample in enumerate(samples.tolist())}
        return self._read_and_store(store, samples, out)

    def _bad(self, store: PackedStore | PackedStoreWriter, sample: int) -> SampleError:
        return SampleError.of(sample, self.name(sample), store.unreadable[sample])

    def _look_again(self) -> PackedStore | PackedStoreWriter | None:
        """Return the store, opened again if another process or Sequence has finished or released it."""
        with self._opening:
            if time.monotonic() - self._looked_seconds >= RETRY_SECONDS:
                try:
                    self._open()
                except ResourceError:
                    raise
                except OutOfCoreError as error:
                    self._looked_seconds = math.inf
                    warn_user(f"The files are read instead of the cache: {error}")
            return self._store

    def _changed(self, store: PackedStore | PackedStoreWriter, samples: np.ndarray) -> dict[int, SampleError]:
        """Return errors for rows whose files changed after they were stored."""
        stamps = self.source.stamps(samples)
        stored = np.empty_like(stamps)
        store.read(SOURCE_FIELD, samples, stored)
        changed = changed_samples(stored, stamps)
        reason = f"its file changed after it was stored in {str(self.directory)!r}. {OVERWRITE[:-1]}"
        return {
            int(row): SampleError.of(int(samples[row]), self.name(int(samples[row])), reason)
            for row in np.flatnonzero(changed)
        }

    def _read_and_store(self, store: PackedStoreWriter, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Read samples from their source, and store them or the reason why they cannot be read."""
        read = read_rows(self.source, samples, out)
        if self.failure is not None or not store.writable:
            return read.failed
        try:
            with stage("storing"):
                store.write(samples[read.sound], stored_values(store.record, read, out), read.doubtful)
                for row, error in read.failed.items():
                    self._keep_error(store, int(samples[row]), error, read.stamps[row])
        except OutOfCoreError as error:
            if store.writable:
                self._give_up(error)
        if store.num_missing == 0:
            self._finish_behind(store)
        return read.failed

    def _keep_error(self, store: PackedStoreWriter, sample: int, error: SampleError, stamp: np.ndarray) -> None:
        if self.keep_errors and error.proven:  # otherwise the row stays missing, and the next run reads the file again
            store.mark_unreadable(np.array([sample]), error.reason or str(error), {SOURCE_FIELD: stamp[np.newaxis]})

    def add_written(self, written: WrittenRows) -> None:
        """Count the rows as stored that a task in another process has written.

        Raises:
            DestinationError: If an earlier row could not be written.
        """
        self._store.add_written(written.rows, written.doubtful)
        self.source.add_doubtful(written.doubtful)
        for sample, error in written.failed.items():
            self._keep_error(self._store, sample, error, written.stamps[sample])

    def forget(self, samples: np.ndarray) -> None:
        """Make stored samples missing again."""
        self._store.forget(samples)

    def record(self) -> StoreRecord:
        """Return what the store contains, without the files that could not be read."""
        fields = self._fields if self._store is None else self._store.record.fields
        return StoreRecord(len(self), fields, self._fingerprint)

    def _give_up(self, error: OutOfCoreError) -> None:
        with self._opening:
            if self.failure is None:
                self.failure = error
                warn_user(f"The cache is no longer filled, and the files are read instead: {error}")

    def _finish_behind(self, store: PackedStoreWriter) -> None:
        """Finish the store in a thread, while training continues."""
        with self._opening:
            if self._finishing is None:
                finishing = Thread(lambda thread: self._finish(store), "keras_oocore-store")
                finishing.start()
                self._finishing = finishing  # last: `finish` waits for it

    def _finish(self, store: PackedStoreWriter) -> None:
        try:
            finished = store.finish()
        except OutOfCoreError as error:
            if store.writable:
                self._give_up(error)
            return
        self._store = finished

    def finish(self) -> None:
        """Wait until the store is finished.

        Raises:
            DestinationError: If the store could not be written.
        """
        store = self._store
        if store is not None and store.writable:
            store.wait()
            if store.num_missing == 0:
                self._finish_behind(store)
        if self._finishing is not None:
            self._finishing.wait()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Save what is stored and release the directory. Reading opens the store again."""
        if self._finishing is not None:
            self._finishing.wait()
        self.reset_after_fork()  # the writer closes when it is no longer referenced

    def __getstate__(self) -> dict[str, Any]:
        names = ("source", "directory", "keep_errors", "keep_beside")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset_after_fork()
