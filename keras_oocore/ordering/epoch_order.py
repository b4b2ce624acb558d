"""Integers only: which sample comes k-th in epoch e. It does not know what a sample is.

The order is a pure function of `(seed, epoch, num_samples)`, computed in O(1) memory: no array of `num_samples`
integers exists, so an epoch of 10^10 samples costs as little as one of ten.
"""

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np

from keras_oocore.core.errors import OptionError

ROUNDS = 8
SPLIT_EPOCH = 2**63  # one that no training reaches
PARTITION_EPOCH = 2**63 + 1  # another
MIN_HALF_BITS = 3  # with 2, orders of five or six samples were not equally likely (chi-square over 20,000 epochs)
BLOCK_POSITIONS = 2**15  # computed at once, so that numpy's cost a call is spread over many batches
MANY_POSITIONS = 2**12  # at once: worked out for themselves, so that threads share no work and wait for none


@dataclass(frozen=True)
class EpochOrder:
    """The order of the samples in every epoch.

    A part of it serves the samples that lie between two places of one fixed random order of them all, in an order of
    its own every epoch. Parts that join one another hold every sample once.

    Args:
        num_samples: how many samples there are.
        shuffle: `False` for the order on disk, `True` for a global shuffle, `"block"` for runs of `block_size`
            neighbours in random order (for disks that seek slowly).
        seed: non-negative integer.
        block_size: neighbours in a run, for `shuffle="block"`.
        first: of a part, its first place in the fixed order: that on disk with `shuffle=False`.
        stop: the place after its last, or `None` for the end.

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

    def __post_init__(self):
        if self.shuffle not in (True, False, "block"):
            raise OptionError(f'`shuffle` should be True, False or "block". Received: shuffle={self.shuffle!r}')
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"`seed` should be a non-negative integer or None. Received: seed={self.seed!r}")

    @property
    def size(self) -> int:
        """How many samples an epoch has."""
        return (self.num_samples if self.stop is None else self.stop) - self.first

    def part(self, first: int, stop: int) -> "EpochOrder":
        """The order of the samples from place `first` to `stop` of the fixed order.

        Raises:
            OptionError: when this is a part already.
        """
        if self.size < self.num_samples:
            raise OptionError("Only a whole order has parts. Received: one that is a part")
        return replace(self, first=first, stop=stop)

    def reseeded(self, seed: int) -> "EpochOrder":
        """The order that another seed gives; a part then has other samples, so that all parts want the same seed."""
        return replace(self, seed=seed)

    def which(self) -> dict:
        """What shapes the order, apart from the seed, as plain JSON."""
        return {"shuffle": self.shuffle}

    def members(self) -> np.ndarray:
        """The samples of every epoch, ascending, as an `int64` array of shape `(size,)`."""
        places = np.arange(self.first, self.first + self.size, dtype=np.int64)
        if not self.shuffle or self.size == self.num_samples:
            return places
        return np.sort(_permuted(self, places, self.num_samples, PARTITION_EPOCH))

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The samples at positions `start` to `stop` of an epoch, as an `int64` array."""
        if not self.shuffle:
            return np.arange(self.first + start, self.first + stop)
        if stop - start >= MANY_POSITIONS:
            return _drawn(self, epoch, np.arange(start, stop))
        parts = []
        for block in range(start // BLOCK_POSITIONS, -(-stop // BLOCK_POSITIONS)):
            first = block * BLOCK_POSITIONS
            parts.append(_shuffled(self, epoch, block)[max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.int64)])


@functools.lru_cache(maxsize=16)
def _shuffled(order: EpochOrder, epoch: int, block: int) -> np.ndarray:
    positions = np.arange(block * BLOCK_POSITIONS, min((block + 1) * BLOCK_POSITIONS, order.size))
    samples = _drawn(order, epoch, positions)
    samples.flags.writeable = False
    return samples


def _drawn(order: EpochOrder, epoch: int, positions: np.ndarray) -> np.ndarray:
    places = _permuted(order, positions, order.size, epoch)
    if order.size == order.num_samples:
        return places
    return _permuted(order, order.first + places, order.num_samples, PARTITION_EPOCH)


