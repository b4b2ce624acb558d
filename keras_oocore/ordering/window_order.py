"""The order of the samples in an epoch for data that is read in chunks: rows are shuffled within a window of chunks.

Chunks come in random order. The rows of one window of chunks are shuffled and served, then the rows of the next window.
Every epoch draws other windows. Shuffling blocks, and then rows in a buffer, is the algorithm of CorgiPile (Xu and
others, SIGMOD 2022).
"""

import bisect
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.ordering.permutation import PARTITION_EPOCH, permute
from keras_oocore.ordering.shuffle import shuffled

KEPT_WINDOWS = 2  # the window in use and the next one


class Pieces(NamedTuple):
    """Runs of neighboring samples within chunks, in the order of the files: three arrays of equal length."""

    chunks: np.ndarray  # the chunk that contains the run
    firsts: np.ndarray  # the first sample of the run
    sizes: np.ndarray  # the number of samples in the run


def pieces_between(first: int, stop: int, chunks: np.ndarray, sizes: np.ndarray) -> Pieces:
    """Return the runs between positions `first` and `stop` when the samples of all chunks are laid end to end.

    These are whole chunks and at most two partial ones.

    Args:
        first: First position.
        stop: Position after the last one.
        chunks: All chunks, in the order in which they are laid end to end.
        sizes: Number of samples of each chunk, in the order of the files.

    >>> pieces = pieces_between(3, 7, chunks=np.array([2, 0, 1]), sizes=np.array([3, 2, 4]))
    >>> pieces.chunks.tolist(), pieces.firsts.tolist(), pieces.sizes.tolist()  # all of chunk 0, and the end of chunk 2
    ([0, 2], [0, 8], [3, 1])
    """
    before = np.empty_like(sizes)
    before[chunks] = np.cumsum(sizes[chunks]) - sizes[chunks]
    left_out, end = np.clip(first - before, 0, sizes), np.clip(stop - before, 0, sizes)
    cut = np.flatnonzero(left_out < end)
    return Pieces(cut, (np.cumsum(sizes) - sizes + left_out)[cut], (end - left_out)[cut])


class _Window:
    """The samples of a window, and the lock of the thread that shuffles them."""

    def __init__(self):
        self.shuffling = threading.Lock()  # `with` it, waiting is C code: Ctrl-C cannot leave a lock locked
        self.samples = None


