"""EpochOrder: every sample once per epoch, in an order that depends only on seed and epoch, in O(1) memory."""

import itertools
import pickle
import random
import tracemalloc

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.epoch_order import BLOCK_POSITIONS, EpochOrder, partition
from keras_oocore.ordering.permutation import permute, shuffle_blocks, split_order

SEEDS = st.integers(0, 2**70)
EPOCHS = st.integers(0, 2**40)
AROUND_POWERS = sorted({1, 2, 3} | {2**power + step for power in range(1, 13) for step in (-1, 0, 1)})


def whole(order, epoch=0):
    return order.samples(epoch, 0, order.size)


def has_each_once(samples, num_samples):
    """Faster than lists of Python's integers."""
    return np.array_equal(np.sort(samples), np.arange(num_samples))


def parts(order, batch_size, num_parts):
    return [order.part(first, stop) for first, stop in partition(order.num_samples, batch_size, num_parts)]


@pytest.mark.parametrize("num_samples", AROUND_POWERS)
def test_every_sample_once_for_sizes_around_powers_of_two(num_samples):
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (2**63, 7)):
        assert has_each_once(whole(EpochOrder(num_samples, True, seed), epoch), num_samples)


@given(num_samples=st.integers(1, 5000), seed=SEEDS, epoch=EPOCHS)
@examples(30)
def test_every_sample_once_for_any_size_seed_and_epoch(num_samples, seed, epoch):
    order = whole(EpochOrder(num_samples, True, seed), epoch)

    assert order.dtype == np.int64
    assert has_each_once(order, num_samples)


@given(
    num_samples=st.integers(1, 400),
    batch_size=st.integers(1, 450),
    shuffle=st.sampled_from([True, False, "block"]),
    block_size=st.integers(1, 50),
    seed=SEEDS,
)
@examples(30)
def test_batches_are_slices_of_one_order(num_samples, batch_size, shuffle, block_size, seed):
    order = EpochOrder(num_samples, shuffle, seed, block_size)

    batches = [
        order.samples(3, start, min(start + batch_size, num_samples)) for start in range(0, num_samples, batch_size)
    ]

    assert np.concatenate(batches).tolist() == whole(order, epoch=3).tolist()
    assert has_each_once(whole(order, epoch=3), num_samples)


@pytest.mark.parametrize("shuffle", [True, "block"])
@pytest.mark.parametrize("past", [-1, 0, 1, 1000])
def test_slices_across_block_positions(shuffle, past):
    num_samples = 2 * BLOCK_POSITIONS + past
    order = EpochOrder(num_samples, shuffle, seed=5, block_size=100)
    everything = whole(order)

    assert has_each_once(everything, num_samples)
    for start in (0, BLOCK_POSITIONS - 3, BLOCK_POSITIONS, 2 * BLOCK_POSITIONS - 3):
        for stop in (start, start + 2, start + 3, start + 5):
            stop = min(stop, num_samples)
            assert order.samples(0, start, stop).tolist() == everything[start:stop].tolist()
    assert order.samples(0, 0, 0).dtype == np.int64


def test_order_of_one_seed_is_pinned():
    """If these numbers change, every user's seed gives another order than before."""
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


def test_seed_and_epoch_are_not_added():
    by_key = {(seed, epoch): tuple(whole(EpochOrder(30, True, seed), epoch)) for seed in range(6) for epoch in range(6)}

    assert len(set(by_key.values())) == 36


def test_shuffle_false_is_the_order_on_disk_in_every_epoch():
    order = EpochOrder(7, False, seed=3)

    assert [whole(order, epoch).tolist() for epoch in (0, 5)] == [list(range(7))] * 2
    assert order.samples(2, 3, 6).tolist() == [3, 4, 5]


def test_order_does_not_depend_on_global_state():
    """It neither reads nor changes global random generators, and the returned samples are read-only."""
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    first = whole(EpochOrder(50, True, 9), 2).tolist()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before

    random.seed(2)
    np.random.seed(2)
    samples = EpochOrder(50, True, 9).samples(2, 0, 50)
    with pytest.raises(ValueError, match="read-only"):
        samples[0] = -1
    assert whole(EpochOrder(50, True, 9), 2).tolist() == first


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_ten_billion_samples_need_a_few_megabytes(shuffle):
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


