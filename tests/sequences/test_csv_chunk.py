"""CSVChunkSequence: passes over the rows, batches, options and memory."""

import warnings

import inside_sequence as inside
import numpy as np
import pytest
from contracts.reading import (
    add_noise,
    as_bytes,
    counted_leases,
    read_batches,
)
from csv_numbers import NUM_ROWS, cached, flat, numbers
from products import few_of_product
from recording import planned

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.csv import cells as csv
from keras_oocore.sequences.csv_chunk import CSVChunkSequence


@few_of_product(
    "cached, chunk_bytes, batch_size, memory_limit",
    [
        *[(False, 1, 4, None), (False, 100, 4, 48_000), (False, 10_000, 50, 48_000), (False, 100, 1000, None)],
        *[(True, 1, 50, 48_000), (True, 100, 1, None), (True, 10_000, 4, None)],
    ],
    *([False, True], [1, 100, 10_000], [1, 4, 50, 1000], [None, 48_000]),
)
def test_every_row_once_per_pass(open_csv, cached, chunk_bytes, batch_size, memory_limit):
    sequence = open_csv(chunk_bytes, cached, batch_size=batch_size, memory_limit=memory_limit)
    passes = [numbers(sequence) for _ in range(3)]

    assert len(sequence) == -(-NUM_ROWS // batch_size)
    for batches in passes:
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(sequence) - 1)
        assert sorted(flat(batches)) == list(range(NUM_ROWS))
    assert flat(passes[0]) != flat(passes[1]) != flat(passes[2])
    assert flat(passes[0]) == planned(sequence, 0)


@cached
def test_batches_depend_on_seed_but_not_on_workers(open_csv, cached):
    def bytes_of(seed=7, **options):
        sequence = open_csv(cached=cached, transform=add_noise, seed=seed, **options)
        return [as_bytes(sequence) for _ in range(2)]

    first = bytes_of(workers=0)
    assert first == bytes_of(workers=1) == bytes_of(workers=4) == bytes_of(workers=None)
    assert first != bytes_of(seed=8)


@cached
def test_shuffle_false_is_the_order_of_the_files(open_csv, cached):
    assert flat(numbers(open_csv(cached=cached, shuffle=False))) == list(range(NUM_ROWS))


@cached
def test_batches_by_index(open_csv, cached):
    in_order = as_bytes(open_csv(cached=cached))
    sequence = open_csv(cached=cached)
    for index in (20, 3, 29, 0, 1, 1, 2, 20, -1):
        assert as_bytes([sequence[index]]) == [in_order[index]]
    assert as_bytes(sequence) == in_order
    for index in (30, -31):
        with pytest.raises(IndexError, match=f"Batch {index} of 30 does not exist"):
            sequence[index]


@cached
def test_samples_of_and_filenames_before_the_first_batch(open_csv, cached):
    sequence = open_csv(cached=cached)
    samples = sequence.samples_of(2).tolist()
    names = sequence.filenames(2)

    assert samples == sequence[2][0][:, 0].tolist()
    assert names == [f"houses.csv: row {sample} (line {sample + 2})" for sample in samples]


