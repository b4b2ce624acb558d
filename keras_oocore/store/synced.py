"""`SyncedRows`: which rows of a store count, in memory and on disk. The bytes of a row are on disk before its state.

So neither a kill nor a power cut leaves a row that counts and is incomplete. The rows of the last seconds are made
again.
"""

import contextlib
import dataclasses
import os
import threading
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_oocore.core.errors import OutOfCoreError
from keras_oocore.core.threads import Thread
from keras_oocore.store.field_files import FieldFiles
from keras_oocore.store.format import StoreRecord
from keras_oocore.store.row_files import write_at
from keras_oocore.store.states import RowStates

SYNC_SECONDS = 2.0  # the rows of this time may have to be made again after a kill


class SyncedRows:
    """The states of the rows of a store that is being filled.

    Args:
        directory: The directory of the store.
        record: Its record.
        states: The states that are on disk. They are changed in place.
        fields: The files of the rows.
        states_file: The file of the states.
    """

    def __init__(
        self, directory: Path, record: StoreRecord, states: np.ndarray, fields: FieldFiles, states_file: BinaryIO
    ):
        self.directory: Path = directory
        self.record: StoreRecord = record
        self.states: np.ndarray = states
        self._row_states = RowStates(states)
        self._fields, self._states_file = fields, states_file
        self._process = os.getpid()
        self._changed = threading.RLock()  # guards the states, the claims of threads, and the next two attributes
        self._unsaved = False  # whether `unreadable` changed since the record was saved
        self._error = None  # of a failed sync. What is on disk is unknown after it, even if a second one succeeds.
        self._syncing = threading.Lock()
        self._synced_seconds = time.monotonic()

    @property
    def num_missing(self) -> int:
        return self._row_states.num_missing

    @property
    def unreadable(self) -> dict[int, str]:
        return self.record.unreadable

    @property
    def doubtful(self) -> dict[int, str]:
        return self.record.doubtful

    def _mark(self, rows: np.ndarray, state: int) -> None:
        with self._changed:
            self._row_states.mark(rows, state)

    def _sync_if_due(self) -> None:
        """Sync in another thread, if that is due."""
        if time.monotonic() - self._synced_seconds > SYNC_SECONDS and not self._syncing.locked():
            Thread(self._sync_in_background, "keras_oocore-store").start()

    def _sync_in_background(self, thread: Thread) -> None:
        with contextlib.suppress(OutOfCoreError):  # the next `write` raises it
            self.sync()

    def sync(self) -> None:
        """Wait until all rows written so far are on disk, with their states.

        Raises:
            DestinationError: If they cannot be written.
        """
        if os.getpid() != self._process:
            return
        with self._syncing:
            self._synced_seconds = time.monotonic()
            if self._states_file.closed:
                return
            if self._error is not None:
                raise self._error
            with self._changed:
                unsynced, unsaved = self._row_states.pop_unsynced(), self._unsaved
                if unsynced is None:
                    return
                self._unsaved = False
            part, states = unsynced
            try:
                self._write_states(part, states, unsaved)
            except BaseException as error:
                with self._changed:
                    self._row_states.push_unsynced(part)
                    self._unsaved |= unsaved
                self._error = error if isinstance(error, OutOfCoreError) else None
                raise

    def _write_states(self, part: slice, states: np.ndarray, unsaved: bool) -> None:
        self._fields.sync()
        if unsaved:
            self._record_now().save(self.directory)  # the reasons before the states that refer to them
        offset = os.fstat(self._states_file.fileno()).st_size - self.record.num_rows
        write_at(self._states_file, states, offset + part.start)

    def _record_now(self) -> StoreRecord:
        """Return a copy of the record, which does not change while it is saved."""
        with self._changed:
            record = self.record
            return dataclasses.replace(record, unreadable=dict(record.unreadable), doubtful=dict(record.doubtful))
