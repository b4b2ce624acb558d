"""Columns of NumPy, pandas and polars as arrays of pyarrow: of each type the right cells, or a reason."""

import datetime
import decimal
import re

import numpy as np
import pyarrow as pa
import pytest

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.memory.columns import column_of
from keras_oocore.tables.memory.format import open_memory
from keras_oocore.tables.opening import Opening

DAY = datetime.date(1970, 1, 2)
NOON = datetime.datetime(1970, 1, 3, 12)
UTC = datetime.UTC


def cells(values, kind=None, **opening):
    """The cells of a column `a`, as a list, and its kind."""
    table = open_memory({"a": values}, Opening(dtypes=None if kind is None else {"a": kind}, **opening))
    column = table.column("a", "features")
    return table.read(0, [column]).columns["a"].to_pylist(), column.kind


def objects(*values):
    """An array of Python's objects."""
    return np.fromiter(values, object, len(values))


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (np.array([1, 2.5, np.nan], np.float16), [1.0, 2.5, None], "float32"),
        (np.array([1, 2, 3], ">f8"), [1.0, 2.0, 3.0], "float32"),
        (np.array([1, 2, 3], np.longdouble), [1.0, 2.0, 3.0], "float32"),
        (np.array([2**64 - 1, 1], np.uint64), [2.0**64, 1.0], "float32"),
        (np.arange(10)[::3], [0.0, 3.0, 6.0, 9.0], "float32"),
        (np.ma.array([1, 2, 3], mask=[0, 1, 0]), [1.0, None, 3.0], "float32"),
        (np.array([True, False]), [1.0, 0.0], "bool"),
        (np.array(["Rome", "Köln", ""]), ["Rome", "Köln", ""], "string"),
        (np.array(["1970-01-02", "NaT", "1969-12-31"], "M8[D]"), [1.0, None, -1.0], "date"),
        (np.array(["1970-02", "NaT"], "M8[M]"), [31.0, None], "date"),
        (np.array(["1970-01-02T06:00", "NaT"], "M8[ns]"), [1.25, None], "date"),
        (objects("a", None, np.nan), ["a", None, None], "string"),
        (objects(True, np.nan, False), [1.0, None, 0.0], "bool"),
        (objects(1, None, 3), [1.0, None, 3.0], "float32"),
        (objects(1, 2.5, None), [1.0, 2.5, None], "float32"),
        (objects(decimal.Decimal("1.5"), None, decimal.Decimal("100.125")), [1.5, None, 100.125], "float32"),
        (objects(DAY, None), [1.0, None], "date"),
        (objects(NOON, None), [2.5, None], "date"),
        (objects(NOON.replace(tzinfo=UTC), None), [2.5, None], "date"),
        (objects(datetime.time(12), None), [0.5, None], "date"),
        (objects(None, None), [None, None], "float32"),
        ([1, None, 3], [1.0, None, 3.0], "float32"),
        (["a", None], ["a", None], "string"),
        (range(3), [0.0, 1.0, 2.0], "float32"),
        (pa.array([1, None]), [1.0, None], "float32"),
    ],
    ids=lambda value: re.sub(r"0x\w+|\W+", " ", repr(value))[:40] if not isinstance(value, str) else value,
)
def test_cells_of_arrays_and_lists(values, expected, kind):
    assert cells(values) == (expected, kind)


def test_cells_of_pandas():
    pandas = pytest.importorskip("pandas")
    moments = pandas.to_datetime(["1970-01-02 01:00", None, "1970-01-03 13:00"]).tz_localize("Europe/Rome")
    for values, expected, kind in (
        (pandas.array([1, None, 3], dtype="Int64"), [1.0, None, 3.0], "float32"),
        (pandas.array([True, None], dtype="boolean"), [1.0, None], "bool"),
        (["Rome", None], ["Rome", None], "string"),
        (pandas.Categorical(["x", None, "y"]), ["x", None, "y"], "string"),
        (pandas.Categorical([10, None, 20]), [10.0, None, 20.0], "float32"),
        (pandas.arrays.SparseArray([0, 1.5, 0]), [0.0, 1.5, 0.0], "float32"),
        (moments, [1.0, None, 2.5], "date"),
    ):
        assert cells(pandas.Series(values)) == (expected, kind)
    hours, _ = cells(pandas.Series(moments), "string")
    assert hours == ["1970-01-02 01:00:00+01:00", None, "1970-01-03 13:00:00+01:00"]


