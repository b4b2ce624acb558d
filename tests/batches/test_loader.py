"""Threads that stay ahead: in order, not too far, with every error handed on, and none left behind."""

import gc
import multiprocessing
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from keras_oocore.batches import loader as batch_loader
from keras_oocore.batches.loader import BatchLoader

pytestmark = pytest.mark.timeout(300)


class Rows:
    """A batch that notes for each row who wrote it; `finish` gives its ticket once each row was written once."""

    num_rows, rows_per_task = 10, 3

    def __init__(self, ticket):
        self.ticket = ticket
        self.written = [0] * self.num_rows

    def fill(self, start, stop):
        for row in range(start, stop):
            self.written[row] += 1

    def finish(self):
        assert self.written == [1] * self.num_rows
        return self.ticket

    def prefetch_next(self):
        pass


class Gate:
    """Makes jobs that wait at a gate, and says when one stands there."""

    def __init__(self, *closed, rows=1):
        self.rows = rows
        self.arrived = {ticket: threading.Event() for ticket in closed}
        self.opened = {ticket: threading.Event() for ticket in closed}
        self.started = []
        self.filled = []
        self.changed = threading.Condition()

    def __call__(self, ticket):
        gate = self

        class Job(Rows):
            num_rows, rows_per_task = gate.rows, 1

            def fill(self, start, stop):
                if ticket in gate.arrived:
                    gate.arrived[ticket].set()
                    assert gate.opened[ticket].wait(30)
                gate.filled.append(ticket)
                super().fill(start, stop)

        with self.changed:
            self.started.append(ticket)
            self.changed.notify_all()
        return Job(ticket)

    def wait_for(self, *tickets):
        with self.changed:
            assert self.changed.wait_for(lambda: set(tickets) <= set(self.started), 30)


class Failing:
    """Makes jobs of which some raise, in `fill` or in `finish`."""

    def __init__(self, where, error, *tickets):
        self.where, self.error, self.tickets = where, error, tickets

    def __call__(self, ticket):
        job = Rows(ticket)
        if ticket in self.tickets:
            setattr(job, self.where, self.fail)
        return job

    def fail(self, *rows):
        raise self.error("ticket that fails")


def in_thread(function, *args):
    """Runs a function in a thread; gives the thread, and the list that its result is put into."""
    results = []

    def run():
        try:
            results.append(function(*args))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, results


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name == "keras_oocore-loader"]


