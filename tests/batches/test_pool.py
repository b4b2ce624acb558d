"""BufferPool: buffers are reused, but never while an array views them."""

import pickle
import threading

import numpy as np
import pytest

from keras_oocore.batches.pool import BufferPool


def address(array):
    return array.__array_interface__["data"][0]


def test_kept_rows_of_many_batches_do_not_change():
    """A finalizer on the batch would run too early here, because the batch is not the `base` of `x[0]`."""
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


def test_buffer_is_reused_after_its_batch_is_deleted():
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
def test_view_of_a_view_keeps_the_buffer(view):
    pool = BufferPool(buffer_bytes=64, keep=4)
    seen = view(pool.lease())

    assert pool.num_idle == 0
    del seen
    assert pool.num_idle == 1


def test_copy_does_not_keep_the_buffer():
    pool = BufferPool(buffer_bytes=64, keep=4)
    batch = pool.lease().reshape(8, 8)
    copies = [batch.copy(), batch[[0, 1]], batch.astype(np.float32)]
    del batch

    assert len(copies) == 3
    assert pool.num_idle == 1


def test_keep_limits_the_number_of_idle_buffers():
    pool = BufferPool(buffer_bytes=16, keep=2)
    leases = [pool.lease() for _ in range(7)]
    assert len({address(lease) for lease in leases}) == 7
    leases.clear()
    assert pool.num_idle == 2

    pool.clear()
    assert pool.num_idle == 0


def test_lease_is_writable_and_has_buffer_bytes():
    lease = BufferPool(buffer_bytes=24, keep=1).lease()
    lease[:] = 7

    assert lease.shape == (24,)
    assert lease.dtype == np.uint8
    assert lease.view(np.float64).flags.aligned


@pytest.mark.timeout(300)
def test_threads_never_share_a_buffer():
    pool = BufferPool(buffer_bytes=256, keep=3)
    overwritten = []
    start = threading.Barrier(4)

    def work(number):
        start.wait()
        for turn in range(1500):
            batch = pool.lease().view(np.int64)
            batch[:] = number * 10_000 + turn
            row = batch[5:9]
            del batch
            if (row != number * 10_000 + turn).any():
                overwritten.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not overwritten
    assert 1 <= pool.num_idle <= 4


def test_batch_remains_valid_after_its_pool_is_deleted():
    pool = BufferPool(buffer_bytes=16, keep=1)
    lease = pool.lease()
    lease[:] = 3
    del pool

    assert set(lease.tolist()) == {3}


def test_pickle_does_not_contain_buffers():
    pool = BufferPool(buffer_bytes=10**6, keep=3)
    del [pool.lease()][:]

    pickled = pickle.dumps(pool)
    again = pickle.loads(pickled)

    assert len(pickled) < 1000
    assert (again.buffer_bytes, again.keep, again.num_idle) == (10**6, 3, 0)
