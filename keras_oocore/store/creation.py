"""The files of a store that is to be filled: find out whether they may be used, and create them."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import require_disk, sync_folder
from keras_oocore.store.format import CHECKSUMS, MEASURES, RECORD, STATES, StoreRecord, require_own_folder
from keras_oocore.store.row_files import allocated_bytes, reserve_array


def existing_record(directory: Path, expected: StoreRecord, overwrite: bool) -> StoreRecord | None:
    """Return the record of the store to continue, or `None` if a new store is to be created.

    Raises:
        DataError: If other rows are stored in `directory`, or the store is damaged.
        DestinationError: If the directory contains other files, or the disk is too small.
    """
    exists = (directory / RECORD).exists()
    record = StoreRecord.load(directory) if exists and not overwrite else None
    if record is not None:
        record.require_same(expected, directory)
    if not exists:
        require_own_folder(directory)
    if record is None or not record.complete:
        names = [f"{name}.npy" for name in expected.fields]
        stored_bytes = sum(allocated_bytes(directory / name) for name in names) if exists else 0
        require_disk(directory, max(0, expected.size_bytes - stored_bytes), "the packed store")
    return record


def create_record(directory: Path, record: StoreRecord) -> None:
    """Make `record` the record of the directory. An old row never counts as a row of the new store."""
    old = None
    with contextlib.suppress(DataError):  # a damaged record says nothing about the fields before
        old = StoreRecord.load(directory)
    _remove_rows(directory, {**(old.fields if old else {}), **record.fields})
    record.save(directory)


def create_fields(directory: Path, record: StoreRecord) -> None:
    """Create the files of the fields, unless there are states: without them, no row counts."""
    if not (directory / STATES).exists() and not record.complete:
        _remove_rows(directory, record.fields)
        for name, (shape, dtype) in record.fields.items():
            reserve_array(directory / f"{name}.npy", (record.num_rows, *shape), dtype)
        reserve_array(directory / STATES, (record.num_rows,), np.dtype(np.uint8))  # last


def _remove_rows(directory: Path, fields: Mapping[str, Any]) -> None:
    fields = dict.fromkeys([*fields, MEASURES])  # the rows before may have had measures
    for name in (STATES, CHECKSUMS, *(f"{name}.npy" for name in fields)):  # the states first
        (directory / name).unlink(missing_ok=True)
    sync_folder(directory)
