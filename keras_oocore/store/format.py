"""`store.json`: what a packed store contains, where its rows come from, and whether it is finished."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.differences import differences
from keras_oocore.core.errors import DataError, DestinationError, OutOfCoreError
from keras_oocore.core.record import MissingRecordError, RecordFormat
from keras_oocore.core.temporary import TEMPORARY_PREFIX

RECORD, STATES, CHECKSUMS = "store.json", "rows.npy", "checksums.npy"
BESIDE_ROWS = (STATES, CHECKSUMS, "filenames.npy", "labels.npy", "features.npy")  # a field has none of these names
UNPACKED = "gunzipped"  # a folder with the text of compressed files; at first, of gzip files only
STREAM = "stream"  # a folder with the rows of a stream
MISSING, WHOLE, UNREADABLE = 0, 1, 2  # the states of a row; one byte per row in rows.npy
BLOCK_BYTES = 2**20  # covered by one checksum
MEASURES = "measures"  # a field that a store may lack: it is computed from the others
OVERWRITE = "Pass overwrite_cache=True to make it again, or choose another directory."
_RECORD_FORMAT = RecordFormat(version=1, remedy=OVERWRITE, indent=1)
OTHER_DATA = "Use a separate directory for each set of data, each subset and each seed of a split."


@dataclasses.dataclass
class StoreRecord:
    """The content of `store.json`.

    Attributes:
        num_rows: The number of rows of every field.
        fields: Name → `(shape of a row, dtype)`.
        fingerprint: What determines the rows, as plain JSON. Rows of different fingerprints are never stored together.
        complete: Whether the store is finished: it has all rows and the checksums.
        unreadable: Row → why it could not be read.
        doubtful: Row → why it may be wrong, although it could be read.
        rows_per_block: The number of rows per checksum.
        states_crc32: The CRC-32 of the states in `rows.npy`, if the store is finished.
    """

    num_rows: int
    fields: dict[str, tuple[tuple[int, ...], np.dtype]]
    fingerprint: dict[str, Any]
    complete: bool = False
    unreadable: dict[int, str] = dataclasses.field(default_factory=dict)
    doubtful: dict[int, str] = dataclasses.field(default_factory=dict)
    rows_per_block: int = 0  # by default, as many as fit in `BLOCK_BYTES`
    states_crc32: int | None = None

    def __post_init__(self) -> None:
        if not self.rows_per_block:
            self.rows_per_block = max(1, BLOCK_BYTES // max(1, *(self.row_bytes(name) for name in self.fields)))

    def row_bytes(self, name: str) -> int:
        """Return the size of one row of a field, in bytes."""
        shape, dtype = self.fields[name]
        return math.prod(shape) * dtype.itemsize

    @property
    def size_bytes(self) -> int:
        """The size of all rows of all fields, in bytes."""
        return self.num_rows * sum(self.row_bytes(name) for name in self.fields)

    def save(self, directory: Path) -> None:
        """Write `store.json`, whole or not at all."""
        values = {
            "state": "complete" if self.complete else "filling",
            "num_rows": self.num_rows,
            "fields": {
                name: {"shape": shape, "dtype": np.lib.format.dtype_to_descr(dtype)}
                for name, (shape, dtype) in self.fields.items()
            },
            "fingerprint": self.fingerprint,
            "unreadable": self.unreadable,
            "rows_per_block": self.rows_per_block,
            "rows_crc32": self.states_crc32,
        }
        if self.doubtful:
            values["doubtful"] = self.doubtful
        _RECORD_FORMAT.write(directory / RECORD, values)

    @classmethod
    def load(cls, directory: Path) -> "StoreRecord | None":
        """Return the record of the store in `directory`, or `None` if there is no store.

        Raises:
            DataError: If the record is damaged, or a newer version of keras_oocore wrote it.
        """
        try:
            return _RECORD_FORMAT.read(directory / RECORD, cls._from_json)
        except MissingRecordError:
            return None

    @classmethod
    def _from_json(cls, saved: dict[str, Any]) -> "StoreRecord":
        return cls(
            num_rows=int(saved["num_rows"]),
            fields=checked_fields({name: (field["shape"], field["dtype"]) for name, field in saved["fields"].items()}),
            fingerprint=dict(saved["fingerprint"]),
            complete=saved["state"] == "complete",
            unreadable={int(row): str(reason) for row, reason in saved["unreadable"].items()},
            doubtful={int(row): str(reason) for row, reason in saved.get("doubtful", {}).items()},  # added in 0.1.0
            rows_per_block=int(saved["rows_per_block"]),
            states_crc32=saved["rows_crc32"],
        )

    def require_same(self, other: "StoreRecord", directory: Path) -> None:
        """Check that the rows of `other`, which are requested, are the stored rows.

        Raises:
            DataError: If they are not. The message says what differs.
        """
        stored, requested = self._described(), other._described()
        if different := differences(stored, requested):
            advice = f"{OTHER_DATA} {OVERWRITE}" if stored.get("files") != requested.get("files") else OVERWRITE
            raise DataError(f"{os.fspath(directory)!r} stores other rows: {'; '.join(different)}. {advice}")

    def require_rows(self, rows: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        """Check that the arrays are rows of the fields.

        Raises:
            OutOfCoreError: If a row does not exist, or an array has another shape or dtype.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.num_rows:
            raise OutOfCoreError(
                f"The store has rows 0 to {self.num_rows - 1}. Received: rows {rows.min()} to {rows.max()}"
            )
        for name, values in arrays.items():
            shape, dtype = self.fields[name]
            if values.shape != (len(rows), *shape) or values.dtype != dtype:
                raise OutOfCoreError(
                    f"Field {name!r} requires an array of shape {(len(rows), *shape)} and dtype {dtype}. "
                    f"Received: shape {values.shape} and dtype {values.dtype}"
                )

    def _described(self) -> dict[str, Any]:
        required = {name: field for name, field in self.fields.items() if name != MEASURES}
        fields = {f"shape of {name}": list(shape) for name, (shape, _) in required.items()}
        dtypes = {f"dtype of {name}": str(dtype) for name, (_, dtype) in required.items()}
        fingerprint = json.loads(json.dumps(self.fingerprint))  # turns tuples into lists
        return {**fingerprint, "number of rows": self.num_rows, **fields, **dtypes}


