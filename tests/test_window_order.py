"""The order of chunks and of rows in windows of them."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.window_order import WindowOrder, _chunks

sizes = st.lists(st.integers(0, 6), min_size=1, max_size=8).map(tuple).filter(any)


@given(sizes, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3), st.integers(1, 7))
def test_every_sample_once_an_epoch_whatever_the_batches(sizes, window_chunks, seed, epoch, batch_size):
    order, total = WindowOrder(sizes, window_chunks, seed), sum(sizes)
    batches = [order.samples(epoch, start, min(start + batch_size, total)) for start in range(0, total, batch_size)]
    whole = order.samples(epoch, 0, total)

    assert sorted(whole.tolist()) == list(range(total))
    assert np.concatenate(batches).tolist() == whole.tolist()
    assert whole.dtype == np.int64
    assert pickle.loads(pickle.dumps(order)).samples(epoch, 0, total).tolist() == whole.tolist()


def test_one_order_is_pinned():
    order = WindowOrder((3, 2, 4, 1), window_chunks=2, seed=1)
    assert order.samples(0, 0, 10).tolist() == PINNED[0]
    assert order.samples(1, 0, 10).tolist() == PINNED[1]


PINNED = [[3, 4, 9, 6, 8, 7, 1, 2, 0, 5], [4, 8, 7, 3, 6, 5, 2, 0, 9, 1]]


def test_a_window_holds_the_rows_of_its_chunks():
    order = WindowOrder((10,) * 12, window_chunks=3, seed=2)
    windows = [[set(part // 10) for part in np.split(order.samples(epoch, 0, 120), 4)] for epoch in range(5)]

    assert all(len(window) == 3 for windows_of_epoch in windows for window in windows_of_epoch)
    assert len({str(windows_of_epoch) for windows_of_epoch in windows}) == 5


def test_epochs_and_seeds_differ():
    orders = [tuple(WindowOrder((50, 50), 2, seed).samples(epoch, 0, 100)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_rows_of_a_window_are_in_every_place_equally_often():
    counts = np.zeros((6, 6))
    for epoch in range(600):
        counts[np.arange(6), WindowOrder((3, 3), 2, 0).samples(epoch, 0, 6)] += 1
    assert ((counts - 100) ** 2 / 100).sum() == pytest.approx(25, abs=25)  # chi-square of 25 degrees of freedom


def test_what_was_handed_out_may_be_changed_and_changes_nothing():
    order = WindowOrder((3, 3), 2, 0)
    first = order.samples(0, 0, 6).tolist()
    order.samples(0, 0, 6)[:] = 1
    assert order.samples(0, 0, 6).tolist() == first


def test_orders_of_more_samples_than_an_int32_counts():
    order = WindowOrder((2**31, 5, 4, 3), window_chunks=1, seed=0)
    last = [
        order.samples(0, stop - 3, stop) for stop in np.cumsum(np.array(order.sizes)[_chunks(order, 0)]).tolist()[:1]
    ]
    assert _chunks(order, 0)[0] > 0  # a small chunk comes first
    assert last[0].min() >= 2**31
