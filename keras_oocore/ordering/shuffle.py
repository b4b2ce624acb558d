"""Arrays as `numpy.random.RandomState` shuffles them, in a third of the time. Integers only.

`RandomState.shuffle` goes from the last position i to the first one, draws j ≤ i, and swaps the two (Fisher and Yates).
It draws 32 bits, keeps as many of them as i has, and draws again if they are more than i. Here, many draws are made and
judged at once, and LAPACK swaps, because it applies a list of row swaps one after another.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from keras_oocore.core.threads import end_if_unwanted

FEWEST_AT_ONCE = 2**20  # elements; fewer fit into the cache of a processor, where `RandomState` is as fast
MOST_AT_ONCE = 2**31  # elements; beyond, `RandomState` draws 64 bits
DRAWS = 2**16  # at once


def shuffled(parts: Sequence[np.ndarray], key: np.random.SeedSequence) -> np.ndarray:
    """Return joined integers in the order that `RandomState.shuffle` gives them, of the dtype of the parts.

    Args:
        parts: Arrays of one dtype, `int32` or `int64`, at least one.
        key: The seed. The stream of `RandomState` never changes (NEP 19), so neither does the order.

    >>> shuffled([np.arange(3), np.arange(7, 10)], np.random.SeedSequence(1)).tolist()
    [8, 1, 7, 0, 2, 9]
    """
    size = sum(map(len, parts))
    random = np.random.RandomState(np.random.MT19937(key))
    if FEWEST_AT_ONCE <= size < MOST_AT_ONCE:
        return _shuffled_at_once(parts, size, random)
    joined = np.concatenate(parts)
    random.shuffle(joined)
    return joined


def _shuffled_at_once(parts: Sequence[np.ndarray], size: int, random: np.random.RandomState) -> np.ndarray:
    from scipy.linalg import lapack  # late, because importing it takes a tenth of a second

    backwards = np.empty(size, parts[0].dtype)  # LAPACK swaps from the first row to the last one
    np.concatenate(parts, out=backwards[::-1])
    floats, swap_rows = (np.float32, lapack.slaswp) if backwards.itemsize == 4 else (np.float64, lapack.dlaswp)
    matrix = backwards.view(floats)[:, np.newaxis]  # its values are moved, and never computed with
    for last, places in drawn_places(size, random):
        end_if_unwanted()
        rows = matrix[size - 1 - last :]
        swapped = swap_rows(rows, (last - places).astype(np.int32), overwrite_a=1)
        if not np.may_share_memory(swapped, rows):  # another version of SciPy may swap the rows of a copy
            rows[...] = swapped
    return backwards[::-1]


def drawn_places(size: int, random: np.random.RandomState) -> Iterator[tuple[int, np.ndarray]]:
    """Yield what a shuffle of `size` elements swaps: a position, and with what it and the positions before are swapped.

    >>> list(drawn_places(3, np.random.RandomState(0)))  # swap 2 with 0, then 1 with 1
    [(2, array([0], dtype=uint32)), (1, array([1], dtype=uint32))]
    """
    last, draws = size - 1, np.empty(0, np.uint32)
    counted = np.arange(min(DRAWS, 2 * size), dtype=np.uint32)
    while last > 0:
        mask = 2 ** last.bit_length() - 1
        num_left = last - mask // 2  # positions that keep as many bits
        if not len(draws):
            draws = random.randint(0, 2**32, size=len(counted), dtype=np.uint32)
        # Of so many draws, few are near `last`.
        block = draws[: min(20 * math.isqrt(mask) + 32, 2 * num_left + 32)] & np.uint32(mask)
        is_small = block <= last
        places = block[is_small]
        again = _drawn_again(places, last, counted)
        if again:
            places = np.delete(places, again)
        num_used = len(block)
        if len(places) >= num_left:
            places = places[:num_left]
            num_used = int(np.delete(np.flatnonzero(is_small), again)[num_left - 1]) + 1
        draws = draws[num_used:]
        if len(places):
            yield last, places
            last -= len(places)


def _drawn_again(places: np.ndarray, last: int, counted: np.ndarray) -> list[int]:
    """Return which draws, of those up to `last`, are too large, because `last` decreases with each draw that is kept.

    Args:
        places: The draws.
        last: The largest number that the first of them may be.
        counted: 0, 1, 2 and so on, at least as many as there are draws.
    """
    counted = counted[: len(places)]
    doubtful = np.flatnonzero(places + counted > last)  # too large, if all before them are kept
    again, num_again = [], 0
    for number, excess in zip(doubtful.tolist(), (places[doubtful] + counted[doubtful] - np.uint32(last)).tolist()):
        if excess > num_again:
            num_again += 1
            again.append(number)
    return again
