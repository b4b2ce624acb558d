"""Shards of an order: joined, they are the order of one process, for any number of shards."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.ordering.epoch_order import EpochOrder
from keras_oocore.ordering.shard_order import ShardOrder
from keras_oocore.ordering.window_order import WindowOrder

SHARDS = (1, 2, 3, 4, 6, 12)  # of batches of 12


@st.composite
def orders(draw):
    """An order of any kind, whole or a part, whose last batch of 12 every number of shards divides."""
    num_samples = 12 * draw(st.integers(1, 9))
    seed = draw(st.integers(0, 99))
    if draw(st.booleans()):
        shuffle = draw(st.sampled_from([True, False, "block"]))
        order = EpochOrder(num_samples, shuffle, seed, block_size=draw(st.integers(1, 5)))
    else:
        cuts = sorted(draw(st.lists(st.integers(0, num_samples), max_size=6)))
        sizes = np.diff([0, *cuts, num_samples]).tolist()
        order = WindowOrder(tuple(sizes), draw(st.integers(1, 4)), seed, draw(st.booleans()))
    if draw(st.booleans()):
        return order
    first = 12 * draw(st.integers(0, num_samples // 12 - 1))
    return order.part(first, draw(st.sampled_from(range(first + 12, num_samples + 1, 12))))


def batch(shards, epoch, number, batch_size):
    """A batch of all shards, joined."""
    share = batch_size // len(shards)
    return np.concatenate(
        [shard.samples(epoch, number * share, min((number + 1) * share, shard.size)) for shard in shards]
    ).tolist()


@given(orders(), st.sampled_from(SHARDS), st.sampled_from(SHARDS), st.integers(0, 3))
def test_joined_shards_are_the_order_when_their_number_changes_within_an_epoch(order, before, after, epoch):
    num_batches = order.size // 12
    shards = {n: [ShardOrder(order, index, n, batch_size=12) for index in range(n)] for n in (before, after)}

    for number in range(num_batches):
        joined = batch(shards[before if number < num_batches // 2 else after], epoch, number, 12)
        assert joined == order.samples(epoch, number * 12, (number + 1) * 12).tolist()


@pytest.mark.parametrize("num_shards", [2, 3])
def test_last_batch_is_divided_or_left_out(num_shards):
    order = EpochOrder(num_samples=30, shuffle=True, seed=1)
    kept = [ShardOrder(order, index, num_shards, batch_size=12) for index in range(num_shards)]
    dropped = [ShardOrder(order, index, num_shards, batch_size=12, keeps_last=False) for index in range(num_shards)]

    assert [shard.size for shard in kept] == [30 // num_shards] * num_shards
    assert [shard.size for shard in dropped] == [24 // num_shards] * num_shards
    assert batch(kept, 5, 2, 12) == order.samples(5, 24, 30).tolist()


@given(st.integers(1, 40), st.sampled_from(SHARDS), st.integers(0, 3))
def test_last_batch_is_filled_with_its_samples(num_samples, num_shards, epoch):
    order = EpochOrder(num_samples, shuffle=True, seed=1)
    shards = [ShardOrder(order, index, num_shards, batch_size=12, fills_last=True) for index in range(num_shards)]
    num_batches = -(-num_samples // 12)

    assert {shard.size for shard in shards} == {num_batches * 12 // num_shards}
    for number in range(num_batches):
        samples = order.samples(epoch, number * 12, min((number + 1) * 12, num_samples))
        assert batch(shards, epoch, number, 12) == np.resize(samples, 12).tolist()
    assert pickle.loads(pickle.dumps(shards[0])) == shards[0]


@given(orders(), st.sampled_from(SHARDS), st.data())
def test_samples_at_are_those_of_samples(order, num_shards, data):
    shard = ShardOrder(order, data.draw(st.integers(0, num_shards - 1)), num_shards, batch_size=12)
    positions = np.array(data.draw(st.lists(st.integers(0, shard.size - 1), min_size=1, max_size=20)))

    assert shard.samples_at(2, positions).tolist() == shard.samples(2, 0, shard.size)[positions].tolist()


def test_chunks_of_a_window_are_due_in_every_shard():
    order = WindowOrder((6,) * 8, window_chunks=2, seed=3)

    for index in range(4):
        shard = ShardOrder(order, index, 4, batch_size=12)
        due = [shard.chunks_due(0, start, start + 3) for start in range(0, shard.size, 3)]
        assert due == [order.chunks_due(0, start, start + 12) for start in range(0, 48, 12)]
        coming = [shard.chunks_coming(0, start, start + 3) for start in range(0, shard.size, 3)]
        assert coming == [order.chunks_coming(0, start, start + 12) for start in range(0, 48, 12)]


def test_copy_and_seed():
    shard = ShardOrder(EpochOrder(24, shuffle=True, seed=1), 1, 2, batch_size=12)
    again = pickle.loads(pickle.dumps(shard))

    assert again == shard
    assert again.samples(3, 0, 12).tolist() == shard.samples(3, 0, 12).tolist()
    other = shard.reseeded(2)
    assert other.samples(3, 0, 6).tolist() == EpochOrder(24, shuffle=True, seed=2).samples(3, 6, 12).tolist()


def test_shard_of_ten_billion_samples_computes_many_steps_at_once():
    """With blocks of whole batches, each step of 32 samples would compute 32,768 of them: 5 ms, a thousand times."""
    order = EpochOrder(10**10, shuffle=True, seed=0)
    shard = ShardOrder(order, 999, 1000, batch_size=32_000)
    computed = []

    class Counted:
        """The order, which counts the positions that it computes."""

        positions_at_once, size, num_samples, first, seed = order.positions_at_once, order.size, 10**10, 0, 0

        def samples_at(self, epoch, positions):
            computed.append(len(positions))
            return order.samples_at(epoch, positions)

    counted = ShardOrder(Counted(), 999, 1000, batch_size=32_000)

    for step in range(2000):
        samples = counted.samples(0, step * 32, (step + 1) * 32)
        assert len(samples) == 32
    assert sum(computed) == 2 * 2**15  # positions of 2,048 steps
    assert samples.tolist() == order.samples(0, 1999 * 32_000 + 999 * 32, 1999 * 32_000 + 1000 * 32).tolist()
    assert shard.size == 10**10 // 1000
