"""Near copies among signatures: planted ones are found, and random ones are not pairs."""

import numpy as np
import pytest

from keras_oocore.checks.near import near_pairs
from keras_oocore.images.picture_hash import NUM_COEFFICIENTS


@pytest.fixture
def planted():
    """2,000 random signatures. The last 100 are those of the first 100 with noise."""
    rng = np.random.default_rng(0)
    signatures = rng.integers(-127, 128, (2000, NUM_COEFFICIENTS))
    signatures[-100:] = signatures[:100] + rng.integers(-6, 7, (100, NUM_COEFFICIENTS))
    return signatures.clip(-127, 127).astype(np.int8)


def test_planted_pairs_are_found_and_no_others(planted):
    pairs, is_mirrored, num_skipped = near_pairs(planted)

    assert pairs.tolist() == [[number, 1900 + number] for number in range(100)]
    assert not is_mirrored.any()
    assert num_skipped == 0


@pytest.mark.parametrize("number", [5_000, pytest.param(20_000, marks=pytest.mark.soak)])
def test_random_signatures_have_no_pairs(number):
    signatures = np.random.default_rng(1).integers(-127, 128, (number, NUM_COEFFICIENTS)).astype(np.int8)

    assert len(near_pairs(signatures, mirrored=True)[0]) == 0


@pytest.mark.parametrize("count", [2, 3, 32, 33, 100])
def test_equal_signatures_are_linked(count):
    signatures = np.random.default_rng(2).integers(-127, 128, (1, NUM_COEFFICIENTS)).astype(np.int8)

    pairs, _, _ = near_pairs(np.repeat(signatures, count, axis=0))

    assert len(np.unique(pairs)) == count
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_the_same_hash_alone_is_not_a_copy(planted):
    """Signs of the low frequencies are equal, and what they are multiplied by is not."""
    rng = np.random.default_rng(3)
    factors = np.exp(rng.normal(0, 1.5, (2, NUM_COEFFICIENTS)))
    pair = np.sign(planted[:1]) * factors
    pair = np.rint(pair / pair.max(axis=1, keepdims=True) * 127).astype(np.int8)
    pair[pair == 0] = 1
    pair *= np.sign(planted[:1])

    assert len(near_pairs(np.concatenate([pair, planted[1:1900]]))[0]) == 0


def test_no_signatures_have_no_pairs():
    pairs, is_mirrored, _ = near_pairs(np.empty((0, NUM_COEFFICIENTS), np.int8), mirrored=True)
    assert pairs.shape == (0, 2)
    assert is_mirrored.shape == (0,)
