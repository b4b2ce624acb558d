"""BatchLoader: threads end and memory is freed, when idle, closed, deleted or pickled."""

import gc
import pickle
import threading
import weakref

import pytest
from loader_jobs import Failing, Gate, Rows, has_work, in_thread, threads_of

from keras_oocore.batches import loader as batch_loader
from keras_oocore.batches.loader import BatchLoader
from keras_oocore.core.threads import end_if_unwanted

pytestmark = pytest.mark.timeout(300)


def test_idle_threads_end_and_start_again(monkeypatch):
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.001)
    loader = BatchLoader(Rows, num_workers=3, max_ahead=3)
    for ticket in range(3):
        assert loader.get(ticket) == ticket
        for thread in threads_of(loader):
            thread.wait()
            assert not thread.is_alive()
        assert not threads_of(loader)


def test_close_stops_threads_and_get_starts_them_again():
    loader = BatchLoader(Rows, num_workers=3, max_ahead=3)
    for ticket in (0, 1, 0):
        assert loader.get(ticket) == ticket
        threads = threads_of(loader)
        assert threads
        loader.close()
        assert not any(thread.is_alive() for thread in threads)
        assert not threads_of(loader)
        assert not has_work(loader)
    loader.close()


def test_close_waits_for_running_tasks_and_drops_queued_ones():
    gate = Gate(1)
    loader = BatchLoader(gate, num_workers=1, max_ahead=5)
    assert loader.get(0) == 0
    assert gate.arrived[1].wait(30)
    queued, loaded = in_thread(loader.load, 9)
    gate.wait_for(9)
    closing, _ = in_thread(loader.close)
    queued.join(30)  # `close` canceled it, and another thread makes it again
    assert loaded == [9]
    assert closing.is_alive()
    gate.opened[1].set()
    closing.join(30)

    assert not closing.is_alive()
    assert gate.filled == [0, 9, 1]


def test_waiting_threads_get_their_batches_after_close():
    gate = Gate(0)
    loader = BatchLoader(gate, num_workers=1, max_ahead=0)
    first, got_first = in_thread(loader.load, 0)
    assert gate.arrived[0].wait(30)
    second, got_second = in_thread(loader.get, 1)  # queued behind 0
    third, got_third = in_thread(loader.load, 2)
    gate.wait_for(1, 2)
    closing, _ = in_thread(loader.close)
    second.join(30)
    third.join(30)
    gate.opened[0].set()
    first.join(30)
    closing.join(30)

    assert (got_first, got_second, got_third) == ([0], [1], [2])
    assert not closing.is_alive()


def test_close_does_not_wait_for_threads_that_continue_to_read():
    loader, stop = BatchLoader(Rows, num_workers=2, max_ahead=2), threading.Event()

    def read():
        ticket = 0
        while not stop.is_set():
            assert loader.get(ticket) == ticket
            ticket += 1
        return ticket

    reading, read_tickets = in_thread(read)
    for _ in range(100):
        loader.close()
    stop.set()
    reading.join(30)

    assert isinstance(read_tickets[0], int)


def test_close_ends_long_work_and_a_waiting_thread_gets_its_batch():
    started, may_end = threading.Event(), threading.Event()

    class Long(Rows):
        def fill(self, start, stop):
            started.set()
            while not may_end.is_set():
                end_if_unwanted()
            super().fill(start, stop)

    loader = BatchLoader(Long, num_workers=1, max_ahead=0)
    waiting, batches = in_thread(loader.get, 7)
    assert started.wait(30)
    loader.close()
    assert waiting.is_alive()
    may_end.set()
    waiting.join(30)

    assert batches == [7]


def test_close_in_a_loading_thread():
    class Closing(Rows):
        def finish(self):
            loader.close()
            return super().finish()

    loader = BatchLoader(Closing, num_workers=1, max_ahead=0)

    assert [loader.get(0), loader.get(1)] == [0, 1]


def test_threads_do_not_keep_a_deleted_loader_or_its_batches():
    class Batch:
        pass

    class Job(Rows):
        def finish(self):
            return Batch()

    loader = BatchLoader(Job, num_workers=2, max_ahead=3)
    batch = weakref.ref(loader.get(0))
    gc.collect()
    assert batch() is None
    remembered, threads = weakref.ref(loader), loader.abandon()
    del loader
    for thread in threads:
        thread.wait()
    gc.collect()

    assert remembered() is None


def test_idle_threads_do_not_keep_the_last_batch():
    class Batch:
        pass

    made = []

    class Job(Rows):
        def __init__(self, ticket):
            super().__init__(ticket)
            self.batch = Batch()
            made.append(weakref.ref(self.batch))

        def finish(self):
            return self.batch

    with BatchLoader(Job, num_workers=1, max_ahead=0) as loader:
        loader.get(0)
        loader.get(1)  # now the thread has finished all work on 0
        gc.collect()
        assert made[0]() is None


def test_threads_end_while_an_exception_is_kept(monkeypatch):
    """A notebook keeps the last traceback, and with it all of its frames."""
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.001)
    loader = BatchLoader(Failing("fill", ValueError, 0), num_workers=2, max_ahead=3)
    with pytest.raises(ValueError, match="ticket that fails") as kept:
        loader.get(0)
    for thread in threads_of(loader):
        thread.wait()

    assert kept.value.__traceback__ is not None
    assert not threads_of(loader)


def test_pickle_contains_neither_threads_nor_batches():
    loader = BatchLoader(Rows, num_workers=2, max_ahead=3)
    loader.get(0)
    again = pickle.loads(pickle.dumps(loader))

    assert not threads_of(again)
    assert [again.get(ticket) for ticket in (0, 1)] == [0, 1]
