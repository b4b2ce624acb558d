"""An order that is a list of samples, the same in every epoch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.direct_order import DirectOrder


@dataclass(frozen=True)
class ListedOrder(DirectOrder):
    """The order of the samples of a list, as an `Order`.

    Args:
        listed: Numbers of the samples, `int64` of shape `(size,)`.
        num_samples: Number of samples that they were chosen from.

    >>> order = ListedOrder(np.array([2, 5, 6]), num_samples=8)
    >>> order.size, order.samples(epoch=3, start=1, stop=3)
    (3, array([5, 6]))
    """

    listed: np.ndarray
    num_samples: int
    first: int = field(default=0, init=False)
    seed: int = field(default=0, init=False)
    positions_at_once: int = field(default=1, init=False)

    @property
    def size(self) -> int:
        """Number of samples per epoch."""
        return len(self.listed)

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop`."""
        return self.listed[start:stop]

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions, which need not be neighbors."""
        return self.listed[positions]

    def members(self) -> np.ndarray:
        """Return the samples in ascending order."""
        return np.sort(self.listed)

    def part(self, first: int, stop: int) -> "ListedOrder":
        """Raise an error, because a list has no fixed order that parts are cut from."""
        raise OptionError("Only a whole order can be divided into parts. Received: a list of samples")

    def reseeded(self, seed: int) -> "ListedOrder":
        """Return this order, which has no random numbers."""
        return self

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order, as plain JSON."""
        return {"shuffle": False}
