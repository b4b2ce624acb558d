"""Threads and pools that Ctrl-C does not leave locked: results, errors, the end of a pool, and forked children."""

import os
import threading
import warnings

import pytest

from keras_oocore.core.threads import Call, Thread, ThreadPool

TIMEOUT_SECONDS = 60


def test_wait_returns_after_the_function_has_ended():
    may_end, ended = threading.Event(), []

    def work(thread):
        assert may_end.wait(TIMEOUT_SECONDS)
        ended.append(thread)

    thread = Thread(work, "example")
    thread.start()
    may_end.set()
    thread.wait()
    assert ended == [thread]
    thread.wait()  # again
    assert not thread.is_alive()


def test_wait_returns_after_an_error(monkeypatch):
    raised = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: raised.append(arguments.exc_type))
    thread = Thread(lambda thread: 1 / 0, "example")
    thread.start()
    thread.wait()
    assert raised == [ZeroDivisionError]


def test_work_is_done_without_room_for_another_thread(monkeypatch):
    done = []
    monkeypatch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start")))
    thread = Thread(done.append, "example")
    thread.start()
    thread.wait()
    assert done == [thread]


def test_pool_starts_at_most_its_number_of_threads():
    names = set()
    with ThreadPool(2, "example") as threads:
        calls = [threads.submit(lambda: names.add(threading.get_ident())) for _ in range(20)]
        for call in calls:
            call.result()
    assert 1 <= len(names) <= 2
    assert threading.get_ident() not in names


def test_error_of_a_call_is_raised_by_its_result():
    with ThreadPool(1, "example") as threads:
        failing, other = threads.submit(int, "x"), threads.submit(int, "3")
        assert other.result() == 3
        with pytest.raises(ValueError, match="invalid literal"):
            failing.result()


def test_calls_that_have_not_begun_are_dropped_at_the_end():
    begun, may_end = threading.Event(), threading.Event()
    threads = ThreadPool(1, "example")
    running = threads.submit(lambda: (begun.set(), may_end.wait(TIMEOUT_SECONDS)))
    waiting = threads.submit(int)
    assert begun.wait(TIMEOUT_SECONDS)
    end = threading.Thread(target=threads.shutdown)
    end.start()
    with pytest.raises(RuntimeError, match="closed before this call"):
        waiting.result()
    assert end.is_alive()  # it waits for the call that has begun
    may_end.set()
    end.join(TIMEOUT_SECONDS)
    assert running.result() == (None, True)


def test_call_that_no_thread_can_make_is_made_by_this_thread(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(Thread, "start", refuse)
    with ThreadPool(2, "example") as threads:
        assert threads.submit(threading.get_ident).result() == threading.get_ident()


def test_dropped_call_raises():
    call = Call(int, ())
    call.drop()
    with pytest.raises(RuntimeError, match="closed before this call"):
        call.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="requires fork")
def test_pool_works_in_a_forked_child():
    with ThreadPool(1, "example") as threads:
        assert threads.submit(int, "3").result() == 3
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, since CPython 3.12
            child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if threads.submit(int, "4").result() == 4 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
