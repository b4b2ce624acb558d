"""BatchLoader: order, number of batches ahead, threads and errors."""

import gc
import random
import threading
import weakref
from concurrent.futures import CancelledError

import pytest
from loader_jobs import Failing, Gate, Rows, ahead, has_work, in_thread, loader_threads, wait_for_batches_ahead

from keras_oocore.batches.loader import BatchLoader

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=[0, 1, 2, 4])
def num_workers(request):
    return request.param


def test_batches_are_returned_in_the_order_of_requests(num_workers):
    with BatchLoader(Rows, num_workers, max_ahead=3) as loader:
        assert [loader.get(ticket) for ticket in range(40)] == list(range(40))


@pytest.mark.parametrize("max_ahead", [0, 1, 20])
def test_tickets_in_any_order(num_workers, max_ahead):
    tickets = [5, 6, 2, 3, 900, 7, 7, 0, 19, 18, 17, 16, 1, 10**9]
    with BatchLoader(Rows, num_workers, max_ahead) as loader:
        assert [loader.get(ticket) for ticket in tickets] == tickets


def test_load_does_not_disturb_batches_made_ahead(num_workers):
    gate = Gate()
    with BatchLoader(gate, num_workers, max_ahead=2) as loader:
        given = [(loader.get(ticket), loader.load(ticket + 100)) for ticket in range(10)]

    assert given == [(ticket, ticket + 100) for ticket in range(10)]
    assert sorted(ticket for ticket in gate.started if ticket < 100) == [*range(10 if num_workers == 0 else 12)]


def test_max_ahead_limits_the_batches_that_are_started():
    gate = Gate()
    with BatchLoader(gate, num_workers=2, max_ahead=3) as loader:
        loader.get(0)
        assert gate.started == [0, 1, 2, 3]
        loader.get(1)
        assert gate.started == [0, 1, 2, 3, 4]
        loader.get(3)  # 2 is skipped
        assert gate.started == [0, 1, 2, 3, 4, 5, 6]
        loader.get(50)
        assert gate.started[7:] == [50, 51, 52, 53]
        assert ahead(loader) == [51, 52, 53]


def test_without_workers_no_batch_is_started_ahead():
    gate = Gate()
    loader = BatchLoader(gate, num_workers=0, max_ahead=5)

    assert [loader.get(4), loader.load(9)] == [4, 9]
    assert gate.started == [4, 9]
    assert not loader_threads()


def test_batches_are_made_before_they_are_requested():
    gate = Gate(3)
    gate.opened[3].set()
    with BatchLoader(gate, num_workers=1, max_ahead=3) as loader:
        loader.get(0)
        assert gate.arrived[3].wait(30)


def test_requesting_a_far_ticket_frees_batches_that_were_started():
    """Batches that no thread works on are freed at once, before the new ones need memory."""
    gate, jobs = Gate(0), []

    def make_job(ticket):
        job = gate(ticket)
        jobs.append(weakref.ref(job))
        return job

    loader = BatchLoader(make_job, num_workers=1, max_ahead=4)
    stuck, first = in_thread(loader.get, 0)
    assert gate.arrived[0].wait(30)
    far, second = in_thread(loader.get, 100)
    gate.wait_for(104)

    gc.collect()
    assert [job() is not None for job in jobs] == [True] + [False] * 4 + [True] * 5
    gate.opened[0].set()
    stuck.join(30)
    far.join(30)
    assert (first, second) == ([0], [100])
    assert gate.filled[:2] == [0, 100]


def test_prefetch_next_neither_delays_nor_keeps_a_batch():
    class Batch:
        pass

    class Slow(Rows):
        num_rows = rows_per_task = 1

        def finish(self):
            return Batch()

        def prefetch_next(self):
            begun.set()
            assert resume.wait(20)
            raise ValueError("it is suppressed")

    begun, resume = threading.Event(), threading.Event()
    with BatchLoader(Slow, num_workers=1, max_ahead=0) as loader:
        batch = loader.get(0)
        assert begun.wait(20)
        gone = weakref.ref(batch)
        del batch
        assert gone() is None
        resume.set()
        assert isinstance(loader.get(1), Batch)


def test_load_comes_before_all_batches_that_were_started():
    gate = Gate(0)
    loader = BatchLoader(gate, num_workers=1, max_ahead=5)
    stream, streamed = in_thread(loader.get, 0)
    assert gate.arrived[0].wait(30)
    urgent, loaded = in_thread(loader.load, 77)
    gate.wait_for(77)
    gate.opened[0].set()
    stream.join(30)
    urgent.join(30)

    assert (streamed, loaded) == ([0], [77])
    assert gate.filled[:2] == [0, 77]


