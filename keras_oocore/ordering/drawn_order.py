"""Orders that draw some samples several times per epoch, and others not at all: by class, or by weight.

Both are functions of seed, epoch and position. They keep one number per sample.
"""

import functools
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.fingerprint import of_array
from keras_oocore.ordering.direct_order import DirectOrder
from keras_oocore.ordering.kept_blocks import BLOCK_POSITIONS, KeptBlocks
from keras_oocore.ordering.permutation import WEIGHTS_EPOCH, permute

CLASS_EPOCHS = 2**64  # so many permutations per class, one per epoch


@dataclass(frozen=True, eq=False)
class DrawnOrder(DirectOrder):
    """An order of drawn samples, as an `Order`.

    Args:
        num_samples: Number of samples that the order is drawn from.
        size: Number of draws per epoch.
        seed: Non-negative integer.
    """

    num_samples: int
    size: int
    seed: int
    first = 0
    positions_at_once = BLOCK_POSITIONS

    @abstractmethod
    def _drawn(self, epoch: int, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return sample, and how often it was drawn before, per slot. Slots are the draws of an epoch, sorted."""

    def _at(self, epoch: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._drawn(epoch, permute(positions, self.size, self.seed, epoch))

    @functools.cached_property
    def _kept(self) -> KeptBlocks:
        def compute(epoch: int, start: int, stop: int) -> np.ndarray:
            return np.stack(self._at(epoch, np.arange(start, stop)), axis=1)

        return KeptBlocks(compute, BLOCK_POSITIONS, self.size)

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop` of an epoch, an `int64` array."""
        return self._kept.values(epoch, start, stop)[:, 0]

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions of an epoch, which need not be neighbors, an `int64` array."""
        return self._at(epoch, positions)[0]

    def draws(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return how often each sample at positions `start` to `stop` was drawn before in this epoch."""
        return self._kept.values(epoch, start, stop)[:, 1]

    def draws_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return how often each sample at positions was drawn before in this epoch."""
        return self._at(epoch, positions)[1]

    def members(self) -> np.ndarray:
        """Return all samples in ascending order. An epoch may draw only some of them."""
        return np.arange(self.num_samples)

    def part(self, first: int, stop: int) -> NoReturn:
        """Raise an error, because a part would have other proportions of classes.

        Raises:
            OptionError: Always.
        """
        raise OptionError(
            "A Sequence with `sampling` has no partitions: its samples may be drawn several times per epoch. For "
            "shorter epochs, pass `samples_per_epoch`."
        )

    def reseeded(self, seed: int) -> "DrawnOrder":
        """Return the order of another seed."""
        return replace(self, seed=seed)

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order besides the seed, as plain JSON."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_kept"}


@dataclass(frozen=True, eq=False)
class BalancedOrder(DrawnOrder):
    """Draws every class equally often: two classes differ by one draw per epoch at most.

    Within a class, two samples differ by one draw per epoch at most. Which ones are drawn once more changes from epoch
    to epoch.

    Args:
        num_samples, size, seed: Those of `DrawnOrder`.
        by_class: The samples, sorted by class, an integer array of shape `(num_samples,)`.
        class_sizes: Number of samples per class, `int64`. Each is 1 or more.

    >>> order = BalancedOrder.of(np.array([0, 0, 0, 0, 0, 0, 1]), size=8, seed=3)
    >>> order.samples(epoch=0, start=0, stop=8).tolist()
    [1, 4, 2, 6, 6, 0, 6, 6]
    """

    by_class: np.ndarray
    class_sizes: np.ndarray

    @classmethod
    def of(cls, classes: np.ndarray, size: int, seed: int) -> "BalancedOrder":
        """Return the order for the class of each sample, an integer array. Classes without samples are left out."""
        by_class = np.argsort(classes, kind="stable")
        sizes = np.unique(classes, return_counts=True)[1]
        if len(classes) < 2**31:
            by_class = by_class.astype(np.int32)
        return cls(len(classes), size, seed, by_class, sizes)

    def _drawn(self, epoch: int, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        num_classes = len(self.class_sizes)
        each, more = divmod(self.size, num_classes)
        draws = each + (permute(np.arange(num_classes), num_classes, self.seed, CLASS_EPOCHS + epoch) < more)
        ends = np.cumsum(draws)
        classes = np.searchsorted(ends, slots, side="right")
        before, within = np.divmod(slots - (ends - draws)[classes], self.class_sizes[classes])
        first = np.cumsum(self.class_sizes) - self.class_sizes
        samples = np.empty(len(slots), np.int64)
        by_class = np.argsort(classes, kind="stable")
        for rows in np.split(by_class, np.flatnonzero(np.diff(classes[by_class])) + 1):
            if len(rows):
                number = int(classes[rows[0]])
                key = (number + 2) * CLASS_EPOCHS + epoch
                places = permute(within[rows], int(self.class_sizes[number]), self.seed, key)
                samples[rows] = self.by_class[first[number] + places]
        return samples, before

    def fingerprint(self) -> dict[str, Any]:
        return {"shuffle": True, "sampling": "balanced", "samples_per_epoch": self.size}


@dataclass(frozen=True, eq=False)
class WeightedOrder(DrawnOrder):
    """Draws a sample of weight w on average `k = size * w / sum(weights)` times per epoch: ⌊k⌋ or ⌈k⌉ times.

    Systematic sampling (Madow, On the Theory of Systematic Sampling, 1949) with a random start per epoch, of the
    samples in one random order.

    Args:
        num_samples, size, seed: Those of `DrawnOrder`.
        weights: Weights of the samples, `float64` of shape `(num_samples,)`, 0 or more.

    >>> order = WeightedOrder(3, size=8, seed=0, weights=np.array([0.0, 1.0, 3.0]))
    >>> np.bincount(order.samples(epoch=0, start=0, stop=8)).tolist()
    [0, 2, 6]
    """

    weights: np.ndarray

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        """Where the draws of each sample end, in one random order of the samples."""
        ends = np.cumsum(self.weights[permute(np.arange(self.num_samples), self.num_samples, self.seed, WEIGHTS_EPOCH)])
        ends *= self.size / ends[-1]
        return ends

    def _drawn(self, epoch: int, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(CLASS_EPOCHS + epoch,))).random()
        ends = self._ends
        last = int(np.searchsorted(ends, ends[-1]))  # samples after it have the weight 0
        places = np.minimum(np.searchsorted(ends, slots + start, side="right"), last)
        begins = np.where(places > 0, ends[places - 1], 0.0)
        before = slots - np.maximum(np.ceil(begins - start), 0).astype(np.int64)
        return permute(places, self.num_samples, self.seed, WEIGHTS_EPOCH), before

    def fingerprint(self) -> dict[str, Any]:
        return {"shuffle": True, "sampling": of_array(self.weights), "samples_per_epoch": self.size}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_ends"}