def test_without_cache_rows_are_shuffled_within_a_window(open_csv):
    batches = numbers(open_csv(memory_limit=1500, workers=1))
    window = inside.window_chunks(open_csv(memory_limit=1500))
    first = {number // 10 for number in flat(batches)[:10]}
    assert window < 6
    assert len(first) <= 2 * window + 1


def test_last_batch_drop(open_csv):
    sequence = open_csv(last_batch="drop")
    assert [len(x) for x, _ in sequence] == [4] * 29
    with pytest.raises(DataError, match=r"118 samples do not fill a batch of 200. Use a smaller batch_size"):
        open_csv(batch_size=200, last_batch="drop")


@cached
@pytest.mark.parametrize("shuffle", [True, False])
def test_last_batch_pad(open_csv, cached, shuffle):
    kept, padded = (open_csv(cached=cached, shuffle=shuffle, last_batch=last) for last in ("keep", "pad"))
    for _ in range(2):
        for (x, y), (padded_x, padded_y, weight) in zip(kept, padded, strict=True):
            rows = np.arange(4) % len(x)
            assert padded_x.tobytes() == x[rows].tobytes()
            assert padded_y.tolist() == y[rows].tolist()
            assert weight.tolist() == [4 / len(x)] * len(x) + [0] * (4 - len(x))
    assert padded.served_rows[-4:].tolist() == x[[0, 1, 0, 1], 0].astype(int).tolist()
    assert "sample_weight float32 (4,)" in repr(padded)


def test_last_batch_pad_of_parts_and_shards(open_csv):
    train, val = open_csv(cached=True, last_batch="pad").split(validation_split=0.3, seed=1)
    assert "last_batch='pad'" in repr(train)
    assert "last_batch='pad_for_evaluation'" in repr(val)
    weight = np.concatenate([weight for *_, weight in val])
    np.testing.assert_allclose(weight[: len(val.row_numbers)], len(weight) / len(val.row_numbers))
    assert not weight[len(val.row_numbers) :].any()

    whole = open_csv(cached=True, last_batch="pad")
    for (x, _, weight), *parts in zip(whole, *(whole.shard(index, 4) for index in range(4)), strict=True):
        assert x.tobytes() == np.concatenate([part[0] for part in parts]).tobytes()
        assert weight.tolist() == [float(part[2][0]) for part in parts]


def test_last_batch_pad_requires_a_target(open_csv):
    with pytest.raises(OptionError, match="Keras takes weights only with labels"):
        open_csv(target=None, last_batch="pad")


def test_loop_after_an_interrupted_loop_is_a_whole_pass(open_csv):
    sequence = open_csv()
    for _ in sequence:
        break
    assert sorted(flat(numbers(sequence))) == list(range(NUM_ROWS))


# Small batches, of which one job makes several


@few_of_product(
    "cached, workers, max_queue_size",
    [(False, 3, 1), (False, 1, 4), (False, 3, 29), (True, 0, 400), (True, 3, 10), (True, 1, 400)],
    *([False, True], [0, 1, 3], [1, 4, 10, 29, 400]),
)
def test_batches_do_not_depend_on_batches_per_job(open_csv, cached, workers, max_queue_size):
    sequence = open_csv(cached=cached, workers=workers, max_queue_size=max_queue_size, transform=add_noise)
    expected = open_csv(cached=cached, workers=0, max_queue_size=1, transform=add_noise)
    assert [as_bytes(sequence) for _ in range(2)] == [as_bytes(expected) for _ in range(2)]


@pytest.mark.parametrize("max_queue_size", [4, 10, 400])
def test_batches_in_any_order_and_repeated(open_csv, max_queue_size):
    sequence, expected = open_csv(max_queue_size=max_queue_size), as_bytes(open_csv())
    order = [0, 7, 8, 8, 3, 29, 0, 1, 2, 3, 2, 28]
    assert as_bytes(read_batches(sequence, order)) == [expected[index] for index in order]

    sequence.on_epoch_begin()
    asked = [5, 0, 5, 1, 29, 29, 2, 0]  # bound in the order of the requests
    assert as_bytes(read_batches(sequence, asked)) == [expected[place] for place in (0, 1, 0, 2, 3, 3, 4, 1)]


@pytest.mark.parametrize(("max_queue_size", "workers"), [(10, 2), (29, 1), (10, 3), (400, 2)])
def test_batches_of_one_job_count_as_batches_in_flight(open_csv, monkeypatch, max_queue_size, workers):
    leases = counted_leases(monkeypatch)
    sequence = open_csv(batch_size=1, max_queue_size=max_queue_size, workers=workers)
    for _ in range(3):
        for batch in sequence:  # the model still has one batch when it requests the next
            previous = batch
    assert len(previous) == 2
    assert leases["most"] * inside.batches_per_job(sequence) <= max_queue_size + 2
    assert inside.batches_per_job(sequence) > 1


def test_error_of_transform_affects_only_its_batch(open_csv):
    def fail_at_50(x, y, rng):
        if 50 in x:
            raise ValueError("no fifties")
        return x, y

    sequence = open_csv(shuffle=False, transform=fail_at_50, max_queue_size=10)
    assert inside.batches_per_job(sequence) > 1
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


def test_kept_batch_does_not_keep_other_batches_of_its_job(open_csv):
    kept = [batch for batch in open_csv(batch_size=1)][::50]
    assert all(len(np.frombuffer(x.base, np.uint8)) <= 8 for x, _ in kept)


def test_order_does_not_depend_on_max_queue_size(open_csv):
    orders = [numbers(open_csv(memory_limit=3000, max_queue_size=size)) for size in (1, 10, 100)]
    assert orders[0] == orders[1] == orders[2]


def test_kept_rows_do_not_change(open_csv):
    sequence = open_csv(memory_limit=3000)
    kept = [(x[0], float(x[0, 0]), y[:1], float(y[0])) for _ in range(5) for x, y in sequence]
    assert all(row[0] == number and target[0] == value for row, number, target, value in kept)


# Options and memory


def test_memory_limit_bounds_rows_and_batches(open_csv):
    with pytest.raises(
        OptionError, match=r"`memory_limit` of 191 B is too small: .*two batches take 64 B. .*memory_limit=192 or"
    ):
        open_csv(memory_limit=191)
    assert inside.max_batches_ahead(open_csv(memory_limit=192)) == 0
    sequence = open_csv(memory_limit=5000, chunk_bytes=100)
    rows = inside.parsed_rows(sequence).memory
    batches = inside.max_batches_ahead(sequence) + 2
    assert rows.nbytes + 8 * len(rows) + batches * inside.batch_bytes(sequence) <= 5000
    for value in (0, "much", True):
        with pytest.raises(OptionError, match="`memory_limit` should be a number of bytes"):
            open_csv(memory_limit=value)


@pytest.mark.parametrize(
    ("content", "options", "cities"),
    [
        ('city|y\n{"a": "Rome, x"}|1\nOslo "centre"|2\n', dict(delimiter="|"), ['{"a": "Rome, x"}', 'Oslo "centre"']),
        ('city\ty\n"Rome\t1\nOslo"\t2\n', dict(delimiter="\t", quotechar=None), ['"Rome', 'Oslo"']),
        (r'city,y§"Rome \"x\"",1§Oslo\, N,2§'.replace("§", "\n"), dict(escapechar="\\"), ["Oslo, N", 'Rome "x"']),
        ('city, y\n "Rome, x", 1\n  Oslo, 2\n', dict(skip_initial_space=True), ["Oslo", "Rome, x"]),
        ('  city   y \n "Rome  x"  1\n\tOslo\t2\n\n', dict(delimiter=r"\s+"), ["Oslo", "Rome  x"]),
    ],
)
def test_quotes_escapes_and_spaces(write, tmp_path, content, options, cities):
    write(content)
    arguments = dict(features=["city"], shuffle=False, batch_size=2, **options)
    rows = CSVChunkSequence("houses.csv", target="y", **arguments)
    ((x, y),) = rows
    assert y.tolist() == [1, 2]
    assert sorted(rows.vocabulary("city")) == sorted(cities)
    cached = CSVChunkSequence("houses.csv", target="y", cache=tmp_path / "cache", **arguments)
    np.testing.assert_array_equal(cached[0][0], x)
    if "quotechar" in options:
        with pytest.raises(DataError, match="overwrite_cache"):
            CSVChunkSequence("houses.csv", "y", cache=tmp_path / "cache", **{**arguments, "quotechar": "'"})[0]


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
        (dict(last_batch="fill"), "`last_batch` should be one of"),
        (dict(transform=3), "`transform` should be a function"),
    ],
)
def test_invalid_options_are_errors(open_csv, options, message):
    with pytest.raises(OptionError) as caught:
        open_csv(**options)
    assert message in str(caught.value)


def test_missing_pyarrow_is_an_error_that_names_the_extra(open_csv, monkeypatch):
    monkeypatch.setattr(csv, "pa", None)
    with pytest.raises(MissingExtraError, match=r"CSV files require pyarrow: pip install 'keras_oocore\[csv\]'"):
        open_csv()


# Quality of the shuffle


def losses(rows, x, y):
    """Log loss over all rows after two passes of plain gradient descent in NumPy."""
    weights, found = np.zeros(x.shape[1] + 1), []
    for _ in range(2):
        for batch_x, batch_y in rows():
            design = np.c_[batch_x, np.ones(len(batch_x))]
            chance = 1 / (1 + np.exp(-design @ weights))
            weights -= 0.5 * design.T @ (chance - batch_y) / len(batch_y)
        score = np.c_[x, np.ones(len(x))] @ weights
        found.append(np.mean(np.logaddexp(0, score) - y * score))
    return found[-1]


def test_shuffled_file_sorted_by_label_trains_as_well_as_in_memory(write, tmp_path):
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
    assert losses(lambda: unshuffled, x, y) > 1.05 * full  # without a shuffle, the test would fail


def test_no_warnings(open_csv):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(open_csv(cached=True, features=["x", "city"]))
