"""What orders have in common whose samples are read one by one, for one process."""

import numpy as np


class DirectOrder:
    """The methods of an `Order` that draws each sample once per epoch, and reads no chunks."""

    size: int

    @property
    def size_of_all_shards(self) -> int:
        """The same as `size`: this order is not divided into shards."""
        return self.size

    def draws(self, epoch: int, start: int, stop: int) -> np.ndarray | None:
        """Return `None`: each sample is drawn once per epoch."""
        return None

    def draws_at(self, epoch: int, positions: np.ndarray) -> np.ndarray | None:
        """Return `None`: each sample is drawn once per epoch."""
        return None

    def chunks_due(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return `[]`: samples are read one by one, not in chunks."""
        return []

    def chunks_coming(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return `[]`: samples are read one by one, not in chunks."""
        return []
