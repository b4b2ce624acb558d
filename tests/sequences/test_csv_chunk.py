"""CSVChunkSequence: every row once a pass, the same bytes whatever the workers, parts that learn from no other."""

import copy
import functools
import gc
import itertools
import os
import pickle
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import keras
import numpy as np
import pytest
from contracts.reading import (
    TIMEOUT,
    add_noise,
    as_bytes,
    assert_rejects,
    assert_resumes_everywhere,
    counted_leases,
    loader_threads,
    read_batches,
    read_in_a_fork,
    resumed,
    saved,
    spawned_process,
)
from recording import planned, recorder

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.csv import cells as csv
from keras_oocore.sequences import csv_chunk
from keras_oocore.sequences.csv_chunk import CSVChunkSequence
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.rows import TableRows

NUM_ROWS = 118
cached = pytest.mark.parametrize("cached", [False, True], ids=["files", "cache"])


@pytest.fixture
def make(write, tmp_path, monkeypatch):
    """A Sequence whose row i is `x = i, city, y = 2 i`, in chunks of about ten rows."""
    write("x,city,y\n" + "".join(f"{i},{'Rome' if i % 3 else 'Oslo'},{2 * i}\n" for i in range(NUM_ROWS)))

    def make(chunk_bytes=100, cached=False, data="houses.csv", **options):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", chunk_bytes)
        if cached:
            options["cache"] = tmp_path / "cache"
        chosen = {"target": "y", "features": ["x"], "batch_size": 4, "seed": 7, **options}
        return CSVChunkSequence(data, **chosen)

    return make


def numbers(sequence):
    """The rows of a pass, by batch, from what was read; their targets are checked."""
    batches = []
    for x, y in sequence:
        batches.append(x[:, 0].astype(int).tolist())
        assert y.tolist() == [2 * number for number in batches[-1]]
    return batches


def flat(batches):
    return [number for batch in batches for number in batch]


# What a pass is


@cached
@pytest.mark.parametrize("chunk_bytes", [1, 100, 10_000])
@pytest.mark.parametrize("batch_size", [1, 4, 50, 1000])
@pytest.mark.parametrize("memory_limit", [None, 48_000])
def test_every_row_once_a_pass(make, cached, chunk_bytes, batch_size, memory_limit):
    sequence = make(chunk_bytes, cached, batch_size=batch_size, memory_limit=memory_limit)
    passes = [numbers(sequence) for _ in range(3)]

    assert len(sequence) == -(-NUM_ROWS // batch_size)
    for batches in passes:
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(sequence) - 1)
        assert sorted(flat(batches)) == list(range(NUM_ROWS))
    assert flat(passes[0]) != flat(passes[1]) != flat(passes[2])
    assert flat(passes[0]) == planned(sequence, 0)


@cached
def test_the_same_bytes_for_the_same_seed_whatever_the_workers(make, cached):
    def bytes_of(seed=7, **options):
        sequence = make(cached=cached, transform=add_noise, seed=seed, **options)
        return [as_bytes(sequence) for _ in range(2)]

    first = bytes_of(workers=0)
    assert first == bytes_of(workers=1) == bytes_of(workers=4) == bytes_of(workers=None)
    assert first != bytes_of(seed=8)


@cached
def test_unshuffled_is_the_order_of_the_files(make, cached):
    assert flat(numbers(make(cached=cached, shuffle=False))) == list(range(NUM_ROWS))


@cached
def test_batch_i_without_what_came_before(make, cached):
    in_order = as_bytes(make(cached=cached))
    sequence = make(cached=cached)
    for index in (20, 3, 29, 0, 1, 1, 2, 20, -1):
        assert as_bytes([sequence[index]]) == [in_order[index]]
    assert as_bytes(sequence) == in_order
    for index in (30, -31):
        with pytest.raises(IndexError, match=f"Batch {index} of 30 does not exist"):
            sequence[index]


@cached
def test_samples_and_their_names_are_known_before_the_first_batch(make, cached):
    sequence = make(cached=cached)
    samples = sequence.samples_of(2).tolist()
    names = sequence.filenames(2)

    assert samples == sequence[2][0][:, 0].tolist()
    assert names == [f"houses.csv: row {sample} (line {sample + 2})" for sample in samples]


