"""Integers, decimals and moments that `float64` cannot tell apart are different cells of a table."""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

import keras_oocore as ko
from keras_oocore.checks.tables import chunk
from keras_oocore.tables.splits.hashing import hash_exact, hash_numbers

NANOSECONDS = 1_700_000_000_000_000_000
COLUMNS = dict(target="y", columns=["time", "x"])


def table(first=NANOSECONDS, copies=(0, 7)):
    times = [*range(first, first + 50)]
    times += [times[row] for row in copies]
    return pa.table({"time": times, "x": pa.array([1.0] * len(times)), "y": pa.array([i % 2 for i in times])})


@pytest.fixture(params=["csv", "parquet", "memory"])
def data(request, tmp_path):
    """Function that returns a table in a format."""

    def data(found, name="rows"):
        path = str(tmp_path / f"{name}.{request.param}")
        if request.param == "csv":
            csv.write_csv(found, path)
        elif request.param == "parquet":
            pq.write_table(found, path)
        return found if request.param == "memory" else path

    return data


def test_copies_and_leaks(data):
    report = ko.check(data(table()), target="y", columns=["time", "x"])
    assert [*report.duplicates] == [(0, 50), (7, 51)]
    assert not report.conflicts
    assert report.columns["time"].distinct == 50
    report = ko.check(data(table()), against=data(table(NANOSECONDS + 1000), "later"), **COLUMNS)
    assert len(report.leaks) == 0
    report = ko.check(data(table()), against=table(NANOSECONDS + 49, copies=()), **COLUMNS)
    assert report.leaks.rows.tolist() == [49]
    json.dumps(report.to_dict())


def test_a_column_of_large_numbers_is_not_constant(data):
    report = ko.check(data(table()), target="y")
    assert "time" not in report.constant


def test_rows_of_a_sequence(data):
    rows = ko.TableSequence(data(table()), "y", features=["time", "x"], missing="drop")
    assert [*ko.check(rows, columns=["time", "x"]).duplicates] == [(0, 50), (7, 51)]
    report = ko.check(rows.without([0]), columns=["time", "x"])
    assert [*report.duplicates] == [(7, 51)]


def test_decimals(data):
    amounts = [Decimal(10**20 + i // 2) for i in range(20)]
    found = pa.table({"a": pa.array(amounts, pa.decimal128(30, 0)), "x": [1.0] * 20, "y": [1.0] * 20})
    assert [*ko.check(data(found), target="y", columns=["a"]).duplicates] == [(i, i + 1) for i in range(0, 20, 2)]


def test_equal_numbers_of_all_types_have_equal_hashes():
    numbers = [2**53, 2**53 + 1, -(2**53) - 1, 2**60, 2**62 + 1, 2**63 - 1]
    arrays = [
        pa.array(numbers),
        pa.array([str(number) for number in numbers]),
        pa.array([f"{number}.0" for number in numbers]),
        pa.array([Decimal(number) for number in numbers], pa.decimal128(38, 3)),
    ]
    values = np.array(numbers, np.float64)
    hashes = [hash_exact(array, values).tolist() for array in arrays]
    assert hashes == [hashes[0]] * len(arrays)
    assert len(set(hashes[0])) == len(numbers)
    assert hashes[0][0] == hash_numbers(values)[0]
    large = pa.array([2**64 - 1, 2**63, 2**63 + 1], pa.uint64())
    floats = np.array(large.to_pylist(), np.float64)
    assert hash_exact(large, floats).tolist() == hash_exact(large.cast(pa.string()), floats).tolist()


def moments(first, unit="ns", copies=(0, 7), num_rows=20):
    numbers = [*range(first, first + num_rows)]
    numbers += [numbers[row] for row in copies]
    return pa.table({"at": pa.array(numbers, pa.timestamp(unit)), "x": [1.0] * len(numbers), "y": [0.0] * len(numbers)})


@pytest.mark.parametrize(
    ("first", "unit"), [(NANOSECONDS, "ns"), (-NANOSECONDS, "ns"), (200 * 366 * 86_400 * 10**6, "us")]
)
def test_moments_that_differ_in_nanoseconds_or_in_the_far_future(data, first, unit):
    report = ko.check(data(moments(first, unit)), target="y", columns=["at"])
    assert [*report.duplicates] == [(0, 20), (7, 21)]
    assert report.columns["at"].distinct == 20
    later = data(moments(first + 19, unit, copies=()), "later")
    assert ko.check(data(moments(first, unit)), against=later, target="y", columns=["at"]).leaks.rows.tolist() == [19]


def test_copies_of_moments_of_several_types_are_found():
    seconds = moments(NANOSECONDS // 10**9, "s", copies=())
    finer = seconds.set_column(0, "at", seconds["at"].cast(pa.timestamp("ns")))
    in_zone = seconds.set_column(0, "at", seconds["at"].cast(pa.timestamp("us", "UTC")))
    for found in (finer, in_zone):
        report = ko.check(seconds, against=found, target="y", columns=["at"])
        assert report.leaks.rows.tolist() == [*range(20)]


def test_moments_of_a_sequence(data):
    rows = ko.TableSequence(data(moments(NANOSECONDS)), "y", features=["at", "x"], missing="drop")
    assert [*ko.check(rows, columns=["at"]).duplicates] == [(0, 20), (7, 21)]
    days = ko.TableSequence(data(moments(NANOSECONDS)), "y", features=["at.days"], dates={"at": ["days", "hour"]})
    assert [*ko.check(days).duplicates] == [(0, 20), (7, 21)]


def test_hashes_that_are_equal_by_chance_do_not_make_moments_equal(data, monkeypatch):
    monkeypatch.setattr(chunk, "mixed", lambda values: np.zeros(len(values), np.uint64))
    assert [*ko.check(data(moments(NANOSECONDS)), target="y", columns=["at"]).duplicates] == [(0, 20), (7, 21)]