def test_two_workers_make_two_batches_at_the_same_time():
    """Each batch is one task, and the second one comes while the first one is being made."""
    gate = Gate(0, 1)
    with BatchLoader(gate, num_workers=2, max_ahead=0) as loader:
        waiting = [in_thread(loader.load, ticket)[0] for ticket in (0, 1)]
        assert all(gate.arrived[ticket].wait(30) for ticket in (0, 1))
        for ticket in (0, 1):
            gate.opened[ticket].set()
        for thread in waiting:
            thread.join(30)


def test_rows_of_one_batch_are_divided_among_threads():
    together = threading.Barrier(3)

    class Together(Rows):
        num_rows, rows_per_task = 3, 1

        def fill(self, start, stop):
            together.wait(30)
            super().fill(start, stop)

    with BatchLoader(Together, num_workers=3, max_ahead=0) as loader:
        assert loader.get(0) == 0


@pytest.mark.parametrize("num_rows", [1, 2, 3, 4, 31])
@pytest.mark.parametrize("rows_per_task", [1, 2, 3, 2**30])
def test_each_row_is_filled_once(num_workers, num_rows, rows_per_task):
    class Job(Rows):
        pass

    Job.num_rows, Job.rows_per_task = num_rows, rows_per_task
    with BatchLoader(Job, num_workers, max_ahead=2) as loader:
        assert [loader.get(ticket) for ticket in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["fill", "finish"])
@pytest.mark.parametrize("error", [ValueError, KeyError, OSError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_errors_are_raised_at_each_request_and_other_batches_are_made(num_workers, where, error):
    with BatchLoader(Failing(where, error, 2), num_workers, max_ahead=3) as loader:
        assert [loader.get(ticket) for ticket in (0, 1)] == [0, 1]
        for _ in range(3):
            with pytest.raises(error, match="ticket that fails"):
                loader.get(2)
        with pytest.raises(error, match="ticket that fails"):
            loader.load(2)
        assert [loader.get(ticket) for ticket in range(3, 9)] == [*range(3, 9)]


def test_errors_of_batches_that_are_not_requested_are_not_raised(num_workers):
    with BatchLoader(Failing("fill", ValueError, 1, 3), num_workers, max_ahead=5) as loader:
        assert [loader.get(0), loader.get(2), loader.get(4)] == [0, 2, 4]


def test_cancelled_error_of_a_job_is_raised(num_workers):
    with (
        BatchLoader(Failing("fill", CancelledError, 1), num_workers, max_ahead=1) as loader,
        pytest.raises(CancelledError, match="ticket that fails"),
    ):
        loader.get(1)


def test_errors_of_make_job_are_raised(num_workers):
    def make_job(ticket):
        if ticket == 3:
            raise MemoryError("no buffer")
        return Rows(ticket)

    with BatchLoader(make_job, num_workers, max_ahead=1) as loader:
        assert loader.get(0) == 0
        with pytest.raises(MemoryError, match="no buffer"):
            loader.get(3)
        assert loader.get(5) == 5


@pytest.mark.parametrize("num_workers", [1, 4])
def test_concurrent_readers_get_the_batches_they_request(num_workers):
    loader, wrong = BatchLoader(Rows, num_workers, max_ahead=5), []

    def read(seed):
        chance = random.Random(seed)
        for _ in range(150):
            ticket = chance.randrange(1000)
            for step in range(chance.randrange(4)):
                wrong.extend([ticket] * (loader.get(ticket + step) != ticket + step))
            wrong.extend([ticket] * (loader.load(ticket) != ticket))
            if chance.random() < 0.02:
                loader.close()
        return "done"

    readers = [in_thread(read, seed) for seed in range(4)]
    for thread, _ in readers:
        thread.join(50)

    assert [results for _, results in readers] == [["done"]] * 4
    assert not wrong
    loader.close()
    assert not has_work(loader)


@pytest.mark.parametrize("ask", ["get", "load"])
def test_an_error_drops_the_batches_made_ahead(ask):
    """The user fixes the file that the error names, and reads again."""
    broken = [True]

    class Job(Rows):
        def fill(self, start, stop):
            super().fill(start, stop)
            if broken and self.ticket >= 2:
                raise ValueError("broken")

    with BatchLoader(Job, num_workers=2, max_ahead=5) as loader:
        assert [loader.get(ticket) for ticket in (0, 1)] == [0, 1]
        wait_for_batches_ahead(loader)
        with pytest.raises(ValueError, match="broken"):
            getattr(loader, ask)(2)
        broken.clear()
        assert [loader.get(ticket) for ticket in range(2, 9)] == [*range(2, 9)]


def test_an_error_that_is_kept_does_not_keep_itself():
    """Otherwise the buffers of the batches in its traceback would wait for the garbage collector."""

    class Broken(ValueError):
        pass

    with BatchLoader(Failing("fill", Broken, 1), num_workers=1, max_ahead=0) as loader:
        gc.collect()
        gc.disable()
        try:
            try:
                loader.get(1)
            except Broken as error:
                kept = weakref.ref(error)
            loader.get(2)  # now the thread has ended its work on 1
            assert kept() is None
        finally:
            gc.enable()
