"""How many distinct values a column has, in bounded memory: exactly if there are few, and estimated otherwise.

It keeps the smallest hashes of all values (Bar-Yossef and others, Counting distinct elements in a data stream, 2002).
The relative error is about one over the square root of their number. The result does not depend on the order of parts.
"""

import numpy as np

ALL_HASHES = 2.0**64


class DistinctSketch:
    """The smallest hashes of the values of a column.

    Args:
        size: The largest number of hashes. Up to there, the number of distinct values is exact.

    >>> sketch = DistinctSketch(size=100)
    >>> sketch.add(np.array([3, 3, 5], np.uint64))
    >>> sketch.count, sketch.is_exact
    (2, True)
    """

    def __init__(self, size: int):
        self.size: int = size
        self.hashes: np.ndarray = np.zeros(0, np.uint64)
        self.limit: np.uint64 = np.uint64(2**64 - 1)  # larger hashes are not kept; threads read it

    def candidates(self, hashes: np.ndarray) -> np.ndarray:
        """Return those of some hashes that may be kept, distinct and in rising order. Any thread may call this."""
        kept = hashes[hashes <= self.limit]
        if len(kept) > 4 * self.size:
            smallest = distinct(np.partition(kept, 2 * self.size)[: 2 * self.size])
            if len(smallest) >= self.size:
                return smallest[: self.size]
        return distinct(kept)[: self.size]

    def add(self, hashes: np.ndarray) -> None:
        """Add the hashes of values."""
        self.hashes = distinct(np.concatenate([self.hashes, hashes]))[: self.size]
        if len(self.hashes) == self.size:
            self.limit = self.hashes[-1]

    @property
    def is_exact(self) -> bool:
        """Whether all distinct values are kept."""
        return len(self.hashes) < self.size

    @property
    def count(self) -> int:
        """Number of distinct values, or an estimate of it."""
        if self.is_exact:
            return len(self.hashes)
        return round((self.size - 1) / ((float(self.hashes[-1]) + 1) / ALL_HASHES))

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Return which of some hashes are among those of the values, `bool`, if `is_exact`."""
        return np.isin(hashes, self.hashes)


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the distinct values of an array, in rising order. It is several times as fast as `numpy.unique`."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
