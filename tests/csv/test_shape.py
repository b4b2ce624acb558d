"""Rows with a cell more than names: row names, delimiters at the end of rows, and rows that contradict them."""

import warnings

import numpy as np
import pytest
from csv_outcomes import ONE_ROW, TEXT, TWO_ROWS, Fails, Rows, late, make, outcomes, ragged, served, write
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.csv.columns import open_columns
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.reader import num_cells
from keras_oocore.csv.scan import index_records
from keras_oocore.csv.shape import row_shape

NAMED = (
    "houses.csv: each row has a cell more than the header has names. The first cells are names of the rows: column "
    "'index', which is not a feature unless `features` names it. To confirm this: index_column='index'",
)
ENDING = ("houses.csv: each row ends with a delimiter. The empty cell after it is left out.",)
SKIPPED = ("1 row is left out: on_bad_row='skip'.",)
MANY = 200


def rows_of(first, last="", num_rows=MANY, changed=None):
    """A file of rows such as `r7,1,2`, whose row 99 is `changed`."""
    rows = [f"{first.format(row)}1,2{last}" for row in range(num_rows)]
    if changed is not None:
        rows[99] = changed
    return "x,y\n" + "\n".join(rows) + "\n"


def bad(row, rest):
    return Fails(f"houses.csv: row {row} (line {row + 2}): {rest}")


ALL = Rows([1] * MANY, [2] * MANY, NAMED)
ALL_CUT = Rows([1] * MANY, [2] * MANY, ENDING)
ALL_BUT_ONE = [1] * (MANY - 1), [2] * (MANY - 1)