@pytest.fixture(params=[0, 1, 2, 4])
def num_workers(request):
    return request.param


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Every test here ends with its threads ended or ending."""
    yield
    for loader in list(batch_loader._loaders):
        for thread in loader.abandon():
            thread.join(10)
            assert not thread.is_alive()


def test_batches_come_in_the_order_they_are_asked_for(num_workers):
    with BatchLoader(Rows, num_workers, max_ahead=3) as loader:
        assert [loader.get(ticket) for ticket in range(40)] == list(range(40))


@pytest.mark.parametrize("max_ahead", [0, 1, 20])
def test_seeking_back_and_forth(num_workers, max_ahead):
    tickets = [5, 6, 2, 3, 900, 7, 7, 0, 19, 18, 17, 16, 1, 10**9]
    with BatchLoader(Rows, num_workers, max_ahead) as loader:
        assert [loader.get(ticket) for ticket in tickets] == tickets


def test_load_answers_while_a_stream_runs_and_leaves_it_alone(num_workers):
    gate = Gate()
    with BatchLoader(gate, num_workers, max_ahead=2) as loader:
        given = [(loader.get(ticket), loader.load(ticket + 100)) for ticket in range(10)]

    assert given == [(ticket, ticket + 100) for ticket in range(10)]
    assert sorted(ticket for ticket in gate.started if ticket < 100) == [*range(10 if num_workers == 0 else 12)]


def test_no_more_batches_are_started_than_max_ahead():
    gate = Gate()
    with BatchLoader(gate, num_workers=2, max_ahead=3) as loader:
        loader.get(0)
        assert gate.started == [0, 1, 2, 3]
        loader.get(1)
        assert gate.started == [0, 1, 2, 3, 4]
        loader.get(3)  # 2 is passed over
        assert gate.started == [0, 1, 2, 3, 4, 5, 6]
        loader.get(50)
        assert gate.started[7:] == [50, 51, 52, 53]
        assert sorted(loader._ahead) == [51, 52, 53]


def test_nothing_is_started_ahead_without_workers():
    gate = Gate()
    loader = BatchLoader(gate, num_workers=0, max_ahead=5)

    assert [loader.get(4), loader.load(9)] == [4, 9]
    assert gate.started == [4, 9]
    assert not loader_threads()


def test_batches_are_made_while_nobody_asks():
    """The point of it all: a batch is made before it is asked for."""
    gate = Gate(3)
    gate.opened[3].set()
    with BatchLoader(gate, num_workers=1, max_ahead=3) as loader:
        loader.get(0)
        assert gate.arrived[3].wait(30)


def test_after_a_seek_what_was_started_is_forgotten():
    """Batches that no thread is at leave their memory at once, before the new ones take theirs."""
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


def test_what_comes_afterwards_keeps_no_batch_alive_and_nobody_waiting():
    class Batch:
        pass

    class Slow(Rows):
        num_rows = rows_per_task = 1

        def finish(self):
            return Batch()

        def prefetch_next(self):
            begun.set()
            assert go_on.wait(20)
            raise ValueError("nobody hears it")

    begun, go_on = threading.Event(), threading.Event()
    with BatchLoader(Slow, num_workers=1, max_ahead=0) as loader:
        batch = loader.get(0)
        assert begun.wait(20)
        gone = weakref.ref(batch)
        del batch
        assert gone() is None
        go_on.set()
        assert isinstance(loader.get(1), Batch)


def test_an_urgent_batch_goes_before_all_that_were_started():
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


def test_two_workers_work_at_two_batches():
    """Also when each is one task and came while the other was under way."""
    gate = Gate(0, 1)
    with BatchLoader(gate, num_workers=2, max_ahead=0) as loader:
        waiting = [in_thread(loader.load, ticket)[0] for ticket in (0, 1)]
        assert all(gate.arrived[ticket].wait(30) for ticket in (0, 1))
        for ticket in (0, 1):
            gate.opened[ticket].set()
        for thread in waiting:
            thread.join(30)


def test_rows_of_one_batch_are_filled_by_several_threads():
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
def test_an_error_reaches_who_asks_each_time_and_later_batches_still_come(num_workers, where, error):
    with BatchLoader(Failing(where, error, 2), num_workers, max_ahead=3) as loader:
        assert [loader.get(ticket) for ticket in (0, 1)] == [0, 1]
        for _ in range(3):
            with pytest.raises(error, match="ticket that fails"):
                loader.get(2)
        with pytest.raises(error, match="ticket that fails"):
            loader.load(2)
        assert [loader.get(ticket) for ticket in range(3, 9)] == [*range(3, 9)]


def test_an_error_ahead_waits_until_its_batch_is_asked_for(num_workers):
    with BatchLoader(Failing("fill", ValueError, 1, 3), num_workers, max_ahead=5) as loader:
        assert [loader.get(0), loader.get(2), loader.get(4)] == [0, 2, 4]


def test_a_cancelled_error_of_the_job_is_an_error_like_any_other(num_workers):
    with (
        BatchLoader(Failing("fill", CancelledError, 1), num_workers, max_ahead=1) as loader,
        pytest.raises(CancelledError, match="ticket that fails"),
    ):
        loader.get(1)


def test_an_error_while_a_batch_is_being_started_reaches_who_asks(num_workers):
    def make_job(ticket):
        if ticket == 3:
            raise MemoryError("no buffer")
        return Rows(ticket)

    with BatchLoader(make_job, num_workers, max_ahead=1) as loader:
        assert loader.get(0) == 0
        with pytest.raises(MemoryError, match="no buffer"):
            loader.get(3)
        assert loader.get(5) == 5


def test_idle_threads_end_and_start_again(monkeypatch):
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.001)
    loader = BatchLoader(Rows, num_workers=3, max_ahead=3)
    for ticket in range(3):
        assert loader.get(ticket) == ticket
        for thread in list(loader._threads):
            thread.join(30)
            assert not thread.is_alive()
        assert not loader._threads


def test_close_ends_the_threads_and_reading_starts_them_again():
    loader = BatchLoader(Rows, num_workers=3, max_ahead=3)
    for ticket in (0, 1, 0):
        assert loader.get(ticket) == ticket
        threads = list(loader._threads)
        assert threads
        loader.close()
        assert not any(thread.is_alive() for thread in threads)
        assert not loader._threads
        assert not loader._tasks
        assert not loader._ahead
    loader.close()


def test_close_waits_for_the_thread_that_is_at_work_and_drops_what_is_queued():
    gate = Gate(1)
    loader = BatchLoader(gate, num_workers=1, max_ahead=5)
    assert loader.get(0) == 0
    assert gate.arrived[1].wait(30)
    queued, loaded = in_thread(loader.load, 9)
    gate.wait_for(9)
    closing, _ = in_thread(loader.close)
    queued.join(30)  # it was given up by `close`, and made anew by another thread
    assert loaded == [9]
    assert closing.is_alive()
    gate.opened[1].set()
    closing.join(30)

    assert not closing.is_alive()
    assert gate.filled == [0, 9, 1]


def test_one_who_waits_while_another_closes_still_gets_its_batch():
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


def test_close_does_not_wait_for_one_who_goes_on_reading():
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


def test_close_from_a_loading_thread_does_not_wait_for_itself():
    class Closing(Rows):
        def finish(self):
            loader.close()
            return super().finish()

    loader = BatchLoader(Closing, num_workers=1, max_ahead=0)

    assert [loader.get(0), loader.get(1)] == [0, 1]


def test_the_threads_do_not_keep_an_abandoned_loader_or_its_batches():
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
        thread.join(30)
    gc.collect()

    assert remembered() is None


def test_an_idle_thread_does_not_keep_the_last_batch_alive():
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
        loader.get(1)  # now the thread is done with 0 altogether
        gc.collect()
        assert made[0]() is None


def test_no_thread_outlives_an_exception_that_is_held(monkeypatch):
    """A notebook keeps the last traceback, and with it every frame that it came through."""
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.001)
    loader = BatchLoader(Failing("fill", ValueError, 0), num_workers=2, max_ahead=3)
    with pytest.raises(ValueError, match="ticket that fails") as held:
        loader.get(0)
    for thread in list(loader._threads):
        thread.join(30)

    assert held.value.__traceback__ is not None
    assert not loader._threads


def test_a_loader_pickles_without_threads_or_work():
    loader = BatchLoader(Rows, num_workers=2, max_ahead=3)
    loader.get(0)
    again = pickle.loads(pickle.dumps(loader))

    assert not again._threads
    assert [again.get(ticket) for ticket in (0, 1)] == [0, 1]


def read_in_child(loader, pipe):
    pipe.send([loader.get(ticket) for ticket in (5, 6, 0, 1)])


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_reads_on_while_the_parent_is_busy(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    gate = Gate(1) if method == "fork" else Rows
    loader = BatchLoader(gate, num_workers=2, max_ahead=3)
    assert loader.get(0) == 0  # now its threads hold work, in the midst of it
    if method == "fork":
        assert gate.arrived[1].wait(30)
        gate.opened[1].set()
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=read_in_child, args=(loader, sender), daemon=True)
    child.start()
    sender.close()
    assert receiver.poll(250), "the child hangs"
    assert receiver.recv() == [5, 6, 0, 1]
    child.join(30)

    assert child.exitcode == 0
    assert [loader.get(ticket) for ticket in (1, 2)] == [1, 2]


def all_threads_sleep(pid):
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def run_script(script, interrupt_at=None):
    """Exit code and stderr of a child process; Ctrl-C comes when it prints `interrupt_at`."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if interrupt_at is not None:
            while (line := child.stdout.readline().strip()) != interrupt_at:
                assert line or child.poll() is None, child.stderr.read()
            while not all_threads_sleep(child.pid):  # CPython overlooks Ctrl-C when it comes just before it waits
                assert child.poll() is None, child.stderr.read()
            child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=250)
    finally:
        child.kill()
    return child.returncode, stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc for the moment to press Ctrl-C")
