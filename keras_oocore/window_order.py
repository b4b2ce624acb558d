"""Integers only: which sample comes k-th when chunks come in random order and rows mix within a window of chunks.

For data that is read a chunk at a time: a window of chunks is in memory, its rows come in random order, then the next
window's. Every epoch draws other windows (blocks, then a buffer: Xu and others, CorgiPile, SIGMOD 2022).
"""

import functools
from dataclasses import dataclass

import numpy as np

from keras_oocore.epoch_order import permute


@dataclass(frozen=True, eq=False)  # hashing the sizes would take longer than the rest
class WindowOrder:
    """The order of the samples in every epoch.

    Args:
        sizes: samples of each chunk.
        window_chunks: chunks whose rows are mixed.
        seed: non-negative integer.

    >>> order = WindowOrder(sizes=(3, 2, 4), window_chunks=2, seed=1)
    >>> sorted(order.samples(epoch=0, start=0, stop=9).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """

    sizes: tuple[int, ...]
    window_chunks: int
    seed: int

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The samples at positions `start` to `stop` of an epoch, as an `int64` array."""
        starts = _window_starts(self, epoch)
        first, last = np.searchsorted(starts, [start, max(start, stop - 1)], side="right") - 1
        parts = [
            _window(self, epoch, window)[max(0, start - starts[window]) : stop - starts[window]]
            for window in range(first, last + 1)
        ]
        return np.concatenate(parts).astype(np.int64)


@functools.lru_cache(maxsize=4)
def _chunks(order: WindowOrder, epoch: int) -> np.ndarray:
    """The chunks in the order in which they come."""
    num_chunks = len(order.sizes)
    return permute(np.arange(num_chunks), num_chunks, order.seed, epoch)


@functools.lru_cache(maxsize=4)
def _window_starts(order: WindowOrder, epoch: int) -> np.ndarray:
    """The position at which each window begins; last, where all end."""
    sizes = np.array(order.sizes, np.int64)[_chunks(order, epoch)]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return np.append(ends[: -1 : order.window_chunks], ends[-1])


@functools.lru_cache(maxsize=2)  # the one in use, and the next where a batch spans both
def _window(order: WindowOrder, epoch: int, window: int) -> np.ndarray:
    """The samples of one window, mixed."""
    chunks = np.sort(_chunks(order, epoch)[window * order.window_chunks :][: order.window_chunks])
    firsts = np.concatenate([[0], np.cumsum(order.sizes)])
    dtype = np.int32 if firsts[-1] < 2**31 else np.int64  # a window may hold millions
    samples = np.concatenate([np.arange(firsts[chunk], firsts[chunk + 1], dtype=dtype) for chunk in chunks.tolist()])
    # RandomState's stream never changes (NEP 19), and one window at a time it is quicker than `permute`.
    key = np.random.SeedSequence(order.seed, spawn_key=(epoch, window))
    np.random.RandomState(np.random.MT19937(key)).shuffle(samples)
    samples.flags.writeable = False
    return samples
