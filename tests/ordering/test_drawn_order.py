"""`DrawnOrder`: each draw once, as many draws per class and sample as stated, in any pieces, and uniform."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.drawn_order import BalancedOrder, WeightedOrder
from keras_oocore.ordering.shard_order import ShardOrder

CLASSES = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(np.array)
WEIGHTS = st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.5, 7.0]), min_size=1, max_size=60)
EPOCHS = st.integers(0, 2**40)


def epoch_of(order, epoch):
    return order.samples(epoch, 0, order.size), order.draws(epoch, 0, order.size)


@given(CLASSES, st.integers(1, 200), st.integers(0, 2**31), EPOCHS)
def test_classes_and_samples_are_drawn_equally_often(classes, size, seed, epoch):
    samples, before = epoch_of(BalancedOrder.of(classes, size, seed), epoch)

    assert len(samples) == size
    per_class = np.unique(classes[samples], return_counts=True)[1]
    assert np.ptp(np.append(per_class, [0] * (len(np.unique(classes)) - len(per_class)))) <= 1
    counts = np.bincount(samples, minlength=len(classes))
    for label in np.unique(classes):
        assert np.ptp(counts[classes == label]) <= 1
    check_draws(samples, before)


@given(WEIGHTS, st.integers(1, 200), st.integers(0, 9), EPOCHS)
def test_samples_are_drawn_by_weight(weights, size, seed, epoch):
    weights = np.array(weights)
    if not weights.any():
        return
    samples, before = epoch_of(WeightedOrder(len(weights), size, seed, weights), epoch)

    expected = size * weights / weights.sum()
    counts = np.bincount(samples, minlength=len(weights))
    assert counts.sum() == size
    assert (np.abs(counts - expected) < 1 + 1e-9).all()
    assert not counts[weights == 0].any()
    check_draws(samples, before)


def check_draws(samples, before):
    """Each draw of a sample has a number of its own, from 0."""
    assert len({*zip(samples.tolist(), before.tolist())}) == len(samples)
    counts = np.bincount(samples)
    assert (before >= 0).all()
    assert (before < counts[samples]).all()


ORDERS = [
    BalancedOrder.of(np.repeat(np.arange(4), (500, 30, 7, 1)), 90_000, seed=5),
    WeightedOrder(600, 90_000, seed=5, weights=np.linspace(0, 3, 600)),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_pieces_shards_and_copies_have_the_same_draws(order):
    samples, before = epoch_of(order, 3)

    cuts = [0, 1, 7, 32_760, 32_775, 65_536, 89_990, 90_000]
    for one, pieces in ((samples, order.samples), (before, order.draws)):
        np.testing.assert_array_equal(np.concatenate([pieces(3, *bounds) for bounds in itertools.pairwise(cuts)]), one)
    positions = np.array([89_999, 0, 40_000])
    np.testing.assert_array_equal(order.samples_at(3, positions), samples[positions])
    np.testing.assert_array_equal(order.draws_at(3, positions), before[positions])
    shard = pickle.loads(pickle.dumps(ShardOrder(order, 1, 2, batch_size=20)))
    np.testing.assert_array_equal(shard.samples(3, 5, 15), np.r_[samples[15:20], samples[30:35]])
    np.testing.assert_array_equal(shard.draws(3, 5, 15), np.r_[before[15:20], before[30:35]])
    assert (order.reseeded(6).samples(3, 0, 100) != samples[:100]).any()
    with pytest.raises(OptionError, match="`sampling` has no partitions"):
        order.part(0, 10)


MANY_EPOCHS = pytest.mark.parametrize("num_epochs", [1000, pytest.param(4000, marks=pytest.mark.soak)])


@MANY_EPOCHS
def test_draws_are_uniform_over_samples_positions_and_pairs(num_epochs):
    order = BalancedOrder.of(np.repeat([0, 1], (20, 5)), 10, seed=0)
    epochs = np.array([order.samples(epoch, 0, 10) for epoch in range(num_epochs)])

    counts = np.bincount(epochs.ravel(), minlength=25)  # 5 draws per class and epoch
    assert (counts[20:] == num_epochs).all()
    assert (((counts[:20] - num_epochs / 4) ** 2) / (num_epochs / 4)).sum() < 50  # chi-square of 19 degrees
    first = np.bincount(epochs[:, 0] >= 20, minlength=2)
    assert abs(first[0] - num_epochs / 2) < 2.5 * num_epochs**0.5  # five standard deviations
    together = np.zeros((20, 20), int)
    for epoch in epochs:
        drawn = epoch[epoch < 20]
        together[np.ix_(drawn, drawn)] += 1
    pairs = together[np.triu_indices(20, 1)]
    expected = num_epochs * (5 * 4) / (20 * 19)
    assert ((pairs - expected) ** 2 / expected).sum() < 260  # 190 pairs; 1 in 1,000 is above 255


@MANY_EPOCHS
def test_weighted_draws_have_the_expected_frequency(num_epochs):
    weights = np.array([1, 2, 4, 0, 3.0])
    order = WeightedOrder(5, 3, seed=1, weights=weights)
    counts = np.bincount(np.concatenate([order.samples(epoch, 0, 3) for epoch in range(num_epochs)]), minlength=5)

    np.testing.assert_allclose(counts / num_epochs, 3 * weights / 10, atol=0.03)


def test_the_first_draws_are_pinned():
    """They must not change between versions: a resumed training would draw others."""
    assert BalancedOrder.of(np.array([0] * 6 + [1]), 8, seed=3).samples(0, 0, 8).tolist() == [1, 4, 2, 6, 6, 0, 6, 6]
    assert WeightedOrder(3, 8, 0, np.array([0.0, 1, 3])).samples(0, 0, 8).tolist() == [2, 1, 2, 2, 1, 2, 2, 2]
