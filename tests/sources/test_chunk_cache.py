"""The cache of parsed chunks: shared by threads, bounded, released."""

import linecache
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_oocore.core.threads import Thread, Unwanted
from keras_oocore.sources import chunk_cache
from keras_oocore.sources.chunk_cache import ChunkCache

ROWS = 5


class Source:
    """Parses chunk c as c, c + 0.1, c + 0.2, ...; records the calls, and fails for the chunks in `failing`."""

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


def cache_of(source, num_slots, sizes=(ROWS,) * 20):
    return ChunkCache(source, sizes, num_slots, (1,), np.dtype(np.float32))


def read(cache, *chunks):
    """Read and check a row of each chunk."""
    chunks = np.array(chunks)
    rows = (chunks * 7) % ROWS
    out = np.empty((len(chunks), 1), np.float32)
    cache.read(chunks * ROWS + rows, out)
    assert out[:, 0].tolist() == (chunks + rows / 10).astype(np.float32).tolist()


def test_recently_used_chunks_are_kept():
    source = Source()
    cache = cache_of(source, num_slots=3)
    for chunk in (1, 2, 3, 1, 4, 1, 3, 2):
        read(cache, chunk, chunk)
    assert source.parsed == [1, 2, 3, 4, 2]


@pytest.mark.parametrize("sizes", [(3,), (5, 0, 0, 1, 300, 2, 0, 7), (0, 1, 1, 1, 500), (64, 64, 64, 10), (1,) * 40])
def test_rows_of_chunks_of_any_sizes(sizes):
    firsts = np.cumsum([0, *sizes])
    cache = ChunkCache(lambda chunk: np.arange(*firsts[chunk : chunk + 2])[:, None], sizes, len(sizes), (1,), int)
    rows = np.random.default_rng(0).permutation(int(firsts[-1]))
    out = np.empty((len(rows), 1), int)
    cache.read(rows, out)
    assert out[:, 0].tolist() == rows.tolist()


def test_batch_of_more_chunks_than_slots():
    source = Source()
    cache = cache_of(source, num_slots=2)
    for _ in range(3):
        read(cache, *range(10), *range(10))
    assert len(source.parsed) == 10 + 2 * 8  # two stay
    assert cache.num_kept == 2


def test_threads_parse_each_chunk_once():
    source = Source(delay=0.01)
    cache = cache_of(source, num_slots=20)
    start = threading.Barrier(8)

    def work(_):
        start.wait(300)
        read(cache, *range(12))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert sorted(source.parsed) == list(range(12))
    assert source.most > 1  # they share the work


@pytest.mark.parametrize("num_slots", [1, 2, 20])
def test_many_threads_and_few_slots(num_slots):
    source = Source()
    cache = cache_of(source, num_slots)

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            read(cache, *rng.integers(0, 20, 6).tolist())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert cache.is_idle


def test_failed_parse_is_tried_again():
    source = Source()
    cache = cache_of(source, num_slots=2)
    source.failing = {3}
    for _ in range(5):
        with pytest.raises(ValueError, match="chunk 3 cannot be parsed"):
            read(cache, 1, 3)
    assert source.parsed == [1] + [3] * 5
    source.failing = set()
    read(cache, 1, 3)
    assert source.parsed == [1] + [3] * 6
    read(cache, 1, 3)
    assert len(source.parsed) == 7


def test_failed_parse_is_raised_in_all_waiting_threads():
    source = Source(delay=0.02)
    source.failing = {3}
    cache = cache_of(source, num_slots=2)
    start, failed = threading.Barrier(6), []

    def work(_):
        start.wait(300)
        with pytest.raises(ValueError, match="chunk 3"):
            read(cache, 3)
        failed.append(True)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert len(failed) == 6
    assert cache.is_idle
    source.failing = set()
    read(cache, 3, 4)


def test_interrupt_during_parse():
    def parse(chunk):
        if interrupts:
            raise interrupts.pop()
        return np.full((ROWS, 1), chunk, np.float32)

    interrupts, out = [KeyboardInterrupt()], np.empty((1, 1), np.float32)
    cache = cache_of(parse, num_slots=1)
    with pytest.raises(KeyboardInterrupt):
        cache.read(np.array([2 * ROWS]), out)
    cache.read(np.array([2 * ROWS]), out)
    assert out.tolist() == [[2]]


