"""Samples that come from files once, and from a packed store that fills meanwhile from then on."""

import errno
import math
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, OutOfCoreError, SampleError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.stopwatch import stage
from keras_oocore.sources.stored import FIELD, PackedSamples
from keras_oocore.store.format import MISSING, OVERWRITE, UNREADABLE, WHOLE
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer

SOURCE_FIELD = "source"
RETRY_SECONDS = 2.0  # between two looks whether another process has finished the store


class Source(Protocol):
    """Samples in files: the Samples of `batch_maker`, and what tells that a file changed."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows_per_task: int

    def __len__(self) -> int: ...

    def which(self) -> dict: ...

    def name(self, sample: int) -> str: ...

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]: ...

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        """`int64` of shape `(n, 2)`: size in bytes and time of change of each file; -1 for one that is gone."""


class CachedSamples:
    """Samples that are read from their source once and from then on from a packed store.

    One process fills the store; another reads the source until the first has finished, and goes on where it stopped
    if it dies. When the store can no longer be written, the source is read instead, with a warning.

    Args:
        source: the samples.
        directory: of the store.
        fingerprint: what shapes the rows, apart from the contents of the files.
        keep_errors: whether a sample that cannot be read is noted in the store, and not tried again until its file
            changes.
        overwrite: whether a store that is there is made again.
        keep_beside: called with no argument whenever the store is open, to write what else belongs there.

    Raises:
        DataError: when the store holds other rows, or files changed since they were stored.
        DestinationError: when the disk is too small, say.
    """

    cached = True

    def __init__(
        self,
        source: Source,
        directory: Path,
        fingerprint: dict,
        keep_errors: bool = False,
        overwrite: bool = False,
        keep_beside: Callable[[], None] | None = None,
    ):
        self.source = source
        self.directory = directory
        self.fingerprint = fingerprint
        self.keep_errors = keep_errors
        self.keep_beside = keep_beside
        self.shape, self.dtype = source.shape, source.dtype
        self.reset_after_fork()
        self._open(overwrite)

    def reset_after_fork(self) -> None:
        """No store: a copy in another process, or one that woke up in a forked child."""
        self._opening = threading.RLock()
        self._store = None
        self._looked_seconds = -RETRY_SECONDS
        self._finishing = None
        self.failure = None  # why the store is no longer written
        register_fork_aware(self)

    def _open(self, overwrite: bool = False) -> None:
        """Open the store if it is finished, or to fill it if nobody else does."""
        self._looked_seconds = time.monotonic()
        fields = {FIELD: (self.shape, self.dtype), SOURCE_FIELD: ((2,), np.dtype(np.int64))}
        arguments = (self.directory, fields, len(self.source), self.fingerprint)
        store = None if overwrite else PackedStore.opened_if_finished(*arguments)
        try:
            if store is None:
                store = shared_writer(*arguments, overwrite)
            stamps = self.source.stamps(np.arange(len(self.source)))  # takes seconds: not while another process fills
            mended = self._mended(store, stamps)
            if len(mended):
                store = shared_writer(*arguments)
                store.forget(mended)
        except BusyError:
            if overwrite:
                raise
            return
        except BaseException:
            if isinstance(store, PackedStoreWriter):
                store.close()  # or whoever keeps the error keeps the directory
            raise
        if self.keep_beside is not None:
            self.keep_beside()
        self._store = store
        if isinstance(store, PackedStoreWriter) and store.num_missing == 0:
            self._finish_behind(store)

    def _mended(self, store: PackedStore | PackedStoreWriter, stamps: np.ndarray) -> np.ndarray:
        """Rows that could not be read and whose files changed since.

        Raises:
            DataError: when files of rows that are stored changed.
        """
        stored = np.empty_like(stamps)
        store.read(SOURCE_FIELD, np.arange(len(stamps)), stored)
        changed = (stored != stamps).any(axis=1) & (stamps[:, 0] >= 0)  # one that is gone is not newer
        stale = np.flatnonzero(changed & (store.states == WHOLE))
        if len(stale):
            names = [self.source.name(sample) for sample in stale[:3].tolist()]
            raise DataError(
                f"{len(stale):,} of {len(stamps):,} files changed since {str(self.directory)!r} stored them: "
                f"{', '.join(map(repr, names))}{', ...' if len(stale) > 3 else ''}. {OVERWRITE}"
            )
        return np.flatnonzero(changed & (store.states == UNREADABLE))

    @property
    def has_store(self) -> bool:
        """Whether the store is finished or this object fills it; `False` while another process does."""
        return self._store is not None or self._look_again() is not None

    @property
    def rows_per_task(self) -> int:
        """As the source shares a batch out; a whole batch once all rows are stored."""
        return PackedSamples.rows_per_task if isinstance(self._store, PackedStore) else self.source.rows_per_task

    def __len__(self) -> int:
        return len(self.source)

    def which(self) -> dict:
        """Which samples these are, as plain JSON."""
        return self.source.which()

    def name(self, sample: int) -> str:
        """What the source calls it."""
        return self.source.name(sample)

    def missing(self) -> np.ndarray:
        """The samples that are not stored yet; all of them while another process fills the store."""
        return np.arange(len(self)) if self._store is None else np.flatnonzero(self._store.states == MISSING)

    def bad(self) -> dict[int, SampleError]:
        """The samples that the store notes as bad."""
        store = self._store
        bad = [] if store is None else np.flatnonzero(store.states == UNREADABLE).tolist()
        return {sample: self._bad(store, sample) for sample in bad}

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with sample `samples[i]`; returns why, by row, for those that cannot be read."""
        store = self._store
        if store is None or (isinstance(store, PackedStoreWriter) and not store.writable):
            store = self._look_again()
        if store is None:
            return self.source.read(samples, out)
        states = store.states[samples]
        if (states == WHOLE).all():
            store.read(FIELD, samples, out)
            return self._changed(store, samples)
        failed = {}
        ends = [*(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
        for start, end in zip([0, *ends], ends):  # neighbours of one state at a time
            errors = self._read_alike(store, states[start], samples[start:end], out[start:end])
            failed.update({start + row: error for row, error in errors.items()})
        return failed

    def _read_alike(
        self, store: PackedStore | PackedStoreWriter, state: int, samples: np.ndarray, out: np.ndarray
    ) -> dict[int, SampleError]:
        if state == WHOLE:
            store.read(FIELD, samples, out)
            return self._changed(store, samples)
        if state == UNREADABLE:
            return {row: self._bad(store, sample) for row, sample in enumerate(samples.tolist())}
        return self._read_and_store(store, samples, out)

    def _bad(self, store: PackedStore | PackedStoreWriter, sample: int) -> SampleError:
        return SampleError.of(sample, self.name(sample), store.unreadable[sample])

    def _look_again(self) -> PackedStore | PackedStoreWriter | None:
        """The store, opened anew when another process, or another Sequence of this one, has finished or given it up."""
        with self._opening:
            if time.monotonic() - self._looked_seconds >= RETRY_SECONDS:
                try:
                    self._open()
                except OutOfCoreError as error:
                    self._looked_seconds = math.inf
                    warnings.warn(f"The files themselves are read from here on: {error}", stacklevel=2)
            return self._store

    def _changed(self, store: PackedStore | PackedStoreWriter, samples: np.ndarray) -> dict[int, SampleError]:
        """Errors for rows whose files are no longer those that were stored."""
        stamps = self.source.stamps(samples)
        stored = np.empty_like(stamps)
        store.read(SOURCE_FIELD, samples, stored)
        changed = (stamps != stored).any(axis=1) & (stamps[:, 0] >= 0)
        reason = f"its file changed since {str(self.directory)!r} stored it. {OVERWRITE[:-1]}"
        return {
            int(row): SampleError.of(int(samples[row]), self.name(int(samples[row])), reason)
            for row in np.flatnonzero(changed)
        }

    def _read_and_store(self, store: PackedStoreWriter, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Read samples from their source and store them, or that they cannot be read."""
        stamps = self.source.stamps(samples)
        failed = self.source.read(samples, out)
        if self.failure is not None or not store.writable:
            return failed
        sound = (self.source.stamps(samples) == stamps).all(axis=1)  # not changed while they were read
        sound[list(failed)] = False
        try:
            with stage("storing"):
                if sound.all():
                    store.write(samples, {FIELD: out, SOURCE_FIELD: stamps})
                else:
                    store.write(samples[sound], {FIELD: out[sound], SOURCE_FIELD: stamps[sound]})
                for row, error in failed.items() if self.keep_errors else ():
                    if not _is_passing(error.__cause__):
                        part = slice(row, row + 1)
                        reason = error.reason or str(error)
                        store.mark_unreadable(samples[part], reason, {SOURCE_FIELD: stamps[part]})
        except OutOfCoreError as error:
            if store.writable:
                self._give_up(error)
        if store.num_missing == 0:
            self._finish_behind(store)
        return failed

    def _give_up(self, error: OutOfCoreError) -> None:
        with self._opening:
            if self.failure is None:
                self.failure = error
                warnings.warn(f"The cache is no longer filled; the files themselves are read: {error}", stacklevel=2)

    def _finish_behind(self, store: PackedStoreWriter) -> None:
        """Finish the store beside the training."""
        with self._opening:
            if self._finishing is None:
                self._finishing = threading.Thread(target=self._finish, name="keras_oocore-store", args=(store,))
                self._finishing.start()

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
            DestinationError: when it could not be written.
        """
        store = self._store
        if isinstance(store, PackedStoreWriter) and store.writable:
            store.wait()
            if store.num_missing == 0:
                self._finish_behind(store)
        if self._finishing is not None:
            self._finishing.join()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Let what is stored count, and let another process go on; reading again opens the store again."""
        if self._finishing is not None:
            self._finishing.join()
        self.reset_after_fork()  # the last one to hold the writer closes it

    def __getstate__(self):
        names = ("source", "directory", "fingerprint", "keep_errors", "keep_beside", "shape", "dtype")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state):
        vars(self).update(state)
        self.reset_after_fork()


def _is_passing(error: BaseException | None) -> bool:
    """Whether reading the file may succeed the next time: a disk or network failed, and not the file's content."""
    return isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR)  # Pillow's have none
