"""Pairs of hashes that differ in few bits, against the comparison of all pairs."""

import numpy as np
import pytest

from keras_oocore.checks import close_hashes
from keras_oocore.checks.close_hashes import HashIndex


@pytest.fixture
def hashes():
    """Random hashes, and others that differ from them in 0 to 11 bits."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**64, 400, np.uint64)
    others = base.copy()
    for row in range(len(others)):
        for bit in rng.choice(64, row % 12, replace=False).tolist():
            others[row] ^= np.uint64(1 << bit)
    return base, others


def by_all_pairs(first, second, radius):
    counts = [[int(a ^ b).bit_count() for b in second] for a in first]
    return np.argwhere(np.array(counts) <= radius)


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8])
def test_all_pairs_within_a_radius_are_found(hashes, radius):
    together = np.unique(np.concatenate(hashes))[:500]
    expected = by_all_pairs(together, together, radius)

    found = HashIndex(together).pairs_within(radius)

    assert found.tolist() == expected[expected[:, 0] < expected[:, 1]].tolist()


@pytest.mark.parametrize("radius", [0, 4, 5, 8])
def test_all_matches_of_queries_are_found(hashes, radius):
    base, others = hashes

    assert HashIndex(base).matches(others, radius).tolist() == by_all_pairs(others, base, radius).tolist()


def test_full_buckets_are_searched_in_blocks(hashes, monkeypatch):
    monkeypatch.setattr(close_hashes, "BLOCK", 50)
    rng = np.random.default_rng(1)
    alike = np.unique(rng.integers(0, 2**7, 100, np.uint64) << np.uint64(50))  # equal in two chunks

    expected = by_all_pairs(alike, alike, 3)
    assert HashIndex(alike).pairs_within(3).tolist() == expected[expected[:, 0] < expected[:, 1]].tolist()


def test_buckets_that_are_too_full_are_skipped_and_counted(monkeypatch):
    monkeypatch.setattr(close_hashes, "MOST_IN_BUCKET", 10)
    index = HashIndex(np.arange(50, dtype=np.uint64))

    index.pairs_within(1)

    assert index.num_skipped


@pytest.mark.parametrize("num_hashes", [0, 1])
def test_few_hashes_have_no_pairs(num_hashes):
    index = HashIndex(np.zeros(num_hashes, np.uint64))
    assert index.pairs_within(8).shape == (0, 2)
    assert index.matches(np.empty(0, np.uint64), 5).shape == (0, 2)


def test_distances_without_numpy_2_are_the_same(hashes):
    base, others = hashes
    counts = [int(a ^ b).bit_count() for a, b in zip(base, others)]

    assert close_hashes.distance(base, others).tolist() == counts
    assert close_hashes.distance_by_table(base, others).tolist() == counts
