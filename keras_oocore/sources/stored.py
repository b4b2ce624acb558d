"""Samples that are the rows of a finished packed store. Their files are not needed."""

import zlib
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.fingerprint import of_names
from keras_oocore.core.storage import stamp
from keras_oocore.images.measures import MEASURES_SPEC
from keras_oocore.sources.base import Source
from keras_oocore.sources.layout import RowSpec, arrays_of, stored_spec
from keras_oocore.store.format import MEASURES, RECORD, UNREADABLE, WHOLE
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter


class PackedSamples(Source):
    """The rows of a finished packed store.

    Args:
        store: The store.
        names: Name of each row for messages, an array of strings.
        chosen: Numbers of the rows to use, or `None` for all rows.
    """

    cached = True

    def __init__(self, store: PackedStore, names: np.ndarray, chosen: np.ndarray | None = None):
        self.store = store
        spec = stored_spec(store.fields, store.record.fingerprint)
        if spec is None:
            raise DataError(
                f"The packed store {str(store.directory)!r} has no samples: its fields are {', '.join(store.fields)}."
            )
        self.names = names
        self.chosen: np.ndarray = np.arange(len(names)) if chosen is None else chosen
        self.spec: RowSpec = spec

    def __len__(self) -> int:
        return len(self.chosen)

    def name(self, sample: int) -> str:
        return str(self.names[self.chosen[sample]])

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of the files that the rows were made from."""
        return {"files": of_names(self.names[self.chosen])}

    def options(self) -> dict[str, Any]:
        pad_to = self.store.record.fingerprint.get("pad_to")
        return super().options() if pad_to is None else {**super().options(), "pad_to": pad_to}

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        rows = self.chosen[samples]
        read_stored(self.store, rows, out)
        unreadable = np.flatnonzero(self.store.states[rows] == UNREADABLE)
        return {
            int(i): SampleError.of(int(samples[i]), self.name(samples[i]), self.store.unreadable[int(rows[i])])
            for i in unreadable
        }

    def measures(self, samples: np.ndarray) -> np.ndarray | None:
        return stored_measures(self.store, self.chosen[samples])

    def version(self, samples: np.ndarray) -> int:
        """Return a checksum of the size and time of the record of the store."""
        return zlib.crc32(repr(stamp(self.store.directory / RECORD)).encode())

    def doubtful(self) -> dict[int, str]:
        stored = self.store.doubtful
        rows = self.chosen.tolist() if stored else []
        return {sample: stored[row] for sample, row in enumerate(rows) if row in stored}

    def select(self, samples: np.ndarray) -> "PackedSamples":
        return PackedSamples(self.store, self.names, self.chosen[samples])


def read_stored(store: PackedStore | PackedStoreWriter, rows: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` with rows of a store: each array of a row is a field."""
    for name, values in arrays_of(out).items():
        store.read(name, rows, values)


def stored_measures(store: PackedStore | PackedStoreWriter, rows: np.ndarray) -> np.ndarray | None:
    """Return the measures that a store has of rows, and NaN for rows that are not stored.

    `None` if it has no measures, because its rows are not images or an earlier version wrote it.
    """
    if store.record.fields.get(MEASURES) != MEASURES_SPEC:
        return None
    shape, dtype = MEASURES_SPEC
    measures = np.empty((len(rows), *shape), dtype)
    store.read(MEASURES, rows, measures)
    measures[store.states[rows] != WHOLE] = np.nan
    return measures
