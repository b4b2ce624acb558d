"""Samples that are read from their files once, and later from a packed store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import OutOfCoreError, SampleError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.stopwatch import stage
from keras_oocore.sources.base import WHOLE_BATCH, StampedSource
from keras_oocore.sources.layout import RowSpec
from keras_oocore.sources.shared_store import SharedStore
from keras_oocore.sources.store_task import SOURCE_FIELD, WrittenRows, changed_samples, read_rows, stored_values
from keras_oocore.sources.stored import read_stored, stored_measures
from keras_oocore.store.format import MISSING, OVERWRITE, UNREADABLE, WHOLE, StoreRecord
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter


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
        self.shared: SharedStore
        self.reset_after_fork()
        if create or overwrite or self.shared.exists:
            self.shared.open(overwrite)
        else:
            self.shared.require_same()

    @property
    def spec(self) -> RowSpec:
        return self.source.spec

    def reset_after_fork(self) -> None:
        """Forget the open store, in a copy of this object or in a forked child."""
        self.shared = SharedStore(self.source, self.directory, self.keep_beside)
        register_fork_aware(self)

    @property
    def _store(self) -> PackedStore | PackedStoreWriter | None:
        return self.shared.opened

    def open(self) -> None:
        """Open the store, or create it. It stays closed while another process fills it.

        Raises:
            DataError: If files changed after they were stored.
            DestinationError: If the store cannot be written.
        """
        self.shared.open_if_closed()

    @property
    def has_store(self) -> bool:
        """Whether the store is finished or is filled by this object. `False` while another process fills it."""
        return self._store is not None or self.shared.look_again() is not None

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
            store = self.shared.look_again()
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
                self.shared.give_up(error)
        if store.num_missing == 0:
            self.shared.finish_behind(store)
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
        return self.shared.record()

    @property
    def failure(self) -> OutOfCoreError | None:
        """Why the store can no longer be written, or `None`."""
        return self.shared.failure

    def finish(self) -> None:
        """Wait until the store is finished.

        Raises:
            DestinationError: If the store could not be written.
        """
        self.shared.finish()

    def close(self) -> None:
        """Save what is stored and release the directory. Reading opens the store again."""
        self.shared.close()
        self.reset_after_fork()

    def __getstate__(self) -> dict[str, Any]:
        names = ("source", "directory", "keep_errors", "keep_beside")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset_after_fork()