class WindowOrder:
    """The order of the samples in every epoch, shuffled within windows of chunks.

    A part of an order serves the samples between two positions of one fixed order of all samples: the order of the
    files, or with `shuffle=True` an order in which whole chunks come in random order.

    Args:
        sizes: Number of samples of each chunk.
        window_chunks: Number of chunks whose samples are shuffled together.
        seed: Non-negative integer.
        shuffle: Whether to shuffle. Without shuffling, samples come in the order of the files, still one window at a
            time. `"block"` is the name of shuffling in windows of one chunk.
        first: First position of a part in the fixed order.
        stop: Position after the last one of a part, or `None` for the end.

    Attributes:
        num_samples: Number of samples of all chunks.
        size, size_of_all_shards: Number of samples per epoch. This order is not divided into shards.

    >>> order = WindowOrder(sizes=(3, 2, 4), window_chunks=2, seed=1)
    >>> sorted(order.samples(epoch=0, start=0, stop=9).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8]
    >>> thirds = [WindowOrder((3, 2, 4), 2, seed=3).part(*places) for places in ((0, 3), (3, 6), (6, 9))]
    >>> [third.members().tolist() for third in thirds]
    [[0, 1, 2], [5, 6, 7], [3, 4, 8]]
    """

    positions_at_once: int = 1  # a window is shuffled when its first batch is due, and not earlier

    def __init__(
        self,
        sizes: tuple[int, ...],
        window_chunks: int,
        seed: int,
        shuffle: bool | str = True,
        first: int = 0,
        stop: int | None = None,
    ):
        self.sizes: tuple[int, ...] = sizes
        self.window_chunks: int = window_chunks
        self.seed: int = seed
        self.shuffle: bool | str = shuffle
        self.first: int = first
        self.stop: int | None = stop
        self.num_samples: int = int(sum(sizes))
        self.size: int = (self.num_samples if stop is None else stop) - first
        self.size_of_all_shards: int = self.size
        self._pieces = self._cut()
        self._plans = {}  # epoch -> windows
        self.reset_after_fork()
        register_fork_aware(self)

    def _cut(self) -> Pieces:
        """Return the runs of samples that this order serves."""
        sizes, chunks = np.array(self.sizes, np.int64), np.arange(len(self.sizes))
        if self.size == self.num_samples:  # all chunks, including those without samples, because windows count them
            return Pieces(chunks, np.cumsum(sizes) - sizes, sizes)
        if self.shuffle:
            chunks = permute(chunks, len(chunks), self.seed, PARTITION_EPOCH)
        return pieces_between(self.first, self.first + self.size, chunks, sizes)

    def part(self, first: int, stop: int) -> "WindowOrder":
        """Return the order of the samples from position `first` to `stop` of the fixed order.

        Raises:
            OptionError: If this order is already a part.
        """
        if self.size < self.num_samples:
            raise OptionError("Only a whole order can be divided into parts. Received: a part of an order")
        return WindowOrder(self.sizes, self.window_chunks, self.seed, self.shuffle, first, stop)

    def reseeded(self, seed: int) -> "WindowOrder":
        """Return the order of another seed. A part then has other members, so use one seed for all parts."""
        return WindowOrder(self.sizes, self.window_chunks, seed, self.shuffle, self.first, self.stop)

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order besides the seed, as plain JSON."""
        return {"shuffle": self.shuffle, "blocks": len(self.sizes), "blocks mixed": self.window_chunks}

    def members(self) -> np.ndarray:
        """Return the samples of every epoch in ascending order, an `int64` array of shape `(size,)`."""
        if not self.size:
            return np.zeros(0, np.int64)
        return np.concatenate(self._samples_in(range(len(self._pieces.chunks)), np.int64))

    def reset_after_fork(self) -> None:
        """Drop windows that are being shuffled. In a forked child, no thread would finish them."""
        self._mixed = {}  # (epoch, window) -> _Window, the latest last
        self._lock = threading.Lock()

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop` of an epoch, an `int64` array."""
        if not self.shuffle:
            return np.arange(self.first + start, self.first + stop)
        parts = [
            self._samples_of(epoch, window)[max(start, first) - first : stop - first]
            for window, first, _ in self._windows_in(epoch, start, stop)
        ]
        return np.concatenate(parts, dtype=np.int64) if parts else np.zeros(0, np.int64)

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions of an epoch, which need not be neighbors, an `int64` array."""
        if not self.shuffle or not len(positions):
            return self.first + positions
        samples = np.empty(len(positions), np.int64)
        for window, first, end in self._windows_in(epoch, int(positions.min()), int(positions.max()) + 1):
            inside = (positions >= first) & (positions < end)
            samples[inside] = self._samples_of(epoch, window)[positions[inside] - first]
        return samples

    def draws(self, epoch: int, start: int, stop: int) -> None:
        """Return `None`: each sample is drawn once per epoch."""
        return None

    def draws_at(self, epoch: int, positions: np.ndarray) -> None:
        """Return `None`: each sample is drawn once per epoch."""
        return None

    def chunks_due(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return the chunks of the windows that begin at positions `start` to `stop`."""
        windows = [window for window, first, _ in self._windows_in(epoch, start, stop) if first >= start]
        return [chunk for window in windows for chunk in self._chunks_of(epoch, window)]

    def chunks_coming(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return the chunks to read ahead after the samples at positions `start` to `stop`.

        Each call returns a share of the chunks of the next window, so that all of them are read when this window ends.
        The next window is shuffled when half of this window is served.
        """
        chunks = []
        for window, first, end in self._windows_in(epoch, start, stop):
            num_coming = min(self.window_chunks, len(self._pieces.chunks) - (window + 1) * self.window_chunks)
            if num_coming <= 0:
                continue
            if start <= (first + end) // 2 < stop and self.shuffle:
                self._samples_of(epoch, window + 1)
            due = [
                -(-num_coming * (min(max(position, first), end) - first) // (end - first)) for position in (start, stop)
            ]
            if due[0] < due[1]:
                chunks = chunks + self._chunks_of(epoch, window + 1)[slice(*due)]
        return chunks

    def _windows_in(self, epoch: int, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, first position and end of the windows that contain positions `start` to `stop`."""
        _, starts = self._windows(epoch)
        while start < min(stop, starts[-1]):
            window = bisect.bisect_right(starts, start) - 1
            yield window, starts[window], starts[window + 1]
            start = starts[window + 1]

    def _windows(self, epoch: int) -> tuple[np.ndarray, list[int]]:
        """Return the pieces in the order of the epoch, and the first position of each window followed by the end."""
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
        """Return the pieces of a window in the order of the files. It is empty if the window does not exist."""
        pieces, _ = self._windows(epoch)
        return np.sort(pieces[window * self.window_chunks :][: self.window_chunks])

    def _chunks_of(self, epoch: int, window: int) -> list[int]:
        return self._pieces.chunks[self._pieces_of(epoch, window)].tolist()

    def _samples_of(self, epoch: int, window: int) -> np.ndarray:
        """Return the samples of a window, shuffled by the first thread that asks for them."""
        key, shuffled = (epoch, window), None
        while shuffled is None or shuffled.samples is None:
            own = _Window()
            with own.shuffling:
                with self._lock:
                    shuffled = self._mixed.pop(key, None)
                    if shuffled is None or (shuffled.samples is None and not shuffled.shuffling.locked()):
                        shuffled = own  # no thread shuffles it, or the one that did was interrupted by Ctrl-C
                    self._mixed[key] = shuffled
                    for oldest in list(self._mixed)[:-KEPT_WINDOWS]:
                        del self._mixed[oldest]
                if shuffled is own:
                    own.samples = self._mix(epoch, window)
            with shuffled.shuffling:  # wait for the thread that shuffles it
                pass
        return shuffled.samples

    def _mix(self, epoch: int, window: int) -> np.ndarray:
        dtype = np.int32 if self.num_samples < 2**31 else np.int64  # a window may hold millions
        # For a whole window this is faster than `permute`.
        key = np.random.SeedSequence(self.seed, spawn_key=(epoch, window))
        return shuffled(self._samples_in(self._pieces_of(epoch, window), dtype), key)

    def _samples_in(self, pieces: Iterable[int], dtype: type) -> list[np.ndarray]:
        """Return the samples of each piece."""
        _, firsts, sizes = self._pieces
        return [np.arange(firsts[i], firsts[i] + sizes[i], dtype=dtype) for i in pieces]

    def __reduce__(self) -> tuple[Any, ...]:
        return WindowOrder, (self.sizes, self.window_chunks, self.seed, self.shuffle, self.first, self.stop)