def checked_fields(fields: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return the fields of a store with plain shapes and dtypes.

    Args:
        fields: Name → `(shape of a row, dtype)`.

    Raises:
        DataError: If there are no fields, or a store cannot have a field of that name or dtype.

    >>> checked_fields({"x": ([2, 3], "uint8")})
    {'x': ((2, 3), dtype('uint8'))}
    """
    checked = {}
    for name, (shape, dtype) in fields.items():
        dtype = np.dtype(dtype)
        if not name.isidentifier() or f"{name}.npy" in BESIDE_ROWS:
            raise DataError(f"A field cannot have the name {name!r}.")
        if dtype.hasobject or dtype.kind == "V":
            raise DataError(
                f"A field should have a dtype of numbers or of strings of a fixed length. "
                f"Received: {name!r} of dtype {dtype}"
            )
        checked[name] = (tuple(int(axis) for axis in shape), dtype)
    if not checked:
        raise DataError("A store requires at least one field.")
    return checked


def require_own_folder(directory: Path) -> None:
    """Check that `directory` contains no other files, so that a new store may be created there.

    Folders of other stores and hidden files of keras_oocore are allowed.

    Raises:
        DestinationError: If it contains other files. The message names some of them.
    """
    try:
        entries = [entry for entry in os.listdir(directory) if not entry.startswith(TEMPORARY_PREFIX)]
        others = sorted(
            entry for entry in entries if entry not in (UNPACKED, STREAM) and not (directory / entry / RECORD).exists()
        )
    except FileNotFoundError:
        return
    except OSError as error:
        raise DestinationError(f"Cannot use {os.fspath(directory)!r}: {error.strerror or error}.") from error
    if others:
        raise DestinationError(
            f"{os.fspath(directory)!r} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}) "
            "and no packed store. Choose an empty or a new directory."
        )
