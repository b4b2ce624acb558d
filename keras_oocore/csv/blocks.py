"""The bytes of a CSV file in blocks, read ahead by threads."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_oocore.core.errors import DataError
from keras_oocore.core.faults import retried
from keras_oocore.core.storage import open_file
from keras_oocore.core.threads import Call, ThreadPool
from keras_oocore.csv.bits import count, positions
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import cannot_read
from keras_oocore.csv.look import LF, Look, find_lines, look
from keras_oocore.csv.marks import OUTSIDE, State
from keras_oocore.csv.stretch import Stretch

BLOCK_BYTES = 2**21  # read and examined at once; with smaller blocks, threads would wait for each other more often
CAREFUL_BYTES = 2**12  # size of the first window after a bad row, where another bad row may follow


class FileOffset(NamedTuple):
    """A position in a file: the offset, the number of rows before it, and its physical line."""

    offset: int
    row: int
    line: int


class _Block(NamedTuple):
    """A block in memory, and what a helper thread computed of it."""

    memory: bytearray
    data: np.ndarray
    seen: Look
    stretch: Stretch | None  # if it has no quotes and comments, and begins outside of them


class Blocks:
    """The bytes of a file from `begin` to `stop`, read in blocks by helper threads ahead of the thread that uses them.

    Args:
        path: The file.
        begin: Offset of the first byte.
        stop: Offset after the last byte.
        dialect: The dialect of the file.
        num_workers: Number of threads that read ahead. With `1`, the calling thread reads. Defaults to `1`.
    """

    def __init__(self, path: str, begin: int, stop: int, dialect: Dialect, num_workers: int = 1):
        self.path: str = path
        self.begin: int = begin
        self.stop: int = stop
        self.dialect: Dialect = dialect
        self.block_bytes: int = BLOCK_BYTES
        self.careful_bytes: int = CAREFUL_BYTES
        # The calling thread has little to do for a block, so that there are as many helpers as cores.
        num_helpers = num_workers if num_workers > 1 else 0
        self._pool = ThreadPool(num_helpers, "keras_oocore-csv") if num_helpers else None
        self._num_ahead = num_helpers + 1 if num_helpers else 0
        self._coming: deque[tuple[int, Call]] = deque()
        self._spare: list[bytearray] = []  # allocating memory costs more than reading
        self._own = threading.local()
        self._special = bytes(ord(byte) for byte in ("\r", dialect.quotechar) if byte is not None)
        self._number, self._block = -1, None

    def __enter__(self) -> "Blocks":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def window(self, offset: int, size_bytes: int) -> np.ndarray:
        """Return at most `size_bytes` from `offset` on, with the byte before and the byte after, as `uint8`.

        The array is valid until the next call. The first byte of the file is preceded by a newline, and the last byte
        is followed by a delimiter.
        """
        start = self._load(offset)
        data = self._block.data
        return data[start : min(start + size_bytes, len(data) - 2) + 2]

    def examine(self, offset: int, size_bytes: int, state: State) -> Stretch:
        """Return the `Stretch` of at most `size_bytes` from `offset` on, which begins in `state`.

        If it is a whole block, most of it is computed ahead, and all of it if the block has no quotes and comments.
        """
        start, block = self._load(offset), self._block
        if start or size_bytes < block.seen.size_bytes or block.seen.before != state.before:
            return Stretch(look(self.window(offset, size_bytes), self.dialect, self._scratch(), state.before), state)
        if state.place == OUTSIDE and block.stretch is not None:
            return block.stretch
        return Stretch(block.seen, state)

    def windows(self, start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """Iterate over the bytes from `start` to `stop` as offsets and windows."""
        while start < stop:
            data = self.window(start, stop - start)
            yield start, data
            start += len(data) - 2

    def text(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`, clipped to the file."""
        windows = self.windows(max(start, self.begin), min(stop, self.stop))
        return b"".join(data[1:-1].tobytes() for _, data in windows)

    def count_lines(self, start: int, stop: int) -> int:
        """Return the number of lines that end between two offsets."""
        return sum(count(find_lines(data)[0]) for _, data in self.windows(start, stop))

    def find_line_end(self, start: int, num_lines: int = 1) -> tuple[int, int]:
        """Return the offset after the `num_lines`-th line from `start`, and the number of lines that have an end.

        The second number is smaller than `num_lines` if the file ends earlier.
        """
        num_ended, size_bytes = 0, self.careful_bytes
        while start < self.stop:
            data = self.window(start, size_bytes)
            ends = positions(find_lines(data)[0])
            if num_ended + len(ends) >= num_lines:
                return start + int(ends[num_lines - num_ended - 1]) + 1, num_lines
            num_ended, start, size_bytes = num_ended + len(ends), start + len(data) - 2, self.block_bytes
        return self.stop, num_ended

    def _load(self, offset: int) -> int:
        """Load the block that holds `offset`, and return the position of `offset` in it."""
        number, start = divmod(offset - self.begin, self.block_bytes)
        if number == self._number:
            return start
        if self._block is not None:
            self._spare.append(self._block.memory)
            self._block, self._number = None, -1
        while self._coming and self._coming[0][0] != number:  # the caller went back
            self._coming.popleft()
        coming = self._coming.popleft()[1] if self._coming else None
        self._block = coming.result() if coming else self._read(number, self._buffer())
        self._number = number
        latest = self._coming[-1][0] if self._coming else number
        last_block = (self.stop - self.begin - 1) // self.block_bytes
        for following in range(latest + 1, min(number + self._num_ahead, last_block) + 1):
            self._coming.append((following, self._pool.submit(self._read, following, self._buffer())))
        return start

    def _buffer(self) -> bytearray:
        """Return memory for a block."""
        return self._spare.pop() if self._spare else bytearray(self.block_bytes + 2)

    def _scratch(self) -> np.ndarray:
        """Return the work space of this thread."""
        if not hasattr(self._own, "scratch"):
            self._own.scratch = np.empty(self.block_bytes, bool)
        return self._own.scratch

    def _read(self, number: int, memory: bytearray) -> _Block:
        """Read and examine a block. This runs in any thread."""
        start = self.begin + number * self.block_bytes
        stop = min(start + self.block_bytes, self.stop)
        data = np.frombuffer(memory, np.uint8)[: stop - start + 2]
        data[0], data[-1] = LF, self.dialect.delimiters[0]
        has_before, has_after = number > 0, stop < self.stop
        unread = memoryview(data)[1 - has_before : len(data) - 1 + has_after]
        try:
            retried(self._fill, start - has_before, unread)
        except OSError as error:
            raise cannot_read(self.path, error) from error
        absent = bytes(byte for byte in self._special if memory.find(byte, 1, len(data) - 1) < 0)
        seen = look(data, self.dialect, self._scratch(), absent=absent)
        stretch = Stretch(seen, State(OUTSIDE, seen.before)) if seen.is_plain else None
        return _Block(memory, data, seen, stretch)

    def _fill(self, start: int, unread: memoryview) -> None:
        """Fill a buffer with the bytes of the file from `start` on."""
        with open_file(self.path, buffered=False) as file:
            file.seek(start)
            while unread:
                num_read = file.readinto(unread)
                if not num_read:
                    raise DataError(f"{self.path}: the file became shorter while its rows were counted.")
                unread = unread[num_read:]