def test_permute_accepts_positions_of_any_shape():
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
    for epoch in range(480):
        counts[index_of[tuple(permute(np.arange(4), 4, seed=0, epoch=epoch).tolist())]] += 1

    assert chi_square(counts) < 49.7  # p = 0.001 for 23 degrees of freedom


def test_every_sample_is_equally_likely_at_every_position():
    counts = np.zeros((25, 25))
    for epoch in range(500):
        counts[np.arange(25), permute(np.arange(25), 25, seed=4, epoch=epoch)] += 1

    assert chi_square(counts) < 690  # p = 0.001 for 24 * 24 degrees of freedom


def test_neighbors_are_separated_and_epochs_are_unrelated():
    num_samples, epochs = 2000, 40
    orders = [permute(np.arange(num_samples), num_samples, seed=2, epoch=epoch) for epoch in range(epochs)]

    successors = sum((np.diff(order) == 1).sum() for order in orders)
    agreements = sum((first == second).sum() for first, second in itertools.pairwise(orders))

    assert 10 < successors < 90  # one per epoch is expected
    assert 10 < agreements < 90


@given(num_samples=st.integers(1, 500), block_size=st.integers(1, 60), seed=SEEDS, epoch=EPOCHS)
@examples(40)
def test_shuffle_blocks_keeps_neighbors_together(num_samples, block_size, seed, epoch):
    order = shuffle_blocks(np.arange(num_samples), num_samples, block_size, seed, epoch)

    assert has_each_once(order, num_samples)
    position_of = np.argsort(order)
    within_a_block = np.arange(1, num_samples) % block_size != 0
    assert (np.diff(position_of)[within_a_block] == 1).all()


