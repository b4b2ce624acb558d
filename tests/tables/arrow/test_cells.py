"""Arrays of every Arrow type as cells, and the kinds that types can be read as."""

import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.csv.cells import Column
from keras_oocore.csv.conversion import convert
from keras_oocore.csv.dates import NANOSECOND
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.tables.arrow.cells import as_cells
from keras_oocore.tables.arrow.kinds import can_be, kind_of

NO_NULLS = CellOptions(null_values=())
MOMENT = datetime.datetime(2014, 10, 13, 18)


def read(array, kind=None, form=None, part=None, options=NO_NULLS):
    """The cells of an array, in the kind of its type unless another is given."""
    own = kind_of(array.type)
    column = Column("a", 0, kind or own.kind, form or own.format, part)
    cells, wrong = as_cells(array, column, options)
    return cells.to_pylist(), wrong.tolist()


@pytest.mark.parametrize(
    ("array", "cells"),
    [
        *((pa.array([1, None, 3], dtype), [1.0, None, 3.0]) for dtype in (pa.int8(), pa.uint32(), pa.int64())),
        (pa.array([2**64 - 1], pa.uint64()), [2.0**64]),
        (pa.array([0.1, None, float("nan")]), [0.1, None, None]),
        (pa.array([0.1], pa.float32()), [float(np.float32(0.1))]),
        (pa.array(np.array([0.5, np.nan, 2], np.float16)), [0.5, None, 2.0]),
        (pa.array(np.array([0.5, 1, 2], np.float16)).slice(1), [1.0, 2.0]),
        (pa.array([float("inf"), float("-inf")]), [float("inf"), float("-inf")]),
        (pa.array([True, None, False]), [1.0, None, 0.0]),
        (pa.nulls(2), [None, None]),
        (pa.array([Decimal("0.10"), None], pa.decimal128(5, 2)), [0.1, None]),
        (pa.array([Decimal("-0.0000001")], pa.decimal256(40, 7)), [-1e-7]),
        *((pa.array(["a", None, ""], dtype), ["a", None, ""]) for dtype in (pa.string(), pa.large_string())),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([1, 2, 1]).dictionary_encode(), [1.0, 2.0, 1.0]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["a", None])), ["a", None]),
        (pa.chunked_array([["a"], ["b", None]]), ["a", "b", None]),
        (pa.chunked_array([], pa.int64()), []),
        (pa.array([MOMENT.date(), None]), [16356.0, None]),
        (pa.array([MOMENT, None], pa.date64()), [16356.0, None]),
        *((pa.array([MOMENT, None], pa.timestamp(unit)), [16356.75, None]) for unit in ("s", "ms", "us", "ns")),
        (pa.array([MOMENT], pa.timestamp("us", "Asia/Tokyo")), [16356.75]),
        (pa.array([MOMENT], pa.timestamp("s", "+02:00")), [16356.75]),
        (pa.array([datetime.datetime(1900, 1, 1, 6)], pa.timestamp("us")), [-25566.75]),
        *(
            (pa.array([datetime.time(6)], dtype), [0.25])
            for dtype in (pa.time32("s"), pa.time32("ms"), pa.time64("ns"))
        ),
        (pa.array([], pa.int64()), []),
    ],
    ids=lambda value: str(value.type) if hasattr(value, "type") else "",
)
def test_cells_of_a_type(array, cells):
    assert read(array) == (cells, [])


def test_the_parts_of_a_moment_are_those_of_its_time_zone():
    array = pa.array([datetime.datetime(2014, 12, 31, 20, 30)], pa.timestamp("ns", "Asia/Tokyo"))

    assert read(array, part="year") == ([2015.0], [])
    assert read(array, part="hour") == ([5.0], [])
    assert read(array, part="days") == ([16435 + 20.5 / 24], [])


def test_numbers_that_float32_cannot_hold_are_wrong():
    assert read(pa.array([1.0, 1e39, -1e300, None, float("inf")]))[1] == [1, 2]
    assert read(pa.array([Decimal(10) ** 40], pa.decimal256(60, 0)))[1] == [0]


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([7, None, -1]), ["7", None, "-1"]),
        (pa.array([5.0, 1.5, float("nan")]), ["5", "1.5", None]),
        (pa.array(np.array([0.5], np.float16)), ["0.5"]),
        (pa.array([True, False]), ["True", "False"]),
        (pa.array([Decimal("1.50")]), ["1.50"]),
        (pa.array([MOMENT.date()]), ["2014-10-13"]),
        (pa.array([b"abc", "\u00fc".encode()]), ["abc", "\u00fc"]),
    ],
    ids=lambda value: str(value.type) if hasattr(value, "type") else "",
)
def test_any_type_is_read_as_strings(array, texts):
    assert read(array, "string") == (texts, [])
    assert read(array, "text") == (["" if text is None else text for text in texts], [])


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("microsecond", [0, 500_000, 120_000])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_moments_are_the_strings_that_python_writes_whatever_their_unit(unit, microsecond, zone):
    moment = MOMENT.replace(microsecond=microsecond, tzinfo=None if zone is None else ZoneInfo(zone))
    times = pa.array([moment.time()], pa.time32(unit) if unit == "ms" else pa.time64(unit))

    assert read(times, "string") == ([str(moment.time())], [])
    texts, _ = read(pa.array([moment], pa.timestamp(unit, zone)), "string")
    assert texts == [str(moment).replace("+00:00", "Z")]


def test_nanoseconds_are_kept_in_strings():
    assert read(pa.array([1_500_000_007], pa.timestamp("ns")), "string")[0] == ["1970-01-01 00:00:01.500000007"]


