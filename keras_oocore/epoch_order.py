"""Integers only: which sample comes k-th in epoch e. It does not know what a sample is.

The order is a pure function of `(seed, epoch, num_samples)`, computed in O(1) memory: no array of `num_samples`
integers exists, so an epoch of 10^10 samples costs as little as one of ten.
"""

import functools
from dataclasses import dataclass

import numpy as np

from keras_oocore.errors import OptionError

ROUNDS = 8
SPLIT_EPOCH = 2**63  # one that no training reaches
MIN_HALF_BITS = 3  # with 2, orders of five or six samples were not equally likely (chi-square over 20,000 epochs)
BLOCK_POSITIONS = 2**15  # computed at once, so that numpy's cost a call is spread over many batches
MANY_POSITIONS = 2**12  # at once: worked out for themselves, so that threads share no work and wait for none


@dataclass(frozen=True)
class EpochOrder:
    """The order of the samples in every epoch.

    Args:
        num_samples: how many samples there are.
        shuffle: `False` for the order on disk, `True` for a global shuffle, `"block"` for runs of `block_size`
            neighbours in random order (for disks that seek slowly).
        seed: non-negative integer.
        block_size: neighbours in a run, for `shuffle="block"`.

    >>> order = EpochOrder(num_samples=10, shuffle=True, seed=7)
    >>> order.samples(epoch=0, start=0, stop=10)
    array([3, 0, 2, 5, 1, 7, 9, 6, 8, 4])
    >>> order.samples(epoch=1, start=8, stop=10)
    array([6, 5])
    """

    num_samples: int
    shuffle: bool | str
    seed: int
    block_size: int = 1

    def __post_init__(self):
        if self.shuffle not in (True, False, "block"):
            raise OptionError(f'`shuffle` should be True, False or "block". Received: shuffle={self.shuffle!r}')
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"`seed` should be a non-negative integer or None. Received: seed={self.seed!r}")

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The samples at positions `start` to `stop` of an epoch, as an `int64` array."""
        if not self.shuffle:
            return np.arange(start, stop)
        if stop - start >= MANY_POSITIONS:
            return _drawn(self, epoch, np.arange(start, stop))
        parts = []
        for block in range(start // BLOCK_POSITIONS, -(-stop // BLOCK_POSITIONS)):
            first = block * BLOCK_POSITIONS
            parts.append(_shuffled(self, epoch, block)[max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.int64)])


@functools.lru_cache(maxsize=16)
def _shuffled(order: EpochOrder, epoch: int, block: int) -> np.ndarray:
    positions = np.arange(block * BLOCK_POSITIONS, min((block + 1) * BLOCK_POSITIONS, order.num_samples))
    samples = _drawn(order, epoch, positions)
    samples.flags.writeable = False
    return samples


def _drawn(order: EpochOrder, epoch: int, positions: np.ndarray) -> np.ndarray:
    if order.shuffle == "block":
        return shuffle_blocks(positions, order.num_samples, order.block_size, order.seed, epoch)
    return permute(positions, order.num_samples, order.seed, epoch)


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
