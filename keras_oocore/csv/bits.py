"""Operations on bit sets: one bit per byte of a stretch of a file, in words of 64 bits.

The first byte of a stretch is the lowest bit of the first word. numpy creates and combines such words at several GB/s,
as in simdjson (Langdale and Lemire, arXiv 1902.08318).
"""

import numpy as np

NEAR_END = 512  # words in which the last one usually is
EVEN = np.uint64(0x5555555555555555)  # the bits at even positions


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


def count(words: np.ndarray, stop: int | None = None) -> int:
    """Return the number of ones, or of those before position `stop`.

    >>> count(np.array([5, 1], np.uint64)), count(np.array([5, 1], np.uint64), 2)
    (3, 1)
    """
    if stop is not None:
        return count(words[: stop // 64]) + _bits_before(words, stop).bit_count()
    if hasattr(np, "bitwise_count"):  # numpy 2; twice as fast
        return int(np.bitwise_count(words).sum(dtype=np.int64))
    return np.count_nonzero(np.unpackbits(words.view(np.uint8)))


def first(words: np.ndarray) -> int:
    """Return the position of the first one, or -1 if there is none."""
    index = int((words != 0).argmax())
    word = int(words[index])
    return index * 64 + (word & -word).bit_length() - 1 if word else -1


def last(words: np.ndarray, stop: int | None = None) -> int:
    """Return the position of the last one, or of the last one before `stop`; -1 if there is none.

    >>> last(np.array([5, 1], np.uint64)), last(np.array([5, 1], np.uint64), 2)
    (64, 0)
    """
    if stop is not None:
        if bits := _bits_before(words, stop):
            return stop // 64 * 64 + bits.bit_length() - 1
        words = words[: stop // 64]
    for begin in (max(0, len(words) - NEAR_END), 0):
        found = np.flatnonzero(words[begin:])
        if len(found):
            index = begin + int(found[-1])
            return index * 64 + int(words[index]).bit_length() - 1
    return -1


def has(words: np.ndarray, position: int) -> bool:
    """Return whether the bit at `position` is set."""
    return bool(words[position // 64] >> np.uint64(position % 64) & np.uint64(1))


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


def filled(starts: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the ones of `words` from each bit of `starts` to the end of its run of ones.

    Adding a bit of a run to it carries to the end of the run, as in simdjson.

    >>> positions(filled(np.array([4], np.uint64), np.array([0b1101110], np.uint64)))
    array([2, 3])
    """
    starts = starts & words
    total = words + starts
    full = total == np.uint64(2**64 - 1)  # passes a carry on, and has none of its own
    source = np.maximum.accumulate(np.where(full, -1, np.arange(len(words))))
    carries = (total < words)[source] & (source >= 0)
    total[1:] += carries[:-1]
    return words & ~total | starts


def every_other(words: np.ndarray) -> np.ndarray:
    """Return the first, third, fifth ... one of each run of ones.

    >>> positions(every_other(np.array([0b1110111], np.uint64)))
    array([0, 2, 4, 6])
    """
    even = filled(words & ~shifted(words, False) & EVEN, words)  # the runs that begin at an even position
    return (even & EVEN) | (words & ~even & ~EVEN)


def at(words: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return whether each of the positions `found` is set, as `bool`.

    >>> at(np.array([5, 1], np.uint64), np.array([0, 1, 64]))
    array([ True, False,  True])
    """
    return (words[found >> 6] >> (found & 63).astype(np.uint64) & np.uint64(1)).astype(bool)


def as_flags(words: np.ndarray, size: int) -> np.ndarray:
    """Return the first `size` bits as `bool`. The opposite of `packed`.

    >>> as_flags(np.array([5], np.uint64), 3)
    array([ True, False,  True])
    """
    return np.unpackbits(words.view(np.uint8), count=size, bitorder="little").view(bool)


def _bits_before(words: np.ndarray, stop: int) -> int:
    """Return the bits before `stop` of the word that contains it."""
    return int(words[stop // 64]) & ((1 << stop % 64) - 1) if stop % 64 else 0
