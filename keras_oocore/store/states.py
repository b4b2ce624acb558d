"""The state of each row of a store that is being filled, and which states are not on disk yet; it does no I/O."""

import numpy as np

from keras_oocore.store.format import MISSING


class RowStates:
    """The states of all rows in memory. The caller locks it against other threads.

    Args:
        array: `uint8` of shape `(num_rows,)`: `MISSING`, `WHOLE` or `UNREADABLE`. It is changed in place.

    Attributes:
        num_missing: The number of missing rows.

    >>> states = RowStates(np.zeros(5, np.uint8))
    >>> states.mark(np.array([3, 1]), 1)
    >>> states.num_missing, states.array.tolist()
    (3, [0, 1, 0, 1, 0])
    >>> part, changed = states.pop_unsynced()
    >>> part, changed.tolist(), states.pop_unsynced()
    (slice(1, 4, None), [1, 0, 1], None)
    """

    def __init__(self, array: np.ndarray):
        self.array = array
        self.num_missing: int = int(np.count_nonzero(array == MISSING))
        self._start, self._stop = len(array), 0  # the range that holds all changes; it is empty

    def mark(self, rows: np.ndarray, state: int) -> None:
        """Change the state of some rows."""
        if not len(rows):
            return
        if (np.diff(rows) <= 0).any():  # rows that ascend are distinct; sorting them would cost more than all the rest
            rows = np.unique(rows)
        was_missing = int(np.count_nonzero(self.array[rows] == MISSING))
        self.num_missing += (len(rows) if state == MISSING else 0) - was_missing
        self.array[rows] = state
        self.push_unsynced(slice(int(rows[0]), int(rows[-1]) + 1))

    def pop_unsynced(self) -> tuple[slice, np.ndarray] | None:
        """Return a range of rows and a copy of its states, which the caller writes to disk; `None` without changes."""
        if self._start >= self._stop:
            return None
        part = slice(self._start, self._stop)
        self._start, self._stop = len(self.array), 0
        return part, self.array[part].copy()

    def push_unsynced(self, part: slice) -> None:
        """Note that the states of a range of rows are not on disk, for example because writing them failed."""
        self._start, self._stop = min(self._start, part.start), max(self._stop, part.stop)
