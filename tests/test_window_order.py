"""The order of chunks and of rows in windows of them."""

import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.window_order import WindowOrder

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


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(1, 9), st.booleans(), st.integers(1, 7))
def test_chunks_come_before_their_window_does(sizes, window_chunks, shuffle, batch_size):
    order, total, come = WindowOrder(sizes, window_chunks, 3, shuffle), sum(sizes), []
    begun, firsts = [], np.cumsum([0, *sizes])
    for start in range(0, total, batch_size):
        stop = min(start + batch_size, total)
        wanted = set(np.searchsorted(firsts, order.samples(1, start, stop), side="right") - 1)
        begun += order.beginning(1, start, stop)
        assert wanted <= set(begun)
        if batch_size == 1:  # others may lie in two windows, of which the second has not quite come
            assert wanted <= {*come, *order.beginning(1, 0, 1)}
        come += order.coming(1, start, stop)
    assert sorted(begun) == list(range(len(sizes)))
    assert sorted([*come, *order.beginning(1, 0, 1)]) == list(range(len(sizes)))


def test_chunks_come_one_after_the_other():
    order = WindowOrder((100,) * 12, window_chunks=4, seed=2)
    come = [len(order.coming(0, start, start + 10)) for start in range(0, 1200, 10)]
    assert come[0] == 1
    assert set(come) == {0, 1}
    assert sum(come) == 8
    assert not any(come[80:])  # the last window has none after it


def test_in_order_the_next_chunks_come_at_once():
    order = WindowOrder((100,) * 6, window_chunks=2, seed=2, shuffle=False)
    assert order.beginning(0, 0, 10) == [0, 1]
    assert order.coming(0, 0, 10) == [2]
    assert order.coming(0, 100, 110) == [3]
    assert order.samples(5, 98, 103).tolist() == [98, 99, 100, 101, 102]


def test_threads_mix_a_window_once(monkeypatch):
    order, mixed, mix = WindowOrder((1000,) * 4, window_chunks=4, seed=2), [], WindowOrder._mix

    def counted(self, epoch, window):
        mixed.append((epoch, window))
        return mix(self, epoch, window)

    monkeypatch.setattr(WindowOrder, "_mix", counted)
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda start: order.samples(7, start, start + 10), range(0, 4000, 10)))
    assert mixed == [(7, 0)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(4000))


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
    (first,) = order.beginning(0, 0, 1)
    assert first > 0  # a small chunk comes first
    assert order.samples(0, 0, 3).min() >= 2**31


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_a_thread_mixes_mixes_for_itself(monkeypatch):
    order, mixing, go_on, mix = WindowOrder((10, 10), 2, 0), threading.Event(), threading.Event(), WindowOrder._mix

    def slowly(self, epoch, window):
        if threading.current_thread() is not threading.main_thread():
            mixing.set()
            assert go_on.wait(20)
        return mix(self, epoch, window)

    monkeypatch.setattr(WindowOrder, "_mix", slowly)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(order.samples, 0, 0, 20)
        assert mixing.wait(20)
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if sorted(order.samples(0, 0, 20).tolist()) == list(range(20)) else 1)
        go_on.set()
        assert os.waitpid(child, 0)[1] == 0
        assert sorted(first.result().tolist()) == list(range(20))


def test_an_interrupt_while_mixing_leaves_nobody_waiting(monkeypatch):
    order, mix, interrupts = WindowOrder((10, 10), 2, 0), WindowOrder._mix, [KeyboardInterrupt()]

    def interrupted(self, epoch, window):
        if interrupts:
            raise interrupts.pop()
        return mix(self, epoch, window)

    monkeypatch.setattr(WindowOrder, "_mix", interrupted)
    with pytest.raises(KeyboardInterrupt):
        order.samples(0, 0, 20)
    assert sorted(order.samples(0, 0, 20).tolist()) == list(range(20))
