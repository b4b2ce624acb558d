"""Random permutations of integers in O(1) memory, computed value by value with a keyed Feistel network."""

import functools

import numpy as np

ROUNDS = 8
MOST_TABLE_BITS = 13  # of 512 KB at most: larger tables do not fit into the cache of a core
TABLE_PAYS = 4  # a table is made for a quarter of as many positions as it has entries: it is used several times
SPLIT_EPOCH, PARTITION_EPOCH, WEIGHTS_EPOCH = 2**63, 2**63 + 1, 2**63 + 2  # epochs that no training reaches
MIN_HALF_BITS = 3  # with 2, orders of five or six samples were not equally likely (chi-square over 20,000 epochs)


def permute(positions: np.ndarray, num_samples: int, seed: int, epoch: int) -> np.ndarray:
    """Map each position through a random permutation of `range(num_samples)`.

    A keyed Feistel network permutes the smallest power of four that is at least `num_samples` and 64. A value outside
    the range is permuted again until it falls inside ("cycle walking": Black and Rogaway, Ciphers with Arbitrary
    Finite Domains, 2002), as in Grain's `index_shuffle`.

    Args:
        positions: Integers in `[0, num_samples)`, an array of any shape.
        num_samples: Size of the permutation.
        seed: Non-negative integer.
        epoch: Non-negative integer. It is not added to the seed, so (1, 0) and (0, 1) give different permutations.

    Returns:
        An `int64` array with the shape of `positions`.
    """
    half_bits = max(MIN_HALF_BITS, -(-(int(num_samples) - 1).bit_length() // 2))
    values = np.ravel(positions).astype(np.int64)
    by_table = half_bits <= MOST_TABLE_BITS and TABLE_PAYS * values.size >= 2**half_bits
    rounds = _tables(half_bits, seed, epoch) if by_table else _keys(seed, epoch)
    values = _feistel(values, half_bits, rounds)
    outside = np.flatnonzero(values >= num_samples)
    while outside.size:
        values[outside] = _feistel(values[outside], half_bits, rounds)
        outside = outside[values[outside] >= num_samples]
    return values.reshape(np.shape(positions))


def split_order(num_samples: int, seed: int) -> np.ndarray:
    """Return all samples in a random order, whose last samples are the validation set.

    This order is independent of the order of every epoch.
    """
    return permute(np.arange(num_samples), num_samples, seed, SPLIT_EPOCH)


def _feistel(values: np.ndarray, half_bits: int, rounds: np.ndarray) -> np.ndarray:
    """Apply a Feistel network. `rounds` has the key of each round, or a table of its function."""
    mask = (1 << half_bits) - 1
    left, right = values >> half_bits, values & mask
    mixed, scratch = np.empty_like(left), np.empty_like(left)  # allocating per step would cost more than the step
    for keyed in rounds:
        if keyed.ndim:
            np.take(keyed, right, out=mixed, mode="clip")  # other modes copy through a buffer
        else:
            np.bitwise_xor(right.view(np.uint64), keyed, out=mixed.view(np.uint64))
            _mix(mixed.view(np.uint64), scratch.view(np.uint64))
            mixed &= mask
        mixed ^= left
        left, right, mixed = right, mixed, left
    return (left << half_bits) | right


def _keys(seed: int, epoch: int) -> np.ndarray:
    return np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(ROUNDS, np.uint64)


@functools.lru_cache(maxsize=4)
def _tables(half_bits: int, seed: int, epoch: int) -> np.ndarray:
    """Return the function of each round for every value of a half. Looking it up takes a third of computing it."""
    mixed = _keys(seed, epoch)[:, np.newaxis] ^ np.arange(2**half_bits, dtype=np.uint64)
    _mix(mixed, np.empty_like(mixed))
    return (mixed & np.uint64((1 << half_bits) - 1)).view(np.int64)


def _mix(values: np.ndarray, scratch: np.ndarray) -> None:
    """Apply the finalizer of splitmix64 (Steele and others, Fast Splittable Pseudorandom Number Generators, 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= np.right_shift(values, np.uint64(shift), out=scratch)
        values *= np.uint64(factor)
    values ^= np.right_shift(values, np.uint64(31), out=scratch)


def shuffle_blocks(positions: np.ndarray, num_samples: int, block_size: int, seed: int, epoch: int) -> np.ndarray:
    """Map each position through an order that visits runs of `block_size` neighbors in random order.

    The last run may be shorter. Its position is also random. The other arguments and the result are those of `permute`.

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
