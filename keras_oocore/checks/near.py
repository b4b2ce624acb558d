"""Finds the pairs of pictures that are near copies: hashes give candidates, and their signatures are compared."""

from collections.abc import Callable, Iterator

import numpy as np

from keras_oocore.checks.close_hashes import HashIndex
from keras_oocore.images.picture_hash import CROPS, WHOLE, Crop, compared, hashes, similarity

RADIUS = 8  # bits in which the hashes of near copies differ at most
CROPPED_RADIUS = 5  # the same if one of them is cropped first, as the other one may have been
SIMILAR = 0.93  # similarity of near copies. 99.7% of planted copies had more, other photos of plants at most 0.93.
MOST_EQUAL = 32  # pictures with the same hash, of which all pairs are compared
BLOCK = 16_384  # pictures whose coefficients are in memory at once

Compare = Callable[[np.ndarray, np.ndarray, tuple[Crop, ...], bool], np.ndarray]


def near_pairs(signatures: np.ndarray, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the pairs of pictures that are near copies.

    Args:
        signatures: `int8` of shape `(n, 136)`, as `images.picture_hash.signatures` returns them.
        mirrored: Whether to find mirrored copies, too.

    Returns:
        The pairs, `int64` of shape `(m, 2)`; whether each is mirrored, `bool` of shape `(m,)`; and how many searches
        were cut short because too many pictures resemble each other.
    """

    def compare(first, second, crops, flip) -> np.ndarray:
        return _similarity(signatures, first, second, crops, flip)

    def hashes_of(crop: Crop, flip: bool) -> np.ndarray:
        blocks = [signatures[at : at + BLOCK] for at in range(0, len(signatures), BLOCK)]
        return np.concatenate([np.empty(0, np.uint64), *(hashes(block, crop, flip) for block in blocks)])

    return pairs_of_hashes(hashes_of, compare, mirrored)


def pairs_of_hashes(
    hashes_of: Callable[[Crop, bool], np.ndarray], compare: Compare, mirrored: bool = False
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return pairs as `near_pairs` does.

    Args:
        hashes_of: Function from a crop, and whether to mirror, to the hashes of all pictures, `uint64` of shape `(n,)`.
        compare: Function from two arrays of pictures, crops to try and whether to mirror the first picture to the
            largest similarity of each pair.
        mirrored: Whether to find mirrored copies, too.
    """
    whole = hashes_of(WHOLE, False)
    equal, ones = _equal_hashes(whole, compare)
    index = HashIndex(whole[ones])
    found, flipped = [equal, ones[_verified(index.pairs_within(RADIUS), ones, compare, CROPS, False)]], []
    for crop in CROPS:
        pairs = index.matches(hashes_of(crop, False)[ones], CROPPED_RADIUS)
        found.append(ones[_verified(pairs, ones, compare, (crop,), False)])
    if mirrored:
        for crop in (WHOLE, *CROPS):
            radius = RADIUS if crop == WHOLE else CROPPED_RADIUS
            pairs = index.matches(hashes_of(crop, True)[ones], radius)
            flipped.append(ones[_verified(pairs, ones, compare, (crop,), True)])
    pairs = _distinct(np.concatenate(found))
    turned = _distinct(np.concatenate(flipped)) if flipped else pairs[:0]
    if len(turned):
        keys = pairs[:, 0] * len(whole) + pairs[:, 1]
        turned = turned[~np.isin(turned[:, 0] * len(whole) + turned[:, 1], keys)]
    is_mirrored = np.repeat([False, True], [len(pairs), len(turned)])
    return np.concatenate([pairs, turned]), is_mirrored, index.num_skipped


def _equal_hashes(whole: np.ndarray, compare: Compare) -> tuple[np.ndarray, np.ndarray]:
    """Return the near copies among pictures with equal hashes, and the pictures to compare with those of others.

    Of many pictures with one hash, each is compared with the first one alone.
    """
    order = np.argsort(whole, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(whole[order]) != 0]) if len(order) else np.empty(0, np.int64)
    sizes = np.diff(np.r_[starts, len(order)])
    pairs = [np.empty((0, 2), np.int64)]
    firsts = np.repeat(order[starts], sizes)
    is_first = firsts == order
    pairs.append(np.stack([firsts, order], axis=1)[~is_first])
    for size in range(3, MOST_EQUAL + 1):
        groups = order[starts[sizes == size, None] + np.arange(size)]
        a, b = np.triu_indices(size, 1)
        more = a > 0
        pairs.append(np.stack([groups[:, a[more]], groups[:, b[more]]], axis=-1).reshape(-1, 2))
    pairs = np.concatenate(pairs).astype(np.int64)
    alike = _compared(pairs, compare, CROPS, False)
    like_first = np.zeros(len(whole), bool)
    like_first[pairs[alike & (whole[pairs[:, 0]] == whole[pairs[:, 1]]), 1]] = True
    ones = np.flatnonzero(~like_first)
    return pairs[alike], ones


def _verified(pairs: np.ndarray, ones: np.ndarray, compare: Compare, crops: tuple[Crop, ...], flip: bool) -> np.ndarray:
    """Return the pairs of numbers in `ones` whose pictures are similar."""
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return pairs[_compared(ones[pairs], compare, crops, flip)]


def _compared(pairs: np.ndarray, compare: Compare, crops: tuple[Crop, ...], flip: bool) -> np.ndarray:
    """Whether each pair is similar, `bool` of shape `(m,)`: the whole pictures, or one of them cropped."""
    alike = np.zeros(len(pairs), bool)
    for part in _blocks(len(pairs)):
        first, second = pairs[part].T
        alike[part] = compare(first, second, (WHOLE,), flip) >= SIMILAR
        others = np.flatnonzero(~alike[part]) + part.start
        if len(others):
            first, second = pairs[others].T
            alike[others] = compare(first, second, crops, flip) >= SIMILAR
    return alike


def _similarity(
    signatures: np.ndarray, first: np.ndarray, second: np.ndarray, crops: tuple[Crop, ...], flip: bool
) -> np.ndarray:
    best = np.full(len(first), -1, np.float32)
    a, b = signatures[first], signatures[second]
    whole_a, whole_b = compared(a, WHOLE, flip), compared(b)
    for crop in crops:
        best = np.maximum(best, similarity(compared(a, crop, flip), whole_b))
        if crop != WHOLE:
            best = np.maximum(best, similarity(whole_a, compared(b, crop)))
    return best


def _distinct(pairs: np.ndarray) -> np.ndarray:
    low, high = np.sort(pairs.astype(np.int64), axis=1).T
    return np.stack(np.divmod(np.unique(low << 32 | high), 2**32), axis=1)


def _blocks(length: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK))
