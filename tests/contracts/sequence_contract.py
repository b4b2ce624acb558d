"""What every Sequence promises, as tests that each Sequence's own test class inherits."""

import concurrent.futures
import copy
import functools
import gc
import itertools
import json
import multiprocessing
import pickle
import random
import re
import sys
import threading
import weakref

import cloudpickle
import keras
import numpy as np
import pytest

from keras_oocore.batches import loader as batch_loader
from keras_oocore.batches.pool import BufferPool
from keras_oocore.core.errors import DataError, OptionError, SampleError

NUM_SAMPLES = 10
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
CLASS_NAMES = ["ant", "bee", "cat"]


def read_batches(sequence, indices):
    """The batches of these indices, outside an epoch; also called in child processes."""
    return [sequence[index] for index in indices]


def read_into_pipe(sequence, indices, pipe):
    pipe.send(read_batches(sequence, indices))


def read_in_a_fork(sequence, indices):
    """The batches as a forked child reads them."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=read_into_pipe, args=(sequence, indices, sender), daemon=True)
    child.start()
    sender.close()
    assert receiver.poll(60), "the forked child hangs"
    there = receiver.recv()
    child.join(30)
    assert child.exitcode == 0
    return there


def add_noise(x, y, rng):
    """A transform that pickles."""
    return x + rng.random(x.shape).astype("float32"), y


def as_bytes(batches):
    return [[part.tobytes() for part in batch] for batch in batches]


def saved(sequence, **given):
    """The place in the data as it comes back from a file: small, and of plain values."""
    state = sequence.state_dict(**given)
    text = json.dumps(state)
    assert len(text) < 2000
    assert json.loads(text) == state
    return json.loads(text)


def given_and_states(sequence, num_passes):
    """The bytes of each batch of these passes, and the place before the first and after each of them."""
    given, states = [], [saved(sequence)]
    for _ in range(num_passes):
        for batch in sequence:
            given += as_bytes([batch])
            states.append(saved(sequence))
    return given, states


def resumed(make, state, num_batches):
    """The bytes of the batches that a new Sequence gives after this place, in whole loops, and the Sequence."""
    sequence = make(seed=None)
    num_batches_of_a_pass = len(sequence)
    sequence.load_state_dict(state)
    given = []
    while len(given) < num_batches:
        given += as_bytes(sequence)
    assert sequence.seed == state["seed"]
    assert len(sequence) == num_batches_of_a_pass
    return given, sequence


def assert_every_tail_is_resumed(make):
    """From each batch of two passes on, a new Sequence gives the very bytes that the first one went on with."""
    first = make()
    given, states = given_and_states(first, 2)
    given += as_bytes(first)
    assert [(state["epoch"], state["batches"]) for state in states] == [
        divmod(used, len(first)) for used in range(2 * len(first) + 1)
    ]
    for used, state in enumerate(states):
        tail, again = resumed(make, state, len(given) - used)
        assert tail == given[used:]
        assert saved(again) == saved(first)


def assert_refused(sequence, state, error, message):
    """A state that does not fit is refused, and the Sequence stays where it is."""
    before = sequence.state_dict()
    with pytest.raises(error, match=message):
        sequence.load_state_dict(state)
    assert sequence.state_dict() == before


def loader_threads():
    return {thread for thread in threading.enumerate() if thread.name == "keras_oocore-loader"}


@functools.cache
def spawned_process():
    """A process that shares nothing with this one; without a backend, because reading needs none."""
    executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "numpy")
        executor.submit(int).result(timeout=60)
    return executor


@pytest.mark.timeout(120)
def counted_leases(monkeypatch):
    """How many buffers of batches are lent from now on, and the most there ever were."""
    count, lock, lease = {"now": 0, "most": 0}, threading.RLock(), BufferPool.lease

    def change(step):
        with lock:
            count["now"] += step
            count["most"] = max(count["most"], count["now"])

    def counted(pool):
        lent = lease(pool)
        change(1)
        weakref.finalize(lent, change, -1).atexit = False
        return lent

    monkeypatch.setattr(BufferPool, "lease", counted)
    return count


class SequenceContract:
    """Ten samples in batches of four; sample i has its number i written into it and the label `LABELS[i]`.

    A test class that inherits says how to `prepare` them in a folder, how to `open` them as a Sequence, and which
    `numbers` are written in an `x`.
    """

    def prepare(self, folder):
        raise NotImplementedError

    def open(self, folder, **options):
        raise NotImplementedError

    def numbers(self, x):
        raise NotImplementedError

    @pytest.fixture
    def make(self, tmp_path):
        """Opens the Sequence, with any options."""
        folder = tmp_path / "data"
        folder.mkdir()
        self.prepare(folder)
        return lambda **options: self.open(folder, **{"batch_size": 4, "label_mode": "int", "seed": 7, **options})

    @pytest.fixture
    def leases(self, monkeypatch):
        """How many batch buffers are lent, and the most there ever were."""
        return counted_leases(monkeypatch)

    def pass_of(self, sequence):
        """The samples of a pass, by batch, from what was read; their labels are checked."""
        batches = []
        for x, y in sequence:
            batches.append(self.numbers(x))
            assert y.tolist() == [LABELS[number] for number in batches[-1]]
        return batches

    # What a pass is

    def test_length_is_the_number_of_batches(self, make):
        sequence = make()

        assert len(sequence) == sequence.num_batches == 3
        assert sequence.num_samples == NUM_SAMPLES
        assert len(make(batch_size=5)) == 2
        assert len(make(batch_size=100)) == 1
        assert len(make(last_batch="drop")) == 2

    @pytest.mark.parametrize("shuffle", [True, False, "block"])
    def test_every_pass_has_every_sample_once_with_its_label(self, make, shuffle):
        sequence = make(shuffle=shuffle, batch_size=3)

        for _ in range(3):
            batches = self.pass_of(sequence)
            assert [len(batch) for batch in batches] == [3, 3, 3, 1]
            assert sorted(number for batch in batches for number in batch) == list(range(NUM_SAMPLES))

    def test_unshuffled_is_the_order_on_disk(self, make):
        sequence = make(shuffle=False)

        assert self.pass_of(sequence) == self.pass_of(sequence) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    def test_the_last_batch_is_shorter_or_dropped(self, make):
        kept, dropped = make(shuffle=False), make(shuffle=False, last_batch="drop")
        x, y = kept[2]

        assert (len(x), len(y)) == (2, 2)
        assert [len(x) for x, _ in dropped] == [4, 4]
        with pytest.raises(
            DataError, match=r"10 samples do not fill one batch of 11. .*smaller batch_size, or last_batch="
        ):
            make(batch_size=11, last_batch="drop")

    def test_each_loop_is_the_next_pass(self, make):
        looped, plan = make(), make()

        assert [self.pass_of(looped) for _ in range(3)] == [
            [plan._maker.planned(number, position).tolist() for position in range(3)] for number in range(3)
        ]
        assert self.numbers(looped[1][0]) == plan._maker.planned(3, 1).tolist()  # outside an epoch: of the one to come

    def test_a_loop_that_is_left_early_is_followed_by_a_whole_pass(self, make):
        sequence = make(batch_size=2)
        for index, _ in enumerate(sequence):
            if index == 3:
                break

        assert sorted(number for batch in self.pass_of(sequence) for number in batch) == list(range(NUM_SAMPLES))

    def test_within_an_epoch_any_order_of_indices_gives_the_plan(self, make):
        """As `fit(shuffle=True)` asks, and again for an index that it has."""
        sequence, plan = make(), make()
        sequence.on_epoch_begin()
        given = [self.numbers(sequence[index][0]) for index in (2, 0, 2, 1, 0)]
        sequence.on_epoch_end()
        first, second, third = (plan._maker.planned(0, position).tolist() for position in range(3))

        assert given == [first, second, first, third, second]

    # Indexing outside an epoch

    def test_outside_an_epoch_an_index_is_a_batch_of_the_plan_in_whatever_order(self, make):
        in_order = as_bytes(make())
        sequence = make()

        for index in (2, 0, 1, 1, 2, 1, 0):
            assert as_bytes([sequence[index]]) == [in_order[index]]
            assert sequence.samples_of(index).tolist() == self.numbers(sequence[index][0])
        assert as_bytes(sequence) == in_order

    def test_negative_indices_count_from_the_end_and_others_do_not_exist(self, make):
        sequence = make()

        assert as_bytes([sequence[-1], sequence[np.int64(-3)]]) == as_bytes([sequence[2], sequence[0]])
        for index in (3, -4, 1000):
            with pytest.raises(IndexError, match=f"Batch {index} of 3 does not exist"):
                sequence[index]
        assert len(list(sequence)) == 3

    # Seeds

    def test_the_same_seed_gives_the_same_passes_and_another_one_others(self, make):
        passes = {seed: [as_bytes(make(seed=seed)) for _ in range(2)] for seed in (0, 1, 2)}

        assert all(first == again for first, again in passes.values())
        assert passes[0] != passes[1] != passes[2]
        sequence = make(seed=0)
        assert as_bytes(sequence) != as_bytes(sequence)  # epoch 1 is not epoch 0
        assert as_bytes(sequence) != passes[1][0]  # seed 0 in a later epoch is not seed 1

    def test_without_a_seed_one_is_drawn_that_keras_governs_and_shown(self, make):
        def drawn():
            return make(seed=None).seed

        random.seed(3)
        first = drawn(), drawn()
        random.seed(3)
        assert (drawn(), drawn()) == first
        assert first[0] != first[1]
        keras.utils.set_random_seed(5)
        governed = make(seed=None)
        keras.utils.set_random_seed(5)
        again = make(seed=None)
        assert as_bytes(governed) == as_bytes(again) == as_bytes(make(seed=governed.seed))
        assert make(seed=np.int64(4)).seed == 4

    def test_reading_moves_no_global_generator(self, make):
        sequence = make(transform=add_noise)
        before = random.getstate(), np.random.get_state()[1].tolist()
        list(sequence)

        assert (random.getstate(), np.random.get_state()[1].tolist()) == before

    # Workers, memory, processes

    def test_the_same_bytes_for_any_number_of_workers(self, make):
        by_workers = []
        for workers in (0, 1, 4, None):
            sequence = make(batch_size=2, workers=workers, transform=add_noise, rescale=0.5)
            by_workers.append([as_bytes(sequence) for _ in range(3)])

        assert by_workers[0] == by_workers[1] == by_workers[2] == by_workers[3]

    def test_workers_are_our_threads_and_keras_is_told_one(self, make):
        sequence = make(workers=3, max_queue_size=4)

        assert (sequence.workers, sequence.use_multiprocessing, sequence.max_queue_size) == (1, False, 4)
        assert sequence.num_workers == 3
        for name, value in (("workers", 2), ("max_queue_size", 5)):
            with pytest.raises(
                AttributeError, match=rf"`{name}` is set in the constructor only: .*\(\.\.\., {name}={value}\)"
            ):
                setattr(sequence, name, value)
        with pytest.raises(AttributeError, match="`use_multiprocessing` stays False: samples are loaded in threads"):
            sequence.use_multiprocessing = True
        assert (sequence.workers, sequence.use_multiprocessing, sequence.max_queue_size) == (1, False, 4)

    def test_without_workers_there_is_no_thread(self, make):
        before = loader_threads()
        sequence = make(workers=0)
        self.pass_of(sequence)

        assert loader_threads() <= before
        assert sequence.num_workers == 0

    def test_multiprocessing_is_taken_with_a_warning(self, make):
        with pytest.warns(UserWarning, match="`use_multiprocessing=True`: threads are used instead, see `workers`"):
            sequence = make(use_multiprocessing=True)

        assert sequence.use_multiprocessing is False

    def test_rows_that_are_kept_stay_as_they_were(self, make):
        """Buffers are used again, but never while anyone can see them."""
        sequence = make(batch_size=2, memory_limit="1MB", rescale=None)
        kept = [(x[0], self.numbers(x)[0]) for _ in range(20) for x, _ in sequence]

        assert [self.numbers(row[np.newaxis])[0] for row, _ in kept] == [number for _, number in kept]

    @pytest.mark.parametrize("num_batches", [2, 3, 5])
    def test_memory_limit_bounds_the_batches_in_flight(self, make, leases, num_batches):
        batch_bytes = make(batch_size=1)._maker.batch_bytes
        sequence = make(batch_size=1, memory_limit=num_batches * batch_bytes + 1, workers=2)
        for _ in range(3):
            previous = None
            for batch in sequence:  # the model still has one batch when it asks for the next
                previous = batch
        assert len(previous) == 2
        assert leases["most"] == num_batches

        assert sequence._loader.max_ahead == num_batches - 2

    def test_after_a_seek_only_what_threads_are_at_is_above_the_limit(self, make, leases):
        batch_bytes = make(batch_size=1)._maker.batch_bytes
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

    def test_a_memory_limit_below_two_batches_is_refused_with_the_number_to_pass(self, make):
        batch_bytes = make()._maker.batch_bytes

        with pytest.raises(
            OptionError, match=rf"holds less than two batches of .*or memory_limit={2 * batch_bytes} or"
        ):
            make(memory_limit=2 * batch_bytes - 1)
        assert make(memory_limit=2 * batch_bytes)._loader.max_ahead == 0

    @pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
    def test_a_pickled_sequence_gives_the_same_batches(self, make, pickler):
        sequence = make(transform=add_noise)
        list(sequence)
        sequence.on_epoch_begin()
        first = sequence[2]  # in the midst of the second pass, with threads at work
        again = pickle.loads(pickler.dumps(sequence))

        assert not again._loader._threads
        assert (again.seed, len(again), again.max_queue_size) == (sequence.seed, len(sequence), sequence.max_queue_size)
        assert as_bytes([again[2]]) == as_bytes([first])
        assert as_bytes(read_batches(again, (0, 1))) == as_bytes(read_batches(sequence, (0, 1)))
        assert again._maker is again._loader.make_job.__self__

    def test_a_deep_copy_is_a_sequence_of_its_own(self, make):
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

        assert as_bytes(spawned_process().submit(read_batches, sequence, (2, 0, 1)).result(timeout=60)) == here

    @pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
    @pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="this system has no fork")
    def test_a_forked_process_reads_the_same_batches(self, make):
        sequence = make(transform=add_noise, workers=2, batch_size=1)
        read_batches(sequence, (0, 1, 2))  # threads are at work ahead

        assert as_bytes(read_in_a_fork(sequence, (3, 4, 9, 0))) == as_bytes(read_batches(sequence, (3, 4, 9, 0)))

    def test_a_context_manager_ends_the_threads_and_reading_starts_them_again(self, make):
        with make(workers=2) as sequence:
            in_order = as_bytes(read_batches(sequence, (0, 1, 2)))
            threads = set(sequence._loader._threads)
            assert threads
        assert not any(thread.is_alive() for thread in threads)
        assert sequence._maker.pool.num_idle == 0

        assert as_bytes(read_batches(sequence, (0, 1, 2))) == in_order
        sequence.close()
        sequence.close()

    @pytest.mark.parametrize(
        "copied",
        [lambda sequence: sequence, copy.deepcopy, lambda sequence: sequence.partition(2)[0]],
        ids=["made", "copied", "partition"],
    )
    def test_a_sequence_that_is_gone_leaves_no_thread(self, make, monkeypatch, copied):
        monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 600)
        sequence = copied(make(workers=2, batch_size=1))
        kept = read_batches(sequence, (0, 1, 2))
        threads, loader = set(sequence._loader._threads), weakref.ref(sequence._loader)
        assert threads
        del sequence
        for thread in threads:
            thread.join(30)
        gc.collect()

        assert not any(thread.is_alive() for thread in threads)
        assert loader() is None
        assert len(kept) == 3

    # Options

    def test_rescale_and_dtype(self, make):
        (plain, _), stored = make()[1], make()[1][0].dtype
        scaled, _ = make(rescale=0.5)[1]
        cast, _ = make(dtype="float16")[1]

        assert scaled.dtype == np.float32
        assert np.array_equal(scaled, plain.astype("float32") * np.float32(0.5))
        assert cast.dtype == np.float16
        assert np.array_equal(cast, plain.astype("float16"))
        assert plain.dtype == stored == make()._maker.samples.dtype

    def test_transform_is_keyed_by_seed_epoch_and_batch(self, make):
        def draws(**options):
            sequence = make(transform=lambda x, y, rng: (x, rng.random(2)), **options)
            return [tuple(y) for _ in range(2) for _, y in sequence]

        assert draws() == draws(workers=0) == draws(shuffle=False)
        assert len(set(draws() + draws(seed=8))) == 12
        with pytest.raises(OptionError, match=r"`transform\(x, y, rng\)` should return a tuple \(x, y\)"):
            make(transform=lambda x, y, rng: x)[0]

    def test_label_modes(self, make):
        y_of = {mode: make(label_mode=mode, shuffle=False)[1][1] for mode in ("int", "categorical", "raw")}

        assert (y_of["int"].tolist(), y_of["int"].dtype) == ([1, 1, 1, 2], np.int32)
        assert y_of["categorical"].tolist() == np.eye(3)[[1, 1, 1, 2]].tolist()
        assert y_of["categorical"].dtype == np.float32
        assert y_of["raw"].tolist() == [1, 1, 1, 2]
        assert make().labels.tolist() == LABELS
        with pytest.raises(OptionError, match=r'`label_mode="binary"` wants exactly 2 classes. Received: 3 classes'):
            make(label_mode="binary")
        with pytest.raises(OptionError, match=r"`label_mode` should be one of"):
            make(label_mode="sparse")

    def test_without_labels_a_batch_is_x_alone(self, make):
        for options in (dict(labels=None), dict(label_mode=None), dict(labels=None, label_mode=None)):
            sequence = make(shuffle=False, **options)
            assert self.numbers(sequence[1]) == [4, 5, 6, 7]
            assert sequence.labels is None

    def test_labels_of_several_values_are_raw(self, make):
        several = np.stack([np.arange(10), np.arange(10) % 2, np.ones(10)], axis=1).astype("float32")
        x, y = make(labels=several, label_mode="raw")[1]

        assert y.dtype == np.float32
        assert y.tolist() == several[self.numbers(x)].tolist()
        with pytest.raises(
            OptionError, match=r'"int"` wants one class a sample.*shape \(10, 3\).*Use label_mode="raw"'
        ):
            make(labels=several, label_mode="int")

    def test_raw_targets_stay_as_they_are_also_when_they_are_whole(self, make):
        prices = (np.arange(10, dtype="float64") * 1000)[:, np.newaxis]
        _, y = make(labels=prices, label_mode="raw", shuffle=False)[1]

        assert y.tolist() == [[4000.0], [5000.0], [6000.0], [7000.0]]
        assert y.dtype == np.float64

    @pytest.mark.parametrize("labels", [LABELS[:-1], [*LABELS, 0]])
    def test_labels_of_another_length_are_refused(self, make, labels):
        with pytest.raises(
            DataError, match=f"one filename and one label. Received: 10 filenames and {len(labels)} labels"
        ):
            make(labels=labels)

    def test_class_weight_becomes_the_weight_of_each_sample(self, make):
        for x, y, weight in make(class_weight={0: 0.5, 2: 3.0}):
            assert weight.tolist() == [{0: 0.5, 1: 1.0, 2: 3.0}[label] for label in y.tolist()]
            assert y.tolist() == [LABELS[number] for number in self.numbers(x)]
            assert weight.dtype == np.float32
        balanced = np.concatenate([weight for _, _, weight in make(class_weight="balanced", shuffle=False)])
        np.testing.assert_allclose(balanced, [10 / 12] * 4 + [10 / 9] * 6, rtol=1e-6)
        one_hot = make(class_weight={1: 2.0}, label_mode="categorical", shuffle=False)
        assert one_hot[1][2].tolist() == [2, 2, 2, 1]

    def test_sample_weight_follows_its_sample(self, make):
        for x, _, weight in make(sample_weight=[number / 4 for number in range(10)]):
            assert (weight * 4).tolist() == self.numbers(x)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                dict(class_weight="balanced", label_mode="raw"),
                "`class_weight` wants class labels. .*Use `sample_weight`",
            ),
            (dict(class_weight="balanced", label_mode=None), "`class_weight` wants class labels"),
            (dict(class_weight={5: 1.0}), "`class_weight` has a class that does not exist: 5"),
            (dict(class_weight="auto"), 'should be a dict or "balanced"'),
            (
                dict(class_weight="balanced", sample_weight=[1] * 10),
                "cannot both be given. Multiply them into `sample_w",
            ),
            (dict(sample_weight=[1] * 9), r"should have one weight a sample, shape \(10,\). Received: \(9,\)"),
            (dict(sample_weight=np.ones((10, 1))), r"shape \(10,\). Received: \(10, 1\)"),
            (dict(sample_weight=[1] * 10, label_mode=None), "`sample_weight` wants labels. Received: no labels"),
            (dict(batch_size=0), "`batch_size` should be a positive integer. Received: batch_size=0"),
            (dict(batch_size=-4), "`batch_size` should be a positive integer. Received: batch_size=-4"),
            (dict(shuffle="batch"), '`shuffle` should be True, False or "block"'),
            (dict(seed=-1), "`seed` should be an integer from 0 to 2\\*\\*32 - 1, or None. Received: seed=-1"),
            (dict(seed=0.5), "`seed` should be an integer from 0 to 2\\*\\*32 - 1, or None. Received: seed=0.5"),
            (dict(workers=-1), "`workers` should be a number of threads, 0 or more, or None. Received: workers=-1"),
            (dict(workers="all"), "`workers` should be a number of threads"),
            (dict(max_queue_size=0), "`max_queue_size` should be a positive integer. Received: max_queue_size=0"),
            (dict(memory_limit="lots"), "`memory_limit` should be a number of bytes, or a string such as"),
            (dict(memory_limit=0), "`memory_limit` should be a number of bytes, or a string such as"),
            (dict(on_error="ignore"), "`on_error` should be one of"),
            (dict(last_batch="pad"), "`last_batch` should be one of"),
            (dict(transform="flip"), "`transform` should be a function"),
            (dict(rescale="1/255"), "`rescale` should be a number. Received: rescale='1/255'"),
            (dict(dtype="float99"), "`dtype` should be one that numpy has"),
        ],
    )
    def test_options_that_cannot_work_are_refused_by_the_constructor(self, make, options, message):
        with pytest.raises(OptionError, match=message):
            make(**options)

    def test_a_loop_that_is_left_ends_its_pass_and_index_i_is_batch_i_again(self, make):
        sequence = make(batch_size=2)
        for number, _ in enumerate(sequence):
            if number == 2:
                break
        assert sequence._pass.number == 1
        for index in (2, 0):
            assert self.numbers(sequence[index][0]) == sequence.samples_of(index).tolist()

    def test_a_copy_has_a_loader_and_a_pass_of_its_own(self, make):
        sequence = make(workers=2)
        stream = iter(sequence)
        next(stream)
        other = copy.copy(sequence)
        other.on_epoch_end()
        assert len(list(other)) == len(sequence)
        del other
        gc.collect()
        assert len(list(stream)) == len(sequence) - 1

    # Subsets

    def test_subsets_are_disjoint_complete_and_repeatable(self, make):
        def samples(subset, seed=7):
            sequence = make(validation_split=0.3, subset=subset, seed=seed)
            return sorted(number for x, y in sequence for number in self.numbers(x))

        training, validation = samples("training"), samples("validation")

        assert (len(training), len(validation)) == (7, 3)
        assert sorted(training + validation) == list(range(NUM_SAMPLES))
        assert (training, validation) == (samples("training"), samples("validation"))
        assert len({tuple(samples("validation", seed)) for seed in range(5)}) > 1

    def test_both_subsets_are_a_tuple_and_validation_is_in_order(self, make):
        training, validation = make(validation_split=0.3, subset="both")
        validated = [number for batch in self.pass_of(validation) for number in batch]

        assert validated == sorted(validated)
        assert validated == sorted(n for b in self.pass_of(make(validation_split=0.3, subset="validation")) for n in b)
        assert as_bytes(training) == as_bytes(make(validation_split=0.3, subset="training"))
        assert type(training) is type(validation)

    def test_subsets_do_not_overlap_though_only_one_of_them_is_shuffled(self, make):
        training = make(validation_split=0.3, subset="training", shuffle=True)
        validation = make(validation_split=0.3, subset="validation", shuffle=False)

        served = [number for sequence in (training, validation) for batch in self.pass_of(sequence) for number in batch]
        assert sorted(served) == list(range(NUM_SAMPLES))

    def test_weights_follow_their_samples_into_a_subset(self, make):
        weights = [number / 4 for number in range(10)]
        for x, _, weight in make(sample_weight=weights, validation_split=0.5, subset="training"):
            assert (weight * 4).tolist() == self.numbers(x)
        for wrong in (weights[:9], [*weights, 0]):
            with pytest.raises(
                OptionError, match=rf"should have one weight a sample, shape \(10,\). Received: \({len(wrong)},"
            ):
                make(sample_weight=wrong, validation_split=0.5, subset="training")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (dict(validation_split=0.3, subset="training", seed=None), "wants a seed, so that subsets do not overlap"),
            (dict(validation_split=0.3, subset="both", seed=None), "wants a seed, so that subsets do not overlap"),
            (dict(validation_split=0.3, subset="both", seed=None, shuffle=False), "A split wants a seed"),
            (dict(validation_split=0.3), "`subset` should be one of"),
            (dict(subset="training"), "`validation_split` should be between 0 and 1, with `subset`"),
            (dict(validation_split=0.3, subset="test"), "`subset` should be one of"),
            (dict(validation_split=0.01, subset="both"), "of 10 samples leaves none for validation"),
        ],
    )
    def test_a_split_that_cannot_work_is_refused(self, make, options, message):
        with pytest.raises(OptionError, match=message):
            make(**options)

    # For people

    def test_filenames_are_those_of_the_current_pass(self, make):
        sequence, by_number = make(), make(shuffle=False, batch_size=10).filenames(0)
        assert len(set(by_number)) == NUM_SAMPLES
        for _ in range(2):
            for index in range(3):
                assert sequence.filenames(index) == [by_number[i] for i in self.numbers(sequence[index][0])]
            list(sequence)
        with pytest.raises(IndexError, match="Batch 3 of 3 does not exist"):
            sequence.filenames(3)

    def test_the_repr_says_what_it_holds(self, make):
        text = repr(make(workers=2, max_queue_size=3))

        assert text.startswith(f"<{type(make()).__name__}: 10 samples")
        for part in (
            "3 batches of 4, shuffled, seed=7",
            "labels int",
            "2 threads, 3 batches ahead",
            "in flight at most>",
        ):
            assert part in text
        assert "in order" in repr(make(shuffle=False))
        assert "shuffled in blocks" in repr(make(shuffle="block"))

    # With Keras

    def test_fit_trains_and_predict_lines_up_with_the_samples(self, make):
        shape = make()._maker.shape
        inputs = keras.Input(shape)
        features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(3)(features))
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=["accuracy"]
        )
        history = model.fit(make(class_weight="balanced"), validation_data=make(shuffle=False), epochs=1, verbose=0)
        assert np.isfinite([history.history["loss"][0], history.history["val_loss"][0]]).all()

        same = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
        sequence = make(shuffle=False)
        sequence.on_epoch_begin()
        read_batches(sequence, (2, 1, 0))  # an epoch that was interrupted
        assert self.numbers(same.predict(sequence, verbose=0)) == list(range(NUM_SAMPLES))

    # The place in the data

    @pytest.mark.parametrize(
        ("shuffle", "batch_size", "workers"), [(True, 3, 0), (True, 4, 2), (False, 3, 2), ("block", 4, 0)]
    )
    def test_a_small_json_resumes_with_the_very_next_batch(self, make, shuffle, batch_size, workers):
        options = dict(shuffle=shuffle, batch_size=batch_size, workers=workers, transform=add_noise)

        assert_every_tail_is_resumed(functools.partial(make, **options))

    def test_a_state_outside_of_a_loop_is_the_begin_of_a_pass(self, make):
        sequence = make(batch_size=2)
        places = [saved(sequence)]
        sequence[3]  # no place in a pass
        places.append(saved(sequence))
        list(sequence)
        places.append(saved(sequence))
        for index, _ in enumerate(sequence):
            if index == 2:
                break
        places.append(saved(sequence))

        assert [(place["epoch"], place["batches"]) for place in places] == [(0, 0), (0, 0), (1, 0), (2, 0)]
        for place in places:
            reference = make(batch_size=2)
            for _ in range(place["epoch"]):
                list(reference)
            assert resumed(functools.partial(make, batch_size=2), place, 5)[0] == as_bytes(reference)

    def test_a_state_says_what_was_used_where_more_was_handed_out(self, make):
        sequence = make(batch_size=2)
        given = as_bytes(make(batch_size=2))
        stream = iter(sequence)
        for _ in range(4):
            next(stream)
        state = saved(sequence, batches=2)

        assert (state["epoch"], state["batches"]) == (0, 2)
        tail, again = resumed(functools.partial(make, batch_size=2), state, 3)
        assert tail == given[2:]
        again.load_state_dict(state)
        stream = iter(again)
        next(stream)
        assert saved(again, batches=1)["batches"] == 3  # of a pass that a state began with the third
        for wrong in (0, -1, 1.5, True):
            with pytest.raises(OptionError, match=f"`batches` should be a positive integer. Received: batches={wrong}"):
                sequence.state_dict(batches=wrong)

    def test_a_state_of_another_seed_is_refused_unless_none_was_asked_for(self, make):
        state, other = saved(make(seed=7)), make(seed=8)

        assert_refused(
            other, state, OptionError, "The state has seed=7, this Sequence was made with seed=8. .*seed=None"
        )
        assert as_bytes(other) == as_bytes(make(seed=8))
        assert resumed(make, state, 3)[0] == as_bytes(make(seed=7))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (dict(batch_size=5), "batch_size was 4, is 5"),
            (dict(shuffle=False), "shuffle was True, is False"),
            (dict(shuffle="block"), "shuffle was True, is 'block'"),
            (dict(last_batch="drop"), "last_batch was 'keep', is 'drop'"),
            (
                dict(labels=LABELS[::-1]),
                r"labels was '\(10,\) int\d+ with CRC-32 (\w+)', is '\(10,\) int\d+ with CRC-32 (?!\1)",
            ),
            (dict(labels=None), "labels was '.*', is None"),
            (
                dict(validation_split=0.3, subset="training", seed=7),
                "num_samples was 10, is 7; (files|rows taken) was ",
            ),
        ],
    )
    def test_a_state_of_other_data_is_refused_and_says_what_differs(self, make, options, message):
        state = saved(make())

        assert_refused(make(**{"seed": None, **options}), state, DataError, f"belongs to other data: .*{message}")

    def test_a_state_of_the_other_half_is_refused(self, make):
        halves = [make(validation_split=0.5, subset=subset) for subset in ("training", "validation")]

        for here, there in (halves, halves[::-1]):
            assert_refused(here, saved(there), DataError, "(files|rows taken) was '(.*)', is '(?!\\2')")
            here.load_state_dict(saved(here))

    def test_what_is_no_state_is_refused(self, make):
        sequence, state = make(), saved(make())

        for wrong in (None, {}, [], "0", [state], {**state, "fingerprint": None}):
            assert_refused(
                sequence, wrong, OptionError, "`state` should be what `state_dict\\(\\)` returned. Received: "
            )
        for key in state:
            lacking = {name: value for name, value in state.items() if name != key}
            assert_refused(sequence, lacking, OptionError, "should be what `state_dict")
        for key, value in (
            ("seed", -1),
            ("epoch", -1),
            ("batches", -1),
            ("batches", 4),
            ("epoch", 0.5),
            ("seed", None),
        ):
            wrong = {**state, key: value}
            message = f"of 3 batches at most. Received: .*'{key}': {value}"
            assert_refused(sequence, wrong, OptionError, message)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_the_state_that_was_loaded_last_counts_whatever_was_made_ahead(self, make, workers):
        options = dict(batch_size=2, transform=add_noise)
        given, states = given_and_states(make(**options), 3)
        sequence = make(**options, workers=workers, seed=None)
        for used in (1, 8, 8, 3, 0):
            stream = iter(sequence)
            next(stream)
            ahead = [future.result() for future in list(sequence._loader._ahead.values())]  # of another place or seed
            assert bool(ahead) == bool(workers)
            stream.close()
            sequence.load_state_dict(states[used])
            assert as_bytes(sequence) + as_bytes(sequence) == given[used:][: 10 - used % 5]

    @pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
    def test_a_copy_made_in_the_middle_of_a_pass_loads_a_state(self, make, pickler):
        given, states = given_and_states(make(transform=add_noise), 2)
        sequence = make(transform=add_noise, seed=None, workers=2)
        stream = iter(sequence)
        next(stream)
        again = pickle.loads(pickler.dumps(sequence))
        again.load_state_dict(states[4])

        assert as_bytes(again) == given[4:]
        assert (again.seed, saved(again)["epoch"]) == (7, 2)
        assert len(list(stream)) == 2  # the one that it was copied from goes on

    # Partitions

    @pytest.mark.parametrize("shuffle", [True, False, "block"])
    @pytest.mark.parametrize("last_batch", ["keep", "drop"])
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_partitions_are_disjoint_complete_and_of_a_size(self, make, shuffle, last_batch, n):
        parts = make(batch_size=3, shuffle=shuffle, last_batch=last_batch).partition(n)
        lengths = [len(part) for part in parts]
        members = [sorted(part._maker.order.members().tolist()) for part in parts]

        assert len(parts) == n
        assert [len(mine) for mine in members] == [part.num_samples for part in parts]
        assert max(lengths) - min(lengths) <= 1
        assert sum(lengths) == (4 if last_batch == "keep" else 3)
        assert sorted(itertools.chain(*members)) == list(range(NUM_SAMPLES))
        for part, mine in zip(parts, members):
            epochs = [[number for batch in self.pass_of(part) for number in batch] for _ in range(3)]
            for served in epochs:
                assert len(set(served)) == len(served) == min(len(part) * 3, part.num_samples)
                assert set(served) <= set(mine)
                assert last_batch == "drop" or sorted(served) == mine
                assert shuffle or served == mine[: len(served)]
            if part.num_samples > 2:
                assert (len(set(map(tuple, epochs))) > 1) == bool(shuffle)

    def test_as_many_partitions_as_batches_and_no_more(self, make):
        sequence = make(batch_size=3)
        parts = sequence.partition(np.int64(4))

        assert [(len(part), part.num_samples) for part in parts] == [(1, 3)] * 3 + [(1, 1)]
        assert sorted(number for part in parts for batch in self.pass_of(part) for number in batch) == [*range(10)]
        for wrong in (5, 0, -1, True, 2.5, "2", None):
            message = "`n` should be a number of partitions from 1 to 4, the number of batches. Received: n="
            with pytest.raises(OptionError, match=f"{message}{wrong!r}"):
                sequence.partition(wrong)
        for whole in (parts, make().partition(1)):
            with pytest.raises(OptionError, match=r"Only a whole Sequence can be partitioned\. Received: one that"):
                whole[0].partition(1)

    def test_who_is_in_a_partition_is_drawn_by_the_seed_and_the_whole_stays_as_it_was(self, make):
        def members(seed):
            return [part._maker.order.members().tolist() for part in make(seed=seed).partition(2)]

        assert members(7) == members(7)
        assert len({str(members(seed)) for seed in range(5)}) > 1
        whole = make()
        list(whole.partition(2)[0])
        assert as_bytes(whole) == as_bytes(make())
        assert ", partition " not in repr(whole)
        assert [f", partition {k} of 3\n" in repr(part) for k, part in enumerate(make().partition(3))] == [True] * 3

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_what_a_partition_says_is_what_it_serves(self, make, shuffle):
        whole = make(shuffle=False, batch_size=NUM_SAMPLES)
        names, paths = whole.filenames(0), whole.file_paths or None
        same = keras.Sequential([keras.Input(whole._maker.shape), keras.layers.Rescaling(1.0)])
        for part in make(shuffle=shuffle, batch_size=2).partition(2):
            for _ in range(2):
                for index in range(len(part)):
                    numbers = self.numbers(part[index][0])
                    assert part.samples_of(index).tolist() == numbers
                    assert part.filenames(index) == [names[number] for number in numbers]
                list(part)
            numbers = self.numbers(same.predict(part, verbose=0))
            if shuffle:
                numbers.sort()
            assert part.num_samples == len(numbers)
            assert part.labels.tolist() == [LABELS[number] for number in numbers]
            assert part.file_paths == ([paths[number] for number in numbers] if paths else [])
            assert part.class_names == whole.class_names
        assert all(part.labels is None for part in make(label_mode=None, labels=None).partition(2))

    def test_weights_follow_their_samples_into_a_partition(self, make):
        for part in make(sample_weight=[number / 4 for number in range(10)], batch_size=2).partition(3):
            for x, _, weight in part:
                assert (weight * 4).tolist() == self.numbers(x)
        by_label = {0: 10 / 12, 1: 10 / 9, 2: 10 / 9}  # of the whole
        for part in make(class_weight="balanced", batch_size=2).partition(3):
            for _, y, weight in part:
                np.testing.assert_allclose(weight, [by_label[label] for label in y.tolist()], rtol=1e-6)

    def test_a_partition_of_a_subset(self, make):
        training, validation = make(validation_split=0.3, subset="both", batch_size=2)
        served = [
            sorted(number for part in subset.partition(2) for batch in self.pass_of(part) for number in batch)
            for subset in (training, validation)
        ]

        assert [len(numbers) for numbers in served] == [7, 3]
        assert sorted(served[0] + served[1]) == list(range(NUM_SAMPLES))

    def test_no_two_partitions_draw_the_same_for_transform(self, make):
        parts = make(transform=lambda x, y, rng: (x, rng.random(2)), batch_size=2).partition(2)

        assert len({tuple(y) for part in parts for _ in range(2) for _, y in part}) == 10

    def test_each_partition_is_resumed_and_takes_no_state_of_another(self, make):
        def part_of(number, n=2, **options):
            return make(**{"batch_size": 2, "transform": add_noise, **options}).partition(n)[number]

        for number in (0, 1):
            assert_every_tail_is_resumed(functools.partial(part_of, number))
        first, second, whole = saved(part_of(0)), part_of(1, shuffle=False), saved(make(batch_size=2))
        assert_refused(part_of(1), first, DataError, "partition was '0 of 2', is '1 of 2'")
        assert_refused(part_of(0, n=3), first, DataError, "partition was '0 of 2', is '0 of 3'")
        assert_refused(part_of(0), whole, DataError, "num_samples was 10, is 4; partition was None, is '0 of 2'")
        assert_refused(make(batch_size=2), first, DataError, "partition was '0 of 2', is None")
        assert_refused(second, first, DataError, "shuffle was True, is False; partition was '0 of 2', is '1 of 2'")

    def test_a_partition_is_closed_without_the_others(self, make):
        whole = make(workers=2, batch_size=1)
        first, second = whole.partition(2)
        expected = as_bytes(make(workers=0, batch_size=1).partition(2)[1])
        read_batches(first, (0, 1))
        stream = iter(second)
        given = as_bytes([next(stream)])
        threads, others = set(first._loader._threads), set(second._loader._threads)
        first.close()

        assert threads
        assert not threads & others
        assert not any(thread.is_alive() for thread in threads)
        assert given + as_bytes(stream) == expected
        assert len(list(first)) == len(list(whole)) // 2

    @pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
    def test_a_pickled_partition_gives_the_same_batches(self, make, pickler):
        part = make(transform=add_noise, batch_size=2, workers=2).partition(2)[1]
        stream = iter(part)
        given = as_bytes([next(stream)])
        again = pickle.loads(pickler.dumps(part))

        assert saved(again) == saved(part)
        assert repr(again).split("\n")[0] == repr(part).split("\n")[0]
        assert as_bytes(read_batches(again, (0,))) == given
        given += as_bytes(stream)
        again.on_epoch_begin()
        again.on_epoch_end()
        again.load_state_dict({**saved(part), "epoch": 0})
        assert as_bytes(again) == given

    def test_a_spawned_process_reads_a_partition(self, make):
        part = make(transform=add_noise, batch_size=2).partition(2)[1]
        here = as_bytes(read_batches(part, (1, 0)))

        assert as_bytes(spawned_process().submit(read_batches, part, (1, 0)).result(timeout=60)) == here

    @pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
    @pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="this system has no fork")
    def test_a_forked_process_reads_a_partition(self, make):
        part = make(transform=add_noise, workers=2, batch_size=1).partition(2)[1]
        read_batches(part, (0, 1))  # threads are at work ahead

        assert as_bytes(read_in_a_fork(part, (3, 4, 0))) == as_bytes(read_batches(part, (3, 4, 0)))

    # Profile

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_profile_leaves_the_pass_where_it_was(self, make, workers, capsys):
        sequence, plan = make(transform=add_noise, workers=workers), make(transform=add_noise)
        given = []
        for index, batch in enumerate(sequence):
            given.append(batch)
            if index == 1:
                profile = sequence.profile(num_batches=5)

        assert [as_bytes(given), as_bytes(sequence)] == [as_bytes(plan), as_bytes(plan)]
        assert (profile.num_batches, profile.num_samples) == (5, 2 + 4 + 4 + 2 + 4)  # after two that warm up
        assert np.isfinite([profile.samples_per_second, *profile.seconds_per_batch.values()]).all()
        assert min(profile.seconds_per_batch.values()) >= 0
        assert f"{profile}\n" == capsys.readouterr().out

    def test_a_profile_keeps_to_the_memory_limit(self, make, leases):
        batch_bytes = make(batch_size=1)._maker.batch_bytes
        sequence = make(batch_size=1, memory_limit=5 * batch_bytes, workers=2)
        next(iter(sequence))
        sequence.profile(num_batches=20)

        assert leases["most"] <= 5


class FileContract(SequenceContract):
    """What Sequences promise whose samples are files, each named by `file_paths`."""

    def damage(self, path):
        """Make a file unreadable."""
        with open(path, "wb") as file:
            file.write(b"not what it was")

    def test_file_paths_are_in_the_order_of_the_samples(self, make):
        sequence = make(shuffle=False)
        paths = sequence.file_paths

        assert isinstance(paths, list)
        assert len(paths) == NUM_SAMPLES
        given = [name for index in range(3) for name in sequence.filenames(index)]
        assert all(path.endswith(name) for path, name in zip(paths, given, strict=True))
        self.damage(paths[6])
        with pytest.raises(SampleError, match=re.escape(paths[6])):
            sequence[1]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_a_file_that_cannot_be_read_is_named_each_time_and_others_still_come(self, make, workers):
        sequence = make(shuffle=False, workers=workers)
        path = sequence.file_paths[5]
        self.damage(path)

        for _ in range(2):
            with pytest.raises(
                SampleError, match=rf"Cannot read sample 5, {re.escape(repr(path))}: .*Fix or remove it"
            ):
                sequence[1]
        assert self.numbers(sequence[0][0]) == [0, 1, 2, 3]
        assert self.numbers(sequence[2][0]) == [8, 9]

    def test_a_file_that_was_deleted_is_named(self, make, tmp_path):
        sequence = make(shuffle=False)
        path = sequence.file_paths[9]
        (tmp_path / path).unlink()

        with pytest.raises(
            SampleError, match=rf"Cannot read sample 9, {re.escape(repr(path))}: .*(not found|No such file)"
        ):
            list(sequence)

    def test_skip_and_replace_and_what_was_bad(self, make):
        options = dict(shuffle=False, sample_weight=np.arange(10) / 4)
        skipping, replacing = make(on_error="skip", **options), make(on_error="replace", **options)
        paths = skipping.file_paths
        for number in (5, 9):
            self.damage(paths[number])
        for sequence, expected in (
            (skipping, [[0, 1, 2, 3], [4, 6, 7], [8]]),
            (replacing, [[0, 1, 2, 3], [4, 6, 6, 7], [8, 0]]),
        ):
            assert len(sequence) == 3
            batches = list(sequence)
            assert [self.numbers(x) for x, _, _ in batches] == expected
            assert [y.tolist() for _, y, _ in batches] == [[LABELS[n] for n in numbers] for numbers in expected]
            assert [(weight * 4).tolist() for _, _, weight in batches] == expected
            assert [path for path, _ in sequence.bad_samples] == [paths[5], paths[9]]
            assert all(reason and path not in reason for path, reason in sequence.bad_samples)

    def test_the_same_bytes_for_any_number_of_workers_also_when_samples_are_replaced(self, make):
        paths = make().file_paths
        for number in (1, 2, 7):
            self.damage(paths[number])
        by_workers = [as_bytes(make(on_error="replace", workers=workers, batch_size=3)) for workers in (0, 1, 4)]

        assert by_workers[0] == by_workers[1] == by_workers[2]

    def test_a_batch_of_nothing_but_bad_files_raises(self, make):
        sequence = make(shuffle=False, on_error="skip")
        for path in sequence.file_paths[4:8]:
            self.damage(path)

        with pytest.raises(
            SampleError, match=r"None of the 4 samples of a batch can be read\. First: Cannot read sample 4"
        ):
            sequence[1]
        assert self.numbers(sequence[2][0]) == [8, 9]

    def test_no_thread_is_left_by_an_exception_that_is_held(self, make):
        sequence = make(shuffle=False, workers=2, batch_size=1)
        self.damage(sequence.file_paths[4])
        threads = set()
        with pytest.raises(SampleError) as held:  # noqa: PT012
            for _ in sequence:
                threads |= sequence._loader._threads
        sequence.close()

        assert threads
        assert not any(thread.is_alive() for thread in threads)
        assert held.value.__traceback__ is not None
