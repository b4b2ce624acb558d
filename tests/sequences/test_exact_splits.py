"""Parts of rows by numbers and moments that `float64` cannot tell apart, in every format."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

NANOSECONDS = 1_700_000_000_000_000_000  # of a moment in 2023: float64 holds every 256th integer here
AROUND = [NANOSECONDS + difference for difference in (1, -1, 0, 300, -300, 127, -127, 2, -2, 128, -128)]
FORMATS = ["csv", "parquet", "feather", "table", "pandas", "dictionary"]


@pytest.fixture
def rows_of(tmp_path):
    """Function that returns the rows of a table, in a format, with its columns `id` and `x`, the number of the row."""

    def rows(form, ids, **options):
        table = pa.table({"id": ids, "x": pa.array(range(len(ids)), pa.float64())})
        options = {"target": "x", "features": ["x"], "shuffle": False, **options}
        if form == "csv":
            csv.write_csv(table, tmp_path / "rows.csv")
            return ko.CSVChunkSequence(tmp_path / "rows.csv", **options)
        if form == "parquet":
            pq.write_table(table, tmp_path / "rows.parquet", row_group_size=3)
            return ko.TableSequence(tmp_path / "rows.parquet", **options)
        if form == "feather":
            feather.write_feather(table, tmp_path / "rows.feather", chunksize=3)
            return ko.TableSequence(tmp_path / "rows.feather", **options)
        data = {"pandas": table.to_pandas, "dictionary": lambda: {name: table[name].to_numpy() for name in ("id", "x")}}
        return ko.TableSequence(data.get(form, lambda: table)(), **options)

    return rows


def parts_of(rows, at, by="id"):
    return [part.row_numbers.tolist() for part in rows.split(by=by, at=at)]


def expected(values, *boundaries):
    number = [sum(value >= boundary for boundary in boundaries) for value in values]
    return [[row for row, part in enumerate(number) if part == wanted] for wanted in range(len(boundaries) + 1)]


@pytest.mark.parametrize("form", FORMATS)
def test_integers_beyond_float64_are_compared_exactly(rows_of, form):
    rows = rows_of(form, pa.array(AROUND))
    for boundary in (NANOSECONDS, NANOSECONDS + 1, NANOSECONDS - 1, np.int64(NANOSECONDS + 2), NANOSECONDS + 128):
        assert parts_of(rows, boundary) == expected(AROUND, boundary)
    assert parts_of(rows, float(NANOSECONDS)) == expected(AROUND, NANOSECONDS)
    both = [NANOSECONDS, NANOSECONDS + 1]  # one number in float64
    assert parts_of(rows, both) == expected(AROUND, *both)
    negative = rows_of(form, pa.array([-value for value in AROUND]))
    assert parts_of(negative, -NANOSECONDS) == expected([-value for value in AROUND], -NANOSECONDS)


@pytest.mark.parametrize(
    "dtype",
    [pa.uint64(), pa.decimal128(38, 0), pa.decimal256(60, 5), pa.string(), pa.dictionary(pa.int8(), pa.int64())],
)
def test_types_of_large_numbers(rows_of, dtype):
    ids = pa.array(AROUND).cast(pa.string()).cast(dtype) if dtype != pa.uint64() else pa.array(AROUND, dtype)
    options = {"dtypes": {"id": "float32"}} if dtype == pa.string() else {}
    for form in ("parquet", "table"):
        for boundary in (NANOSECONDS, NANOSECONDS + 1):
            assert parts_of(rows_of(form, ids, **options), boundary) == expected(AROUND, boundary)


def test_cells_of_csv_are_compared_as_they_are_written(tmp_path):
    cells = ["9,007,199,254,740,992", "9007199254740993", " 9007199254740994.5", "9.007199254740993e15", "+1", ""]
    (tmp_path / "rows.csv").write_text("id;x\n" + "".join(f"{cell};1\n" for cell in cells))
    rows = ko.CSVChunkSequence(
        tmp_path / "rows.csv",
        None,
        features=["x"],
        thousands=",",
        delimiter=";",
        missing="drop",
        dtypes={"id": "float32"},
    )
    with pytest.warns(UserWarning, match="1 row is in no part, because its 'id' is missing"):
        assert parts_of(rows, 2**53 + 1) == [[0, 4], [1, 2, 3]]


def test_a_cell_that_is_no_number_is_named_or_skipped(tmp_path):
    (tmp_path / "rows.csv").write_text(f"id,x\n{2**53},1\nx,2\n{2**53 + 1},3\n")
    options = dict(target=None, features=["x"], dtypes={"id": "float32"})
    with pytest.raises(ko.DataError, match=r"row 1 \(line 3\), column 'id' \(#0\): cannot read 'x' as float32"):
        parts_of(ko.CSVChunkSequence(tmp_path / "rows.csv", **options), 2**53 + 1)
    rows = ko.CSVChunkSequence(tmp_path / "rows.csv", on_bad_row="skip", **options)
    with pytest.warns(UserWarning, match="1 row is in no part, because its 'id' is missing or cannot be read"):
        assert parts_of(rows, 2**53 + 1) == [[0], [2]]


def test_decimals_with_many_digits_are_compared_exactly(rows_of):
    amounts = [
        Decimal("999999.999999999999999999"),
        Decimal("1000000"),
        Decimal("0.1"),
        Decimal("0.099999999999999999"),
    ]
    for form in ("parquet", "table"):
        rows = rows_of(form, pa.array(amounts, pa.decimal128(38, 18)))
        assert parts_of(rows, 1_000_000) == [[0, 2, 3], [1]]
        assert parts_of(rows.without([2]), 1_000_000) == [[0, 3], [1]]
        assert parts_of(rows, 0.1) == [[3], [0, 1, 2]]  # as people write it


def test_floats_are_compared_with_the_exact_boundary(rows_of):
    rows = rows_of("parquet", pa.array([float(NANOSECONDS), float(NANOSECONDS + 256), np.nan, 1.0]), missing="drop")
    with pytest.warns(UserWarning, match="1 row is in no part"):
        assert parts_of(rows, NANOSECONDS + 1) == [[0, 3], [1]]
    with pytest.warns(UserWarning, match="1 row is in no part"):
        assert parts_of(rows, NANOSECONDS + 256) == [[0, 3], [1]]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_caches_of_neighbouring_boundaries_are_not_confused(rows_of, form, tmp_path):
    rows = rows_of(form, pa.array(AROUND), cache=tmp_path / "cache")
    train, _ = rows.split(by="id", at=NANOSECONDS)
    assert sorted(train[0][1].tolist()) == expected(AROUND, NANOSECONDS)[0]
    train.close()
    other, _ = rows.split(by="id", at=NANOSECONDS + 1)
    with pytest.raises(ko.DataError):
        other[0]


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
@pytest.mark.parametrize("form", ["parquet", "table", "pandas"])
def test_moments_of_nanoseconds_are_compared_exactly(rows_of, form, zone):
    whole = NANOSECONDS + 123_456_000
    values = [whole - 1, whole, whole + 1, whole + 999, whole + 1000, whole - 1000]
    rows = rows_of(form, pa.array(values, pa.timestamp("ns", tz=zone)))
    for at in (np.datetime64(whole, "ns"), pd.Timestamp(whole), "2023-11-14T22:13:20.123456000"):
        assert parts_of(rows, at) == expected(values, whole)
    for at in (np.datetime64(whole + 1, "ns"), pd.Timestamp(whole + 1), "2023-11-14 22:13:20.123456001"):
        with pytest.raises(OptionError, match="`at` should have no part of a microsecond"):
            rows.split(by="id", at=at)
    later = datetime.datetime(2023, 11, 14, 23, 13, 20, 123456, datetime.timezone(datetime.timedelta(hours=1)))
    assert parts_of(rows, later) == expected(values, whole)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_caches_of_boundaries_a_microsecond_apart_are_not_confused(rows_of, form, tmp_path):
    moments = [datetime.datetime(2024, 1, 1, 0, 0, 0, microsecond) for microsecond in (0, 1, 2, 3)]
    rows = rows_of(form, pa.array(moments), cache=tmp_path / "cache")
    train, _ = rows.split(by="id", at=moments[1])
    assert train[0][1].tolist() == [0]
    train.close()
    other, _ = rows.split(by="id", at=moments[2])
    with pytest.raises(ko.DataError):
        other[0]


@pytest.mark.parametrize("form", ["csv", "parquet", "table"])
def test_classes_that_float64_does_not_tell_apart_are_refused_or_strings(rows_of, form):
    classes = [2**60, 2**60, 2**60, 2**60 + 1] * 25
    with pytest.raises(OptionError, match=r"Column 'id' has such integers. To compare them as strings: categorical="):
        rows_of(form, pa.array(classes)).split(0.2, stratify="id")
    rows = rows_of(form, pa.array(classes), features=["id"], categorical=["id"])
    parts = rows.split(0.2, stratify="id")
    assert [sum(classes[row] == 2**60 for row in part.row_numbers) for part in parts] == [60, 15]


# Groups


@pytest.mark.parametrize("first", [1, 10_000_000, 100_000_000_000, 10**18])
def test_groups_are_not_divided_where_one_file_has_floats(tmp_path, first):
    """pandas writes integers as floats if a cell of their column is missing."""
    ids = [first + 256 * row for row in range(300)]
    for name, dtype in (("may", pa.int64()), ("june", pa.float64())):
        table = pa.table({"id": pa.array(ids).cast(dtype, safe=False), "x": np.zeros(300), "y": np.zeros(300)})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    rows = ko.TableSequence(tmp_path, "y", features=["x"], ids=["id"])
    found = [{*map(int, part.ids()["id"])} for part in rows.split(0.3, groups="id")]
    assert not found[0] & found[1]
    assert found[0] | found[1] == {*ids}


@pytest.mark.parametrize(
    "dtypes",
    [
        (pa.timestamp("s", "UTC"), pa.timestamp("us", "Asia/Tokyo")),
        (pa.date32(), pa.timestamp("s")),
        (pa.timestamp("s"), pa.timestamp("ns")),
    ],
    ids=str,
)
def test_groups_of_equal_moments_are_not_divided(tmp_path, dtypes):
    days = pa.array(np.arange(300).astype("datetime64[D]")).cast(pa.timestamp("s"))
    for number, dtype in enumerate(dtypes):
        moments = days.cast(dtype) if pa.types.is_date(dtype) else days.cast(pa.timestamp(dtype.unit)).cast(dtype)
        table = pa.table({"day": moments, "x": np.zeros(300), "y": np.zeros(300)})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    rows = ko.TableSequence(tmp_path, "y", features=["x"])
    train, val = ({row % 300 for row in part.row_numbers.tolist()} for part in rows.split(0.3, groups="day"))
    assert not train & val
    assert train | val == {*range(300)}
    assert len(val) == pytest.approx(90, abs=5)


def test_groups_are_not_divided_where_some_cells_have_exponents(tmp_path):
    """R writes 100000 as 1e+05."""
    numbers = [100_000 * row for row in range(1, 100)]
    lines = [f"{number},1" for number in numbers] + [f"{number / 10**5:g}e+05,1" for number in numbers]
    (tmp_path / "rows.csv").write_text("\n".join(["id,x", *lines]) + "\n")
    rows = ko.CSVChunkSequence(tmp_path / "rows.csv", None, features=["x"], ids=["id"])
    found = [{*map(float, part.ids()["id"])} for part in rows.split(0.3, groups="id")]
    assert not found[0] & found[1]


@pytest.mark.parametrize(
    "dtypes", [(pa.decimal128(9, 2), pa.decimal128(9, 4)), (pa.float64(), pa.decimal128(9, 3))], ids=str
)
def test_groups_of_equal_decimals_are_not_divided(tmp_path, dtypes):
    numbers = [Decimal(row) / 4 for row in range(-100, 200)]
    for number, dtype in enumerate(dtypes):
        ids = pa.array(numbers, pa.decimal128(9, 2)).cast(dtype)
        pq.write_table(pa.table({"id": ids, "x": np.zeros(300)}), tmp_path / f"{number}.parquet")
    rows = ko.TableSequence(tmp_path, None, features=["x"])
    train, val = ({row % 300 for row in part.row_numbers.tolist()} for part in rows.split(0.3, groups="id"))
    assert not train & val
    assert train | val == {*range(300)}
