"""Integers only: which sample comes k-th when chunks come in random order and rows mix within a window of chunks.

For data that is read a chunk at a time: a window of chunks is in memory, its rows come in random order, then the next
window's. Every epoch draws other windows (blocks, then a buffer: Xu and others, CorgiPile, SIGMOD 2022).
"""

import bisect
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.ordering.epoch_order import PARTITION_EPOCH, permute

KEPT_WINDOWS = 2  # the one in use, and the next


class Pieces(NamedTuple):
    """Runs of neighbours in chunks, in the order of the files; three arrays of a length."""

    chunks: np.ndarray  # which chunk each lies in
    firsts: np.ndarray  # number of its first sample
    sizes: np.ndarray


def pieces_between(first: int, stop: int, chunks: np.ndarray, sizes: np.ndarray) -> Pieces:
    """What lies from place `first` to `stop` when the samples of chunks are laid end to end.

    That is whole chunks, and at most two that are cut.

    Args:
        first: a place.
        stop: the place after the last.
        chunks: all of them, in the order in which they are laid.
        sizes: samples of each chunk, in the order of the files.

    >>> pieces = pieces_between(3, 7, chunks=np.array([2, 0, 1]), sizes=np.array([3, 2, 4]))
    >>> pieces.chunks.tolist(), pieces.firsts.tolist(), pieces.sizes.tolist()  # all of chunk 0, and the end of chunk 2
    ([0, 2], [0, 8], [3, 1])
    """
    before = np.empty_like(sizes)
    before[chunks] = np.cumsum(sizes[chunks]) - sizes[chunks]
    left_out, end = np.clip(first - before, 0, sizes), np.clip(stop - before, 0, sizes)
    cut = np.flatnonzero(left_out < end)
    return Pieces(cut, (np.cumsum(sizes) - sizes + left_out)[cut], (end - left_out)[cut])


class WindowOrder:
    """The order of the samples in every epoch.

    A part of it serves the samples that lie between two places of a fixed order of them all: that of the files, or with
    `shuffle` one whose chunks come in random order.

    Args:
        sizes: samples of each chunk.
        window_chunks: chunks whose rows are mixed.
        seed: non-negative integer.
        shuffle: `False` for chunks and samples as they stand, still a window at a time.
        first: of a part, its first place in the fixed order.
        stop: the place after its last, or `None` for the end.

    Attributes:
        num_samples: of all chunks.
        size: how many samples an epoch has.

    >>> order = WindowOrder(sizes=(3, 2, 4), window_chunks=2, seed=1)
    >>> sorted(order.samples(epoch=0, start=0, stop=9).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    >>> thirds = [WindowOrder((3, 2, 4), 2, seed=3).part(*places) for places in ((0, 3), (3, 6), (6, 9))]
    >>> [third.members().tolist() for third in thirds]
    [[0, 1, 2], [5, 6, 7], [3, 4, 8]]
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        window_chunks: int,
        seed: int,
        shuffle: bool = True,
        first: int = 0,
        stop: int | None = None,
    ):
        self.sizes, self.window_chunks, self.seed, self.shuffle = sizes, window_chunks, seed, shuffle
        self.first, self.stop = first, stop
        self.num_samples = int(sum(sizes))
        self.size = (self.num_samples if stop is None else stop) - first
        self._pieces = self._cut()
        self._plans = {}  # epoch -> its windows
        self.reset_after_fork()
        register_fork_aware(self)

    def _cut(self) -> Pieces:
        """The chunks of which samples are served, and what of each."""
        sizes, chunks = np.array(self.sizes, np.int64), np.arange(len(self.sizes))
        if self.size == self.num_samples:  # all, those without samples too: windows count them
            return Pieces(chunks, np.cumsum(sizes) - sizes, sizes)
        if self.shuffle:
            chunks = permute(chunks, len(chunks), self.seed, PARTITION_EPOCH)
        return pieces_between(self.first, self.first + self.size, chunks, sizes)

    def part(self, first: int, stop: int) -> "WindowOrder":
        """The order of the samples from place `first` to `stop` of the fixed order.

        Raises:
            OptionError: when this is a part already.
        """
        if self.size < self.num_samples:
            raise OptionError("Only a whole order has parts. Received: one that is a part")
        return WindowOrder(self.sizes, self.window_chunks, self.seed, self.shuffle, first, stop)

    def reseeded(self, seed: int) -> "WindowOrder":
        """The order that another seed gives; a part then has other samples, so that all parts want the same seed."""
        return WindowOrder(self.sizes, self.window_chunks, seed, self.shuffle, self.first, self.stop)

    def which(self) -> dict:
        """What shapes the order, apart from the seed, as plain JSON."""
        return {"shuffle": self.shuffle, "blocks": len(self.sizes), "blocks mixed": self.window_chunks}

    def members(self) -> np.ndarray:
        """The samples of every epoch, ascending, as an `int64` array of shape `(size,)`."""
        if not self.size:
            return np.zeros(0, np.int64)
        return self._samples_in(range(len(self._pieces.chunks)), np.int64)

    def reset_after_fork(self) -> None:
        """Nothing is being mixed: a new order, or one in a forked child, where nobody would finish it."""
        self._mixed = {}  # (epoch, window) -> Future of its samples, the latest last
        self._lock = threading.Lock()

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The samples at positions `start` to `stop` of an epoch, as an `int64` array."""
        if not self.shuffle:
            return np.arange(self.first + start, self.first + stop)
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
            num_coming = min(self.window_chunks, len(self._pieces.chunks) - (window + 1) * self.window_chunks)
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
        """The pieces in the order in which they come; the position at which each window begins, and where all end."""
        plan = self._plans.get(epoch)
        if plan is None:
            plan = self._planned(epoch)
            self._plans = {**dict(list(self._plans.items())[-1:]), epoch: plan}
        return plan

    def _planned(self, epoch: int) -> tuple[np.ndarray, list[int]]:
        num_pieces = len(self._pieces.chunks)
        pieces = np.arange(num_pieces)
        if self.shuffle:
            pieces = permute(pieces, num_pieces, self.seed, epoch)
        ends = np.concatenate([[0], np.cumsum(self._pieces.sizes[pieces])])
        return pieces, [*ends[: -1 : self.window_chunks].tolist(), int(ends[-1])]

    def _pieces_of(self, epoch: int, window: int) -> np.ndarray:
        """The pieces of a window, in the order of the files; none of one that does not exist."""
        pieces, _ = self._windows(epoch)
        return np.sort(pieces[window * self.window_chunks :][: self.window_chunks])

    def _chunks_of(self, epoch: int, window: int) -> list[int]:
        return self._pieces.chunks[self._pieces_of(epoch, window)].tolist()

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
        dtype = np.int32 if self.num_samples < 2**31 else np.int64  # a window may hold millions
        samples = self._samples_in(self._pieces_of(epoch, window), dtype)
        # RandomState's stream never changes (NEP 19), and one window at a time it is quicker than `permute`.
        key = np.random.SeedSequence(self.seed, spawn_key=(epoch, window))
        np.random.RandomState(np.random.MT19937(key)).shuffle(samples)
        return samples

    def _samples_in(self, pieces: Iterable[int], dtype: type) -> np.ndarray:
        _, firsts, sizes = self._pieces
        return np.concatenate([np.arange(firsts[i], firsts[i] + sizes[i], dtype=dtype) for i in pieces])

    def __reduce__(self):
        return WindowOrder, (self.sizes, self.window_chunks, self.seed, self.shuffle, self.first, self.stop)
