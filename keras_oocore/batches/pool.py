"""Reuses the memory of batches, because getting new pages takes ten times as long as copying rows into them.

The pool does not know what buffers contain. A buffer returns to the pool when the last array that views it is deleted.
"""

import collections
import weakref
from typing import Any

import numpy as np


class BufferPool:
    """Lends buffers of one size, and reuses them.

    Args:
        buffer_bytes: Size of each buffer.
        keep: The largest number of idle buffers to keep. The memory of others is freed.

    >>> pool = BufferPool(buffer_bytes=64, keep=1)
    >>> batch = pool.lease()[:32].reshape(4, 8)
    >>> row, batch = batch[0], None      # a view of a view keeps the lease
    >>> pool.num_idle
    0
    >>> row = None
    >>> pool.num_idle
    1
    """

    def __init__(self, buffer_bytes: int, keep: int):
        self.buffer_bytes = buffer_bytes
        self.keep = keep
        self._idle = collections.deque()  # `append` and `pop` need no lock, and a finalizer must not use one

    @property
    def num_idle(self) -> int:
        """Number of buffers that are not in use."""
        return len(self._idle)

    def lease(self) -> np.ndarray:
        """Return a buffer as a `uint8` array of shape `(buffer_bytes,)`. Its contents are undefined.

        Each call returns a new array, whose memory does not belong to another array. NumPy makes this array the `base`
        of all views of views of it, so it exists as long as any of them.
        """
        try:
            memory = self._idle.pop()
        except IndexError:
            memory = memoryview(np.empty(self.buffer_bytes, np.uint8))
        lease = np.frombuffer(memory, np.uint8)
        weakref.finalize(lease, self._give_back, memory).atexit = False
        return lease

    def _give_back(self, memory: memoryview) -> None:
        if len(self._idle) < self.keep:
            self._idle.append(memory)

    def clear(self) -> None:
        """Free the memory of idle buffers."""
        self._idle.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return BufferPool, (self.buffer_bytes, self.keep)
