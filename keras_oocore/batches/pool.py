"""Memory for batches that is used again, because fresh pages cost ten times the copy into them.

It does not know what is written there. A buffer comes back by itself when the last array that views it is gone.
"""

import collections
import weakref

import numpy as np


class BufferPool:
    """Lends buffers of one size and takes them back.

    Args:
        buffer_bytes: size of each buffer.
        keep: how many idle buffers are kept; more are given back to the system.

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
        self._idle = collections.deque()  # its append and pop need no lock, which a finaliser must not take

    @property
    def num_idle(self) -> int:
        """How many buffers wait to be lent."""
        return len(self._idle)

    def lease(self) -> np.ndarray:
        """A buffer as a `uint8` array of shape `(buffer_bytes,)`, its content undefined.

        The array is a new one each time and views memory that is not an array's: numpy collapses the `base` of views
        to it, so that it lives as long as any view of a view does.
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
        """Give idle buffers back to the system."""
        self._idle.clear()

    def __reduce__(self):
        return BufferPool, (self.buffer_bytes, self.keep)
