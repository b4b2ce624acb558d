"""Whether the first row is data or a header, where `column_names` are given: no row is lost without a word."""

import numpy as np
import pytest
from csv_outcomes import ONE_ROW, TEXT, TWO_ROWS, Fails, Rows, check, folder, outcomes

from keras_oocore.core.errors import OptionError
from keras_oocore.tables.csv.first_row import is_header

__all__ = ["check", "folder"]


def unclear(*cells):
    return Fails(
        f"houses.csv: its first row, {', '.join(map(repr, cells))}, may be data and not the names of the columns. "
        "If it is data: header=False. If `column_names` replaces it: header=True."
    )


XY = dict(column_names=["x", "y"])


@outcomes(
    ("numbers", "1,2\n3,4\n", XY, unclear("1", "2")),
    ("numbers, and no header", "1,2\n3,4\n", dict(header=False, **XY), TWO_ROWS),
    ("numbers that are replaced", "7,8\n1,2\n3,4\n", dict(header=True, **XY), TWO_ROWS),
    ("years as names", "name,2019\na,2\nb,4\n", dict(**XY, **TEXT), unclear("name", "2019")),
    ("numbers and strings", "5.1,setosa\n4.9,setosa\n", XY, unclear("5.1", "setosa")),
    ("strings", "Rome,red\nOslo,blue\n", dict(**XY, **TEXT), unclear("Rome", "red")),
    ("strings, and no header", "Rome,red\nOslo,blue\n", dict(header=False, **XY, **TEXT),
     Rows(["Rome", "Oslo"], ["red", "blue"])),
    ("a missing number", "NA,red\n3,blue\n", dict(missing="nan", **XY), unclear("NA", "red")),
    ("true and false", "true,red\nfalse,blue\n", XY, unclear("true", "red")),
    ("dates", "2024-01-01,1\n2024-01-02,1\n", dict(dtypes={"x": "%Y-%m-%d"}, **XY), unclear("2024-01-01", "1")),
    ("a header above numbers", "a,b\n1,2\n3,4\n", XY, TWO_ROWS),
    ("a header above numbers and strings", "a,b\nRome,2\nOslo,4\n", dict(**XY, **TEXT), Rows(["Rome", "Oslo"], [2, 4])),
    ("a header above strings that has one of the names", "x,b\nRome,red\nOslo,blue\n", dict(**XY, **TEXT),
     Rows(["Rome", "Oslo"], ["red", "blue"])),
    ("an empty name", ",b\n1,2\n3,4\n", XY, TWO_ROWS),
    ("a header and no rows", "a,b\n", XY, Fails("There are no rows in 'houses.csv'.")),
    ("one row of numbers", "1,2\n", XY, unclear("1", "2")),
    ("row names", "a,b\nr,1,2\n", dict(index_column="id", **XY), ONE_ROW),
    ("a first row of numbers without names", "1,2\n3,4\n", dict(target="y"),
     Fails("`target` names a column that does not exist: 'y'. Columns: '1', '2'. If the first line is a row: "
           "header=False, column_names=[...]", OptionError)),
    ("a first row of equal numbers", "0,0\n1,2\n", {},
     Fails("houses.csv: the header has '0' 2 times. Pass column_names=[...] with a distinct name per column. If the "
           "first line is a row, also pass header=False.")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        (None, ". A file without a header has header=False"),
        (0, ". The header is the first row: header=True"),
        (2, ". The header is the first row: header=True, skip_rows=2"),
        ("infer", '. The same is header="auto"'),
        ("yes", ""),
        ([0, 1], ""),
    ],
)
def test_values_of_pandas_are_explained(header, hint):
    with pytest.raises(OptionError) as caught:
        is_header(header)
    assert str(caught.value) == f'`header` should be True, False or "auto". Received: header={header!r}{hint}'


def test_values_of_header():
    assert [is_header(header) for header in (True, False, np.False_, "auto")] == [True, False, False, True]