def interrupting(line):
    """Return a trace function that raises Ctrl-C at the given line of chunk_cache.py, counted from now.

    The end of a `with` block is excluded: the lock is released in the same instruction, so no signal comes between.
    """
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename != chunk_cache.__file__:
            return None
        if event == "line" and "with self._lock" not in linecache.getline(chunk_cache.__file__, frame.f_lineno):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    return trace


@pytest.mark.parametrize("num_slots", [1, 2, 4])
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_interrupt_at_lines(num_slots, step):
    line, came = 1 + num_slots % step - step, True
    while came:
        line += step
        came = False
        cache = cache_of(Source(), num_slots)
        read(cache, 0, 1, 2)
        sys.settrace(interrupting(line))
        try:
            cache.read(np.array([ROWS * 3, ROWS * 4 + 1, ROWS + 2]), np.empty((3, 1), np.float32))
            cache.prefetch([7])
        except KeyboardInterrupt:
            came = True
        finally:
            sys.settrace(None)
        for chunks in ((3, 4), (1, 2), (7,), (4, 3, 7)):
            read(cache, *chunks)
        assert cache.is_idle
    assert line > 40


def test_chunks_of_different_sizes():
    sizes = [1, 0, 0, 3, 2, 0, 1]
    cache = cache_of(lambda chunk: np.full((sizes[chunk], 1), chunk, np.float32), num_slots=4, sizes=sizes)
    out = np.empty((7, 1), np.float32)
    cache.read(np.array([0, 1, 2, 3, 4, 5, 6]), out)
    assert out[:, 0].tolist() == [0, 3, 3, 3, 4, 4, 6]


def test_unused_slots_use_no_memory():
    cache = ChunkCache(Source(), [ROWS] * 9 + [100_000_000], 10, (1,), np.dtype(np.float32))  # 4 GB
    read(cache, 5)


def test_prefetched_chunks_are_kept():
    source = Source()
    cache = cache_of(source, num_slots=3)
    cache.prefetch([4, 5])
    cache.prefetch([5])
    assert source.parsed == [4, 5]
    read(cache, 4, 5)
    assert source.parsed == [4, 5]


def test_error_of_prefetch_is_raised_by_read():
    source = Source()
    source.failing = {4}
    cache = cache_of(source, num_slots=3)
    cache.prefetch([4, 5])
    read(cache, 5)
    with pytest.raises(ValueError, match="chunk 4"):
        read(cache, 4)
    assert cache.is_idle


def test_prefetch_does_not_wait():
    parsing, resume = threading.Event(), threading.Event()

    def parse(chunk):
        parsing.set()
        assert resume.wait(300)
        return np.full((ROWS, 1), chunk, np.float32)

    cache = cache_of(parse, num_slots=1)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(cache.prefetch, [3])
        assert parsing.wait(300)
        cache.prefetch([3, 4])  # another thread parses 3, and no slot is free for 4
        resume.set()
        reading.result()


def test_chunks_are_parsed_into_their_slots():
    sizes, parsed, calls = (3, 5, 1, 4), Source(), []
    starts = np.cumsum([0, *sizes])

    def parse_into(chunk, out):
        calls.append((chunk, out.shape))
        out[...] = parsed(chunk)[: len(out)]

    cache = ChunkCache(None, sizes, 2, (1,), np.dtype(np.float32), parse_into)
    for chunk in (1, 0, 1, 3, 2, 0):
        out = np.empty((sizes[chunk], 1), np.float32)
        cache.read(np.arange(starts[chunk], starts[chunk + 1]), out)
        assert out.tolist() == parsed(chunk)[: sizes[chunk]].tolist()
    assert calls == [(chunk, (sizes[chunk], 1)) for chunk in (1, 0, 3, 2, 0)]


def test_an_unwanted_thread_parses_no_further_chunk():
    def parse(chunk):
        parsed.append(chunk)
        threading.current_thread().wanted = chunk != 3
        return np.full((ROWS, 1), chunk, np.float32)

    def work(thread):
        try:
            cache.prefetch(range(20))
        except Unwanted as error:
            ended.append(error)

    parsed, ended = [], []
    cache = cache_of(parse, num_slots=20)
    thread = Thread(work, "unwanted")
    thread.start()
    thread.wait()

    assert (parsed, len(ended), cache.num_kept, cache.is_idle) == ([0, 1, 2, 3], 1, 4, True)
