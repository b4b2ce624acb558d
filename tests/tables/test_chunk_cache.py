"""Slots of parsed chunks: shared, bounded, given back."""

import linecache
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_oocore.tables import chunk_cache as chunk_memory
from keras_oocore.tables.chunk_cache import ChunkCache

ROWS = 5


class Source:
    """Chunk c holds c, c + 0.1, c + 0.2, ...; counts how often each is parsed, and fails on demand."""

    def __init__(self, delay=0.0):
        self.parsed, self.failing, self.lock, self.delay = [], set(), threading.Lock(), delay
        self.now = self.most = 0

    def __call__(self, chunk):
        with self.lock:
            self.parsed.append(chunk)
            self.now += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(self.delay)
        with self.lock:
            self.now -= 1
        if chunk in self.failing:
            raise ValueError(f"chunk {chunk} cannot be parsed")
        return (chunk + np.arange(ROWS)[:, np.newaxis] / 10).astype(np.float32)


def memory_of(source, num_slots, sizes=(ROWS,) * 20):
    return ChunkCache(source, sizes, num_slots, (1,), np.dtype(np.float32))


def read(memory, *chunks):
    """A row of each chunk, checked."""
    chunks = np.array(chunks)
    rows = (chunks * 7) % ROWS
    out = np.empty((len(chunks), 1), np.float32)
    memory.read(chunks * ROWS + rows, out)
    assert out[:, 0].tolist() == (chunks + rows / 10).astype(np.float32).tolist()


def test_what_was_used_last_stays():
    source = Source()
    memory = memory_of(source, num_slots=3)
    for chunk in (1, 2, 3, 1, 4, 1, 3, 2):
        read(memory, chunk, chunk)
    assert source.parsed == [1, 2, 3, 4, 2]


def test_a_batch_of_more_chunks_than_slots():
    source = Source()
    memory = memory_of(source, num_slots=2)
    for _ in range(3):
        read(memory, *range(10), *range(10))
    assert len(source.parsed) == 10 + 2 * 8  # two stay
    assert np.count_nonzero(memory._slot_of >= 0) == 2


def test_threads_that_want_the_same_chunks_parse_each_once():
    source = Source(delay=0.01)
    memory = memory_of(source, num_slots=20)
    start = threading.Barrier(8)

    def work(_):
        start.wait(10)
        read(memory, *range(12))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert sorted(source.parsed) == list(range(12))
    assert source.most > 1  # they share the work


@pytest.mark.parametrize("num_slots", [1, 2, 5, 20])
def test_many_threads_and_few_slots(num_slots):
    source = Source()
    memory = memory_of(source, num_slots)

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            read(memory, *rng.integers(0, 20, 6).tolist())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert not any(holder.slots for holder in memory._holders)
    assert not memory._making


def test_a_parse_that_fails_is_tried_again_and_its_slot_comes_back():
    source = Source()
    memory = memory_of(source, num_slots=2)
    source.failing = {3}
    for _ in range(5):
        with pytest.raises(ValueError, match="chunk 3 cannot be parsed"):
            read(memory, 1, 3)
    assert source.parsed == [1] + [3] * 5
    source.failing = set()
    read(memory, 1, 3)
    assert source.parsed == [1] + [3] * 6
    read(memory, 1, 3)
    assert len(source.parsed) == 7


def test_a_parse_that_fails_fails_for_all_who_wait_and_leaves_no_slot_taken():
    source = Source(delay=0.02)
    source.failing = {3}
    memory = memory_of(source, num_slots=2)
    start, failed = threading.Barrier(6), []

    def work(_):
        start.wait(10)
        with pytest.raises(ValueError, match="chunk 3"):
            read(memory, 3)
        failed.append(True)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert len(failed) == 6
    assert not any(holder.slots for holder in memory._holders)
    assert not memory._making
    source.failing = set()
    read(memory, 3, 4)


def test_an_interrupt_while_parsing_leaves_the_memory_usable():
    def parse(chunk):
        if interrupts:
            raise interrupts.pop()
        return np.full((ROWS, 1), chunk, np.float32)

    interrupts, out = [KeyboardInterrupt()], np.empty((1, 1), np.float32)
    memory = memory_of(parse, num_slots=1)
    with pytest.raises(KeyboardInterrupt):
        memory.read(np.array([2 * ROWS]), out)
    memory.read(np.array([2 * ROWS]), out)
    assert out.tolist() == [[2]]


def interrupting(line):
    """Traces: Ctrl-C comes at so many lines of chunk_memory.py after now.

    Not where a `with` block ends: a lock is let go in the same instruction, and no signal comes in between.
    """
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename != chunk_memory.__file__:
            return None
        if event == "line" and "with self._lock" not in linecache.getline(chunk_memory.__file__, frame.f_lineno):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    return trace


@pytest.mark.parametrize("num_slots", [1, 2, 4])
def test_an_interrupt_at_any_line_leaves_the_rows_right_and_nobody_waiting(num_slots):
    line = interrupted = 0
    while line == interrupted:
        line += 1
        memory = memory_of(Source(), num_slots)
        read(memory, 0, 1, 2)
        sys.settrace(interrupting(line))
        try:
            memory.read(np.array([ROWS * 3, ROWS * 4 + 1, ROWS + 2]), np.empty((3, 1), np.float32))
            memory.prepare([7])
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.settrace(None)
        for chunks in ((3, 4), (1, 2), (7,), (4, 3, 7)):
            read(memory, *chunks)
        assert not memory._making
    assert line > 40


def test_chunks_of_fewer_rows_and_of_none():
    sizes = [1, 0, 0, 3, 2, 0, 1]
    memory = memory_of(lambda chunk: np.full((sizes[chunk], 1), chunk, np.float32), num_slots=4, sizes=sizes)
    out = np.empty((7, 1), np.float32)
    memory.read(np.array([0, 1, 2, 3, 4, 5, 6]), out)
    assert out[:, 0].tolist() == [0, 3, 3, 3, 4, 4, 6]


def test_slots_that_nobody_writes_take_no_memory():
    memory = ChunkCache(Source(), [ROWS] * 9 + [100_000_000], 10, (1,), np.dtype(np.float32))  # 4 GB
    read(memory, 5)


def test_what_was_prepared_is_there():
    source = Source()
    memory = memory_of(source, num_slots=3)
    memory.prepare([4, 5])
    memory.prepare([5])
    assert source.parsed == [4, 5]
    read(memory, 4, 5)
    assert source.parsed == [4, 5]


def test_what_cannot_be_prepared_is_an_error_to_those_who_read_it():
    source = Source()
    source.failing = {4}
    memory = memory_of(source, num_slots=3)
    memory.prepare([4, 5])
    read(memory, 5)
    with pytest.raises(ValueError, match="chunk 4"):
        read(memory, 4)
    assert not any(holder.slots for holder in memory._holders)


def test_preparing_waits_for_nobody():
    parsing, go_on = threading.Event(), threading.Event()

    def parse(chunk):
        parsing.set()
        assert go_on.wait(10)
        return np.full((ROWS, 1), chunk, np.float32)

    memory = memory_of(parse, num_slots=1)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(memory.prepare, [3])
        assert parsing.wait(10)
        memory.prepare([3, 4])  # another thread is at 3, and there is no slot for 4
        go_on.set()
        reading.result()
