"""Finds the pairs of 64-bit hashes that differ in few bits, without comparing all pairs.

If two hashes differ in at most r bits, one of three chunks of their bits differs in at most r // 3. So each chunk of
each hash is looked up, with up to that many of its bits flipped, in a table of the chunks of all hashes. This is
multi-index hashing: M. Norouzi, A. Punjani and D. J. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing",
CVPR 2012.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

CHUNKS = ((0, 22), (22, 21), (43, 21))  # first bit and number of bits
MOST_IN_BUCKET = 4096  # hashes with the same chunk. A fuller bucket says nothing about a picture, and is skipped.
FEW = 8  # from the ninth hash of a bucket on, hashes are taken together
BLOCK = 2**20  # pairs that are compared at once


class HashIndex:
    """Hashes that can be searched.

    Args:
        hashes: Distinct hashes, `uint64` of shape `(n,)`.

    Attributes:
        num_skipped: How often a bucket was skipped because too many hashes have the same chunk.

    >>> index = HashIndex(np.array([0b0000, 0b0111, 2**63 - 1], np.uint64))
    >>> index.pairs_within(3).tolist()
    [[0, 1]]
    >>> index.matches(np.array([0b0001], np.uint64), 1).tolist()
    [[0, 0]]
    """

    def __init__(self, hashes: np.ndarray):
        self.hashes: np.ndarray = hashes
        self.num_skipped: int = 0
        self._tables = [_Table(hashes, *chunk) for chunk in CHUNKS]

    def pairs_within(self, radius: int) -> np.ndarray:
        """Return all pairs of hashes that differ in at most `radius` bits, `int32` of shape `(m, 2)`, smaller first."""
        return self._search(None, radius)

    def matches(self, queries: np.ndarray, radius: int) -> np.ndarray:
        """Return the pairs of a query and a hash that differ in at most `radius` bits, `int32` of shape `(m, 2)`."""
        return self._search(queries, radius)

    def _search(self, queries: np.ndarray | None, radius: int) -> np.ndarray:
        found = [np.empty((0, 2), np.int32)]
        for number, table in enumerate(self._tables):
            flips = (radius - number) // len(CHUNKS)  # a difference of r bits leaves one chunk with so few
            own = table if queries is None else _Table(queries, table.first_bit, table.num_bits)
            for rows, mask in own.lookups(flips, halved=queries is None):
                for first, second in self._in_buckets(own, table, rows, mask):
                    near = distance(own.sorted_hashes[first], table.sorted_hashes[second]) <= radius
                    found.append(np.stack([own.order[first[near]], table.order[second[near]]], axis=1))
                    if len(found) > 256:
                        found = [np.concatenate(found)]
        pairs = np.concatenate(found)
        if queries is None:
            pairs.sort(axis=1)
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        keys = np.unique(pairs[:, 0].astype(np.int64) * len(self.hashes) + pairs[:, 1])
        return np.stack(np.divmod(keys, max(1, len(self.hashes))), axis=1).astype(np.int32)

    def _in_buckets(
        self, own: "_Table", table: "_Table", rows: np.ndarray, mask: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield pairs of positions in both tables, each position of `rows` with all positions of its bucket."""
        keys = own.sorted_keys[rows] ^ np.int32(mask)
        firsts = table.starts[keys]
        counts = table.starts[keys + 1] - firsts
        full = counts > MOST_IN_BUCKET
        if full.any():
            self.num_skipped += int(np.count_nonzero(full))
            counts[full] = 0
        left = np.flatnonzero(counts)
        rows, firsts, counts = rows[left], firsts[left], counts[left]
        for number in range(FEW):
            if not len(rows):
                return
            yield rows, firsts + np.int32(number)
            left = np.flatnonzero(counts > number + 1)
            rows, firsts, counts = rows[left], firsts[left], counts[left]
        step = max(1, BLOCK // MOST_IN_BUCKET)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            more = counts[part] - FEW
            ends = more.cumsum()
            within = np.arange(ends[-1]) - np.repeat(ends - more, more)
            yield np.repeat(rows[part], more), np.repeat(firsts[part] + np.int32(FEW), more) + within


class _Table:
    """Hashes sorted by one chunk of their bits.

    Args:
        hashes: `uint64` of shape `(n,)`.
        first_bit, num_bits: The chunk.
    """

    def __init__(self, hashes: np.ndarray, first_bit: int, num_bits: int):
        self.first_bit, self.num_bits = first_bit, num_bits
        keys = ((hashes >> np.uint64(first_bit)) & np.uint64(2**num_bits - 1)).astype(np.int32)
        self.order = np.argsort(keys, kind="stable").astype(np.int32)
        self.sorted_keys, self.sorted_hashes = keys[self.order], hashes[self.order]

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """Position of the first hash of each chunk, `int32` of shape `(2**num_bits + 1,)`."""
        starts = np.zeros(2**self.num_bits + 1, np.int32)
        np.cumsum(np.bincount(self.sorted_keys, minlength=2**self.num_bits), out=starts[1:])
        return starts

    def lookups(self, flips: int, halved: bool) -> Iterator[tuple[np.ndarray, int]]:
        """Yield positions to look up, and which bits to flip.

        Args:
            flips: The largest number of bits to flip.
            halved: Whether each pair is needed once: only hashes whose highest flipped bit is 0 are looked up.
        """
        everything = np.arange(len(self.order), dtype=np.int32)
        yield everything, 0
        for highest in range(self.num_bits if flips else 0):
            rows = np.flatnonzero(self.sorted_keys >> highest & 1 == 0).astype(np.int32) if halved else everything
            for count in range(flips):
                for others in itertools.combinations(range(highest), count):
                    yield rows, sum(1 << bit for bit in (*others, highest))


def distance_by_table(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the number of bits in which hashes differ, `uint8` of shape `(n,)`, with any NumPy."""
    return _COUNTS[(hashes ^ others).view(np.uint16)].reshape(-1, 4).sum(axis=1, dtype=np.uint8)


def distance(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the number of bits in which hashes differ, `uint8` of shape `(n,)`."""
    return np.bitwise_count(hashes ^ others)


_COUNTS = np.array([number.bit_count() for number in range(2**16)], np.uint8)
if not hasattr(np, "bitwise_count"):  # before NumPy 2
    distance = distance_by_table
