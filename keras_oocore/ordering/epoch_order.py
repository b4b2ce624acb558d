"""The order of the samples in an epoch, as a pure function of the seed, the epoch and the number of samples.

The order is computed in O(1) memory: there is no array of `num_samples` integers, so an epoch of 10^10 samples costs
as little as one of ten.
"""

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_oocore.core.checks import non_negative
from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.direct_order import DirectOrder
from keras_oocore.ordering.kept_blocks import BLOCK_POSITIONS
from keras_oocore.ordering.permutation import PARTITION_EPOCH, permute, shuffle_blocks

MANY_POSITIONS = 2**12  # requests of this size are computed directly: threads share no work and do not wait


@dataclass(frozen=True)
class EpochOrder(DirectOrder):
    """The order of the samples in every epoch.

    A part of an order serves the samples between two positions of one fixed random order of all samples, in a new
    order every epoch. Parts that cover all positions serve every sample exactly once.

    Args:
        num_samples: Number of samples.
        shuffle: `False` for the order on disk, `True` for a global shuffle, `"block"` for runs of `block_size`
            neighbors in random order (for disks that seek slowly).
        seed: Non-negative integer.
        block_size: Number of neighbors per run, for `shuffle="block"`.
        first: First position of a part in the fixed order, which is the order on disk with `shuffle=False`.
        stop: Position after the last one of a part, or `None` for the end.

    >>> order = EpochOrder(num_samples=10, shuffle=True, seed=7)
    >>> order.samples(epoch=0, start=0, stop=10)
    array([3, 0, 2, 5, 1, 7, 9, 6, 8, 4])
    >>> order.samples(epoch=1, start=8, stop=10)
    array([6, 5])
    >>> halves = [order.part(0, 5), order.part(5, 10)]
    >>> [half.samples(epoch=0, start=0, stop=5).tolist() for half in halves]
    [[7, 4, 0, 8, 9], [1, 2, 6, 3, 5]]
    """

    num_samples: int
    shuffle: bool | str
    seed: int
    block_size: int = 1
    first: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        if self.shuffle not in (True, False, "block"):
            raise OptionError(f'`shuffle` should be True, False or "block". Received: shuffle={self.shuffle!r}')
        object.__setattr__(self, "seed", non_negative(self.seed, "seed"))

    @property
    def positions_at_once(self) -> int:
        """Number of positions whose samples are computed at a time."""
        return BLOCK_POSITIONS

    @property
    def size(self) -> int:
        """Number of samples per epoch."""
        return (self.num_samples if self.stop is None else self.stop) - self.first

    def part(self, first: int, stop: int) -> "EpochOrder":
        """Return the order of the samples from position `first` to `stop` of the fixed order.

        Raises:
            OptionError: If this order is already a part.
        """
        if self.size < self.num_samples:
            raise OptionError("Only a whole order can be divided into parts. Received: a part of an order")
        return replace(self, first=first, stop=stop)

    def reseeded(self, seed: int) -> "EpochOrder":
        """Return the order of another seed. A part then has other members, so use one seed for all parts."""
        return replace(self, seed=seed)

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order besides the seed, as plain JSON."""
        return {"shuffle": self.shuffle}

    def members(self) -> np.ndarray:
        """Return the samples of every epoch in ascending order, an `int64` array of shape `(size,)`."""
        positions = np.arange(self.first, self.first + self.size, dtype=np.int64)
        if not self.shuffle or self.size == self.num_samples:
            return positions
        return np.sort(_permuted(self, positions, self.num_samples, PARTITION_EPOCH))

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop` of an epoch, an `int64` array."""
        if not self.shuffle:
            return np.arange(self.first + start, self.first + stop)
        if stop - start >= MANY_POSITIONS:
            return _drawn(self, epoch, np.arange(start, stop))
        parts = []
        for block in range(start // BLOCK_POSITIONS, -(-stop // BLOCK_POSITIONS)):
            first = block * BLOCK_POSITIONS
            parts.append(_shuffled(self, epoch, block)[max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.int64)])

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions of an epoch, which need not be neighbors, an `int64` array."""
        return _drawn(self, epoch, positions) if self.shuffle else self.first + positions


@functools.lru_cache(maxsize=16)
def _shuffled(order: EpochOrder, epoch: int, block: int) -> np.ndarray:
    positions = np.arange(block * BLOCK_POSITIONS, min((block + 1) * BLOCK_POSITIONS, order.size))
    samples = _drawn(order, epoch, positions)
    samples.flags.writeable = False
    return samples


def _drawn(order: EpochOrder, epoch: int, positions: np.ndarray) -> np.ndarray:
    permuted = _permuted(order, positions, order.size, epoch)
    if order.size == order.num_samples:
        return permuted
    return _permuted(order, order.first + permuted, order.num_samples, PARTITION_EPOCH)


def _permuted(order: EpochOrder, positions: np.ndarray, size: int, epoch: int) -> np.ndarray:
    if order.shuffle == "block":
        return shuffle_blocks(positions, size, order.block_size, order.seed, epoch)
    return permute(positions, size, order.seed, epoch)


def partition(num_samples: int, batch_size: int, num_parts: int) -> list[tuple[int, int]]:
    """Return where each part of an order begins and ends. Parts have whole batches, and about equal numbers of them.

    The numbers of batches of two parts differ by at most one. The larger parts come last, because the last batch of all
    may not be full.

    Args:
        num_samples: Number of samples.
        batch_size: Number of samples per batch. The last batch may be shorter.
        num_parts: Number of parts.

    Returns:
        A list of `(first, stop)`, one per part. Each part begins where the one before it ends, and the last part ends
        with the last sample.

    Raises:
        OptionError: If `num_parts`, which users pass as `n`, is not between 1 and the number of batches.

    >>> partition(num_samples=50, batch_size=10, num_parts=3)
    [(0, 10), (10, 30), (30, 50)]
    """
    num_batches = -(-num_samples // batch_size)
    if isinstance(num_parts, bool) or not isinstance(num_parts, int | np.integer) or not 1 <= num_parts <= num_batches:
        raise OptionError(
            f"`n` should be a number of partitions from 1 to {num_batches}, the number of batches. "
            f"Received: n={num_parts!r}"
        )
    each, num_bigger = divmod(num_batches, int(num_parts))
    num_smaller = int(num_parts) - num_bigger
    bounds = [(each * part + max(0, part - num_smaller)) * int(batch_size) for part in range(num_parts)] + [num_samples]
    return list(itertools.pairwise(bounds))