def test_without_a_cache_a_window_of_chunks_is_mixed(make):
    batches = numbers(make(memory_limit=1500, workers=1))
    window = make(memory_limit=1500)._pipeline.order.window_chunks
    first = {number // 10 for number in flat(batches)[:10]}
    assert window < 6
    assert len(first) <= 2 * window + 1


def test_the_last_batch_is_dropped(make):
    sequence = make(last_batch="drop")
    assert [len(x) for x, _ in sequence] == [4] * 29
    with pytest.raises(DataError, match=r"118 samples do not fill a batch of 200. Use a smaller batch_size"):
        make(batch_size=200, last_batch="drop")


def test_a_loop_that_is_left_early_is_followed_by_a_whole_pass(make):
    sequence = make()
    for _ in sequence:
        break
    assert sorted(flat(numbers(sequence))) == list(range(NUM_ROWS))


# Small batches are made several at a time


@cached
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("max_queue_size", [1, 4, 10, 29, 400])
def test_however_many_batches_are_made_at_a_time(make, cached, workers, max_queue_size):
    sequence = make(cached=cached, workers=workers, max_queue_size=max_queue_size, transform=add_noise)
    expected = make(cached=cached, workers=0, max_queue_size=1, transform=add_noise)
    assert [as_bytes(sequence) for _ in range(2)] == [as_bytes(expected) for _ in range(2)]


@pytest.mark.parametrize("max_queue_size", [4, 10, 400])
def test_any_batch_in_any_order_and_twice(make, max_queue_size):
    sequence, expected = make(max_queue_size=max_queue_size), as_bytes(make())
    order = [0, 7, 8, 8, 3, 29, 0, 1, 2, 3, 2, 28]
    assert as_bytes(read_batches(sequence, order)) == [expected[index] for index in order]

    sequence.on_epoch_begin()
    asked = [5, 0, 5, 1, 29, 29, 2, 0]  # bound in the order in which they come
    assert as_bytes(read_batches(sequence, asked)) == [expected[place] for place in (0, 1, 0, 2, 3, 3, 4, 1)]


@pytest.mark.parametrize(("max_queue_size", "workers"), [(10, 2), (29, 1), (10, 3), (400, 2)])
def test_batches_made_at_a_time_count_as_batches_in_flight(make, monkeypatch, max_queue_size, workers):
    leases = counted_leases(monkeypatch)
    sequence = make(batch_size=1, max_queue_size=max_queue_size, workers=workers)
    for _ in range(3):
        for batch in sequence:  # the model still has one batch when it asks for the next
            previous = batch
    assert len(previous) == 2
    assert leases["most"] * sequence._pipeline.maker.batches_per_job <= max_queue_size + 2
    assert sequence._pipeline.maker.batches_per_job > 1


def test_a_transform_that_fails_fails_its_batch_and_no_others(make):
    def fail_at_50(x, y, rng):
        if 50 in x:
            raise ValueError("no fifties")
        return x, y

    sequence = make(shuffle=False, transform=fail_at_50, max_queue_size=10)
    assert sequence._pipeline.maker.batches_per_job > 1
    failed = []
    for index in range(len(sequence)):
        try:
            assert sequence[index][0][0, 0] == 4 * index
        except ValueError:
            failed.append(index)
    assert failed == [12]
    sequence.on_epoch_begin()
    for index in range(12):
        assert sequence[index][0][0, 0] == 4 * index
    with pytest.raises(ValueError, match="no fifties"):
        sequence[12]
    assert sequence[13][0][0, 0] == 4 * 13


def test_a_batch_that_is_kept_keeps_no_other(make):
    kept = [batch for batch in make(batch_size=1)][::50]
    assert all(len(np.frombuffer(x.base, np.uint8)) <= 8 for x, _ in kept)


def test_an_order_that_does_not_depend_on_the_queue(make):
    orders = [numbers(make(memory_limit=3000, max_queue_size=size)) for size in (1, 10, 100)]
    assert orders[0] == orders[1] == orders[2]


def test_rows_that_are_kept_stay_as_they_were(make):
    sequence = make(memory_limit=3000)
    kept = [(x[0], float(x[0, 0]), y[:1], float(y[0])) for _ in range(5) for x, y in sequence]
    assert all(row[0] == number and target[0] == value for row, number, target, value in kept)


# In fit


@pytest.mark.backend
@cached
@pytest.mark.parametrize("workers", [0, 2])
def test_fit_is_given_the_plan(make, cached, workers):
    sequence, model = make(cached=cached, workers=workers), recorder()
    model.fit(sequence, epochs=2, verbose=0)
    assert model.given == planned(sequence, 0, 1)
    model.given = []
    model.fit(sequence, epochs=3, steps_per_epoch=8, verbose=0)
    assert model.given == planned(sequence, 2, 3)[: 3 * 32]


@pytest.mark.backend
@cached
def test_fit_with_validation_evaluate_and_predict(make, cached):
    train, val = make(cached=cached).split(validation_split=0.25, seed=1)
    model = recorder()
    model.fit(train, validation_data=val, epochs=2, verbose=0)
    assert len(model.given) == 2 * train.num_rows
    model.dense.kernel.assign([[1.0]])
    model.dense.bias.assign([0.0])
    assert model.predict(val, verbose=0)[:, 0].astype(int).tolist() == flat(numbers(val))
    assert model.evaluate(val, verbose=0) == pytest.approx(np.mean(np.square(flat(numbers(val)))), rel=1e-3)


@pytest.mark.backend
def test_weights_reach_the_model(make):
    sequence, model = make(sample_weight="y", target="x"), recorder()
    model.fit(sequence, verbose=0)
    assert model.weights_given == [2.0 * number for number in model.given]


@pytest.mark.backend
def test_a_dictionary_of_features_trains_a_model_of_two_inputs(make):
    sequence = make(features={"numbers": ["x"], "city": ["city"]}, batch_size=50)
    numbers_in, city_in = keras.Input((1,), name="numbers"), keras.Input((1,), name="city", dtype="int32")
    merged = keras.layers.Concatenate()(
        [numbers_in, keras.layers.Flatten()(keras.layers.Embedding(len(sequence.vocabulary("city")) + 2, 2)(city_in))]
    )
    model = keras.Model({"numbers": numbers_in, "city": city_in}, keras.layers.Dense(1)(merged))
    model.compile("sgd", "mse")
    model.fit(sequence, verbose=0)
    x, _ = sequence[0]
    assert {name: (part.shape, part.dtype) for name, part in x.items()} == {
        "numbers": ((50, 1), np.float32),
        "city": ((50, 1), np.int32),
    }
    assert ((x["city"][:, 0] == 2) == (x["numbers"][:, 0] % 3 != 0)).all()


# Copies and processes


@cached
@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_a_pickled_sequence_gives_the_same_batches(make, cached, pickler):
    sequence = make(cached=cached, transform=add_noise)
    unread = pickle.loads(pickler.dumps(sequence))
    list(sequence)
    again = pickle.loads(pickler.dumps(sequence))
    assert as_bytes(read_batches(again, (2, 0, 1))) == as_bytes(read_batches(sequence, (2, 0, 1)))
    assert as_bytes(unread) == as_bytes(make(cached=cached, transform=add_noise))


@cached
def test_a_deep_copy_is_a_sequence_of_its_own(make, cached):
    sequence = make(cached=cached)
    copied = copy.deepcopy(sequence)
    list(sequence)
    assert as_bytes(copied) == as_bytes(make(cached=cached))


@cached
def test_a_spawned_process_reads_the_same_batches(make, cached):
    sequence = make(data=os.path.abspath("houses.csv"), cached=cached, features=["x", "city"], workers=2)
    here = as_bytes(read_batches(sequence, (2, 0, 1)))
    assert as_bytes(spawned_process().submit(read_batches, sequence, (2, 0, 1)).result(timeout=TIMEOUT)) == here


@cached
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_reads_the_same_batches(make, cached):
    sequence = make(cached=cached, workers=2, batch_size=1, memory_limit=1500)
    read_batches(sequence, (0, 1, 2))  # threads are at work ahead
    assert as_bytes(read_in_a_fork(sequence, (3, 4, 90, 0))) == as_bytes(read_batches(sequence, (3, 4, 90, 0)))


def test_closing_gives_threads_and_memory_back(make):
    with make(workers=2) as sequence:
        first = as_bytes(read_batches(sequence, (0, 1, 2)))
        threads, memory = set(sequence._pipeline.loader._threads), sequence._rows._chunk_cache
    assert not any(thread.is_alive() for thread in threads)
    assert sequence._rows._chunk_cache is not memory
    assert as_bytes(read_batches(sequence, (0, 1, 2))) == first
    del sequence
    gc.collect()
    assert not {thread for thread in loader_threads() if thread in threads}


def test_without_workers_there_is_no_thread(make):
    before = loader_threads()
    list(make(workers=0))
    assert loader_threads() <= before


def test_a_seed_that_keras_governs(make):
    keras.utils.set_random_seed(5)
    first = as_bytes(make(seed=None))
    keras.utils.set_random_seed(5)
    assert as_bytes(make(seed=None)) == first
    before = random.getstate()
    list(make())
    assert random.getstate() == before


# Parts


@cached
@pytest.mark.parametrize("validation_split", [0.1, 0.5, 0.9])
def test_two_parts_are_the_whole_and_validation_is_in_order(make, cached, validation_split):
    whole = make(cached=cached)
    train, val = whole.split(validation_split, seed=3)
    first, second = flat(numbers(train)), flat(numbers(val))

    assert sorted(first + second) == list(range(NUM_ROWS))
    assert (train.num_rows, val.num_rows) == (len(first), len(second))
    assert len(second) == int(NUM_ROWS * validation_split)
    assert second == sorted(second)
    assert flat(numbers(train)) != first != sorted(first)
    assert flat(numbers(val)) == second
    assert [part.batch_size for part in (train, val)] == [4, 4]
    again, _ = make(cached=cached).split(validation_split, seed=3)
    assert flat(numbers(again)) == first
    if not cached:
        assert flat(numbers(make().split(validation_split, seed=4)[1])) != second


def test_parts_go_to_folders_of_the_cache_and_the_whole_is_not_read(make, tmp_path, monkeypatch):
    make(cached=True).split(0.25)
    assert not (tmp_path / "cache").exists()
    train, val = make(cached=True).split(0.25)
    train[0], val[0]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["training", "validation"]
    assert np.load(tmp_path / "cache/training/x.npy", mmap_mode="r").shape == (89, 2)
    monkeypatch.setattr(csv_table, "index_records", None)  # the training rows' store has where all rows lie
    monkeypatch.setattr(TableRows, "map_chunks", None)
    again = make(cached=True).split(0.25)
    assert as_bytes([again[1][0], again[0][0]]) == as_bytes([val[0], train[0]])


@pytest.mark.backend
@cached
def test_validation_never_leaks_into_means_and_codes(write, tmp_path, cached):
    rng = np.random.default_rng(0)
    cities = [f"city {k}" for k in rng.integers(0, 30, 200)]
    values = rng.normal(size=200).astype(np.float32)
    gaps = rng.random(200) < 0.2
    write(
        "id,x,city,y\n"
        + "".join(f"{i},{'' if gaps[i] else repr(float(values[i]))},{cities[i]},{2 * i}\n" for i in range(200))
    )
    options = dict(features=["id", "x", "city"], missing="mean", batch_size=200)
    whole = CSVChunkSequence("houses.csv", "y", cache=tmp_path / "cache" if cached else None, **options)
    if not cached:
        whole.vocabulary("city")  # settles the whole's
    train, val = whole.split(0.3, seed=1)
    x_val, _ = val[0]  # first: it still learns from the others
    x_train, _ = train[0]
    mine = x_train[:, 0].astype(int)
    mean = values[mine][~gaps[mine]].mean(dtype=float)
    counts = {city: sum(cities[i] == city for i in mine) for city in {cities[i] for i in mine}}
    vocabulary = sorted(counts, key=lambda city: (-counts[city], city))

    assert train.vocabulary("city") == val.vocabulary("city") == vocabulary
    for x in (x_train, x_val):
        ids = x[:, 0].astype(int)
        np.testing.assert_allclose(x[gaps[ids], 1], mean, rtol=1e-5)
        assert x[:, 2].tolist() == [2 + vocabulary.index(cities[i]) if cities[i] in counts else 1 for i in ids]
    assert 1 in CSVChunkSequence("houses.csv", "y", **options).split(0.97, seed=1)[1][0][0][:, 2]  # unknown ones
    assert np.ravel(val.normalization().input_mean)[1] == pytest.approx(mean, rel=1e-5)


def test_splits_that_cannot_be(make, write):
    for value in (0, 1, 1.5, -0.1, "0.2", None, True):
        with pytest.raises(OptionError, match="`validation_split` should be a fraction between 0 and 1"):
            make().split(value)
    with pytest.raises(OptionError, match="Only a Sequence of all rows can be split"):
        make().split(0.5)[0].split(0.5)
    with pytest.raises(OptionError, match="`seed` should be an integer"):
        make().split(0.5, seed=-1)
    with pytest.raises(DataError, match=r"validation_split=0.001 of 118 rows leaves none for validation"):
        make().split(0.001)


@pytest.mark.parametrize("missing", ["drop", "nan"])
def test_parts_of_rows_some_of_which_are_left_out(write, missing):
    write("x,y\n" + "".join(f"{i if i % 4 else ''},{2 * i}\n" + ("9\n" * (i % 10 == 0)) for i in range(100)))
    with pytest.warns(UserWarning, match="rows are left out: on_bad_row='skip'") as caught:
        whole = CSVChunkSequence("houses.csv", "y", missing=missing, on_bad_row="skip")
    train, val = whole.split(0.3)
    kept = [2 * i for i in range(100) if i % 4 or missing == "nan"]
    assert str(caught[0].message).startswith("10 " if missing == "nan" else "35 ")
    assert sorted([*train[0][1].tolist(), *val[0][1].tolist()]) == kept


# The place in the data


@cached
@pytest.mark.parametrize(
    "options",
    [dict(memory_limit=3000), dict(shuffle=False), dict(workers=2, max_queue_size=8), dict(last_batch="drop")],
)
def test_from_every_batch_on_a_state_resumes_the_very_tail(make, cached, options):
    opened = functools.partial(make, cached=cached, batch_size=17, transform=add_noise)

    assert_resumes_everywhere(functools.partial(opened, **options))


@cached
def test_parts_are_resumed_and_take_no_state_of_one_another(make, cached):
    def part_of(number, seed=7):
        return make(cached=cached, batch_size=17, seed=seed).split(0.4, seed=1)[number]

    for number in (0, 1):
        assert_resumes_everywhere(functools.partial(part_of, number))
    states = [saved(part_of(number)) for number in (0, 1)]
    for number in (0, 1):
        assert_rejects(part_of(number), states[1 - number], DataError, "part was .*'validation': (True|False).*, is ")
        assert_rejects(make(), states[number], DataError, "num_samples was .*; part was .*, is None")


def test_a_state_belongs_to_the_order_of_a_cache_or_to_that_of_the_files(make):
    with_cache, without = saved(make(cached=True)), saved(make())

    assert_rejects(
        make(), with_cache, DataError, r"belongs to other data: blocks was None, is 15; blocks mixed was None"
    )
    assert_rejects(make(cached=True), without, DataError, r"blocks was 15, is None; blocks mixed was \d+, is None")


def test_a_state_in_the_files_order_is_good_with_a_cache_and_for_any_number_of_workers(make):
    states = [saved(make(shuffle=False, workers=workers)) for workers in (0, 1, 4)]

    assert states[0] == states[1] == states[2] == saved(make(shuffle=False, cached=True))


def test_a_state_of_other_rows_is_refused_and_says_what_differs(make, write):
    state = saved(make())
    for options, message in (
        (dict(batch_size=5), "batch_size was 4, is 5"),
        (dict(shuffle=False), "shuffle was True, is False"),
        (dict(last_batch="drop"), "last_batch was 'keep', is 'drop'"),
        (dict(memory_limit=3000), r"blocks mixed was \d+, is \d"),
        (dict(missing="nan"), "missing was 'error', is 'nan'"),
    ):
        assert_rejects(make(**options), state, DataError, message)
    assert_rejects(make(seed=8), state, OptionError, "has seed=7, but this Sequence was made with seed=8")
    write("x,city,y\n" + "1,Rome,2\n" * NUM_ROWS)
    assert_rejects(make(), state, DataError, r"files was \['houses.csv, .* bytes'\], is \['houses.csv, ")


def test_a_state_is_of_the_files_wherever_they_lie(make, write, tmp_path):
    expected, state = as_bytes(make())[:1], saved(make())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "houses.csv").rename(tmp_path / "elsewhere" / "houses.csv")

    assert resumed(functools.partial(make, data="elsewhere/houses.csv"), state, 1)[0][:1] == expected


