"""Operations on bit sets: one bit per byte of a stretch of a file, in words of 64 bits.

The first byte of a stretch is the lowest bit of the first word. numpy creates and combines such words at several GB/s,
as in simdjson (Langdale and Lemire, arXiv 1902.08318).
"""

import numpy as np


def packed(flags: np.ndarray) -> np.ndarray:
    """Pack `bool` of shape `(n,)` into words: `uint64` of shape `(ceil(n / 64),)`, padded with zeros.

    >>> packed(np.array([True, False, True]))
    array([5], dtype=uint64)
    """
    octets = np.packbits(flags, bitorder="little")
    if len(octets) % 8:
        octets = np.concatenate([octets, np.zeros(-len(octets) % 8, np.uint8)])
    return octets.view("<u8")


def positions(words: np.ndarray) -> np.ndarray:
    """Return the positions of the ones, in ascending order.

    >>> positions(np.array([5, 1], np.uint64))
    array([ 0,  2, 64])
    """
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))


def count(words: np.ndarray) -> int:
    """Return the number of ones."""
    if hasattr(np, "bitwise_count"):  # numpy 2; twice as fast
        return int(np.bitwise_count(words).sum(dtype=np.int64))
    return np.count_nonzero(np.unpackbits(words.view(np.uint8)))


def first(words: np.ndarray) -> int:
    """Return the position of the first one, or -1 if there is none."""
    index = int((words != 0).argmax())
    word = int(words[index])
    return index * 64 + (word & -word).bit_length() - 1 if word else -1


def last(words: np.ndarray) -> int:
    """Return the position of the last one, or -1 if there is none."""
    index = len(words) - 1 - int((words != 0)[::-1].argmax())
    word = int(words[index])
    return index * 64 + word.bit_length() - 1 if word else -1


def has(words: np.ndarray, position: int) -> bool:
    """Return whether the bit at `position` is set."""
    return bool(words[position // 64] >> np.uint64(position % 64) & np.uint64(1))


def below(words: np.ndarray, stop: int) -> np.ndarray:
    """Return a copy in which the bits from `stop` on are cleared.

    >>> positions(below(np.array([5, 1], np.uint64), 2))
    array([0])
    """
    kept = words.copy()
    kept[stop // 64 :] = 0
    if stop % 64:
        kept[stop // 64] = words[stop // 64] & np.uint64((1 << stop % 64) - 1)
    return kept


def next_one(words: np.ndarray, start: int) -> int:
    """Return the position of the first one at or after `start`, or -1 if there is none.

    >>> next_one(np.array([5, 1], np.uint64), 0), next_one(np.array([5, 1], np.uint64), 3)
    (0, 64)
    """
    rest = words[start // 64 :].copy()
    rest[:1] &= ~np.uint64((1 << start % 64) - 1)
    found = first(rest) if len(rest) else -1
    return found + start // 64 * 64 if found >= 0 else -1


def shifted(words: np.ndarray, carry: bool) -> np.ndarray:
    """Move each bit to the next position. The first bit becomes `carry`.

    >>> positions(shifted(np.array([1 << 63, 0], np.uint64), True))
    array([ 0, 64])
    """
    moved = words << np.uint64(1)
    moved[1:] |= words[:-1] >> np.uint64(63)
    moved[0] |= np.uint64(carry)
    return moved


def shifted_back(words: np.ndarray, last: bool, size: int) -> np.ndarray:
    """Move each of `size` bits to the previous position. The last bit becomes `last`.

    >>> positions(shifted_back(np.array([1, 1], np.uint64), True, 65))
    array([63, 64])
    """
    moved = words >> np.uint64(1)
    moved[:-1] |= words[1:] << np.uint64(63)
    moved[(size - 1) // 64] |= np.uint64(int(last) << (size - 1) % 64)
    return moved


def parities(words: np.ndarray) -> np.ndarray:
    """Set each bit where the number of ones up to and including its position is odd.

    >>> positions(parities(packed(np.array([0, 1, 0, 0, 1, 0], bool))))
    array([1, 2, 3])
    """
    odd, moved = words.copy(), np.empty_like(words)
    for distance in (1, 2, 4, 8, 16, 32):
        odd ^= np.left_shift(odd, np.uint64(distance), out=moved)
    through = np.bitwise_xor.accumulate(odd >> np.uint64(63))  # the parity at the end of each word
    odd[1:] ^= np.negative(through[:-1])  # all ones where the parity is odd
    return odd