@outcomes(
    ("row names", rows_of("r{},"), {}, ALL),
    ("row names that are numbers", rows_of('"{}",'), {}, ALL),
    ("row names that are skipped with bad rows", rows_of("r{},"), dict(on_bad_row="skip"), ALL),
    ("row names and a name for them", rows_of("r{},"), dict(index_column="id"), ALL._replace(warnings=())),
    ("one row with a name", "x,y\nr,1,2\n", {}, ONE_ROW._replace(warnings=NAMED)),
    ("row names as a feature", "x,y\nr,1,2\ns,3,4\n", dict(features=["index"]), Rows(["r", "s"], [2, 4], NAMED)),
    ("row names and one column", "y\na,2\nb,4\n", dict(features=["index"]), Rows(["a", "b"], [2, 4], NAMED)),
    ("a later row without a name", rows_of("r{},", changed="1,2"), {},
     bad(99, "expected 3 cells (the name of the row is the first one), found 2, in '1,2'. Fix the row, or "
             "on_bad_row='skip'.")),
    ("a later row without a name is skipped", rows_of("r{},", changed="1,2"), dict(on_bad_row="skip"),
     Rows(*ALL_BUT_ONE, NAMED + SKIPPED)),
    ("a column named index", "index,y\nr,1,2\ns,3,4\n", {},
     Fails("houses.csv: its rows have 3 cells, such as 'r,1,2', and the header has 2 names. If the first cell is the "
           "name of the row: index_column='row'. If cells contain the delimiter, put them between quotes. Otherwise "
           "name all columns, column_names=[...].")),
    ("a column named index, and a name for the row", "index,y\nr,1,2\ns,3,4\n",
     dict(index_column="row", features=["index"]), TWO_ROWS),
    ("first cells that repeat are not row names", "city,price\nRome,1,5\nRome,2,5\n", dict(on_bad_row="skip"),
     Fails("houses.csv: its rows have 3 cells, such as 'Rome,1,5', and the header has 2 names. If the first cell is "
           "the name of the row: index_column='index'. If cells contain the delimiter, put them between quotes. "
           "Otherwise name all columns, column_names=[...].")),
    ("first cells that repeat, and a name for them", "x,y\nRome,1,2\nRome,3,4\n", dict(index_column="city"), TWO_ROWS),
    ("names for all cells", "x,y\nRome,1,2\nRome,3,4\n", dict(column_names=["city", "x", "y"], **TEXT), TWO_ROWS),
    ("other names than those of the header", "a,b\nr,1,2\ns,3,4\n", dict(column_names=["x", "y"]),
     TWO_ROWS._replace(warnings=NAMED)),
    ("another delimiter", "x;y\n1,5;2\n2,5;2\n", {},
     Fails("houses.csv: its rows have 2 cells, such as '1,5;2', and the header has 1 name. If the first cell is the "
           "name of the row: index_column='index'. If cells contain the delimiter, put them between quotes. Otherwise "
           "name all columns, column_names=[...].")),
    ("a delimiter at the end", rows_of("", ","), {}, ALL_CUT),
    ("a delimiter at the end, with bad rows skipped", rows_of("", ","), dict(on_bad_row="skip"), ALL_CUT),
    ("a delimiter and spaces at the end", rows_of("", ", "), {}, ALL_CUT),
    ("a delimiter and quotes at the end", rows_of("", ',""'), {}, ALL_CUT),
    ("a delimiter at the end, also of the header", rows_of("", ",").replace("x,y", "x,y,"), {}, ALL_CUT),
    ("a delimiter at the end, and missing numbers", "x,y,\n,2,\n3,4,\n", dict(missing="mean"),
     Rows([3, 3], [2, 4], ENDING)),
    ("a delimiter at the end without a header", "1,2,\n3,4,\n", dict(header=False, target="column_1"),
     TWO_ROWS._replace(warnings=ENDING)),
    ("a delimiter at the end, names and no header", "1,2,\n3,4,\n", dict(header=False, column_names=["x", "y"]),
     TWO_ROWS._replace(warnings=ENDING)),
    ("a cell after the last delimiter", rows_of("", ",", changed="1,2,note"), {},
     bad(99, "expected an empty cell after the last delimiter, as in the first rows, found 'note'. Fix: name this "
             "column too, column_names=[...], or on_bad_row='skip'.")),
    ("a cell after the last delimiter is skipped", rows_of("", ",", changed="1,2,note"), dict(on_bad_row="skip"),
     Rows(*ALL_BUT_ONE, ENDING + SKIPPED)),
    ("a cell that cannot be decoded after the last delimiter",
     rows_of("", ",", changed="1,2,é").encode("latin-1"), {},
     bad(99, "expected an empty cell after the last delimiter, as in the first rows, found b'\\xe9'. Fix: name this "
             "column too, column_names=[...], or on_bad_row='skip'.")),
    ("a later row without the delimiter", rows_of("", ",", changed="1,2"), {},
     bad(99, "expected 3 cells (the last one is empty), found 2, in '1,2'. Fix the row, or on_bad_row='skip'.")),
    ("a name for the empty column", "x,y,\n1,2,\n3,4,\n", dict(column_names=["x", "y", "z"], features=["x"]), TWO_ROWS),
    ("a name for the column of a later cell", rows_of("", ",", changed="1,2,note"),
     dict(column_names=["x", "y", "note"], **TEXT), ALL._replace(warnings=())),
    ("an unnamed column of numbers at the end", "x,y,\n1,2,7\n3,4,8\n", TEXT, TWO_ROWS),
    ("one row of many has a delimiter at its end", late("3,4,"), {}, ragged(99, 3, "3,4,")),
    ("half of the rows have a cell more", "x,y\n1,2\n3,4,5\n1,2\n3,4,5\n", {}, ragged(1, 3, "3,4,5")),
    ("two cells more", "x,y\n1,2,3,4\n5,6,7,8\n", {}, ragged(0, 4, "1,2,3,4")),
    ("the index of a DataFrame", ",x,y\n0,1,2\n1,3,4\n", {},
     TWO_ROWS._replace(warnings=(
         "Column 'Unnamed: 0' is probably the index that DataFrame.to_csv() saves. It is not a feature, unless "
         "`features` names it. To confirm this: index_column='Unnamed: 0'",))),
    ("the index of a DataFrame as a feature", ",x,y\n5,1,2\n6,3,4\n", dict(features=["Unnamed: 0"]),
     Rows([5, 6], [2, 4])),
    ("the index of a DataFrame is confirmed", ",x,y\n0,1,2\n1,3,4\n", dict(index_column="Unnamed: 0"), TWO_ROWS),
    ("a name for the index of a DataFrame", ",x,y\n0,1,2\n1,3,4\n", dict(index_column="id"), TWO_ROWS),
    ("the index as the target", ",x\n2,1\n4,3\n", dict(target="Unnamed: 0"), TWO_ROWS),
    ("an index that was saved twice", "Unnamed: 0.1,Unnamed: 0,x,y\n0,0,1,2\n1,1,3,4\n", {},
     TWO_ROWS._replace(warnings=tuple(
         f"Column {name!r} is probably the index that DataFrame.to_csv() saves. It is not a feature, unless "
         f"`features` names it. To confirm this: index_column={name!r}" for name in ("Unnamed: 0.1", "Unnamed: 0")))),
    ("the index of a DataFrame that was saved twice", ",Unnamed: 0,x,y\n0,0,1,2\n1,1,3,4\n",
     dict(features=["x"]), TWO_ROWS),
    ("an index in the header", "id,x,y\n7,1,2\n8,3,4\n", dict(index_column="id"), TWO_ROWS),
    ("an index that is named as a feature", "x,y\n1,2\n3,4\n", dict(index_column="x", **TEXT), TWO_ROWS),
    ("a misspelt index", "ids,x,y\n7,1,2\n8,3,4\n", dict(index_column="id"),
     Fails("`index_column` names a column that does not exist: 'id'. Did you mean 'ids'? Columns: 'ids', 'x', 'y'",
           OptionError)),
    ("a misspelt index in a file with delimiters at its end", "ids,x,y\n7,1,2,\n8,3,4,\n", dict(index_column="id"),
     Fails("`index_column` names a column that does not exist: 'id'. Did you mean 'ids'? Columns: 'ids', 'x', 'y'",
           OptionError)),
    ("an index of another type", "x,y\n1,2\n", dict(index_column=0),
     Fails("`index_column` should be the name of a column. Received: 0", OptionError)),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_positions_in_messages_count_the_names_of_rows(folder):
    write(rows_of("r{},", changed="r99,many,2"))
    with pytest.warns(UserWarning, match="names of the rows"), pytest.raises(DataError) as caught:
        served(make())
    assert str(caught.value).startswith("houses.csv: row 99 (line 101), column 'x' (#1): cannot read 'many' as float32")


def test_files_of_different_shapes_are_one_table(folder):
    write("x,y\nr0,1,2\n", "a.csv")
    write('"","x","y"\n"1",3,4\n', "b.csv")
    write("x,y\nr0,3,4\n", "c.csv")
    write("x,y\n", "d.csv")
    with pytest.warns(UserWarning, match=r"^a\.csv and 1 more file: each row has a cell more"):
        rows = make(["a.csv", "c.csv", "d.csv"])
    assert served(rows) == ([1, 3], [2, 4])
    with pytest.raises(
        DataError, match=r"b\.csv: it has no column 'index', but a column 'Unnamed: 0', which is not in"
    ):
        make(["a.csv", "b.csv"])
    write("x,y,\n1,2,\n", "e.csv")
    write("y,x\n4,3\n", "f.csv")
    with pytest.warns(UserWarning, match=r"^e\.csv: each row ends with a delimiter"):
        assert served(make(["f.csv", "e.csv"])) == ([3, 1], [4, 2])
    write("x,y\n", "0.csv")  # which knows nothing about its rows
    assert served(make(["0.csv", "a.csv"], index_column="car")) == ([1], [2])


def test_shape_is_decided_by_several_places_of_the_file(folder):
    """A column without a name that is empty in the first rows is a column all the same."""
    write("x,y,\n" + "1,2,\n" * 99 + "1,2,7\n" * 99)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(features=["x"]).columns == ["x", "y", "Unnamed: 2"]


def test_column_without_a_name_that_is_empty_in_one_file_only(folder):
    for header, options in (("x,y,\n", {}), ("", dict(header=False, target="column_1", features=["column_0"]))):
        write(f"{header}1,2,\n", "a.csv")
        write(f"{header}3,4,7\n", "b.csv")
        rows = make(["a.csv", "b.csv"], **{"features": ["x"], **options})
        assert len(rows.columns) == 3
        assert served(rows) == ([1, 3], [2, 4])


@pytest.mark.filterwarnings("ignore:.*(names of the rows|ends with a delimiter)")
def test_columns_of_a_manifest_have_row_names_or_a_delimiter_at_the_end(write):
    text = b"filename,class\nr1,a.png,cat\nr2,b.png,dog\n"
    with open_columns(write(text)) as table:
        assert {name: values.tolist() for name, values in table.read(table.header).items()} == {
            "filename": ["a.png", "b.png"],
            "class": ["cat", "dog"],
        }
        assert table.where(1, "class").endswith("row 1 (line 3), column 'class' (#2)")
    text = b"filename,class\na.png,cat,\nb.png,dog,\n"
    with open_columns(write(text)) as table:
        assert table.read(["class"])["class"].tolist() == ["cat", "dog"]


cell = st.text(st.sampled_from('ab1é "\n,'), max_size=3)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


@given(
    table=st.lists(st.tuples(cell, cell), min_size=1, max_size=6),
    extra=st.sampled_from(["first", "last", None]),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
)
@examples(30)
def test_each_cell_is_found_whatever_the_shape(scratch, table, extra, encoding):
    table = [("a", "b"), *table]
    lines = [",".join(map(quoted, row)) for row in table]
    lines = [{"first": f"r{i},{line}", "last": f"{line},", None: line}[extra] for i, line in enumerate(lines)]
    scratch.write_text("a,b\n" + "\n".join(lines) + "\n", encoding, newline="")
    index = index_records(scratch, Dialect(encoding=encoding))
    shape = row_shape(index, index_column="id")
    assert (shape.num_cells, shape.extra) == (2 + (extra is not None), extra)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if encoding == "utf-8":
            with open_columns(scratch) as columns:
                found = columns.read(["a", "b"])
            assert list(zip(found["a"], found["b"])) == [(a or None, b or None) for a, b in table]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "shift-jis", "cp1252"])
