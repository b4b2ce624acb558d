"""The names of columns."""

import pytest
from csv_outcomes import (
    ONE_ROW,
    TEXT,
    Fails,
    Rows,
    late,
    make,
    outcomes,
    served,
    unreadable,
    write,
)

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.csv.dialect import Dialect
from keras_oocore.tables.csv.table import CSVTable

BOM = b"\xef\xbb\xbf"


@outcomes(
    ("BOM before a quoted header", BOM + b'"x","y"\n1,2\n', {}, ONE_ROW),
    ("BOM before lines to skip and comments", BOM + b'it"s\n#"\nx,y\n1,2\n', dict(skip_rows=1, comment="#"), ONE_ROW),
    ("duplicate names", "x,x,y\n1,1,2\n", {},
     Fails("houses.csv: the header has 'x' 2 times. Pass column_names=[...] with a distinct name per column.")),
    ("names that differ in spaces", "x, x ,y\n1,1,2\n", {},
     Fails("houses.csv: the header has 'x' 2 times. Pass column_names=[...] with a distinct name per column.")),
    ("duplicate names, given others", "x,x,y\n1,3,2\n", dict(column_names=["x", "z", "y"]), Rows([[1, 3]], [2])),
    ("empty name", ",y\n1,2\n", dict(features=["Unnamed: 0"]), ONE_ROW),
    ("padded names", " x ,\ty\n1,2\n", dict(features=["x"]), ONE_ROW),
    ("names that are numbers", "1,2\n1,2\n", dict(target="2"),
     Rows([1], [2], ("houses.csv: all names in the header are numbers. If the first line is a row: header=False",))),
    ("1,180 with a sign", "x,y\n$1180,2\n", TEXT,
     Rows(["$1180"], [2], ("Column 'x' is read as strings, though its cells look like numbers, such as '$1180'. "
                           "Fix: strip='$', or categorical=['x'].",))),
    ("a date as a name", "x,y\n2014-10-13,2\n", dict(categorical=["x"]), Rows(["2014-10-13"], [2])),
    ("null values and the usual ones", "x,y\nN/K,2\n,2\n", dict(null_values=[..., "N/K"], missing="nan"),
     Rows([None, None], [2, 2])),
    ("newline in a name", '"a\nb",y\n1,2\n', dict(features=["a\nb"]), ONE_ROW),
    ("newline in a name, and an error", '"a\nb",y\n' + "1,2\n" * 9 + "k,2\n", {},
     Fails("houses.csv: row 9 (line 12), column 'a\\nb' (#0): cannot read 'k' as float32. "
           "Fix: null_values=[..., 'k'], on_bad_row='skip', or dtypes={'a\\nb': 'string'}.")),
    ("repeated header", late("x,y"), {}, unreadable(99, "x")),
    ("repeated header is skipped", late("x,y"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("a quote in the header", '12" x,y\n1,2\n', dict(features=['12" x']), ONE_ROW),
    ("a misplaced quote in the header", '"x"y,z\n1,2\n', dict(on_bad_row="skip"),
     Fails("houses.csv: header (line 1): misplaced quote in '\"x\"y,z'. Double a quote inside a quoted field: "
           '"12"" pipe". If the file does not quote cells: quotechar=None.')),
    ("another delimiter", "x;y\n1;2\n", {},
     Fails("`target` names a column that does not exist: 'y'. Columns: 'x;y'. Is it delimiter=';'?", OptionError)),
    ("several spaces as a delimiter", "x   y\n1   2\n", {},
     Fails("`target` names a column that does not exist: 'y'. Columns: 'x   y'. Is it delimiter=r'\\s+'?",
           OptionError)),
    ("a misspelt target", "sqft,price\n1,2\n", dict(target="prize"),
     Fails("`target` names a column that does not exist: 'prize'. Did you mean 'price'? Columns: 'sqft', 'price'",
           OptionError)),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def error_of(*arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        CSVTable(*arguments, dialect=Dialect(), **options)
    return str(caught.value)


def test_names_of_the_header(folder):
    write(' a ,"b",,\n1,2,3,4\n', "a.csv")
    write("a,b,a\n1,2,3\n", "b.csv")
    write('\ufeff"a",b\n1,2\n', "c.csv")
    assert list(CSVTable("a.csv", Dialect()).columns) == ["a", "b", "Unnamed: 2", "Unnamed: 3"]
    assert list(CSVTable("c.csv", Dialect()).columns) == ["a", "b"]
    assert error_of("b.csv") == (
        "b.csv: the header has 'a' 2 times. Pass column_names=[...] with a distinct name per column."
    )
    table = CSVTable("b.csv", Dialect(), column_names=["x", "y", "z"])
    assert list(table.columns) == ["x", "y", "z"]
    assert error_of("b.csv", column_names=["x", "x", "z"]).startswith("`column_names` has 'x' 2 times.")
    assert error_of("b.csv", column_names=["x"], error=OptionError) == (
        "`column_names` should name 3 columns. Received: 1 names"
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("3,many", "b.csv: row 1 (line 3), column 'x' (#1): cannot read 'many' as float32."),
        ("3,", "b.csv: row 1 (line 3), column 'x' (#1): the cell is missing."),
        ("3", "b.csv: row 1 (line 3): expected 2 cells, found 1, in '3'."),
    ],
)
def test_positions_in_messages_are_those_of_the_file(folder, row, expected):
    write("x,y\n1,2\n", "a.csv")
    write(f"y,x\n4,3\n{row}\n", "b.csv")
    with pytest.raises(DataError) as caught:
        served(make(["a.csv", "b.csv"], dtypes={"x": "float32"}))
    assert str(caught.value).startswith(expected)


def test_columns_are_found_by_their_names_in_each_file(folder):
    write("city,x,y\nRome,1,2\nOslo,3,4\n", "a.csv")
    write("y, x ,city\n6,5,Oslo\n", "b.csv")
    for given in ({}, dict(column_names=["city", "x", "y"], header=True)):
        rows = make(["a.csv", "b.csv"], features={"n": ["x"], "c": ["city"]}, **given)
        (batch,) = [batch for batch in rows]
        assert batch[0]["n"][:, 0].tolist() == [1, 3, 5]
        assert [rows.vocabulary("city")[code - 2] for code in batch[0]["c"][:, 0]] == ["Rome", "Oslo", "Oslo"]
        assert batch[1].tolist() == [2, 4, 6]
    write("x,y,city\n1,2,Rome\n", "c.csv")
    renamed = make(["a.csv", "c.csv"], features=["b"], target="c", column_names=["a", "b", "c"], header=True)
    assert served(renamed) == ([1, 3, 1], [2, 4, 2])  # the new names are in the order of the first file


def test_names_that_occur_twice_require_the_same_order(folder):
    write("x,x,y\n1,5,2\n", "a.csv")
    write("x,x,y\n3,5,4\n", "b.csv")
    given = dict(column_names=["x", "z", "y"], header=True, features=["x"])
    assert served(make(["a.csv", "b.csv"], **given)) == ([1, 3], [2, 4])
    write("x,y,x\n3,4,5\n", "b.csv")
    with pytest.raises(DataError, match=r"b\.csv: a name occurs twice, and its columns are in another order than"):
        make(["a.csv", "b.csv"], **given)


def test_files_without_a_header_differ_in_their_first_rows(folder):
    write("1,2\n3,4\n", "a.csv")
    write("5,6\n7,8\n", "b.csv")
    with pytest.raises(DataError) as caught:
        make(["a.csv", "b.csv"])
    assert str(caught.value) == (
        "b.csv: it has no column '1', '2', but a column '5', '6', which is not in a.csv. All files of a table should "
        "have the same columns, in any order. If the first line of each file is a row: header=False"
    )
    assert served(make(["a.csv", "b.csv"], header=False, column_names=["x", "y"])) == ([1, 3, 5, 7], [2, 4, 6, 8])
