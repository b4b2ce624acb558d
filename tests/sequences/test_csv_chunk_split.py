"""CSVChunkSequence.split and partition."""

import functools
import itertools
import os
import pickle

import inside_sequence as inside
import numpy as np
import pytest
from contracts.reading import (
    add_noise,
    as_bytes,
    assert_rejects,
    assert_resumes_everywhere,
    read_batches,
    read_in_a_fork,
    saved,
)
from csv_numbers import NUM_ROWS, cached, flat, numbers
from products import few_of_product
from recording import idle_recorder

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.sequences import rows_of_table as table_sequence
from keras_oocore.sequences.csv_chunk import CSVChunkSequence
from keras_oocore.tables import passes
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.rows import TableRows


@few_of_product("cached, validation_split", [(False, 0.1), (True, 0.5), (False, 0.9)], [False, True], [0.1, 0.5, 0.9])
def test_split_parts_are_disjoint_and_complete_and_validation_is_in_order(open_csv, cached, validation_split):
    whole = open_csv(cached=cached)
    train, val = whole.split(validation_split, seed=3)
    first, second = flat(numbers(train)), flat(numbers(val))

    assert sorted(first + second) == list(range(NUM_ROWS))
    assert (train.num_rows, val.num_rows) == (len(first), len(second))
    assert len(second) == int(NUM_ROWS * validation_split)
    assert second == sorted(second)
    assert flat(numbers(train)) != first != sorted(first)
    assert flat(numbers(val)) == second
    assert [part.batch_size for part in (train, val)] == [4, 4]
    again, _ = open_csv(cached=cached).split(validation_split, seed=3)
    assert flat(numbers(again)) == first
    if not cached:
        assert flat(numbers(open_csv().split(validation_split, seed=4)[1])) != second


def test_split_parts_are_cached_in_subdirectories(open_csv, tmp_path, monkeypatch):
    open_csv(cached=True).split(0.25)
    assert not (tmp_path / "cache").exists()
    train, val = open_csv(cached=True).split(0.25)
    train[0], val[0]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["training", "validation"]
    assert np.load(tmp_path / "cache/training/x.npy", mmap_mode="r").shape == (89, 2)
    monkeypatch.setattr(csv_table, "index_records", None)  # the store of the training rows contains the index
    monkeypatch.setattr(passes, "in_order", None)
    again = open_csv(cached=True).split(0.25)
    assert as_bytes([again[1][0], again[0][0]]) == as_bytes([val[0], train[0]])


@pytest.mark.one_backend
@cached
def test_means_and_codes_do_not_depend_on_validation_rows(write, tmp_path, cached):
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
        whole.vocabulary("city")  # computes the codes of all rows
    train, val = whole.split(0.3, seed=1)
    x_val, _ = val[0]  # read first: its means and codes are still those of the training rows
    x_train, _ = train[0]
    training_rows = x_train[:, 0].astype(int)
    mean = values[training_rows][~gaps[training_rows]].mean(dtype=float)
    counts = {city: sum(cities[i] == city for i in training_rows) for city in {cities[i] for i in training_rows}}
    vocabulary = sorted(counts, key=lambda city: (-counts[city], city))

    assert train.vocabulary("city") == val.vocabulary("city") == vocabulary
    for x in (x_train, x_val):
        ids = x[:, 0].astype(int)
        np.testing.assert_allclose(x[gaps[ids], 1], mean, rtol=1e-5)
        assert x[:, 2].tolist() == [2 + vocabulary.index(cities[i]) if cities[i] in counts else 1 for i in ids]
    assert 1 in CSVChunkSequence("houses.csv", "y", **options).split(0.97, seed=1)[1][0][0][:, 2]  # unknown categories
    assert np.ravel(val.normalization().input_mean)[1] == pytest.approx(mean, rel=1e-5)


def test_invalid_splits_are_errors(open_csv, write):
    for value in (0, 1, 1.5, -0.1, "0.2", True):
        with pytest.raises(OptionError, match="`validation_split` should be a fraction between 0 and 1"):
            open_csv().split(value)
    with pytest.raises(OptionError, match="Only a Sequence of all rows can be split"):
        open_csv().split(0.5)[0].split(0.5)
    with pytest.raises(OptionError, match="`seed` should be an integer"):
        open_csv().split(0.5, seed=-1)
    with pytest.raises(DataError, match=r"validation_split=0.001 of 118 rows leaves none for validation"):
        open_csv().split(0.001)


@pytest.mark.parametrize("missing", ["drop", "nan"])
def test_split_of_rows_with_missing_and_bad_rows(write, missing):
    write("x,y\n" + "".join(f"{i if i % 4 else ''},{2 * i}\n" + ("9\n" * (i % 10 == 0)) for i in range(100)))
    with pytest.warns(UserWarning, match="rows are left out: on_bad_row='skip'") as caught:
        whole = CSVChunkSequence("houses.csv", "y", missing=missing, on_bad_row="skip")
    train, val = whole.split(0.3)
    kept = [2 * i for i in range(100) if i % 4 or missing == "nan"]
    assert str(caught[0].message).startswith("10 " if missing == "nan" else "35 ")
    assert sorted([*train[0][1].tolist(), *val[0][1].tolist()]) == kept


