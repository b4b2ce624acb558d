"""`Claims`: the rows that threads are writing at the moment. It does no I/O."""

import time
import weakref

import numpy as np

WAIT_SECONDS = 0.001  # between two looks at whether other threads are writing, which rarely matters


class Claim:
    """The rows that a thread is writing, until it is deleted. Ctrl-C may prevent any other way to end a claim."""

    def __init__(self, rows: np.ndarray):
        self.rows: np.ndarray = rows


class Claims:
    """The claims of all threads. The caller locks it against other threads, except for `wait`.

    Args:
        num_rows: Number of rows of the store.

    >>> claims = Claims(5)
    >>> mine, claim = claims.add(np.array([0, 1]), np.array([True, True]))
    >>> others, _ = claims.add(np.array([1, 2]), np.array([True, True]))
    >>> mine.tolist(), others.tolist(), claim.rows.tolist()
    ([True, True], [False, True], [0, 1])
    """

    def __init__(self, num_rows: int):
        self._claims = weakref.WeakSet()
        self._in_progress = np.zeros(num_rows, bool)  # all claimed rows, and those whose claim ended with Ctrl-C

    def add(self, rows: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, Claim]:
        """Claim the missing rows that no other thread is writing. Return a mask of them, and the claim.

        Args:
            rows: Row numbers, of shape `(n,)`.
            missing: Which of them are missing, of shape `(n,)`.
        """
        in_progress = self._in_progress[rows]
        if in_progress.any():
            in_progress &= np.isin(rows, np.concatenate([other.rows for other in self._claims] or [[]]))
        claimed = missing & ~in_progress
        claim = Claim(rows[claimed])
        self._claims.add(claim)
        self._in_progress[claim.rows] = True
        return claimed, claim

    def end(self, rows: np.ndarray) -> None:
        """End the claim of these rows, which is deleted."""
        self._in_progress[rows] = False

    def wait(self) -> None:
        """Wait until no thread is writing a row."""
        while list(self._claims):
            time.sleep(WAIT_SECONDS)
