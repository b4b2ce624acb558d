"""WindowOrder: the order of chunks, and of the rows in windows of chunks."""

import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.epoch_order import partition
from keras_oocore.ordering.window_order import WindowOrder

sizes = st.lists(st.integers(0, 6), min_size=1, max_size=8).map(tuple).filter(any)


def whole(order, epoch=0):
    return order.samples(epoch, 0, order.size)


def parts(order, batch_size, num_parts):
    return [order.part(first, stop) for first, stop in partition(order.num_samples, batch_size, num_parts)]


def chunks_of(order, samples):
    """The chunk that contains each sample."""
    return np.searchsorted(np.cumsum(order.sizes), samples, side="right")


@st.composite
def partitions(draw):
    """All parts of an order, and their batch size."""
    order = WindowOrder(draw(sizes), draw(st.integers(1, 9)), draw(st.integers(0, 2**40)), draw(st.booleans()))
    batch_size = draw(st.integers(1, 9))
    num_parts = draw(st.integers(1, -(-order.num_samples // batch_size)))
    return parts(order, batch_size, num_parts), batch_size


@given(sizes, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3), st.integers(1, 7))
@examples(50)
def test_every_sample_once_per_epoch_for_any_batch_size(sizes, window_chunks, seed, epoch, batch_size):
    order, total = WindowOrder(sizes, window_chunks, seed), sum(sizes)
    batches = [order.samples(epoch, start, min(start + batch_size, total)) for start in range(0, total, batch_size)]
    whole = order.samples(epoch, 0, total)

    assert sorted(whole.tolist()) == list(range(total))
    assert np.concatenate(batches).tolist() == whole.tolist()
    assert whole.dtype == np.int64
    assert pickle.loads(pickle.dumps(order)).samples(epoch, 0, total).tolist() == whole.tolist()


def test_order_of_one_seed_is_pinned():
    order = WindowOrder((3, 2, 4, 1), window_chunks=2, seed=1)
    assert order.samples(0, 0, 10).tolist() == PINNED[0]
    assert order.samples(1, 0, 10).tolist() == PINNED[1]


PINNED = [[3, 4, 9, 6, 8, 7, 1, 2, 0, 5], [4, 8, 7, 3, 6, 5, 2, 0, 9, 1]]


def test_order_with_empty_chunks_is_pinned():
    order = WindowOrder((3, 0, 2, 0, 4, 1), window_chunks=2, seed=1)
    assert order.samples(0, 0, 10).tolist() == [6, 8, 7, 1, 2, 0, 5, 4, 9, 3]
    assert order.samples(1, 0, 10).tolist() == [4, 3, 0, 2, 1, 5, 6, 9, 7, 8]
    assert [order.chunks_due(epoch, 0, 10) for epoch in (0, 1)] == [[0, 4, 2, 5], [1, 2, 0, 3, 4, 5]]
    assert [order.chunks_coming(epoch, 0, 10) for epoch in (0, 1)] == [[2, 5], [0, 3, 4, 5]]


def test_window_contains_the_rows_of_its_chunks():
    order = WindowOrder((10,) * 12, window_chunks=3, seed=2)
    windows = [[set(part // 10) for part in np.split(order.samples(epoch, 0, 120), 4)] for epoch in range(5)]

    assert all(len(window) == 3 for windows_of_epoch in windows for window in windows_of_epoch)
    assert len({str(windows_of_epoch) for windows_of_epoch in windows}) == 5


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(1, 9), st.booleans(), st.integers(1, 7))
@examples(50)
def test_chunks_are_due_before_their_window(sizes, window_chunks, shuffle, batch_size):
    order, total, coming = WindowOrder(sizes, window_chunks, 3, shuffle), sum(sizes), []
    due, firsts = [], np.cumsum([0, *sizes])
    for start in range(0, total, batch_size):
        stop = min(start + batch_size, total)
        needed = set(np.searchsorted(firsts, order.samples(1, start, stop), side="right") - 1)
        due += order.chunks_due(1, start, stop)
        assert needed <= set(due)
        if batch_size == 1:  # larger batches may be in two windows, and the second one is not complete yet
            assert needed <= {*coming, *order.chunks_due(1, 0, 1)}
        coming += order.chunks_coming(1, start, stop)
    assert sorted(due) == list(range(len(sizes)))
    assert sorted([*coming, *order.chunks_due(1, 0, 1)]) == list(range(len(sizes)))


def test_chunks_coming_are_spread_over_the_window():
    order = WindowOrder((100,) * 12, window_chunks=4, seed=2)
    coming = [len(order.chunks_coming(0, start, start + 10)) for start in range(0, 1200, 10)]
    assert coming[0] == 1
    assert set(coming) == {0, 1}
    assert sum(coming) == 8
    assert not any(coming[80:])  # no window follows the last one


def test_chunks_without_shuffle():
    order = WindowOrder((100,) * 6, window_chunks=2, seed=2, shuffle=False)
    assert order.chunks_due(0, 0, 10) == [0, 1]
    assert order.chunks_coming(0, 0, 10) == [2]
    assert order.chunks_coming(0, 100, 110) == [3]
    assert order.samples(5, 98, 103).tolist() == [98, 99, 100, 101, 102]


def test_threads_shuffle_a_window_once(monkeypatch):
    order, mixed, mix = WindowOrder((1000,) * 4, window_chunks=4, seed=2), [], WindowOrder._mix

    def counted(self, epoch, window):
        mixed.append((epoch, window))
        return mix(self, epoch, window)

    monkeypatch.setattr(WindowOrder, "_mix", counted)
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda start: order.samples(7, start, start + 10), range(0, 4000, 10)))
    assert mixed == [(7, 0)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(4000))


def test_order_depends_on_epoch_and_seed():
    orders = [tuple(WindowOrder((50, 50), 2, seed).samples(epoch, 0, 100)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_rows_of_a_window_are_equally_likely_at_every_position():
    counts = np.zeros((6, 6))
    for epoch in range(300):
        counts[np.arange(6), WindowOrder((3, 3), 2, 0).samples(epoch, 0, 6)] += 1
    assert ((counts - 50) ** 2 / 50).sum() == pytest.approx(25, abs=25)  # chi-square of 25 degrees of freedom


def test_changing_returned_samples_does_not_change_the_order():
    order = WindowOrder((3, 3), 2, 0)
    first = order.samples(0, 0, 6).tolist()
    order.samples(0, 0, 6)[:] = 1
    assert order.samples(0, 0, 6).tolist() == first


def test_more_samples_than_int32_can_count():
    order = WindowOrder((2**31, 5, 4, 3), window_chunks=1, seed=0)
    (first,) = order.chunks_due(0, 0, 1)
    assert first > 0  # the first chunk is a small one
    assert order.samples(0, 0, 3).min() >= 2**31


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_shuffles_a_window_that_a_thread_was_shuffling(monkeypatch):
    order, mixing, resume, mix = WindowOrder((10, 10), 2, 0), threading.Event(), threading.Event(), WindowOrder._mix

    def slowly(self, epoch, window):
        if threading.current_thread() is not threading.main_thread():
            mixing.set()
            assert resume.wait(20)
        return mix(self, epoch, window)

    monkeypatch.setattr(WindowOrder, "_mix", slowly)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(order.samples, 0, 0, 20)
        assert mixing.wait(20)
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if sorted(order.samples(0, 0, 20).tolist()) == list(range(20)) else 1)
        resume.set()
        assert os.waitpid(child, 0)[1] == 0
        assert sorted(first.result().tolist()) == list(range(20))


def test_interrupted_shuffle_is_repeated_by_the_next_request(monkeypatch):
    order, mix, interrupts = WindowOrder((10, 10), 2, 0), WindowOrder._mix, [KeyboardInterrupt()]

    def interrupted(self, epoch, window):
        if interrupts:
            raise interrupts.pop()
        return mix(self, epoch, window)

    monkeypatch.setattr(WindowOrder, "_mix", interrupted)
    with pytest.raises(KeyboardInterrupt):
        order.samples(0, 0, 20)
    assert sorted(order.samples(0, 0, 20).tolist()) == list(range(20))


@given(partitions())
@examples(50)
def test_parts_are_disjoint_and_complete_and_each_epoch_has_all_members(partitions):
    made, _ = partitions

    members = np.concatenate([part.members() for part in made])
    assert sorted(members.tolist()) == list(range(made[0].num_samples))
    assert members.dtype == np.int64
    for part in made:
        assert len(part.members()) == part.size
        for epoch in (0, 1, 2**40):
            assert np.sort(whole(part, epoch)).tolist() == part.members().tolist()


@given(partitions(), st.integers(1, 9), st.integers(0, 3))
@examples(40)
def test_batches_of_a_pickled_part_are_slices_of_one_order(partitions, slice_size, epoch):
    for part in partitions[0]:
        copy = pickle.loads(pickle.dumps(part))
        slices = [copy.samples(epoch, i, min(i + slice_size, part.size)) for i in range(0, part.size, slice_size)]
        assert np.concatenate(slices).tolist() == whole(part, epoch).tolist()
        assert (copy.size, copy.members().tolist()) == (part.size, part.members().tolist())
        assert copy.chunks_due(epoch, 0, part.size) == part.chunks_due(epoch, 0, part.size)


@given(partitions())
@examples(40)
def test_part_cuts_at_most_two_chunks(partitions):
    for part in partitions[0]:
        chunks, counts = np.unique(chunks_of(part, part.members()), return_counts=True)
        cut = counts < np.array(part.sizes)[chunks]
        assert cut.sum() <= 2
        for chunk in chunks[cut]:  # its rows are neighbors
            rows = part.members()[chunks_of(part, part.members()) == chunk]
            assert (np.diff(rows) == 1).all()


@given(partitions())
@examples(50)
def test_only_chunks_of_a_part_are_due(partitions):
    made, batch_size = partitions
    assume(len(made) > 1)  # a part of all positions also has empty chunks
    for part in made:
        due, coming = [], part.chunks_due(1, 0, 1)
        for start in range(0, part.size, batch_size):
            stop = min(start + batch_size, part.size)
            needed = set(chunks_of(part, part.samples(1, start, stop)))
            due += part.chunks_due(1, start, stop)
            assert needed <= set(due)
            if batch_size == 1:  # larger batches may be in two windows, and the second one is not complete yet
                assert needed <= set(coming)
            coming += part.chunks_coming(1, start, stop)
        assert sorted(due) == sorted(coming) == np.unique(chunks_of(part, part.members())).tolist()


def test_parts_of_one_order_are_pinned():
    """If these numbers change, a resumed run gets other samples than before."""
    order = WindowOrder((3, 2, 4, 1), window_chunks=2, seed=1)
    made = [order.part(*bound) for bound in ((0, 4), (4, 8), (8, 10))]
    assert [part.members().tolist() for part in made] == MEMBERS
    assert [whole(part, epoch).tolist() for part in made for epoch in (0, 1)] == ORDERS


MEMBERS = [[0, 1, 2, 9], [5, 6, 7, 8], [3, 4]]
ORDERS = [[0, 1, 2, 9], [1, 9, 0, 2], [5, 6, 7, 8], [6, 8, 5, 7], [3, 4], [4, 3]]


@given(sizes, st.integers(1, 9), st.integers(0, 5), st.booleans())
@examples(50)
def test_part_of_all_positions_equals_the_whole_order(sizes, window_chunks, seed, shuffle):
    order = WindowOrder(sizes, window_chunks, seed, shuffle)
    part = order.part(0, order.size)

    assert whole(part, 2).tolist() == whole(order, 2).tolist()
    assert part.chunks_due(2, 0, order.size) == order.chunks_due(2, 0, order.size)
    assert part.chunks_coming(2, 0, order.size) == order.chunks_coming(2, 0, order.size)
    assert order.members().tolist() == list(range(sum(sizes)))


def test_parts_without_shuffle_are_consecutive_in_the_files():
    order = WindowOrder((3, 0, 2, 4, 1), 2, seed=1, shuffle=False)
    made = [order.part(*bound) for bound in ((0, 6), (6, 9), (9, 10))]

    assert [whole(part, 5).tolist() for part in made] == [[0, 1, 2, 3, 4, 5], [6, 7, 8], [9]]
    assert [part.chunks_due(0, 0, part.size) for part in made] == [[0, 2, 3], [3], [4]]


def test_part_within_one_chunk():
    part = WindowOrder((100,), 4, seed=1).part(30, 60)

    assert part.members().tolist() == list(range(30, 60))
    assert part.chunks_due(0, 0, 10) == [0]
    assert part.chunks_due(0, 10, 30) == part.chunks_coming(0, 0, 30) == []
    assert sorted(whole(part).tolist()) == list(range(30, 60)) != whole(part).tolist()


def test_part_has_chunks_from_all_files():
    labels = np.repeat(np.arange(10), 10_000)
    for part in parts(WindowOrder((100,) * 1000, 64, seed=5), 100, 4):
        shares = np.bincount(labels[part.members()], minlength=10)
        assert (abs(shares - 2500) < 1250).all()  # about 25 chunks of each class


def test_epochs_of_a_part_differ_in_windows_and_rows():
    part = WindowOrder((10,) * 24, window_chunks=3, seed=2).part(60, 150)

    assert len({tuple(whole(part, epoch)) for epoch in range(20)}) == 20
    assert len({tuple(part.chunks_due(epoch, 0, 1)) for epoch in range(20)}) > 10


def test_reseeded_parts_are_disjoint_and_have_other_members():
    order = WindowOrder((10,) * 12, 3, seed=1)
    made = [part.reseeded(2) for part in parts(order, 10, 3)]

    assert [whole(part).tolist() for part in made] == [whole(part).tolist() for part in parts(order.reseeded(2), 10, 3)]
    assert sorted(np.concatenate([part.members() for part in made]).tolist()) == list(range(120))
    assert made[0].members().tolist() != order.part(0, 40).members().tolist()
    assert made[0].seed == 2


def test_part_of_a_part_is_an_error():
    with pytest.raises(OptionError, match="Only a whole order can be divided into parts"):
        WindowOrder((3, 3), 2, 0).part(1, 4).part(0, 1)


def test_part_of_more_samples_than_int32_can_count():
    part = WindowOrder((2**31, 5, 4, 3), 1, seed=0, shuffle=True).part(2**31 + 8, 2**31 + 12)

    assert part.members().tolist() == sorted(whole(part).tolist())
    assert part.members().dtype == np.int64
