"""BatchLoader: Ctrl-C in any line of the thread that asks. Each is followed by a whole pass."""

import contextlib
import random

import pytest
from interrupts import (
    InterruptAtLine,
    assert_no_thread_is_left,
    came_after,
    in_another_thread,
    interrupts_in_finalizers_are_ignored,
)
from loader_jobs import Failing, has_work

from keras_oocore.batches import loader as batch_loader
from keras_oocore.batches.loader import BatchLoader

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def short_idle_time(monkeypatch):
    """A thread that is not woken, because Ctrl-C came first, ends soon."""
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.05)
    with interrupts_in_finalizers_are_ignored():
        yield


def some_get(loader):
    for ticket in (0, 1, 2, 7):
        loader.get(ticket)


def some_load(loader):
    for ticket in (3, 0):
        loader.load(ticket)
        loader.get(ticket)


def close(loader):
    loader.get(0)
    loader.close()
    loader.get(1)
    loader.close()


def abandon(loader):
    loader.get(0)
    loader.abandon()
    loader.get(1)


def fail(loader):
    loader.get(0)
    for ask in (loader.get, loader.load):
        with contextlib.suppress(ValueError):
            ask(99)


def interrupt_in_lines(use, num_workers, first, step):
    line, came = first - step, True
    while came:
        line += step
        loader = BatchLoader(Failing("fill", ValueError, 99), num_workers, max_ahead=2)
        with InterruptAtLine(line) as interrupt:
            use(loader)
        came = interrupt.came
        assert in_another_thread(lambda: [loader.get(ticket) for ticket in range(5)]) == [0, 1, 2, 3, 4]  # noqa: B023
        in_another_thread(loader.close)
        assert not has_work(loader)
        assert_no_thread_is_left()
    assert line > (60 if num_workers else 10)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("use", [some_get, some_load, close, abandon, fail])
def test_ctrl_c_in_some_lines(use, num_workers):
    interrupt_in_lines(use, num_workers, random.randrange(1, 5), 4)


@pytest.mark.soak
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("use", [some_get, some_load, close, abandon, fail])
def test_ctrl_c_in_any_line(use, num_workers):
    interrupt_in_lines(use, num_workers, 1, 1)


def random_interrupts(count):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, num_came = random.Random(seed), 0
    for _ in range(count):
        loader = BatchLoader(Failing("fill", ValueError, 99), chance.choice([0, 1, 2, 3]), chance.choice([0, 1, 5]))
        use = chance.choice([some_get, some_load, close, abandon, fail])
        num_came += came_after(chance.uniform(1e-6, 1e-3), lambda: [use(loader) for _ in range(10)])  # noqa: B023
        assert in_another_thread(lambda: [loader.get(ticket) for ticket in range(5)]) == [0, 1, 2, 3, 4]  # noqa: B023
        in_another_thread(loader.close)
        assert_no_thread_is_left()
    assert num_came > count / 10


def test_ctrl_c_at_random_moments():
    random_interrupts(100)


@pytest.mark.soak
def test_ctrl_c_at_many_random_moments():
    random_interrupts(5000)
