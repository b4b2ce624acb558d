"""Keeps what was computed for the last blocks of positions, because a batch asks for a few positions of a block."""

from collections.abc import Callable

import numpy as np

BLOCK_POSITIONS = 2**15  # computed at a time, which spreads the cost of calling numpy over many batches
KEPT_BLOCKS = 2  # threads may ask for positions on both sides of the end of a block


class KeptBlocks:
    """What a function returns for the positions of an epoch, computed a block at a time.

    Args:
        compute: Function `f(epoch, start, stop)` that returns an array of `stop - start` values.
        at_once: Number of positions per block.
        size: Number of positions per epoch.
    """

    def __init__(self, compute: Callable[[int, int, int], np.ndarray], at_once: int, size: int):
        self._compute, self._at_once, self._size = compute, at_once, size
        self._blocks: dict[tuple[int, int], np.ndarray] = {}

    def values(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the values for positions `start` to `stop` of an epoch."""
        at_once = self._at_once
        if stop - start >= at_once or stop <= start:
            return self._compute(epoch, start, stop)
        parts = []
        for block in range(start // at_once, -(-stop // at_once)):
            first = block * at_once
            parts.append(self._values_of(epoch, block)[max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _values_of(self, epoch: int, block: int) -> np.ndarray:
        blocks, key = self._blocks, (epoch, block)
        values = blocks.get(key)
        if values is None:
            values = self._compute(epoch, block * self._at_once, min((block + 1) * self._at_once, self._size))
            values.flags.writeable = False  # batches share it
            for oldest in list(blocks)[: 1 - KEPT_BLOCKS]:
                blocks.pop(oldest, None)  # another thread may have removed it
            blocks[key] = values
        return values
