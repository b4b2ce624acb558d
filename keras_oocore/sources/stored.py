"""Samples that are the rows of a finished packed store, and nothing else."""

import numpy as np

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.fingerprint import of_names
from keras_oocore.store.format import UNREADABLE
from keras_oocore.store.reader import PackedStore

FIELD = "x"


class PackedSamples:
    """Rows of a finished store; it needs nothing else.

    Args:
        store: that holds them.
        names: what a person calls each row.
        chosen: numbers of the rows that count as samples; all, unless told.
    """

    cached = True
    rows_per_task = 2**30  # a whole batch: copying rows is too quick to be worth sharing out

    def __init__(self, store: PackedStore, names: np.ndarray, chosen: np.ndarray | None = None):
        self.store = store
        if FIELD not in store.fields:
            raise DataError(f"The packed store {str(store.directory)!r} has no field {FIELD!r}: {list(store.fields)}.")
        self.names = names
        self.chosen = np.arange(len(names)) if chosen is None else chosen
        self.shape, self.dtype = self.store.fields[FIELD]

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, samples: np.ndarray) -> "PackedSamples":
        """The same rows, of which only these count."""
        return PackedSamples(self.store, self.names, self.chosen[samples])

    def which(self) -> dict:
        """Which samples these are, as plain JSON: the same as of the files that they were made from."""
        return {"files": of_names(self.names[self.chosen])}

    def name(self, sample: int) -> str:
        """The name of the file that the row was made from."""
        return str(self.names[self.chosen[sample]])

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with sample `samples[i]`; returns why, by row, for those that could not be read."""
        rows = self.chosen[samples]
        self.store.read(FIELD, rows, out)
        unreadable = np.flatnonzero(self.store.states[rows] == UNREADABLE)
        return {
            int(i): SampleError.of(int(samples[i]), self.name(samples[i]), self.store.unreadable[int(rows[i])])
            for i in unreadable
        }
