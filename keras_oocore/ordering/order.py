"""The interface of an order of samples, for a global shuffle and for one that shuffles a window at a time."""

from typing import Any, Protocol

import numpy as np


class Order(Protocol):
    """The order of the samples in every epoch: a function from a position in an epoch to the number of a sample.

    Attributes:
        num_samples: Number of samples that the order is drawn from.
        size: Number of samples per epoch. It is smaller than `num_samples` for a part of an order.
        size_of_all_shards: Number of samples per epoch of all shards together, without those that fill a last batch.
        positions_at_once: Number of positions whose samples are worth computing at a time.
        first: First position of a part in the fixed order that parts are cut from, 0 for a whole order.
        seed: Random seed of the order.
    """

    num_samples: int
    size: int
    size_of_all_shards: int
    first: int
    seed: int
    positions_at_once: int

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop` of an epoch, an `int64` array."""

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions of an epoch, which need not be neighbors, an `int64` array."""

    def draws(self, epoch: int, start: int, stop: int) -> np.ndarray | None:
        """Return how often each sample at positions `start` to `stop` was drawn before in this epoch.

        Returns:
            An `int64` array, or `None` if each sample is drawn once.
        """

    def draws_at(self, epoch: int, positions: np.ndarray) -> np.ndarray | None:
        """Return how often each sample at positions was drawn before in this epoch, as `draws` does."""

    def members(self) -> np.ndarray:
        """Return the samples of every epoch in ascending order, an `int64` array of shape `(size,)`."""

    def part(self, first: int, stop: int) -> "Order":
        """Return the order of the samples between two positions of one fixed order of all samples."""

    def reseeded(self, seed: int) -> "Order":
        """Return the order of another seed."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order besides the seed, as plain JSON."""

    def chunks_due(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return the chunks to read before the samples at positions `start` to `stop`, or `[]` without chunks."""

    def chunks_coming(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return the chunks to read ahead after the samples at positions `start` to `stop`, or `[]` without chunks."""
