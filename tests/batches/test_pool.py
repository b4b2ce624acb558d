"""Buffers that are used again, and never while anyone can still see them."""

import pickle
import threading

import numpy as np
import pytest

from keras_oocore.batches.pool import BufferPool


def address(array):
    return array.__array_interface__["data"][0]


def test_one_row_of_each_of_a_hundred_batches_stays_as_it_was():
    """A finaliser on the batch itself would fire here: numpy collapses the base of `x[0]` past it."""
    pool = BufferPool(buffer_bytes=64, keep=100)
    kept = []
    for number in range(100):
        x = pool.lease().reshape(8, 8)
        x[:] = number
        kept.append(x[0])
        del x

    assert [set(row.tolist()) for row in kept] == [{number} for number in range(100)]
    assert pool.num_idle == 0
    kept.clear()
    assert pool.num_idle == 100


def test_a_buffer_is_used_again_once_its_batch_is_gone():
    pool = BufferPool(buffer_bytes=4096, keep=1)
    lease = pool.lease()
    first = address(lease)
    del lease

    assert address(pool.lease()) == first


@pytest.mark.parametrize(
    "view",
    [
        lambda lease: lease[10:20][2:4],
        lambda lease: lease.reshape(8, 8)[1].reshape(2, 4)[:, ::2],
        lambda lease: lease.view(np.float32)[3:],
        lambda lease: lease[:32].view(">u2").reshape(4, 4).T,
        lambda lease: np.moveaxis(lease.reshape(2, 4, 8), -1, 1)[..., 0],
        lambda lease: np.lib.stride_tricks.sliding_window_view(lease, 3)[5],
        lambda lease: np.broadcast_to(lease[:1], (5, 1)),
        lambda lease: memoryview(lease)[7:9],
        lambda lease: np.asarray(memoryview(lease.reshape(8, 8)[3])),
        lambda lease: lease.flat,
    ],
)
def test_any_view_of_a_view_keeps_the_buffer(view):
    pool = BufferPool(buffer_bytes=64, keep=4)
    seen = view(pool.lease())

    assert pool.num_idle == 0
    del seen
    assert pool.num_idle == 1


def test_a_copy_does_not_keep_the_buffer():
    pool = BufferPool(buffer_bytes=64, keep=4)
    batch = pool.lease().reshape(8, 8)
    copies = [batch.copy(), batch[[0, 1]], batch.astype(np.float32)]
    del batch

    assert len(copies) == 3
    assert pool.num_idle == 1


def test_no_more_idle_buffers_are_kept_than_was_asked():
    pool = BufferPool(buffer_bytes=16, keep=2)
    leases = [pool.lease() for _ in range(7)]
    assert len({address(lease) for lease in leases}) == 7
    leases.clear()
    assert pool.num_idle == 2

    pool.clear()
    assert pool.num_idle == 0


def test_leases_are_writable_and_as_large_as_was_asked():
    lease = BufferPool(buffer_bytes=24, keep=1).lease()
    lease[:] = 7

    assert lease.shape == (24,)
    assert lease.dtype == np.uint8
    assert lease.view(np.float64).flags.aligned


@pytest.mark.timeout(300)
def test_threads_never_share_a_buffer():
    pool = BufferPool(buffer_bytes=256, keep=3)
    spoiled = []
    start = threading.Barrier(4)

    def work(number):
        start.wait()
        for turn in range(1500):
            batch = pool.lease().view(np.int64)
            batch[:] = number * 10_000 + turn
            row = batch[5:9]
            del batch
            if (row != number * 10_000 + turn).any():
                spoiled.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not spoiled
    assert 1 <= pool.num_idle <= 4


def test_a_batch_outlives_its_pool():
    pool = BufferPool(buffer_bytes=16, keep=1)
    lease = pool.lease()
    lease[:] = 3
    del pool

    assert set(lease.tolist()) == {3}


def test_a_pool_pickles_without_its_buffers():
    pool = BufferPool(buffer_bytes=10**6, keep=3)
    del [pool.lease()][:]

    pickled = pickle.dumps(pool)
    again = pickle.loads(pickled)

    assert len(pickled) < 1000
    assert (again.buffer_bytes, again.keep, again.num_idle) == (10**6, 3, 0)
