"""Strings as numbers, booleans and dates."""

import datetime

import numpy as np
import pandas as pd
import pytest
from csv_outcomes import (
    TEXT,
    TWO_ROWS,
    Rows,
    among,
    late,
    loses,
    only_text,
    outcomes,
    ragged,
    unreadable,
)
from csv_scans import error_of

from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.values import as_moment, iso_format, python_seconds, seconds_of

ZEROS = "numbers with leading zeros, which are lost, such as"
LARGE = "integers beyond 2^24, which float32 rounds, such as"


@outcomes(
    ("a string in a late row", late("N/K,2"), {}, unreadable(99, "N/K")),
    ("int, then float, then a string after the sample", late("1.5,2") + "abc,2\n", {}, unreadable(199, "abc")),
    ("an all-empty head", "x,y\n" + ",2\n" * 99 + "7,2\n" + ",2\n" * 99, dict(missing={"x": 0}),
     Rows(among(7, 0), [2] * 199)),
    ("an all-empty head, then a string", "x,y\n" + ",2\n" * 99 + "abc,2\n" + ",2\n" * 99, dict(missing={"x": 0}),
     unreadable(99, "abc")),
    ("a string in a late target", late("1,N/K"), {}, unreadable(99, "N/K", column="y")),
    ("2^63", "x,y\n9223372036854775808,2\n", {}, Rows([2.0**63], [2], loses(f"{LARGE} 9223372036854775808"))),
    ("an integer beyond 2^24 after the sample", late("16777217,2"), {},
     Rows(among(2.0**24, 1), [2] * 199, loses(f"{LARGE} 16777217"))),
    ("an integer beyond 2^24 as a target", "x,y\n1,16777217\n", {},
     Rows([1], [2.0**24], loses(f"{LARGE} 16777217", "y"))),
    ("an integer beyond 2^24 as a name", "x,y\n16777217,2\n", dict(categorical=["x"]), Rows(["16777217"], [2])),
    ("1e400", late("1e400,2"), {}, unreadable(99, "1e400")),
    ("1e39, too large for float32 alone", late("1e39,2"), {}, unreadable(99, "1e39")),
    ("40 digits", late("1" * 40 + ",2"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("a long decimal", f"x,y\n0.{'1' * 400},2\n", {}, Rows([float(np.float32(1 / 9))], [2])),
    ("inf is what it says", "x,y\ninf,2\n-Infinity,4\n", {}, Rows([np.inf, -np.inf], [2, 4])),
    ("0x10", late("0x10,2"), {}, unreadable(99, "0x10")),
    ("1_000", late("1_000,2"), {}, unreadable(99, "1_000")),
    ("digits of another script", late("٣,2"), {}, unreadable(99, "٣")),
    ("negative zero", "x,y\n-0,2\n-0.0,2\n", {}, Rows([0, 0], [2, 2])),
    ("007", "x,y\n007,2\n", {}, Rows([7], [2], loses(f"{ZEROS} '007'"))),
    ("007 as a name", "x,y\n007,2\n7,4\n", dict(categorical=["x"]), Rows(["007", "7"], [2, 4])),
    ("leading zeros after the sample", late("007,2"), {}, Rows(among(7, 1), [2] * 199)),
    ("1,234", late('"1,234",2'), {}, unreadable(99, "1,234")),
    ("1,234 everywhere", 'x,y\n"1,234",2\n', {}, only_text()),
    ("1,5 with ;", "x;y\n1,5;2\n3;4\n", dict(delimiter=";", decimal=","), Rows([1.5, 3], [2, 4])),
    ("1,5 with ; and no decimal", "x;y\n1,5;2\n", dict(delimiter=";"), only_text()),
    ("1.234,5 with a decimal comma", "x;y\n" + "1;2\n" * 99 + "1.234,5;2\n", dict(delimiter=";", decimal=","),
     unreadable(99, "1.234,5")),
    ("a decimal comma between quotes", 'x,y\n"1,5",2\n', dict(decimal=","), Rows([1.5], [2])),
    ("1,5 with ; and no decimal, as a feature", "x;y\n1,5;2\n2,5;2\n", dict(delimiter=";", **TEXT),
          Rows(["1,5", "2,5"], [2, 2], ("Column 'x' is read as strings, though its cells look like numbers, such as "
                                        "'1,5'. Fix: decimal=',', or categorical=['x'].",))),
    ("1,5 with ; and no decimal, as a target", "x;y\n1;1,5\n1;2,5\n", dict(delimiter=";"),
          Rows([1, 1], ["1,5", "2,5"], ("Column 'y' is read as strings, though its cells look like numbers, such as "
                                        "'1,5'. Fix: decimal=',', or categorical=['y'].",))),
    ("a target of numbers, half of which are N/K", "x,y\n" + "1,2.5\n2,N/K\n" * 20, {},
          Rows([1, 2] * 20, ["2.5", "N/K"] * 20, ("Column 'y' is read as strings, though many of its cells are "
                                                  "numbers, because of 'N/K'. Fix: null_values=[..., 'N/K'], or "
                                                  "categorical=['y'].",))),
    ("a string too long for null_values", late("1" * 60 + ",2"), {},
          unreadable(99, "1" * 37 + "...", fix="dtypes={'x': 'string'}")),
    ("tabs with spaces", "x\ty\n 1\t2 \n3 \t 4\n", dict(delimiter="\t"), TWO_ROWS),
    ("two spaces as a delimiter", "x y\n1  2\n", dict(delimiter=" "), ragged(0, 3, "1  2")),
    ("True, 0 and yes", "x,y\nTrue,1\n0,2\nyes,3\n", {}, Rows([1, 0, 1], [1, 2, 3])),
    ("True as a target", "x,y\n1,True\n2,False\n", {}, Rows([1, 2], [1, 0])),
    ("True among numbers", late("True,2"), {}, unreadable(99, "True", fix="dtypes={'x': 'bool'}")),
    ("20141013T000000", "x,y\n20141013T000000,2\n", {}, only_text()),
    ("20141013T000000 as a date", "x,y\n20141013T000000,2\n", dict(dtypes={"x": "%Y%m%dT%H%M%S"}),
     Rows([1413158400], [2])),
    ("a day that does not exist", late("2014-02-31,2", "2014-02-28,2"), dict(dtypes={"x": "%Y-%m-%d"}),
     unreadable(99, "2014-02-31", "a date like '%Y-%m-%d'",
                fix="dtypes={'x': FORMAT} with the format of these cells, null_values=[..., '2014-02-31']")),
    ("a day that float32 cannot hold", "x,y\n2038-01-21,2\n", dict(dtypes={"x": "%Y-%m-%d"}),
          Rows([float(np.float32(2147644800))], [2], ("Column 'x' has dates, which float32 rounds: seconds since 1970 "
                                                     "come in steps of 256.",))),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_numbers_in_common_notations(read):
    texts = ["1", "-2", "+3", " 4 ", "5.", ".5", "6e2", "7E-1", "1e-400", '"8"', "9223372036854775808"]
    assert read("a\n" + "\n".join(texts), a="float32")["a"] == [1, -2, 3, 4, 5, 0.5, 600, 0.7, 0, 8, 2.0**63]


def test_infinity(read):
    assert read("a\ninf\n-Infinity\nInf\n", a="float32")["a"] == [np.inf, -np.inf, np.inf]


@pytest.mark.parametrize("text", ["1e400", "3.5e38", "0x10", "1_000", "NAN", "1e", ".", "-", "٣", '"1,234"'])
def test_strings_that_are_not_numbers_are_named(read, text):
    written = text.strip('"')
    expected = (
        f"houses.csv: row 1 (line 3), column 'a' (#0): cannot read {written!r} as float32. "
        f"Fix: dtypes={{'a': 'string'}}, null_values=[..., {written!r}], or on_bad_row='skip'."
    )
    assert error_of(read, f"a,b\n1,x\n{text},y\n", a="float32") == expected
    assert error_of(read, f"a,b\n1,x\n{text},y\n1,z\n", a="float32", b="string") == expected


def test_booleans(read):
    content = "a,b\nTrue,1\n0,2\nyes,3\nFALSE,4\n,5\n no ,6\n"
    assert read(content, a="bool")["a"] == [1, 0, 1, 0, None, 0]
    assert "cannot read 'maybe' as true or false" in error_of(read, "a,b\nmaybe,1\n", a="bool")


def test_leading_zeros(read):
    assert read("a\n007\n", a="string")["a"] == ["007"]
    assert read("a\n007\n", a="float32")["a"] == [7]


def test_decimal_comma(read):
    semicolons = Dialect(delimiter=";")
    content = 'a;b\n1,5;-2\n"3,25";,5\n'
    found = read(content, dialect=semicolons, a="float32", b="float32", decimal=",")
    assert found == {"a": [1.5, 3.25], "b": [-2, 0.5]}
    for text in ("1.5", "1.234,5", "x"):
        assert f"cannot read {text!r}" in error_of(
            read, f"a;b\n1,5;1\n{text};2\n", dialect=semicolons, a="float32", decimal=","
        )


def seconds(read, text, form):
    return read(f"a,b\n{text},1\n", a=("date", form))["a"]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2014-10-13", "%Y-%m-%d", 1413158400),
        ("20141013T000000", "%Y%m%dT%H%M%S", 1413158400),
        ("1970-01-01", "%Y-%m-%d", 0),
        ("1969-12-31", "%Y-%m-%d", -86400),
        ("2016-02-29", "%Y-%m-%d", 1456704000),
        ("2014-03-01", "%Y-%m-%d", 1393632000),
        (" 2014-10-13 ", "%Y-%m-%d", 1413158400),
        ("13.10.14", "%d.%m.%y", 1413158400),
        ("2014-10-13 00:00:00.5", "%Y-%m-%d %H:%M:%S.%f", 1413158400.5),
        ("2014-10-13 02:00 +0200", "%Y-%m-%d %H:%M %z", 1413158400),
        ("2014-10", "%Y-%m", 1412121600),
        ("", "%Y-%m-%d", None),
    ],
)
def test_dates_become_seconds(read, text, form, expected):
    assert seconds(read, text, form) == [expected]


@pytest.mark.parametrize(
    "text", ["2014-02-31", "2014-02-30", "2014-04-31", "2014-10-13x", "14-10-13", "2014-13-01", "x"]
)
def test_nonexistent_dates_are_named(read, text):
    assert error_of(seconds, read, text, "%Y-%m-%d") == (
        f"houses.csv: row 0 (line 2), column 'a' (#0): cannot read {text!r} as a date like '%Y-%m-%d'. "
        f"Fix: dtypes={{'a': FORMAT}} with the format of these cells, null_values=[..., {text!r}], or "
        "on_bad_row='skip'."
    )


def test_pyarrow_and_python_read_the_same_dates(read):
    days = np.datetime64("1999-12-25") + np.arange(1500)
    content = "a,b\n" + "".join(f"{day},1\n" for day in days)
    expected = days.astype("datetime64[s]").astype(float).tolist()
    assert read(content, a=("date", "%Y-%m-%d"))["a"] == expected
    assert [python_seconds(str(day), "%Y-%m-%d") for day in days] == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("13.10.2014", "2014-10-13"),
        ("2014-10-13", "2014-10-13"),
        ("2014-10-13T08:30", "2014-10-13 08:30:00"),
        ("2014-10-13T02:00+02:00", "2014-10-13"),
        (datetime.date(2014, 10, 13), "2014-10-13"),
        (datetime.datetime(2014, 10, 13, 8, tzinfo=datetime.timezone(datetime.timedelta(hours=8))), "2014-10-13"),
        (np.datetime64("2014-10-13"), "2014-10-13"),
        (np.datetime64("1969-12-31T23:59:59"), "1969-12-31 23:59:59"),
    ],
)
def test_moments_that_a_user_gives(moment, expected):
    assert as_moment(seconds_of(moment, "%d.%m.%Y")) == expected


@pytest.mark.parametrize("moment", ["", "soon", "2014-02-31", 2014, None, np.datetime64("NaT"), pd.NaT, ["2014-10-13"]])
def test_moments_that_are_none(moment):
    assert seconds_of(moment, "%d.%m.%Y") is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2014-10-13 08:30", "%Y-%m-%d %H:%M"),
        ("2014-10-13T08:30:00.25", "%Y-%m-%dT%H:%M:%S.%f"),
        ("2014-10-13T08:30:00Z", "%Y-%m-%dT%H:%M:%S%z"),
        ("", None),
        ("2014", None),
        ("10/13/2014", None),
    ],
)
def test_iso_format(text, form):
    assert iso_format(text) == form