def test_cells_of_a_record_are_counted_in_any_encoding(encoding):
    text = {"shift-jis": '日本,1,"語\n",2'}.get(encoding, "é" * 50 + ',1,"ü\n",2')
    assert num_cells(text.encode(encoding), Dialect()) == 4


def test_header_false_with_a_first_row_that_is_not_ascii(folder):
    for encoding in ("utf-8", "latin-1"):
        write(("é,1\n" * 9 + "ü,2\n").encode(encoding))
        rows = make(features=["a"], target="b", header=False, column_names=["a", "b"], encoding=encoding)
        assert served(rows)[0] == ["é"] * 9 + ["ü"]


def test_chunk_with_cells_that_cannot_be_decoded_and_a_long_row(folder):
    """pyarrow would decode it into more bytes than its block has."""
    bad_rows = b"\xe9" * 50 + b',1\n"\xe9\n",2,3\n'
    write(b"x,y\n" + bad_rows * 40 + b"z,4\n")
    with pytest.warns(UserWarning, match="80 rows are left out"):
        rows = make(features=["x"], on_bad_row="skip", dtypes={"y": "float32"})
    assert served(rows) == (["z"], [4])


def test_ten_thousand_rows_of_one_name_each(folder):
    names = np.random.default_rng(0).permutation(10_000)
    write("y\n" + "".join(f"{name},{name}\n" for name in names))
    with pytest.warns(UserWarning, match="names of the rows"):
        rows = make(features=["index"], target="y")
    assert rows.num_rows == 10_000