def test_cells_of_polars():
    polars = pytest.importorskip("polars")
    for values, expected, kind in (
        (polars.Series(["x", None, "y"], dtype=polars.Categorical), ["x", None, "y"], "string"),
        (polars.Series(["x", None], dtype=polars.Enum(["y", "x"])), ["x", None], "string"),
        (polars.Series([decimal.Decimal("1.5"), None]), [1.5, None], "float32"),
        (polars.Series([datetime.time(12), None]), [0.5, None], "date"),
        (polars.Series([None, None]), [None, None], "float32"),
        (polars.Series([NOON.replace(tzinfo=UTC)]), [2.5], "date"),
    ):
        assert cells(values) == (expected, kind)


def test_kinds_that_the_user_gives():
    assert cells(["1", "2.5"], "float32") == ([1.0, 2.5], "float32")
    assert cells(["2.1.1970"], "%d.%m.%Y") == ([1.0], "date")
    assert cells(np.array([19700102]), "%Y%m%d") == ([1.0], "date")
    assert cells(np.array([0, 1]), "bool") == ([0.0, 1.0], "bool")
    assert cells(np.array([1.0, 2.5, np.nan]), "string") == (["1", "2.5", None], "string")
    assert cells(np.array([True]), "string") == (["True"], "string")
    assert cells(objects(b"Rome", None), "string") == (["Rome", None], "string")
    with pytest.raises(DataError, match=r"row 1 of the dictionary, column 'a' \(#0\): cannot read 'x' as float32"):
        cells(["1", "x"], "float32")
    with pytest.raises(OptionError, match=r"'a' is of the type timestamp.*cannot be read as float32"):
        cells(np.array([NOON], "M8[us]"), "float32")


def refusal(values):
    with pytest.raises(OptionError, match=r"`features` names a column that cannot be read: column 'a'") as error:
        cells(values)
    return str(error.value)


def test_other_types_are_refused_by_name():
    assert "objects of several types, such as 'a' and 1: convert it" in refusal(objects("a", 1))
    assert "datetime.date(1970, 1, 2) and datetime.datetime(1970" in refusal(objects(DAY, NOON))
    assert "objects of several types" in refusal(objects(NOON, NOON.replace(tzinfo=UTC)))
    assert "of objects that are no numbers, strings or dates, such as [1]" in refusal(objects([1], [2]))
    assert "binary, which may be anything. If they are strings in UTF-8: dtypes=" in refusal(objects(b"a"))
    assert "of dtype 'complex128'" in refusal(np.array([1j]))
    assert "duration" in refusal(np.array([1], "m8[D]"))


def test_other_types_of_pandas_and_polars_are_refused_by_name():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    assert ".dt.to_timestamp()" in refusal(pandas.Series(pandas.period_range("2020", periods=2, freq="Y")))
    assert "'interval[float64, right]'" in refusal(pandas.Series(pandas.cut([1, 2], 2)))
    assert "of the type duration" in refusal(pandas.Series(pandas.to_timedelta([1, 2], unit="D")))
    assert "of dtype 'Int128', which pyarrow cannot read" in refusal(polars.Series([1], dtype=polars.Int128))
    assert "has several values per cell" in refusal(polars.Series([[1], [2]]))
    assert "fixed_size_binary" in refusal(polars.Series([object()], dtype=polars.Object))


@pytest.mark.parametrize("large", [2**63, 2**64 - 1, -(2**63) - 1, 2**70, -(10**38) + 1])
def test_objects_may_be_integers_beyond_64_bits(large):
    values = objects(1, large, None, np.int8(2))

    assert cells(values) == ([1.0, float(large), None, 2.0], "float32")
    assert cells(values, "string") == (["1", str(large), None, "2"], "string")


def test_integers_beyond_38_digits_are_floats():
    assert cells([1, 10**38]) == ([1.0, 1e38], "float32")
    with pytest.raises(DataError, match=r"row 1 of the dictionary, column 'a' \(#0\): cannot read '1.606938044258990"):
        cells([1, 2**200])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros((3, 2)), r"`data\['a'\]` should be an array with one value per row. Received: shape \(3, 2\)"),
        (np.float64(1), r"Received: shape \(\)"),
        (5, "Received: 5"),
        ("abc", "Received: 'abc'"),
    ],
)
def test_what_is_no_column_is_refused(values, match):
    with pytest.raises(OptionError, match=match):
        column_of(values, "a")


def test_rows_are_views_of_the_data():
    values = np.arange(1000.0)
    taken = column_of(values, "a").take(100, 200)

    assert taken.buffers()[1].address == values[100:].ctypes.data