def test_order_of_blocks_differs_between_epochs():
    order = EpochOrder(11, "block", seed=0, block_size=4)  # blocks 0..3, 4..7 and 8..10
    epochs = [whole(order, epoch).tolist() for epoch in range(60)]

    assert {tuple(sample // 4 for sample in epoch if sample % 4 == 0) for epoch in epochs} == set(
        itertools.permutations(range(3))
    )


def test_split_order_differs_from_the_order_of_every_epoch():
    order = split_order(40, seed=1)

    assert sorted(order) == list(range(40))
    assert order.tolist() == split_order(40, seed=1).tolist() != split_order(40, seed=2).tolist()
    assert all(order.tolist() != permute(np.arange(40), 40, 1, epoch).tolist() for epoch in range(50))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_invalid_seed_is_an_error(seed):
    with pytest.raises(OptionError, match=r"`seed` should be a non-negative integer\. Received: seed="):
        EpochOrder(10, True, seed)


@pytest.mark.parametrize("shuffle", ["blocks", None, 2, ""])
def test_invalid_shuffle_is_an_error(shuffle):
    with pytest.raises(OptionError, match=r'`shuffle` should be True, False or "block". Received: shuffle='):
        EpochOrder(10, shuffle, 0)


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_large_requests_equal_small_ones(shuffle):
    order = EpochOrder(100_003, shuffle, seed=3, block_size=7)
    for start, stop in ((0, 100_003), (30_000, 70_000), (95_000, 100_003)):
        few = np.concatenate([order.samples(2, i, min(i + 1000, stop)) for i in range(start, stop, 1000)])
        assert np.array_equal(order.samples(2, start, stop), few)


@given(num_samples=st.integers(1, 10**6), batch_size=st.integers(1, 5000), data=st.data())
@examples(50)
def test_partition_gives_equal_numbers_of_whole_batches(num_samples, batch_size, data):
    num_batches = -(-num_samples // batch_size)
    num_parts = data.draw(st.integers(1, min(num_batches, 300)))

    bounds = partition(num_samples, batch_size, num_parts)

    assert len(bounds) == num_parts
    assert [0, *(stop for _, stop in bounds)] == [*(first for first, _ in bounds), num_samples]
    assert all(first % batch_size == 0 for first, _ in bounds)
    batches = [-(-(stop - first) // batch_size) for first, stop in bounds]
    assert sum(batches) == num_batches
    assert batches == sorted(batches)
    assert 1 <= batches[0] <= batches[-1] <= batches[0] + 1
    sizes = [stop - first for first, stop in bounds]
    assert max(sizes) - min(sizes) <= batch_size


def test_partition_is_pinned():
    assert partition(num_samples=47, batch_size=10, num_parts=3) == [(0, 10), (10, 30), (30, 47)]
    assert partition(num_samples=np.int64(41), batch_size=np.int64(4), num_parts=np.int64(1)) == [(0, 41)]


@pytest.mark.parametrize("num_parts", [0, -1, 6, True, False, 2.0, "2", None])
def test_invalid_number_of_partitions_is_an_error(num_parts):
    message = r"`n` should be a number of partitions from 1 to 5, the number of batches\. Received: n="
    with pytest.raises(OptionError, match=message) as e:
        partition(41, 10, num_parts)
    assert str(e.value).endswith(f"n={num_parts!r}")


@given(
    num_samples=st.integers(1, 400),
    batch_size=st.integers(1, 60),
    shuffle=st.sampled_from([True, False, "block"]),
    block_size=st.integers(1, 50),
    seed=SEEDS,
    data=st.data(),
)
@examples(40)
def test_parts_are_disjoint_and_complete_and_each_epoch_has_all_members(
    num_samples, batch_size, shuffle, block_size, seed, data
):
    num_parts = data.draw(st.integers(1, min(-(-num_samples // batch_size), 12)))
    made = parts(EpochOrder(num_samples, shuffle, seed, block_size), batch_size, num_parts)

    assert has_each_once(np.concatenate([part.members() for part in made]), num_samples)
    for part in made:
        assert part.members().dtype == np.int64
        assert len(part.members()) == part.size
        for epoch in (0, 1, 2**40):
            assert np.sort(whole(part, epoch)).tolist() == part.members().tolist()


@given(
    bounds=st.tuples(st.integers(0, 300), st.integers(1, 300)),
    past=st.integers(0, 100),
    slice_size=st.integers(1, 90),
    shuffle=st.sampled_from([True, False, "block"]),
    seed=SEEDS,
)
@examples(30)
def test_batches_of_a_part_are_slices_of_one_order(bounds, past, slice_size, shuffle, seed):
    first, size = bounds
    part = EpochOrder(first + size + past, shuffle, seed, block_size=7).part(first, first + size)

    slices = [part.samples(3, start, min(start + slice_size, size)) for start in range(0, size, slice_size)]

    assert np.concatenate(slices).tolist() == whole(part, 3).tolist()
    assert pickle.loads(pickle.dumps(part)) == part


def test_parts_of_one_order_are_pinned():
    """If these numbers change, a resumed run gets other samples than before."""
    order, bounds = EpochOrder(num_samples=20, shuffle=True, seed=0), [(0, 8), (8, 16), (16, 20)]
    assert [order.part(*bound).members().tolist() for bound in bounds] == MEMBERS
    assert [whole(order.part(*bound), epoch).tolist() for bound in bounds for epoch in (0, 1)] == ORDERS

    blocks = EpochOrder(num_samples=20, shuffle="block", seed=0, block_size=3)
    assert [whole(blocks.part(*bound)).tolist() for bound in bounds] == BLOCKS

    huge = EpochOrder(num_samples=10**10, shuffle=True, seed=0).part(7 * 10**9, 9 * 10**9)
    assert huge.samples(0, 10**9, 10**9 + 3).tolist() == HUGE


MEMBERS = [[3, 4, 7, 10, 13, 14, 15, 16], [1, 2, 5, 6, 9, 11, 12, 19], [0, 8, 17, 18]]
ORDERS = [
    [3, 10, 16, 4, 14, 7, 13, 15],
    [10, 7, 13, 4, 3, 14, 16, 15],
    [2, 1, 6, 19, 5, 12, 9, 11],
    [1, 12, 9, 19, 2, 5, 6, 11],
    [0, 17, 8, 18],
    [17, 18, 0, 8],
]
BLOCKS = [[15, 16, 17, 9, 10, 6, 7, 8], [5, 0, 1, 2, 12, 11, 3, 4], [19, 13, 14, 18]]
HUGE = [8974538298, 4588152684, 7604603697]


@pytest.mark.parametrize("shuffle", [True, False, "block"])
def test_part_of_all_positions_equals_the_whole_order(shuffle):
    order = EpochOrder(60, shuffle, 4, block_size=7)

    assert whole(order.part(0, 60), 3).tolist() == whole(order, 3).tolist()
    assert order.members().tolist() == order.part(0, 60).members().tolist() == list(range(60))
    assert (order.size, order.part(20, 50).size) == (60, 30)


def test_parts_without_shuffle_are_consecutive_on_disk():
    made = parts(EpochOrder(50, False, seed=3), 4, 5)

    assert np.concatenate([whole(part, epoch) for epoch, part in enumerate(made)]).tolist() == list(range(50))


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_epochs_of_a_part_differ(shuffle):
    part = EpochOrder(300, shuffle, 1, block_size=5).part(100, 200)

    assert len({tuple(whole(part, epoch)) for epoch in range(30)}) == 30


def test_every_member_of_a_part_is_equally_likely_at_every_position():
    part, counts = EpochOrder(60, True, seed=3).part(20, 45), np.zeros((25, 25))
    for epoch in range(500):
        counts[np.arange(25), np.searchsorted(part.members(), whole(part, epoch))] += 1

    assert chi_square(counts) < 690  # p = 0.001 for 24 * 24 degrees of freedom


@pytest.mark.parametrize("seed", range(5))
def test_parts_of_samples_sorted_by_class_have_all_classes(seed):
    labels = np.repeat(np.arange(10), 1000)
    for part in parts(EpochOrder(10_000, True, seed), 10, 4):
        shares = np.bincount(labels[part.members()], minlength=10)
        assert (abs(shares - part.size / 10) < 0.25 * part.size / 10).all()


@given(num_samples=st.integers(1, 500), block_size=st.integers(1, 60), seed=SEEDS, num_parts=st.integers(1, 9))
@examples(30)
def test_parts_cut_blocks_only_at_their_ends(num_samples, block_size, seed, num_parts):
    num_parts = min(num_parts, num_samples)
    made = parts(EpochOrder(num_samples, "block", seed, block_size), 1, num_parts)

    blocks_of_parts = [set((part.members() // block_size).tolist()) for part in made]

    num_blocks = -(-num_samples // block_size)
    assert sum(map(len, blocks_of_parts)) <= num_blocks + num_parts - 1


def test_neighbors_stay_together_in_a_part():
    part = EpochOrder(1000, "block", seed=1, block_size=10).part(250, 500)

    for epoch in range(5):
        assert (np.diff(whole(part, epoch)) == 1).sum() >= 225 - 25  # 25 runs of ten neighbors, of which some are cut


@pytest.mark.parametrize("shuffle", [True, False, "block"])
def test_part_of_ten_billion_samples_needs_a_few_megabytes(shuffle):
    part = EpochOrder(10**10, shuffle, seed=11, block_size=4).part(3 * 10**9, 6 * 10**9)
    tracemalloc.start()
    try:
        for start in (0, part.size // 2, part.size - 64):
            batch = part.samples(0, start, start + 64)
            assert len(np.unique(batch)) == 64
            assert 0 <= batch.min() <= batch.max() < 10**10
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 5_000_000


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_large_requests_of_a_part_equal_small_ones(shuffle):
    part = EpochOrder(100_003, shuffle, seed=3, block_size=7).part(10_000, 100_003)
    for start, stop in ((0, 90_003), (30_000, 70_000), (85_000, 90_003)):
        few = np.concatenate([part.samples(2, i, min(i + 1000, stop)) for i in range(start, stop, 1000)])
        assert np.array_equal(part.samples(2, start, stop), few)


@pytest.mark.parametrize("shuffle", [True, "block"])
def test_reseeded_parts_are_disjoint_and_have_other_members(shuffle):
    order = EpochOrder(60, shuffle, 1, block_size=3)
    made = [part.reseeded(2) for part in parts(order, 10, 3)]

    assert made == parts(order.reseeded(2), 10, 3)
    assert sorted(np.concatenate([part.members() for part in made])) == list(range(60))
    assert made[0].members().tolist() != parts(order, 10, 3)[0].members().tolist()
    with pytest.raises(OptionError, match="`seed` should be"):
        order.reseeded(-1)


def test_part_of_a_part_is_an_error():
    with pytest.raises(OptionError, match="Only a whole order can be divided into parts"):
        EpochOrder(60, True, 1).part(0, 59).part(0, 10)
