"""Seconds per stage of one thread and of several, measured with a clock that the tests move."""

import threading

import pytest

from keras_oocore.core import stopwatch
from keras_oocore.core.stopwatch import Stopwatch, stage


class Clock:
    """A clock that does not move by itself."""

    now = 0.0

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(stopwatch, "perf_counter", Clock())
    return stopwatch.perf_counter


def test_stages_and_the_time_between_them(clock):
    watch = Stopwatch()
    clock.forward(100)
    with watch.running("assembling"):
        clock.forward(1)
        with stage("decoding"):
            clock.forward(2)
        clock.forward(4)
        with stage("resizing"):
            clock.forward(8)
    clock.forward(100)

    assert watch.seconds == {"assembling": 5, "decoding": 2, "resizing": 8}


def test_seconds_of_a_core_are_counted_apart(clock, monkeypatch):
    core = Clock()
    monkeypatch.setattr(stopwatch, "thread_time", core)
    watch = Stopwatch()
    with watch.running("assembling"), stage("reading"):
        clock.forward(4)
        core.forward(1)

    assert watch.seconds == {"assembling": 0, "reading": 4}
    assert watch.cpu_seconds == {"assembling": 0, "reading": 1}


def test_nested_stages_are_counted_once(clock):
    watch = Stopwatch()
    with watch.running("assembling"), stage("reading"):
        clock.forward(1)
        with stage("decoding"):
            clock.forward(2)
            with stage("reading"):
                clock.forward(4)
            clock.forward(8)
        clock.forward(16)

    assert watch.seconds == {"assembling": 0, "reading": 21, "decoding": 10}


def test_runs_are_added_up(clock):
    watch = Stopwatch()
    for seconds in (1, 2):
        with watch.running("assembling"):
            clock.forward(seconds)

    assert watch.seconds == {"assembling": 3}


def test_an_exception_ends_the_stage_and_the_run(clock):
    watch = Stopwatch()

    def interrupted():
        with stage("decoding"):
            clock.forward(1)
            raise KeyboardInterrupt

    def failing():
        with watch.running("assembling"):
            with pytest.raises(KeyboardInterrupt):
                interrupted()
            clock.forward(6)
            raise ValueError("not a file")

    with pytest.raises(ValueError, match="not a file"):
        failing()
    with stage("decoding"):
        clock.forward(8)

    assert watch.seconds == {"assembling": 6, "decoding": 1}


def test_threads_of_a_stopwatch_are_added_up_and_others_are_not_counted(clock):
    watch, another = Stopwatch(), Stopwatch()
    everyone = threading.Barrier(5, timeout=300)

    def work(name):
        with stage(name):
            everyone.wait()  # all are in their stages
            everyone.wait()  # and time has passed

    def work_for(stopwatch, name):
        with stopwatch.running("assembling"):
            work(name)

    threads = [
        threading.Thread(target=work_for, args=(watch, "decoding")),
        threading.Thread(target=work_for, args=(watch, "decoding")),
        threading.Thread(target=work_for, args=(another, "resizing")),
        threading.Thread(target=work, args=("reading",)),  # for no stopwatch
    ]
    for thread in threads:
        thread.start()
    everyone.wait()
    clock.forward(3)
    everyone.wait()
    for thread in threads:
        thread.join(300)

    assert watch.seconds == {"assembling": 0, "decoding": 6}
    assert another.seconds == {"assembling": 0, "resizing": 3}


def test_nested_runs(clock):
    """For example, `transform` reads from another Sequence that is profiled too."""
    outer, inner = Stopwatch(), Stopwatch()
    with outer.running("assembling"), stage("transform"):
        clock.forward(1)
        with inner.running("assembling"), stage("reading"):
            clock.forward(2)
        clock.forward(4)

    assert outer.seconds == {"assembling": 0, "transform": 7}
    assert inner.seconds == {"assembling": 0, "reading": 2}


def test_a_stage_without_a_stopwatch_does_nothing():
    assert stage("decoding") is stage("reading")
    with Stopwatch().running("assembling"):
        assert stage("decoding") is not stage("decoding")
    assert stage("decoding") is stage("reading")
