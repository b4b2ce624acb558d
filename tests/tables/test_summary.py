"""The summary of a table: numbers by name, and the first rows with the types of the file."""

import datetime
import json

import pytest

from keras_oocore.csv.cells import Cells, Column, pa
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.summary import TableHead, TableSummary

pytestmark = pytest.mark.skipif(pa is None, reason="pyarrow is not installed")

NUMBER, TEXT = Column("a", 0, "float32"), Column("b", 1, "string")
DATE, EMPTY = Column("[red]day", 2, "date", "%Y-%m-%d"), Column("empty", 3, "float32")


@pytest.fixture
def columns():
    return [
        ColumnStatistics.of(NUMBER, pa.array([1.0, 2000.5, None])),
        ColumnStatistics.of(TEXT, pa.array(["x", "x", None])),
        ColumnStatistics.of(DATE, pa.array([0.0, 2 + 1 / 24])),
        ColumnStatistics.of(EMPTY, pa.array([None, None], pa.float64())),
    ]


def summary(columns, max_columns=10, used=(), parts=()):
    return TableSummary("3 rows", columns, max_columns, used, lambda num_rows: parts)


def test_it_prints_as_a_table(columns):
    assert str(summary(columns)) == "\n".join(
        [
            "3 rows",
            " column    kind                    mean           std         min                  max  missing  distinct",
            " a         float32             1,000.75        999.75           1              2,000.5        1         2",
            " b         string                                                                             1         1",
            " [red]day  date     1970-01-02 00:30:00  1.02083 days  1970-01-01  1970-01-03 01:00:00        0         2",
            " empty     float32                                                                            2         0",
        ]
    )
    assert repr(summary(columns, 1)).splitlines()[-1] == " … and 3 more"


def test_times_and_parts_of_dates():
    at, year = Column("at", 0, "date", "%H:%M"), Column("sold.year", 1, "date", "%Y-%m-%d", "year")
    found = [ColumnStatistics.of(at, pa.array([0.25, 0.5])), ColumnStatistics.of(year, pa.array([2014.0, 2015.0]))]
    assert [line.split()[:6] for line in str(summary(found)).splitlines()[2:]] == [
        ["at", "time", "09:00:00", "0.125", "days", "06:00:00"],
        ["sold.year", "float32", "2,014.5", "0.5", "2,014", "2,015"],
    ]
    cells = Cells(None, {"at": pa.array([0.25]), "sold.year": pa.array([2014.0])})
    assert summary(found, used=[at, year], parts=[cells]).head(1) == [{"at": datetime.time(6), "sold.year": 2014.0}]


def test_numbers_by_name(columns):
    found = summary(columns, max_columns=1)

    assert list(found) == ["a", "b", "[red]day", "empty"]
    assert (found["a"].mean, found["a"].std, found["a"].min, found["a"].max) == (1000.75, 999.75, 1.0, 2000.5)
    assert (found["a"].count, found["a"].missing, found["a"].distinct) == (2, 1, 2)
    assert (found["b"].mean, found["b"].most_frequent) == (None, {"x": 2})
    assert found["[red]day"].max == 2 + 1 / 24
    assert found["empty"].min is None
    with pytest.raises(KeyError):
        found["c"]


def test_to_dict_is_plain_json(columns):
    found = json.loads(json.dumps(summary(columns).to_dict(), allow_nan=False))

    assert found["a"]["mean"] == 1000.75
    assert found["b"] == {
        "kind": "string",
        "count": 2,
        "missing": 1,
        "distinct": 1,
        "mean": None,
        "std": None,
        "min": None,
        "max": None,
        "most_frequent": {"x": 2},
    }


def test_only_the_most_frequent_strings_are_listed():
    found = ColumnStatistics.of(TEXT, pa.array([f"{i:03d}" for i in range(50)] + ["049"]))

    assert list(summary([found])["b"].most_frequent) == ["049", *(f"{i:03d}" for i in range(9))]


def test_head_has_the_types_of_the_file(columns):
    flag = Column("flag", 4, "bool")
    cells = {
        "a": pa.array([1.0, None]),
        "b": pa.array(["<b>", None]),
        "[red]day": pa.array([1.0, None]),
        "flag": pa.array([1.0, None]),
    }
    parts = [Cells(None, cells), Cells(None, cells)]
    head = summary(columns, used=[NUMBER, TEXT, DATE, flag], parts=parts).head(3)

    first = {"a": 1.0, "b": "<b>", "[red]day": datetime.datetime(1970, 1, 2), "flag": True}
    assert head == [first, dict.fromkeys(first), first]
    assert type(head[0]["flag"]) is bool
    assert str(head).splitlines()[:2] == [
        "a    b    [red]day  flag",
        "1  <b>  1970-01-02  True",
    ]
    html = head._repr_html_()
    assert "&lt;b&gt;" in html
    assert "1970-01-02<" in html


def test_html_of_a_wide_table_and_of_no_rows(columns):
    assert "… and 3 more" in summary(columns, 1)._repr_html_()
    assert "[red]day" in summary(columns)._repr_html_()
    assert "… and 10 more" in TableHead([{"a": 1.0}] * 60)._repr_html_()
    assert TableHead()._repr_html_()