# Partitions


@few_of_product(
    "cached, shuffle, n",
    [(False, True, 3), (False, False, 8), (True, True, 8), (True, False, 1)],
    *([False, True], [True, False], [1, 3, 8]),
)
def test_partitions_are_disjoint_complete_and_of_equal_size(open_csv, cached, shuffle, n):
    parts = open_csv(cached=cached, shuffle=shuffle, batch_size=15, memory_limit=3000).partition(n)
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
        open_csv(cached=cached, batch_size=15).partition(9)
    with pytest.raises(OptionError, match="Only a whole Sequence can be partitioned"):
        parts[0].partition(1)
    with pytest.raises(OptionError, match="Only a Sequence of all rows can be split"):
        parts[0].split(0.5)


@cached
def test_partitions_of_a_split_part(open_csv, cached):
    training, validation = open_csv(cached=cached).split(0.3, seed=1)
    expected = [sorted(flat(numbers(part))) for part in (training, validation)]
    served = [sorted(n for part in whole.partition(3) for n in flat(numbers(part))) for whole in (training, validation)]
    named = [
        np.sort(np.concatenate([part.row_numbers for part in whole.partition(3)])) for whole in (training, validation)
    ]

    assert served == expected == [rows.tolist() for rows in named]


@pytest.mark.parametrize("shuffle", [True, False])
def test_partition_without_cache_parses_only_its_chunks(open_csv, monkeypatch, shuffle):
    parsed, encode = [], TableRows.encode_chunk
    monkeypatch.setattr(TableRows, "encode_chunk", lambda self, *chunk: parsed.append(chunk[0]) or encode(self, *chunk))
    parts = open_csv(shuffle=shuffle, batch_size=10, workers=0).partition(4)
    assert parsed == []
    parsed_by_part = []
    for part in parts:
        part.close()  # forget the rows that other partitions parsed
        parsed.clear()
        list(part)
        parsed_by_part.append(list(parsed))

    assert all(len(set(chunks)) == len(chunks) <= 15 // 4 + 2 for chunks in parsed_by_part)
    assert set(itertools.chain(*parsed_by_part)) == set(range(15))


@cached
def test_partitions_are_pickled_and_closed_independently(open_csv, cached):
    options = dict(cached=cached, batch_size=10, workers=2, transform=add_noise)
    first, second = open_csv(**options).partition(2)
    expected = [as_bytes(part) for part in open_csv(**options).partition(2)]
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
def test_forked_process_reads_a_partition(open_csv, cached):
    part = open_csv(cached=cached, workers=2, batch_size=1).partition(2)[1]
    read_batches(part, (0, 1))  # threads open_csv batches ahead
    assert as_bytes(read_in_a_fork(part, (3, 40, 0))) == as_bytes(read_batches(part, (3, 40, 0)))


@cached
def test_state_of_a_partition_resumes_only_that_partition(open_csv, cached):
    def part_of(number, seed=7):
        return open_csv(cached=cached, batch_size=17, seed=seed, memory_limit=3000, transform=add_noise).partition(2)[
            number
        ]

    for number in (0, 1):
        assert_resumes_everywhere(functools.partial(part_of, number))
    assert_rejects(part_of(1), saved(part_of(0)), DataError, "partition was '0 of 2', is '1 of 2'")


def test_partitions_share_one_cache_that_is_filled_once(open_csv, monkeypatch):
    converted, convert = [], table_sequence.convert
    monkeypatch.setattr(table_sequence, "convert", lambda *arguments: converted.append(1) or convert(*arguments))
    parts = open_csv(cached=True).partition(3)
    parsed = []
    monkeypatch.setattr(TableRows, "encode_chunk", lambda self, chunk, *out: parsed.append(chunk))
    assert sorted(n for part in parts for n in flat(numbers(part))) == list(range(NUM_ROWS))
    assert (converted, parsed) == ([1], [])
    assert len({id(inside.source(part)) for part in parts}) == 1


@pytest.mark.one_backend
@cached
def test_fit_on_partitions_trains_on_every_row_once_per_epoch(open_csv, cached):
    model = idle_recorder()
    for part in open_csv(cached=cached, batch_size=10).partition(3):
        model.fit(part, epochs=2, verbose=0)
    assert sorted(model.given) == sorted([*range(NUM_ROWS)] * 2)


def test_keys_of_whole_numbers_are_one_group_with_and_without_a_fraction(tmp_path):
    for name, end in (("may", ""), ("june", ".0")):
        cells = (f"{row // 2}{end},{row % 5}.5,1\n" for row in range(40))
        (tmp_path / f"{name}.csv").write_text("shop,a,y\n" + "".join(cells))
    rows = ko.CSVChunkSequence(f"{tmp_path}/*.csv", "y", features=["a"], ids="shop")
    first, second = ({float(key) for key in part.ids()["shop"]} for part in rows.split(0.3, groups="shop", seed=0))

    assert len(first) + len(second) == 20