@pytest.mark.parametrize("ask", ["get", "load"])
def test_ctrl_c_while_waiting_comes_at_once(ask):
    """It comes while the batch is still being made: only what runs at exit, after it, opens the gate."""
    code, stderr = run_script(
        f"""
        import atexit, os, signal, threading
        from keras_oocore.batches.loader import BatchLoader

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
        opened = threading.Event()

        class Job:
            num_rows, rows_per_task = 4, 1
            def __init__(self, ticket): pass
            def fill(self, start, stop):
                os.write(1, b"waiting\\n")
                opened.wait()
            def finish(self): pass

        atexit.register(opened.set)  # runs before the loader is closed
        BatchLoader(Job, num_workers=2, max_ahead=2).{ask}(0)
        """,
        interrupt_at="waiting",
    )

    assert code == -signal.SIGINT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert stderr.count("Traceback") == 1


BUSY = """
    import atexit, sys, threading

    def name_those_left():
        left = [thread.name for thread in threading.enumerate() if "loader" in thread.name]
        print(*left, sep="", end="", file=sys.stderr)

    atexit.register(name_those_left)  # first, so it runs last

    import numpy as np
    from keras_oocore.batches.loader import BatchLoader

    class Job:
        num_rows, rows_per_task = 64, 1
        def __init__(self, ticket): self.ticket = ticket
        def fill(self, start, stop): np.sort(np.random.default_rng(start).random(20_000))  # C code, without the GIL
        def finish(self): return self.ticket

    loader = BatchLoader(Job, num_workers=4, max_ahead=8)
"""


@pytest.mark.parametrize(
    "ending",
    [
        "loader.get(0)",
        "loader.get(0); del loader",
        "loader.get(0); loader.abandon(); del loader",  # as when a Sequence was collected while its threads work
        "loader.get(0); sys.exit(0)",
        "loader.close(); loader.get(3)",
        "atexit.register(loader.get, 5); loader.get(0)",
        """
    from keras_oocore.batches import loader as batch_loader
    atexit.unregister(batch_loader._close_all)
    atexit.register(lambda: print(loader.get(1)))  # registered again below, so it runs after
    atexit.register(batch_loader._close_all)
    loader.get(0)
    """,
    ],
)
def test_an_interpreter_with_busy_threads_ends_cleanly(ending):
    assert run_script(BUSY + "\n    " + ending.strip()) == (0, "")


def test_an_interpreter_ends_though_another_thread_reads_on():
    code, stderr = run_script(
        BUSY
        + """
    started = threading.Event()

    def read():
        for ticket in range(10**9):
            loader.get(ticket)
            started.set()

    threading.Thread(target=read, daemon=True).start()
    started.wait()
    """
    )
    assert (code, stderr) == (0, "")


@pytest.mark.parametrize("num_workers", [1, 4])
def test_four_readers_that_seek_at_random_all_get_what_they_ask_for(num_workers):
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
    assert not loader._tasks
