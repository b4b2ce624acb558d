"""The store of a cache: opened, looked for again while another process fills it, and finished behind training."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, OutOfCoreError, ResourceError
from keras_oocore.core.faults import opening
from keras_oocore.core.threads import Thread
from keras_oocore.core.warn import warn_user
from keras_oocore.images.measures import MEASURES_SPEC
from keras_oocore.sources.base import StampedSource
from keras_oocore.sources.doubts import warn_of_doubtful
from keras_oocore.sources.layout import described_arrays, fields_of
from keras_oocore.sources.store_task import SOURCE_FIELD, changed_samples
from keras_oocore.store.creation import existing_record
from keras_oocore.store.format import MEASURES, OVERWRITE, RECORD, UNREADABLE, WHOLE, StoreRecord
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer

RETRY_SECONDS = 2.0  # time between two checks of whether another process has finished the store


class SharedStore:
    """The store of the samples of a source, which one process fills and others wait for.

    Args:
        source: The samples.
        directory: Directory of the store.
        keep_beside: Function without arguments that is called when the store is opened, or `None`.

    Attributes:
        opened: The store, finished or open for writing; `None` while it is closed, or another process fills it.
        failure: Why the store can no longer be written, or `None`.
    """

    def __init__(self, source: StampedSource, directory: Path, keep_beside: Callable[[], None] | None):
        self.source = source
        self.directory = directory
        self.keep_beside = keep_beside
        self.opened: PackedStore | PackedStoreWriter | None = None
        self.failure: OutOfCoreError | None = None
        self._opening = threading.RLock()
        self._looked_seconds = -RETRY_SECONDS
        self._finishing = None

    def record(self) -> StoreRecord:
        """Return what the store contains, without the files that could not be read."""
        fields = self._fields if self.opened is None else self.opened.record.fields
        return StoreRecord(len(self.source), fields, self._fingerprint)

    @property
    def _fields(self) -> dict[str, tuple]:
        measures = {MEASURES: MEASURES_SPEC} if self.source.has_images else {}
        arrays = {name: tuple(spec) for name, spec in fields_of(self.source.spec).items()}
        return {**arrays, SOURCE_FIELD: ((2 * self.source.files_per_sample,), np.dtype(np.int64)), **measures}

    @property
    def _fingerprint(self) -> dict[str, Any]:
        return {**self.source.row_fingerprint(), **described_arrays(self.source.spec)}

    def require_same(self) -> None:
        """Raise if the directory has a store of other rows."""
        existing_record(self.directory, self.record(), overwrite=False)

    @property
    def exists(self) -> bool:
        """Whether the directory has a store."""
        return (self.directory / RECORD).exists()

    def open(self, overwrite: bool = False) -> None:
        """Open the store if it is finished, or open it for writing if no other process fills it.

        Raises:
            DataError: If the store contains other rows, or files changed after they were stored.
            DestinationError: If the store cannot be written.
        """
        with self._opening:
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
        self.opened = store
        if store.doubtful:
            warn_of_doubtful({self.source.name(sample): reason for sample, reason in sorted(store.doubtful.items())})
        if not store.complete and store.num_missing == 0:
            self.finish_behind(store)

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

    def open_if_closed(self) -> None:
        """Open the store, unless it is open."""
        with self._opening:
            if self.opened is None:
                self.open()

    def look_again(self) -> PackedStore | PackedStoreWriter | None:
        """Return the store, opened again if another process or Sequence has finished or released it."""
        with self._opening:
            if time.monotonic() - self._looked_seconds >= RETRY_SECONDS:
                try:
                    self.open()
                except ResourceError:
                    raise
                except OutOfCoreError as error:
                    self._looked_seconds = math.inf
                    warn_user(f"The files are read instead of the cache: {error}")
            return self.opened

    def give_up(self, error: OutOfCoreError) -> None:
        with self._opening:
            if self.failure is None:
                self.failure = error
                warn_user(f"The cache is no longer filled, and the files are read instead: {error}")

    def finish_behind(self, store: PackedStoreWriter) -> None:
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
                self.give_up(error)
            return
        self.opened = finished

    def finish(self) -> None:
        """Wait until the store is finished.

        Raises:
            DestinationError: If the store could not be written.
        """
        store = self.opened
        if store is not None and store.writable:
            store.wait()
            if store.num_missing == 0:
                self.finish_behind(store)
        self.wait()
        if self.failure is not None:
            raise self.failure

    def wait(self) -> None:
        """Wait for the thread that finishes the store, if there is one."""
        if self._finishing is not None:
            self._finishing.wait()

    def close(self) -> None:
        """Let the writer close, which it does when it is no longer referenced, also by the traceback of an error."""
        self.wait()
        self.opened = self.failure = None
