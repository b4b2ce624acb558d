"""CSVChunkSequence: copies, child processes, threads and seeds."""

import copy
import gc
import os
import pickle
import random

import cloudpickle
import inside_sequence as inside
import keras
import pytest
from contracts.reading import (
    TIMEOUT,
    add_noise,
    as_bytes,
    loader_threads,
    read_batches,
    read_in_a_fork,
    spawned_process,
)
from csv_numbers import cached


@cached
@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_pickled_sequence_gives_the_same_batches(open_csv, cached, pickler):
    sequence = open_csv(cached=cached, transform=add_noise)
    unread = pickle.loads(pickler.dumps(sequence))
    list(sequence)
    again = pickle.loads(pickler.dumps(sequence))
    assert as_bytes(read_batches(again, (2, 0, 1))) == as_bytes(read_batches(sequence, (2, 0, 1)))
    assert as_bytes(unread) == as_bytes(open_csv(cached=cached, transform=add_noise))


@cached
def test_deep_copy_is_independent(open_csv, cached):
    sequence = open_csv(cached=cached)
    copied = copy.deepcopy(sequence)
    list(sequence)
    assert as_bytes(copied) == as_bytes(open_csv(cached=cached))


@cached
def test_spawned_process_reads_the_same_batches(open_csv, cached):
    sequence = open_csv(data=os.path.abspath("houses.csv"), cached=cached, features=["x", "city"], workers=2)
    here = as_bytes(read_batches(sequence, (2, 0, 1)))
    assert as_bytes(spawned_process().submit(read_batches, sequence, (2, 0, 1)).result(timeout=TIMEOUT)) == here


@cached
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_process_reads_the_same_batches(open_csv, cached):
    sequence = open_csv(cached=cached, workers=2, batch_size=1, memory_limit=1500)
    read_batches(sequence, (0, 1, 2))  # threads open_csv batches ahead
    assert as_bytes(read_in_a_fork(sequence, (3, 4, 90, 0))) == as_bytes(read_batches(sequence, (3, 4, 90, 0)))


def test_close_stops_threads_and_frees_memory(open_csv):
    with open_csv(workers=2) as sequence:
        first = as_bytes(read_batches(sequence, (0, 1, 2)))
        threads, rows = inside.threads(sequence), inside.parsed_rows(sequence)
    assert not any(thread.is_alive() for thread in threads)
    assert inside.parsed_rows(sequence) is not rows
    assert as_bytes(read_batches(sequence, (0, 1, 2))) == first
    del sequence
    gc.collect()
    assert not {thread for thread in loader_threads() if thread in threads}


def test_workers_0_starts_no_thread(open_csv):
    before = loader_threads()
    list(open_csv(workers=0))
    assert loader_threads() <= before


def test_seed_none_is_drawn_from_the_seed_of_keras(open_csv):
    keras.utils.set_random_seed(5)
    first = as_bytes(open_csv(seed=None))
    keras.utils.set_random_seed(5)
    assert as_bytes(open_csv(seed=None)) == first
    before = random.getstate()
    list(open_csv())
    assert random.getstate() == before