def test_bytes_that_are_not_utf8_are_wrong():
    assert read(pa.array([b"a", None, b"\xff"]), "string") == (["a", None, None], [2])


def test_strings_that_are_not_utf8_are_wrong():
    """Files may say that bytes are strings, and pyarrow does not check them."""
    buffers = [None, pa.py_buffer(np.array([0, 1, 2, 4], np.int32)), pa.py_buffer("1\xff\xfc2".encode("latin1"))]
    array = pa.Array.from_buffers(pa.string(), 3, buffers)
    codes = pa.array([2, 0, None, 1], pa.int8())

    assert read(array) == (["1", None, None], [1, 2])
    assert read(array, "text") == (["1", "", ""], [1, 2])
    assert read(array, "float32") == ([1.0, None, None], [1, 2])
    assert read(array.slice(0, 1)) == (["1"], [])
    assert read(pa.DictionaryArray.from_arrays(codes, array)) == ([None, "1", None, None], [0, 3])
    assert read(pa.array(["1", "ü", None], pa.large_string())) == (["1", "ü", None], [])


def test_strings_are_read_as_csv_reads_them_if_asked():
    options = CellOptions(null_values=["NA"])

    assert read(pa.array(["1.5", "NA", " 7", "x", None]), "float32", options=options) == (
        [1.5, None, 7, None, None],
        [3],
    )
    assert read(pa.array(["yes", "0", "NA"]), "bool", options=options) == ([1.0, 0.0, None], [])
    assert read(pa.array(["13.10.2014", "x"]), "date", "%d.%m.%Y") == ([16356.0, None], [1])
    assert read(pa.array([20141013]), "date", "%Y%m%d") == ([16356.0], [])
    assert read(pa.array([0, 1, 2]), "bool") == ([0.0, 1.0, None], [2])
    assert read(pa.array(["NA", "b"]), "string", options=options) == ([None, "b"], [])
    assert read(pa.array(["NA", "b"]), "string") == (["NA", "b"], [])


@given(st.decimals(min_value=-(10**20), max_value=10**20, places=9))
@examples(40)
def test_a_decimal_is_the_number_that_its_text_is(value):
    array = pa.array([value], pa.decimal128(38, 9))

    assert read(array)[0] == convert(Column("a", 0, "float32"), pa.array([str(value)]), CellOptions())[0].to_pylist()


@given(st.datetimes(min_value=datetime.datetime(1700, 1, 1), max_value=datetime.datetime(2200, 1, 1)))
@examples(40)
def test_a_moment_is_the_number_that_its_text_is(value):
    column = Column("a", 0, "date", "ISO8601")

    assert read(pa.array([value]))[0] == convert(column, pa.array([value.isoformat()]), CellOptions())[0].to_pylist()


def test_types_that_cannot_be_columns_say_why():
    for dtype, why in (
        (pa.list_(pa.int8()), "several values per cell"),
        (pa.struct([("a", pa.int8())]), "several values per cell"),
        (pa.map_(pa.string(), pa.int8()), "several values per cell"),
        (pa.binary(), "'string'"),
        (pa.binary(4), "cannot be a number, a string or a date"),
        (pa.duration("s"), "has no unit"),
        (pa.month_day_nano_interval(), "cannot be a number"),
    ):
        assert not kind_of(dtype).kind
        assert why in kind_of(dtype).refusal


def test_which_kinds_a_type_can_be():
    assert not can_be(pa.timestamp("s"), "float32")
    assert not can_be(pa.time32("s"), "date", "%Y-%m-%d")
    assert not can_be(pa.date32(), "date", "%H:%M")
    assert not can_be(pa.int64(), "date", "ISO8601")
    assert not can_be(pa.float64(), "date", "%Y%m%d")
    assert not can_be(pa.bool_(), "date", "ISO8601")
    assert not can_be(pa.list_(pa.int8()), "string")
    assert can_be(pa.bool_(), "float32")
    assert can_be(pa.string(), "date", "%d.%m.%Y")
    assert can_be(pa.date32(), "date", "%d.%m.%Y")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 2**63 - 1], pa.timestamp("ms")),
        ([0, -(2**62)], pa.timestamp("s", "Europe/Berlin")),
        ([0, 2**31 - 1], pa.date32()),
        ([0, 2**63 - 1], pa.date64()),
    ],
)
def test_moments_beyond_64_bits_of_microseconds_are_not_read(values, dtype):
    numbers = pa.array(values, pa.int32() if dtype.bit_width == 32 else pa.int64())
    assert read(numbers.cast(dtype, safe=False)) == ([0.0, None], [1])


def test_moments_of_the_largest_microsecond_are_read():
    assert read(pa.array([2**63 - 1], pa.timestamp("us")))[1] == []
    assert read(pa.array([2**31 - 1], pa.timestamp("s"))) == ([pytest.approx(24855.134803)], [])


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1_700_000_000_123_456_789, -1, None], pa.timestamp("ns", "UTC"), [123_456_789, 999_999_999, None]),
        ([1_700_000_000_123_456, -1], pa.timestamp("us"), [123_456_000, 999_999_000]),
        ([1500, None], pa.timestamp("ms"), [500_000_000, None]),
        ([1500], pa.timestamp("s"), [0]),
        ([1500], pa.date32(), [0]),
        ([86_400_000], pa.date64(), [0]),
        ([1_000_000_001], pa.time64("ns"), [1]),
        ([1500], pa.time32("ms"), [500_000_000]),
    ],
    ids=str,
)
def test_nanoseconds_within_the_second(values, dtype, expected):
    array = pa.array(values, pa.int32() if dtype.bit_width == 32 else pa.int64()).cast(dtype)
    assert read(array, "date", "ISO8601", NANOSECOND) == (expected, [])
