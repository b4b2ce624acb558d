"""The order of an epoch: every sample once, from seed and epoch alone, in no memory to speak of."""

import itertools
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.epoch_order import BLOCK_POSITIONS, EpochOrder, permute, shuffle_blocks, split_order
from keras_oocore.errors import OptionError

SEEDS = st.integers(0, 2**70)
EPOCHS = st.integers(0, 2**40)
AROUND_POWERS = sorted({1, 2, 3} | {2**power + step for power in range(1, 13) for step in (-1, 0, 1)})


def whole(order, epoch=0):
    return order.samples(epoch, 0, order.num_samples)


@pytest.mark.parametrize("num_samples", AROUND_POWERS)
def test_every_sample_comes_once_around_the_powers_of_two_and_four(num_samples):
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (2**63, 7)):
        assert sorted(whole(EpochOrder(num_samples, True, seed), epoch)) == list(range(num_samples))


@given(num_samples=st.integers(1, 5000), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=60, deadline=None)
def test_every_sample_comes_once_whatever_the_seed_and_epoch(num_samples, seed, epoch):
    order = whole(EpochOrder(num_samples, True, seed), epoch)

    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(num_samples))


@given(
    num_samples=st.integers(1, 400),
    batch_size=st.integers(1, 450),
    shuffle=st.sampled_from([True, False, "block"]),
    block_size=st.integers(1, 50),
    seed=SEEDS,
)
@settings(max_examples=60, deadline=None)
def test_batches_of_any_size_are_slices_of_one_order(num_samples, batch_size, shuffle, block_size, seed):
    order = EpochOrder(num_samples, shuffle, seed, block_size)

    batches = [
        order.samples(3, start, min(start + batch_size, num_samples)) for start in range(0, num_samples, batch_size)
    ]

    assert np.concatenate(batches).tolist() == whole(order, epoch=3).tolist()
    assert sorted(whole(order, epoch=3)) == list(range(num_samples))


@pytest.mark.parametrize("shuffle", [True, "block"])
@pytest.mark.parametrize("past", [-1, 0, 1, 1000])
def test_slices_across_the_blocks_that_are_computed_at_once(shuffle, past):
    num_samples = 2 * BLOCK_POSITIONS + past
    order = EpochOrder(num_samples, shuffle, seed=5, block_size=100)
    everything = whole(order)

    assert np.array_equal(np.sort(everything), np.arange(num_samples))
    for start in (0, BLOCK_POSITIONS - 3, BLOCK_POSITIONS, 2 * BLOCK_POSITIONS - 3):
        for stop in (start, start + 2, start + 3, start + 5):
            stop = min(stop, num_samples)
            assert order.samples(0, start, stop).tolist() == everything[start:stop].tolist()
    assert order.samples(0, 0, 0).dtype == np.int64


def test_the_order_of_one_seed_is_pinned():
    """A change of these numbers would change what every user's seed means."""
    order = EpochOrder(num_samples=20, shuffle=True, seed=0)
    epochs = [whole(order, epoch).tolist() for epoch in (0, 1)]
    assert epochs == [
        [11, 0, 10, 18, 17, 19, 9, 8, 13, 12, 15, 2, 4, 6, 3, 7, 16, 1, 5, 14],
        [17, 3, 18, 11, 2, 12, 15, 6, 14, 4, 19, 5, 1, 16, 10, 7, 0, 8, 9, 13],
    ]
    blocks = EpochOrder(num_samples=20, shuffle="block", seed=0, block_size=3)
    assert whole(blocks).tolist() == [6, 7, 8, 0, 1, 2, 12, 13, 14, 15, 16, 17, 18, 19, 3, 4, 5, 9, 10, 11]

    huge = EpochOrder(num_samples=10**10, shuffle=True, seed=0)
    assert huge.samples(0, 0, 3).tolist() == [6381057043, 5286075683, 6701436284]
    assert huge.samples(0, 5 * 10**9, 5 * 10**9 + 2).tolist() == [453320668, 8823138497]
    assert huge.samples(3, 10**10 - 3, 10**10).tolist() == [8235911529, 3004778636, 9270460805]


def test_seed_and_epoch_are_not_added_up():
    by_key = {(seed, epoch): tuple(whole(EpochOrder(30, True, seed), epoch)) for seed in range(6) for epoch in range(6)}

    assert len(set(by_key.values())) == 36


def test_unshuffled_is_the_order_on_disk_in_every_epoch():
    order = EpochOrder(7, False, seed=3)

    assert [whole(order, epoch).tolist() for epoch in (0, 5)] == [list(range(7))] * 2
    assert order.samples(2, 3, 6).tolist() == [3, 4, 5]