# Partitions


@cached
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_partitions_are_disjoint_complete_and_of_a_size(make, cached, shuffle, n):
    parts = make(cached=cached, shuffle=shuffle, batch_size=15, memory_limit=3000).partition(n)
    served = [[flat(numbers(part)) for _ in range(2)] for part in parts]

    assert sorted(itertools.chain(*(first for first, _ in served))) == list(range(NUM_ROWS))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part, (first, second) in zip(parts, served):
        assert part.num_rows == part.num_samples == len(first)
        assert sorted(first) == sorted(second) == part.row_numbers.tolist()
        assert (first == second) == (not shuffle)
        assert shuffle or first == sorted(first)
        assert part.filenames(0)[0].startswith(f"houses.csv: row {part.samples_of(0)[0]} (line ")
    with pytest.raises(OptionError, match=r"from 1 to 8, the number of batches\. Received: n=9"):
        make(cached=cached, batch_size=15).partition(9)
    with pytest.raises(OptionError, match="Only a whole Sequence can be partitioned"):
        parts[0].partition(1)
    with pytest.raises(OptionError, match="Only a Sequence of all rows can be split"):
        parts[0].split(0.5)


@cached
def test_partitions_of_a_part(make, cached):
    training, validation = make(cached=cached).split(0.3, seed=1)
    expected = [sorted(flat(numbers(part))) for part in (training, validation)]
    served = [sorted(n for part in whole.partition(3) for n in flat(numbers(part))) for whole in (training, validation)]
    named = [
        np.sort(np.concatenate([part.row_numbers for part in whole.partition(3)])) for whole in (training, validation)
    ]

    assert served == expected == [rows.tolist() for rows in named]


