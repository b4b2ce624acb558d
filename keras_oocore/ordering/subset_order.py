"""The order of some of the samples of a source, such as those of a fold."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_oocore.core.fingerprint import of_array
from keras_oocore.ordering.direct_order import DirectOrder
from keras_oocore.ordering.order import Order


@dataclass(frozen=True, eq=False)
class SubsetOrder(DirectOrder):
    """An order of the samples of a list, as an `Order`.

    Args:
        listed: Numbers of the samples in ascending order, an integer array.
        order: The order of `len(listed)` samples.
        num_samples: Number of samples that they were chosen from.

    >>> from keras_oocore.ordering.epoch_order import EpochOrder
    >>> order = SubsetOrder(np.array([2, 5, 6]), EpochOrder(3, shuffle=False, seed=0), num_samples=8)
    >>> order.size, order.samples(epoch=3, start=1, stop=3)
    (3, array([5, 6]))
    """

    listed: np.ndarray
    order: Order
    num_samples: int

    @property
    def size(self) -> int:
        """Number of samples per epoch."""
        return self.order.size

    @property
    def first(self) -> int:
        """First position of a part, 0 for a whole order."""
        return self.order.first

    @property
    def seed(self) -> int:
        """Random seed of the order."""
        return self.order.seed

    @property
    def positions_at_once(self) -> int:
        """Number of positions whose samples are computed at a time."""
        return self.order.positions_at_once

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop` of an epoch, an `int64` array."""
        return self.listed[self.order.samples(epoch, start, stop)]

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions of an epoch, which need not be neighbors, an `int64` array."""
        return self.listed[self.order.samples_at(epoch, positions)]

    def draws(self, epoch: int, start: int, stop: int) -> np.ndarray | None:
        """Return how often each sample at positions `start` to `stop` was drawn before in this epoch, or `None`."""
        return self.order.draws(epoch, start, stop)

    def draws_at(self, epoch: int, positions: np.ndarray) -> np.ndarray | None:
        """Return how often each sample at positions was drawn before in this epoch, or `None`."""
        return self.order.draws_at(epoch, positions)

    def members(self) -> np.ndarray:
        """Return the samples in ascending order."""
        return self.listed[self.order.members()]

    def part(self, first: int, stop: int) -> "SubsetOrder":
        """Return the order of the samples between two positions of one fixed order."""
        return replace(self, order=self.order.part(first, stop))

    def reseeded(self, seed: int) -> "SubsetOrder":
        """Return the order of another seed."""
        return replace(self, order=self.order.reseeded(seed))

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order besides the seed, as plain JSON."""
        return {**self.order.fingerprint(), "samples of the fold": of_array(self.listed)}