def test_the_order_is_pure():
    """It reads no global generator, moves none, and nobody who holds a batch can change the next one."""
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    first = whole(EpochOrder(50, True, 9), 2).tolist()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before

    random.seed(2)
    np.random.seed(2)
    held = EpochOrder(50, True, 9).samples(2, 0, 50)
    with pytest.raises(ValueError, match="read-only"):
        held[0] = -1
    assert whole(EpochOrder(50, True, 9), 2).tolist() == first


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_ten_thousand_million_samples_cost_a_few_megabytes(shuffle):
    num_samples = 10**10  # as an array of integers: 80 GB
    order = EpochOrder(num_samples, shuffle, seed=11, block_size=4)
    tracemalloc.start()
    try:
        for start in (0, num_samples // 2, num_samples - 64):
            batch = order.samples(0, start, start + 64)
            assert len(np.unique(batch)) == 64
            assert 0 <= batch.min() <= batch.max() < num_samples
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 5_000_000


def test_permute_takes_positions_of_any_shape():
    positions = np.arange(12).reshape(3, 4)

    assert permute(positions, 12, seed=1, epoch=0).tolist() == permute(np.arange(12), 12, 1, 0).reshape(3, 4).tolist()
    assert permute(np.array(5), 12, 1, 0).shape == ()
    assert permute(np.arange(0), 0, 1, 0).tolist() == []


def chi_square(counts):
    expected = counts.sum() / counts.size
    return ((counts - expected) ** 2 / expected).sum()


def test_all_orders_of_four_samples_are_equally_likely():
    index_of = {order: index for index, order in enumerate(itertools.permutations(range(4)))}
    counts = np.zeros(24)
    for epoch in range(800):
        counts[index_of[tuple(permute(np.arange(4), 4, seed=0, epoch=epoch).tolist())]] += 1

    assert chi_square(counts) < 49.7  # one in a thousand for 23 degrees of freedom


def test_every_sample_is_equally_likely_at_every_position():
    counts = np.zeros((25, 25))
    for epoch in range(1000):
        counts[np.arange(25), permute(np.arange(25), 25, seed=4, epoch=epoch)] += 1

    assert chi_square(counts) < 690  # one in a thousand for 24 * 24 degrees of freedom


def test_neighbours_on_disk_are_torn_apart_and_epochs_have_nothing_in_common():
    num_samples, epochs = 2000, 40
    orders = [permute(np.arange(num_samples), num_samples, seed=2, epoch=epoch) for epoch in range(epochs)]

    successors = sum((np.diff(order) == 1).sum() for order in orders)
    agreements = sum((first == second).sum() for first, second in itertools.pairwise(orders))

    assert 10 < successors < 90  # one an epoch is expected
    assert 10 < agreements < 90


@given(num_samples=st.integers(1, 500), block_size=st.integers(1, 60), seed=SEEDS, epoch=EPOCHS)
@settings(max_examples=80, deadline=None)
def test_blocks_of_neighbours_stay_together(num_samples, block_size, seed, epoch):
    order = shuffle_blocks(np.arange(num_samples), num_samples, block_size, seed, epoch)

    assert sorted(order) == list(range(num_samples))
    position_of = np.argsort(order)
    inside_a_block = np.arange(1, num_samples) % block_size != 0
    assert (np.diff(position_of)[inside_a_block] == 1).all()


def test_blocks_change_places_from_epoch_to_epoch_and_the_ragged_one_too():
    order = EpochOrder(11, "block", seed=0, block_size=4)  # blocks 0..3, 4..7 and 8..10
    epochs = [whole(order, epoch).tolist() for epoch in range(60)]

    assert {tuple(sample // 4 for sample in epoch if sample % 4 == 0) for epoch in epochs} == set(
        itertools.permutations(range(3))
    )


def test_the_split_is_its_own_order():
    order = split_order(40, seed=1)

    assert sorted(order) == list(range(40))
    assert order.tolist() == split_order(40, seed=1).tolist() != split_order(40, seed=2).tolist()
    assert all(order.tolist() != permute(np.arange(40), 40, 1, epoch).tolist() for epoch in range(50))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(OptionError, match=r"`seed` should be a non-negative integer or None\. Received: seed="):
        EpochOrder(10, True, seed)


@pytest.mark.parametrize("shuffle", ["blocks", None, 2, ""])
def test_a_bad_shuffle_is_refused(shuffle):
    with pytest.raises(OptionError, match=r'`shuffle` should be True, False or "block". Received: shuffle='):
        EpochOrder(10, shuffle, 0)


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_many_positions_at_once_are_those_of_few(shuffle):
    order = EpochOrder(100_003, shuffle, seed=3, block_size=7)
    for start, stop in ((0, 100_003), (30_000, 70_000), (95_000, 100_003)):
        few = np.concatenate([order.samples(2, i, min(i + 1000, stop)) for i in range(start, stop, 1000)])
        assert np.array_equal(order.samples(2, start, stop), few)
