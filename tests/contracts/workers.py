"""What every Sequence promises about threads, memory, copies and child processes."""

import copy
import gc
import pickle
import sys

import cloudpickle
import inside_sequence as inside
import numpy as np
import pytest
from contracts.numbered import NumberedSamples
from contracts.reading import (
    TIMEOUT,
    add_noise,
    as_bytes,
    loader_threads,
    read_batches,
    read_in_a_fork,
    spawned_process,
)

from keras_oocore.core.errors import OptionError


class WorkerContract(NumberedSamples):
    """Tests of threads, memory, copies and child processes."""

    def test_batches_do_not_depend_on_the_number_of_workers(self, make):
        by_workers = []
        for workers in (0, 1, 4, None):
            sequence = make(batch_size=2, workers=workers, transform=add_noise, rescale=0.5)
            by_workers.append([as_bytes(sequence) for _ in range(3)])

        assert by_workers[0] == by_workers[1] == by_workers[2] == by_workers[3]

    def test_keras_sees_one_worker_and_no_multiprocessing(self, make):
        sequence = make(workers=3, max_queue_size=4)

        assert (sequence.workers, sequence.use_multiprocessing, sequence.max_queue_size) == (1, False, 4)
        assert sequence.num_workers == 3
        for name, value in (("workers", 2), ("max_queue_size", 5)):
            with pytest.raises(
                AttributeError, match=rf"`{name}` can only be set in the constructor: .*\(\.\.\., {name}={value}\)"
            ):
                setattr(sequence, name, value)
        with pytest.raises(
            AttributeError, match="`use_multiprocessing` is always False: samples are loaded in threads"
        ):
            sequence.use_multiprocessing = True
        assert (sequence.workers, sequence.use_multiprocessing, sequence.max_queue_size) == (1, False, 4)

    def test_workers_0_starts_no_thread(self, make):
        before = loader_threads()
        sequence = make(workers=0)
        self.epoch_of(sequence)

        assert loader_threads() <= before
        assert sequence.num_workers == 0

    def test_use_multiprocessing_warns(self, make):
        with pytest.warns(UserWarning, match="`use_multiprocessing=True` is not supported: threads are used instead"):
            sequence = make(use_multiprocessing=True)

        assert sequence.use_multiprocessing is False

    def test_rows_that_a_user_keeps_do_not_change(self, make):
        """Buffers are reused, but never while an array views them."""
        sequence = make(batch_size=2, memory_limit="1MB", rescale=None)
        kept = [(x[0], self.numbers(x)[0]) for _ in range(20) for x, _ in sequence]

        assert [self.numbers(row[np.newaxis])[0] for row, _ in kept] == [number for _, number in kept]

    @pytest.mark.parametrize("num_batches", [2, 5])
    def test_memory_limit_bounds_the_batches_in_flight(self, make, leases, num_batches):
        batch_bytes = inside.batch_bytes(make(batch_size=1))
        sequence = make(batch_size=1, memory_limit=num_batches * batch_bytes + 1, workers=2)
        for _ in range(3):
            previous = None
            for batch in sequence:  # the model still has one batch when it asks for the next
                previous = batch
        assert len(previous) == 2
        assert leases["most"] <= num_batches

        assert inside.max_batches_ahead(sequence) == num_batches - 2

    def test_memory_limit_holds_after_loops_that_ended_early(self, make, leases):
        batch_bytes = inside.batch_bytes(make(batch_size=1))
        sequence = make(batch_size=1, memory_limit=6 * batch_bytes, workers=1)
        for _ in range(5):  # loops that are left early
            for index, _ in enumerate(sequence):
                if index == 4:
                    break

        assert leases["most"] <= 6 + 1

    def test_max_queue_size_bounds_the_batches_in_flight(self, make, leases):
        for _ in make(batch_size=1, max_queue_size=1):
            pass

        assert leases["most"] <= 3

    def test_memory_limit_below_two_batches_is_an_error_that_names_the_minimum(self, make):
        batch_bytes = inside.batch_bytes(make())

        with pytest.raises(
            OptionError, match=rf"is too small for two batches of .*or memory_limit={2 * batch_bytes} or"
        ):
            make(memory_limit=2 * batch_bytes - 1)
        assert inside.max_batches_ahead(make(memory_limit=2 * batch_bytes)) == 0

    @pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
    def test_a_pickled_sequence_gives_the_same_batches(self, make, pickler):
        sequence = make(transform=add_noise)
        list(sequence)
        sequence.on_epoch_begin()
        first = sequence[2]  # in the second pass, while threads work
        again = pickle.loads(pickler.dumps(sequence))

        assert not inside.threads(again)
        assert (again.seed, len(again), again.max_queue_size) == (sequence.seed, len(sequence), sequence.max_queue_size)
        assert as_bytes([again[2]]) == as_bytes([first])
        assert as_bytes(read_batches(again, (0, 1))) == as_bytes(read_batches(sequence, (0, 1)))
        inside.assert_consistent(again)

    def test_a_deep_copy_is_independent(self, make):
        sequence = make()
        copied = copy.deepcopy(sequence)
        for _ in range(2):
            sequence.on_epoch_begin()
            read_batches(sequence, (0, 1, 2))
            sequence.on_epoch_end()

        assert as_bytes(copied) == as_bytes(make())

    def test_a_spawned_process_reads_the_same_batches(self, make):
        sequence = make(transform=add_noise, workers=2)
        here = as_bytes(read_batches(sequence, (2, 0, 1)))

        assert as_bytes(spawned_process().submit(read_batches, sequence, (2, 0, 1)).result(timeout=TIMEOUT)) == here

    @pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
    @pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="this system has no fork")
    def test_a_forked_process_reads_the_same_batches(self, make):
        sequence = make(transform=add_noise, workers=2, batch_size=1)
        read_batches(sequence, (0, 1, 2))  # threads are at work ahead

        assert as_bytes(read_in_a_fork(sequence, (3, 4, 9, 0))) == as_bytes(read_batches(sequence, (3, 4, 9, 0)))

    def test_a_context_manager_ends_the_threads_and_reading_restarts_them(self, make):
        with make(workers=2) as sequence:
            in_order = as_bytes(read_batches(sequence, (0, 1, 2)))
            threads = inside.threads(sequence)
            assert threads
        assert not any(thread.is_alive() for thread in threads)
        assert inside.num_idle_buffers(sequence) == 0

        assert as_bytes(read_batches(sequence, (0, 1, 2))) == in_order
        sequence.close()
        sequence.close()

    @pytest.mark.parametrize(
        "copied",
        [lambda sequence: sequence, copy.deepcopy, lambda sequence: sequence.partition(2)[0]],
        ids=["made", "copied", "partition"],
    )
    def test_a_deleted_sequence_leaves_no_thread(self, make, monkeypatch, copied):
        inside.keep_idle_threads(monkeypatch)
        sequence = copied(make(workers=2, batch_size=1))
        kept = read_batches(sequence, (0, 1, 2))
        threads, loader = inside.threads(sequence), inside.loader_reference(sequence)
        assert threads
        del sequence
        for thread in threads:
            thread.wait()
        gc.collect()

        assert not any(thread.is_alive() for thread in threads)
        assert loader() is None
        assert len(kept) == 3

    def test_a_shallow_copy_is_independent(self, make):
        sequence = make(workers=2)
        stream = iter(sequence)
        next(stream)
        other = copy.copy(sequence)
        other.on_epoch_end()
        assert len(list(other)) == len(sequence)
        del other
        gc.collect()
        assert len(list(stream)) == len(sequence) - 1
