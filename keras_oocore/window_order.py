"""Integers only: which sample comes k-th when chunks come in random order and rows mix within a window of chunks.

For data that is read a chunk at a time: a window of chunks is in memory, its rows come in random order, then the next
window's. Every epoch draws other windows (blocks, then a buffer: Xu and others, CorgiPile, SIGMOD 2022).
"""

import bisect
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np

from keras_oocore.epoch_order import permute
from keras_oocore.forks import renewed_in_children

KEPT_WINDOWS = 2  # the one in use, and the next


class WindowOrder:
    """The order of the samples in every epoch.

    Args:
        sizes: samples of each chunk.
        window_chunks: chunks whose rows are mixed.
        seed: non-negative integer.
        shuffle: `False` for chunks and samples as they stand, still a window at a time.

    >>> order = WindowOrder(sizes=(3, 2, 4), window_chunks=2, seed=1)
    >>> sorted(order.samples(epoch=0, start=0, stop=9).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """

    def __init__(self, sizes: tuple[int, ...], window_chunks: int, seed: int, shuffle: bool = True):
        self.sizes, self.window_chunks, self.seed, self.shuffle = sizes, window_chunks, seed, shuffle
        self._firsts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._plans = {}  # epoch -> its windows
        self.renew()
        renewed_in_children(self)

    def renew(self) -> None:
        """Nothing is being mixed: a new order, or one in a forked child, where nobody would finish it."""
        self._mixed = {}  # (epoch, window) -> Future of its samples, the latest last
        self._lock = threading.Lock()

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The samples at positions `start` to `stop` of an epoch, as an `int64` array."""
        if not self.shuffle:
            return np.arange(start, stop)
        parts = [
            self._samples_of(epoch, window)[max(start, first) - first : stop - first]
            for window, first, _ in self._windows_in(epoch, start, stop)
        ]
        return np.concatenate(parts, dtype=np.int64) if parts else np.zeros(0, np.int64)

    def beginning(self, epoch: int, start: int, stop: int) -> list[int]:
        """The chunks of the windows that begin at positions `start` to `stop`."""
        windows = [window for window, first, _ in self._windows_in(epoch, start, stop) if first >= start]
        return [chunk for window in windows for chunk in self._chunks_of(epoch, window)]

    def coming(self, epoch: int, start: int, stop: int) -> list[int]:
        """The chunks to read ahead once the samples at positions `start` to `stop` are read.

        That is a share of the next window's chunks, so that all of them are there when this window ends. The next
        window is mixed ahead as well, half a window before.
        """
        chunks = []
        for window, first, end in self._windows_in(epoch, start, stop):
            num_coming = min(self.window_chunks, len(self.sizes) - (window + 1) * self.window_chunks)
            if num_coming <= 0:
                continue
            if start <= (first + end) // 2 < stop and self.shuffle:
                self._samples_of(epoch, window + 1)
            due = [-(-num_coming * (min(max(place, first), end) - first) // (end - first)) for place in (start, stop)]
            if due[0] < due[1]:
                chunks = chunks + self._chunks_of(epoch, window + 1)[slice(*due)]
        return chunks

    def _windows_in(self, epoch: int, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The windows that positions `start` to `stop` lie in: number, first position, end."""
        _, starts = self._windows(epoch)
        while start < min(stop, starts[-1]):
            window = bisect.bisect_right(starts, start) - 1
            yield window, starts[window], starts[window + 1]
            start = starts[window + 1]

    def _windows(self, epoch: int) -> tuple[np.ndarray, list[int]]:
        """The chunks in the order in which they come; the position at which each window begins, and where all end."""
        plan = self._plans.get(epoch)
        if plan is None:
            plan = self._planned(epoch)
            self._plans = {**dict(list(self._plans.items())[-1:]), epoch: plan}
        return plan

    def _planned(self, epoch: int) -> tuple[np.ndarray, list[int]]:
        num_chunks = len(self.sizes)
        chunks = np.arange(num_chunks)
        if self.shuffle:
            chunks = permute(chunks, num_chunks, self.seed, epoch)
        ends = np.concatenate([[0], np.cumsum(np.array(self.sizes, np.int64)[chunks])])
        return chunks, [*ends[: -1 : self.window_chunks].tolist(), int(ends[-1])]

    def _chunks_of(self, epoch: int, window: int) -> list[int]:
        """The chunks of a window, in the order of the files; none of one that does not exist."""
        chunks, _ = self._windows(epoch)
        return np.sort(chunks[window * self.window_chunks :][: self.window_chunks]).tolist()

    def _samples_of(self, epoch: int, window: int) -> np.ndarray:
        """The samples of a window, mixed by the first thread that wants them."""
        key, own = (epoch, window), None
        try:
            with self._lock:
                mixed = self._mixed.pop(key, None)
                if mixed is None:
                    mixed = own = Future()
                self._mixed[key] = mixed
                for oldest in list(self._mixed)[:-KEPT_WINDOWS]:
                    del self._mixed[oldest]
            if own is not None:
                own.set_result(self._mix(epoch, window))
        except BaseException as error:  # Ctrl-C too: nobody may wait for what nobody mixes
            if own is not None and not own.done():
                self._mixed.pop(key, None)
                own.set_exception(error)
            raise
        return mixed.result()

    def _mix(self, epoch: int, window: int) -> np.ndarray:
        dtype = np.int32 if self._firsts[-1] < 2**31 else np.int64  # a window may hold millions
        chunks = self._chunks_of(epoch, window)
        samples = np.concatenate([np.arange(*self._firsts[chunk : chunk + 2], dtype=dtype) for chunk in chunks])
        # RandomState's stream never changes (NEP 19), and one window at a time it is quicker than `permute`.
        key = np.random.SeedSequence(self.seed, spawn_key=(epoch, window))
        np.random.RandomState(np.random.MT19937(key)).shuffle(samples)
        return samples

    def __reduce__(self):
        return WindowOrder, (self.sizes, self.window_chunks, self.seed, self.shuffle)