@pytest.mark.parametrize("shuffle", [True, False])
def test_without_a_cache_a_partition_parses_about_its_share(make, monkeypatch, shuffle):
    parsed, rows = [], TableRows.encode_chunk
    monkeypatch.setattr(TableRows, "encode_chunk", lambda self, chunk: parsed.append(chunk) or rows(self, chunk))
    parts = make(shuffle=shuffle, batch_size=10, workers=0).partition(4)
    assert parsed == []  # to make them costs nothing
    parsed_by_part = []
    for part in parts:
        part.close()  # what others parsed is forgotten
        parsed.clear()
        list(part)
        parsed_by_part.append(list(parsed))

    assert all(len(set(chunks)) == len(chunks) <= 15 // 4 + 2 for chunks in parsed_by_part)
    assert set(itertools.chain(*parsed_by_part)) == set(range(15))


@cached
def test_a_partition_pickles_and_is_closed_without_the_others(make, cached):
    options = dict(cached=cached, batch_size=10, workers=2, transform=add_noise)
    first, second = make(**options).partition(2)
    expected = [as_bytes(part) for part in make(**options).partition(2)]
    stream = iter(second)
    given = as_bytes([next(stream)])
    first.close()
    again = pickle.loads(pickle.dumps(second))

    assert given + as_bytes(stream) == expected[1]
    assert as_bytes(read_batches(again, range(1, len(again)))) == expected[1][1:]
    assert as_bytes(first) == expected[0]
    assert ", partition 1 of 2\n" in repr(again)


@cached
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_reads_a_partition(make, cached):
    part = make(cached=cached, workers=2, batch_size=1).partition(2)[1]
    read_batches(part, (0, 1))  # threads are at work ahead
    assert as_bytes(read_in_a_fork(part, (3, 40, 0))) == as_bytes(read_batches(part, (3, 40, 0)))


@cached
def test_each_partition_is_resumed_and_takes_no_state_of_another(make, cached):
    def part_of(number, seed=7):
        return make(cached=cached, batch_size=17, seed=seed, memory_limit=3000, transform=add_noise).partition(2)[
            number
        ]

    for number in (0, 1):
        assert_resumes_everywhere(functools.partial(part_of, number))
    assert_rejects(part_of(1), saved(part_of(0)), DataError, "partition was '0 of 2', is '1 of 2'")


def test_partitions_share_the_cache_which_is_filled_once(make, monkeypatch):
    converted, convert = [], csv_chunk.convert
    monkeypatch.setattr(csv_chunk, "convert", lambda *arguments: converted.append(1) or convert(*arguments))
    parts = make(cached=True).partition(3)
    parsed = []
    monkeypatch.setattr(TableRows, "encode_chunk", lambda self, chunk: parsed.append(chunk))
    assert sorted(n for part in parts for n in flat(numbers(part))) == list(range(NUM_ROWS))
    assert (converted, parsed) == ([1], [])
    assert len({id(part._source) for part in parts}) == 1


@pytest.mark.backend
@cached
def test_fits_on_partitions_see_every_row_once_an_epoch(make, cached):
    model = recorder()
    for part in make(cached=cached, batch_size=10).partition(3):
        model.fit(part, epochs=2, verbose=0)
    assert sorted(model.given) == sorted([*range(NUM_ROWS)] * 2)


# What a person asks for


def test_columns_rows_and_the_repr(make):
    sequence = make(workers=2, features={"a": ["x", "city"], "b": ["city"]})
    assert (sequence.columns, sequence.num_rows, sequence.num_samples) == (["x", "city", "y"], 118, 118)
    assert repr(sequence) == (
        "<CSVChunkSequence: 118 rows from 'houses.csv'\n"
        "  30 batches of 4, shuffled, seed=7\n"
        "  a float32 (4, 2), b int32 (4, 1), target 'y'\n"
        "  2 threads, 256 batches ahead, at most 16.5 kB in flight, 2.4 kB of parsed rows>"
    )


@pytest.mark.backend
def test_rows_without_an_answer(make):
    sequence = make(target=None, features={"n": ["x"], "c": ["city"]}, shuffle=False, batch_size=50)
    batches = list(sequence)
    assert [set(batch) for batch in batches] == [{"n", "c"}] * 3
    assert np.concatenate([batch["n"] for batch in batches])[:, 0].tolist() == list(range(NUM_ROWS))
    assert sequence.class_names is None
    assert "no target" in repr(sequence)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    rows = make(target=None, shuffle=False, batch_size=50)
    assert model.predict(rows, verbose=0)[:, 0].tolist() == [2.0 * i for i in range(NUM_ROWS)]
    with pytest.raises(OptionError, match="`sample_weight` requires a `target`"):
        make(target=None, sample_weight="y")


@cached
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_row_numbers_are_those_of_the_files(make, write, cached, missing):
    for part in range(3):
        lines = [f"{i if i % 7 or missing == 'error' else ''},{2 * i}\n" for i in range(40 * part, 40 * part + 40)]
        write("x,y\n" + "".join(lines), f"part-{part}.csv")
    whole = make(data="part-*.csv", cached=cached, missing=missing)
    for rows in (whole, *whole.split(0.25)):
        numbers = {
            sample: int(y) // 2
            for index in range(len(rows))
            for sample, y in zip(rows.samples_of(index).tolist(), rows[index][1])
        }
        assert rows.row_numbers.tolist() == [numbers[sample] for sample in range(len(numbers))]
        assert rows.row_numbers.dtype == np.int64


def test_a_home_folder(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    list(make(data="~/houses.csv", cache="~/kept"))
    assert (tmp_path / "kept" / "store.json").exists()


def test_the_whole_is_stored_beside_its_parts(make, tmp_path):
    whole = make(cached=True)
    train, _ = whole.split(0.25)
    list(train)
    assert sorted(flat(numbers(whole))) == list(range(NUM_ROWS))


def test_profile_counts_the_parsing(make, capsys):
    profile = make(batch_size=10, workers=1).profile()
    assert profile.seconds_per_batch["parsing"] > 0
    assert profile.num_samples == NUM_ROWS
    assert "Parsing takes" in str(profile)
    assert "parsing" not in make(batch_size=10, cached=True).profile(5).seconds_per_batch


def test_vocabulary_and_classes(make):
    assert make(features=["city"]).vocabulary("city") == ["Rome", "Oslo"]
    assert make(target="city").class_names == ["Oslo", "Rome"]
    assert make().class_names is None
    assert {row: int(y) for x, ys in make(target="city") for row, y in zip(x[:, 0].tolist(), ys)} == {
        i: int(bool(i % 3)) for i in range(NUM_ROWS)
    }
    with pytest.raises(OptionError, match=r"`column` should be a column of strings: 'city'. Received: 'x'"):
        make(features=["city", "x"]).vocabulary("x")


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:`features` names the target")
def test_normalization_brings_numbers_to_mean_0_and_leaves_codes(make):
    sequence = make(features=["x", "city", "y"], batch_size=200, missing="nan", indicator=True)
    x, _ = sequence[0]
    normalized = keras.ops.convert_to_numpy(sequence.normalization()(x))
    np.testing.assert_allclose(normalized[:, [0, 2]].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalized[:, [0, 2]].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(normalized[:, [1, 3, 4]], x[:, [1, 3, 4]])
    inputs = make(features={"a": ["x"], "b": ["city"]})
    assert float(np.ravel(inputs.normalization("a").input_mean)[0]) == pytest.approx(58.5)
    with pytest.raises(OptionError, match=r"`name` should be one of \['a', 'b'\]. Received: name=None"):
        inputs.normalization()


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:`features` names the target")
def test_normalization_begins_a_model_that_is_not_built(make):
    sequence = make(features=["x", "y"])
    model = keras.Sequential([sequence.normalization(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(sequence, validation_data=make(features=["x", "y"]), epochs=2, verbose=0)
    mean, variance = (np.ravel(model.layers[0].get_config()[name]) for name in ("mean", "variance"))
    np.testing.assert_allclose(mean, [58.5, 117], rtol=1e-6)
    np.testing.assert_allclose(variance, np.square([34.0624, 68.1249]), rtol=1e-5)


def test_the_summary(make):
    assert str(make(features=["x", "city"]).summary()) == "\n".join(
        [
            "118 rows, 3 columns, from 'houses.csv'",
            " column  kind     mean      std  min  max  missing  distinct",
            " x       float32  58.5  34.0624    0  117        0       118",
            " city    string                                  0         2",
            " y       float32   117  68.1249    0  234        0       118",
        ]
    )


def test_what_is_not_for_csv_says_what_is(make, capsys):
    with pytest.raises(AttributeError, match='rows of CSV files are stored with cache="DIR"'):
        make().pack("packed")
    with pytest.raises(AttributeError, match="has no attribute 'show_batch'"):
        make().show_batch()
    assert make(cached=True).profile(3).samples_per_second > 0
    assert "samples/s" in capsys.readouterr().out


def test_a_saved_index_is_used(make, monkeypatch):
    make().save_index()
    monkeypatch.setattr(csv_table, "index_records", None)
    assert sorted(flat(numbers(make()))) == list(range(NUM_ROWS))


# The cache


def test_a_second_run_reads_no_cell(make, monkeypatch):
    first = as_bytes(make(cached=True, features=["x", "city"]))
    monkeypatch.setattr(TableRows, "encode_chunk", None)
    monkeypatch.setattr(TableRows, "map_chunks", None)
    assert as_bytes(make(cached=True, features=["x", "city"])) == first


@pytest.mark.backend
def test_a_second_run_knows_the_statistics(make, monkeypatch):
    def said(train, val):
        means = [np.array(part.normalization().mean).tolist() for part in (train, val)]
        return [means, train.vocabulary("city"), val.vocabulary("city"), str(train.summary()), str(val.summary())]

    def parts():
        return make(cached=True, features=["x", "city"]).split(0.25)

    train, val = parts()
    list(train), list(val)
    found = said(train, val)
    monkeypatch.setattr(TableRows, "map_chunks", None)
    assert said(*parts()) == found


def test_two_threads_that_want_the_first_batch_get_ready_once(make, monkeypatch):
    ready, convert = [], csv_chunk.convert
    monkeypatch.setattr(csv_chunk, "convert", lambda *arguments: ready.append(1) or convert(*arguments))
    sequence = make(cached=True)
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(lambda index: sequence[index], range(len(sequence))))
    assert len(ready) == 1
    assert sum(len(batch[0]) for batch in batches) == sequence.num_rows


def test_a_cache_of_a_changed_file_or_of_other_options(make, write):
    list(make(cached=True))
    with pytest.raises(DataError, match=r"stores other rows: .*columns was"):
        list(make(cached=True, features=["city"]))
    write("x,city,y\n1,Rome,2\n")
    with pytest.raises(DataError, match="stores other rows"):
        list(make(cached=True))
    sequence = make(cached=True, overwrite_cache=True)
    assert numbers(sequence) == numbers(sequence) == [[1]]
    assert numbers(make(cached=True)) == [[1]]


# Memory


def test_memory_limit_bounds_rows_and_batches(make):
    with pytest.raises(
        OptionError, match=r"`memory_limit` of 191 B is too small: .*two batches take 64 B. .*memory_limit=192 or"
    ):
        make(memory_limit=191)
    assert make(memory_limit=192)._pipeline.loader.max_ahead == 0
    sequence = make(memory_limit=5000, chunk_bytes=100)
    kept = sequence._rows._chunk_cache.memory.nbytes + 8 * len(sequence._rows._chunk_cache.memory)
    assert kept + (sequence._pipeline.loader.max_ahead + 2) * sequence._format.batch_bytes <= 5000
    for value in (0, "much", True):
        with pytest.raises(OptionError, match="`memory_limit` should be a number of bytes"):
            make(memory_limit=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(shuffle="block"), "`shuffle` should be True or False. Received: shuffle='block'"),
        (dict(batch_size=0), "`batch_size` should be a positive integer"),
        (dict(max_queue_size=0), "`max_queue_size` should be a positive integer"),
        (dict(workers=-1), "`workers` should be a number of threads"),
        (dict(seed=-1), "`seed` should be an integer"),
        (dict(target="z"), "`target` names a column that does not exist: 'z'."),
        (dict(delimiter=",,"), "`delimiter` should be one ASCII character"),
        (dict(encoding="utf-16"), "`encoding` should be one in which"),
        (dict(on_bad_row="warn"), '`on_bad_row` should be "error" or "skip"'),
        (dict(decimal=";"), "`decimal` should be"),
        (dict(last_batch="pad"), "`last_batch` should be one of"),
        (dict(transform=3), "`transform` should be a function"),
    ],
)
def test_options_that_cannot_work(make, options, message):
    with pytest.raises(OptionError) as caught:
        make(**options)
    assert message in str(caught.value)


def test_without_pyarrow(make, monkeypatch):
    monkeypatch.setattr(csv, "pa", None)
    with pytest.raises(MissingExtraError, match=r"CSV files require pyarrow: pip install 'keras_oocore\[csv\]'"):
        make()


# Quality


def losses(rows, x, y):
    """Log loss over all rows after each of two passes of plain gradient steps, as numpy makes them."""
    weights, found = np.zeros(x.shape[1] + 1), []
    for _ in range(2):
        for batch_x, batch_y in rows():
            design = np.c_[batch_x, np.ones(len(batch_x))]
            chance = 1 / (1 + np.exp(-design @ weights))
            weights -= 0.5 * design.T @ (chance - batch_y) / len(batch_y)
        score = np.c_[x, np.ones(len(x))] @ weights
        found.append(np.mean(np.logaddexp(0, score) - y * score))
    return found[-1]


def test_a_file_sorted_by_label_trains_as_well_as_a_shuffle_in_memory(write, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 4)).astype(np.float32)
    y = (x @ [1, -2, 0.5, 0] + rng.normal(size=len(x)) > 0).astype(np.float32)
    order = np.argsort(y, kind="stable")
    x, y = x[order], y[order]
    write("a,b,c,d,y\n" + "".join(f"{a!r},{b!r},{c!r},{d!r},{t:.0f}\n" for (a, b, c, d), t in zip(x.tolist(), y)))
    for seed in range(5):
        generator = np.random.default_rng(seed)

        def in_memory(generator=generator):
            drawn = generator.permutation(len(x))
            return ((x[part], y[part]) for part in np.array_split(drawn, len(x) // 100))

        cached = CSVChunkSequence("houses.csv", "y", cache=tmp_path / "cache", seed=seed)
        full, ours = losses(in_memory, x, y), losses(lambda cached=cached: cached, x, y)
        assert ours == pytest.approx(full, rel=0.01)
    unshuffled = CSVChunkSequence("houses.csv", "y", shuffle=False)
    assert losses(lambda: unshuffled, x, y) > 1.05 * full  # so it can fail


def test_nothing_is_said_when_all_is_well(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(make(cached=True, features=["x", "city"]))
