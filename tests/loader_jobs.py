"""Jobs and helpers for the tests of BatchLoader."""

import threading
import time


class Rows:
    """A job that counts how often each row is written. `finish` checks it, and returns the ticket."""

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
    """Makes jobs that wait until their gate is opened, and records which jobs arrived."""

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
    """Makes jobs. Some of them raise an error, in `fill` or in `finish`."""

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
    """Run a function in a thread. Return the thread, and the list that it appends its result to."""
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
    return [thread for thread in threading.enumerate() if thread.name == "keras_oocore-loader" and thread.ident]


# The one place where tests look inside a loader


def threads_of(loader):
    """The threads of a loader, as a list."""
    return list(loader._crew.threads)


def ahead(loader):
    """The tickets of batches that were started and not requested yet."""
    return sorted(loader._ahead)


def wait_for_batches_ahead(loader):
    """Wait until all batches that were started ahead are made. Return their number."""
    started, ends = list(loader._ahead.values()), time.monotonic() + 300
    while any(job.outcomes.empty() for job in started):
        assert time.monotonic() < ends
        time.sleep(0.001)
    return len(started)


def has_work(loader):
    """Whether any task or batch is left."""
    return bool(loader._tasks or loader._ahead)