def _permuted(order: EpochOrder, positions: np.ndarray, size: int, epoch: int) -> np.ndarray:
    if order.shuffle == "block":
        return shuffle_blocks(positions, size, order.block_size, order.seed, epoch)
    return permute(positions, size, order.seed, epoch)


def partition(num_samples: int, batch_size: int, num_parts: int) -> list[tuple[int, int]]:
    """Where each part of an order begins and ends: whole batches, dealt out evenly.

    The bigger parts come last, where the batch is that may be shorter: no part has a batch more than another.

    Args:
        num_samples: how many samples there are.
        batch_size: of all batches but the last, which may be shorter.
        num_parts: how many parts.

    Returns:
        `(first, stop)` of each part. They join one another; the last one ends with the last sample.

    Raises:
        OptionError: when `num_parts`, which a user knows as `n`, is no number of parts that have a batch each.

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


def permute(positions: np.ndarray, num_samples: int, seed: int, epoch: int) -> np.ndarray:
    """Where a random permutation of `range(num_samples)` sends each position.

    A keyed Feistel network permutes the smallest power of four that holds `num_samples` (64 at least); what falls
    outside is sent on until it falls inside ("cycle walking": Black and Rogaway, Ciphers with Arbitrary Finite
    Domains, 2002), as in Grain's `index_shuffle`.

    Args:
        positions: integers in `[0, num_samples)`, of any shape.
        num_samples: size of the permutation.
        seed: non-negative integer.
        epoch: non-negative integer; not added to the seed, so that (1, 0) and (0, 1) differ.

    Returns:
        An `int64` array of the shape of `positions`.
    """
    keys = np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(ROUNDS, np.uint64)
    half_bits = np.uint64(max(MIN_HALF_BITS, -(-(int(num_samples) - 1).bit_length() // 2)))
    values = _feistel(np.ravel(positions).astype(np.uint64), half_bits, keys)
    outside = np.flatnonzero(values >= num_samples)
    while outside.size:
        values[outside] = _feistel(values[outside], half_bits, keys)
        outside = outside[values[outside] >= num_samples]
    return values.astype(np.int64).reshape(np.shape(positions))


def split_order(num_samples: int, seed: int) -> np.ndarray:
    """All samples in the random order whose tail is the validation set, independent of the order of any epoch."""
    return permute(np.arange(num_samples), num_samples, seed, SPLIT_EPOCH)


def _feistel(values: np.ndarray, half_bits: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    left, right = values >> half_bits, values & mask
    mixed, scratch = np.empty_like(left), np.empty_like(left)  # fresh memory for each step would cost more than it
    for key in keys:
        np.bitwise_xor(right, key, out=mixed)
        _mix(mixed, scratch)
        mixed &= mask
        mixed ^= left
        left, right, mixed = right, mixed, left
    return (left << half_bits) | right


def _mix(values: np.ndarray, scratch: np.ndarray) -> None:
    """The finaliser of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= np.right_shift(values, np.uint64(shift), out=scratch)
        values *= np.uint64(factor)
    values ^= np.right_shift(values, np.uint64(31), out=scratch)


def shuffle_blocks(positions: np.ndarray, num_samples: int, block_size: int, seed: int, epoch: int) -> np.ndarray:
    """Runs of `block_size` neighbours in random order; the shorter last run has a random place too.

    Args and Returns are those of `permute`.

    >>> shuffle_blocks(np.arange(10), num_samples=10, block_size=4, seed=1, epoch=0)
    array([8, 9, 4, 5, 6, 7, 0, 1, 2, 3])
    """
    num_whole, ragged = divmod(num_samples, block_size)
    place = permute(np.array(num_whole), num_whole + 1, seed, epoch) if ragged else num_whole
    rank = np.where(positions < place * block_size, positions, positions - ragged) // block_size
    in_ragged = (positions >= place * block_size) & (positions < place * block_size + ragged)
    within = np.where(positions < place * block_size, positions, positions - ragged) % block_size
    whole = permute(np.where(in_ragged, 0, rank), max(num_whole, 1), seed, epoch) * block_size + within
    return np.where(in_ragged, num_whole * block_size + positions - place * block_size, whole)
