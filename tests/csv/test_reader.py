"""Cells of a chunk: what is read as what, and what is said of a cell that cannot be read."""

import pytest
from csv_outcomes import (
    ONE_ROW,
    TEXT,
    Fails,
    Rows,
    late,
    outcomes,
    ragged,
    unreadable,
)
from csv_scans import error_of
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, MissingExtraError
from keras_oocore.csv import cells as cells_module
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import NULL_VALUES, CellOptions, Dialect
from keras_oocore.csv.reader import CSVReader
from keras_oocore.csv.scan import index_records

ENCODING = "pass the encoding of the file, such as encoding='latin-1', or on_bad_row='skip'"
ROWLESS = Fails("There are no rows in 'houses.csv'.")


def no_csv(what, command):
    return Fails(f"houses.csv: the file is {what}, not CSV. Convert it first: {command}")


@outcomes(
    ("short row", late("3"), {}, ragged(99, 1, "3")),
    ("long row", late("3,4,5"), {}, ragged(99, 3, "3,4,5")),
    ("trailing delimiter", late("3,4,"), {}, ragged(99, 3, "3,4,")),
    ("trailing delimiters everywhere", "x,y,\n1,2,\n", TEXT,
     Rows([1], [2], ("houses.csv: each row ends with a delimiter. The empty cell after it is left out.",))),
    ("bad rows are skipped", late("3,4,"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("bad rows only", "x,y\n1\n", dict(on_bad_row="skip"),
     Fails("None of the 1 rows in 'houses.csv' is left with on_bad_row='skip'.")),
    ("bad rows only, without a header", '"12"x\n', dict(on_bad_row="skip", header=False, target="column_0"),
          ROWLESS),
    ("1,234 without quotes", late("1,234,2"), {}, ragged(99, 3, "1,234,2")),
    ("NUL", "x,y\na\0b,2\n\0,4\n", TEXT, Rows(["a\0b", "\0"], [2, 4])),
    ("NUL among numbers", late("\0,2"), {}, unreadable(99, "\0")),
    ("a tail of NUL, as a crash leaves it", "x,y\n1,2\n" + "\0" * 9, {}, ragged(1, 1, "\0" * 9)),
    ("latin-1 in a late row", late("München,2", "Rome,2").encode("latin-1"), TEXT,
     unreadable(99, b"M\xfcnchen", "utf-8", fix=ENCODING)),
    ("latin-1 in a column that is not used", "z,x,y\nMünchen,1,2\n".encode("latin-1"), TEXT, ONE_ROW),
    ("latin-1 among numbers", late("1\xa0000,2").encode("latin-1"), {},
     unreadable(99, b"1\xa0000", "utf-8", fix=ENCODING)),
    ("latin-1 in a long row", late("München,2,3").encode("latin-1"), TEXT, ragged(99, 3, "M\ufffdnchen,2,3")),
    ("latin-1 in a short row, which is skipped", late("München").encode("latin-1"), dict(on_bad_row="skip"),
     Rows([1] * 198, [2] * 198, ("1 row is left out: on_bad_row='skip'.",))),
    ("latin-1 in the header", "größe,y\n1,2\n".encode("latin-1"), {},
     Fails("houses.csv: header (line 1): cannot read b'\\xf6' as utf-8. "
           "Pass the encoding of the file, such as encoding='latin-1'")),
    ("latin-1 as such", "x,y\nMünchen,2\n".encode("latin-1"), dict(encoding="latin-1", **TEXT), Rows(["München"], [2])),
    ("a byte order mark between two files that were joined", "x,y\n1,2\n" * 9 + "\ufeffx,y\n3,4\n",
     dict(on_bad_row="skip", dtypes={"x": "float32", "y": "float32"}),
     Rows([1] * 9 + [3], [2] * 9 + [4], ("9 rows are left out: on_bad_row='skip'.",))),
    ("UTF-16", "x,y\n1,2\n".encode("utf-16"), {},
     no_csv("in UTF-16", "iconv -f UTF-16 -t UTF-8 houses.csv > out.csv")),
    ("UTF-16 without a mark", "x,y\n1,2\n3,4\n".encode("utf-16-le"), {},
     no_csv("in UTF-16", "iconv -f UTF-16LE -t UTF-8 houses.csv > out.csv")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_remedy_for_a_boolean_among_numbers(read):
    assert error_of(read, "a\n1\nTRUE\n", a="float32") == (
        "houses.csv: row 1 (line 3), column 'a' (#0): cannot read 'TRUE' as float32. "
        "Fix: dtypes={'a': 'bool'}, or on_bad_row='skip'."
    )


def test_error_names_row_line_and_column(read):
    rows = [f'"{i}\n{i}",Rome,1,2,3,{i}\n' if i < 6 else f"{i},Rome,1,2,3,{i}\n" for i in range(48213)]
    content = "id,city,a,b,c,sqft\n" + "".join(rows[:-1]) + "1,Rome,1,2,3,4\n1,Rome,1,2,3,N/K\n"
    assert error_of(read, content, 100_000, sqft="float32") == (
        "houses.csv: row 48213 (line 48221), column 'sqft' (#5): cannot read 'N/K' as float32. "
        "Fix: null_values=[..., 'N/K'], on_bad_row='skip', or dtypes={'sqft': 'string'}."
    )


def test_null_values_with_and_without_quotes(read):
    content = 'a,b\nNA,NA\n"NA","NA"\n,\n"",""\n NA , NA \nnan,nan\n'
    found = read(content, a="float32", b="string")
    assert found == {"a": [None] * 6, "b": [None, "NA", None, "", " NA ", None]}
    assert read(content, a="bool")["a"] == read(content, a=("date", "%Y"))["a"] == [None] * 6
    assert read("a,b\nNA,1\n-9,2\n", a="float32", null_values=["NA", "-9"])["a"] == [None, None]
    assert "cannot read 'nan' as float32" in error_of(read, "a\nnan\n", a="float32", null_values=["NA"])
    assert all(read(f"a,b\n{text},1\n", a="float32", b="float32")["a"] == [None] for text in NULL_VALUES)


@pytest.mark.parametrize("other", ["1", "x"])
def test_quoted_null_value_that_is_a_number(read, other):
    found = read(f'a,b\n"-9",{other}\n-9,1\n', a="float32", b="string", null_values=["-9"])["a"]
    with_text = read('a,b\n"-9",1\n-9,1\n"x",1\n', a="float32", null_values=["-9"], on_bad_row="skip")["a"]
    assert found == with_text == [-9, None]


def test_remedy_in_the_message_works(read):
    for cell, text in (("N/K", "N/K"), ('"N/K"', "N/K"), (" N/K", " N/K")):
        assert f"null_values=[..., {text!r}]" in error_of(read, f"a,b\n{cell},1\n", a="float32")
        assert read(f"a,b\n{cell},1\n", a="float32", null_values=[text.strip()])["a"] == [None]
    assert read("a,b\n N/K,1\n", a="float32", null_values=[" N/K"])["a"] == [None]


def test_unquoted_decimal_comma_makes_another_cell(read):
    assert error_of(read, "a,b\n1,5,2\n", a="float32") == (
        "houses.csv: row 0 (line 2): expected 2 cells, found 3, in '1,5,2'. Fix the row, or on_bad_row='skip'."
    )


def test_rows_with_too_few_or_too_many_cells(read):
    for row, num_cells in (("3", 1), ("3,4,5", 3), ("3,4,", 3)):
        assert error_of(read, f'a,b\n1,"2\n2"\n\n{row}\n', a="float32") == (
            f"houses.csv: row 1 (line 5): expected 2 cells, found {num_cells}, in {row!r}. "
            "Fix the row, or on_bad_row='skip'."
        )


def test_first_bad_row_is_named(read):
    assert "row 1 (line 3): expected 2 cells, found 1" in error_of(read, "a,b\n1,2\n3\nx,4\n", a="float32")
    assert "row 1 (line 3), column 'a'" in error_of(read, "a,b\n1,2\nx,4\n3\n", a="float32")
    assert "column 'a' (#0)" in error_of(read, "a,b\n1,2\nx,y\n", b="float32", a="float32")


def test_bad_rows_are_skipped(read):
    content = "a,b\n1,p\n2\nx,q\n\n3,r\n4,5,6\n5,s\n"
    for chunk_bytes in (1, 5, 1000):
        found = read(content, chunk_bytes, a="float32", b="string", on_bad_row="skip")
        assert found == {"a": [1, 3, 5], "b": ["p", "r", "s"]}


def test_chunk_of_bad_rows_only(read):
    assert read("a,b\n1\n2\n3,4\n", 2, a="float32", on_bad_row="skip") == {"a": [3]}


def test_undecodable_byte_in_a_late_row(read):
    content = b"a,b\n" + b"1,Rome\n" * 5000 + "2,München\n".encode("latin-1")
    assert error_of(read, content, 1000, b="string") == (
        "houses.csv: row 5000 (line 5002), column 'b' (#1): cannot read b'M\\xfcnchen' as utf-8. "
        "Fix: pass the encoding of the file, such as encoding='latin-1', or on_bad_row='skip'."
    )
    assert len(read(content, 1000, b="string", on_bad_row="skip")["b"]) == 5000
    assert read(content, 1000, a="float32")["a"][-1] == 2  # the column is not read
    assert read(content, 1000, Dialect(encoding="latin-1"), b="string")["b"][-1] == "München"


def test_undecodable_byte_in_another_encoding(read):
    windows = Dialect(encoding="cp1252")
    assert read("a,b\n€,1\n".encode("cp1252"), dialect=windows, a="string")["a"] == ["€"]
    assert "row 1 (line 3), column 'a' (#0): cannot read b'x\\x81' as cp1252. Fix: pass the encoding" in error_of(
        read, b"a,b\n\x80,1\nx\x81,2\n", dialect=windows, a="string"
    )


def test_undecodable_byte_among_numbers(read):
    assert "cannot read b'1\\xa0000' as utf-8" in error_of(read, b"a,b\n1\xa0000,1\n", a="float32")


def test_undecodable_byte_in_a_row_with_too_few_or_too_many_cells(read):
    """pyarrow itself fails to decode such a row, and prints that."""
    for row, num_cells in (("3\xfc", 1), ("3,4,\xfc", 3)):
        content, shown = f"a,b\n1,2\n{row}\n".encode("latin-1"), row.replace("ü", "\ufffd")
        assert error_of(read, content, a="float32") == (
            f"houses.csv: row 1 (line 3): expected 2 cells, found {num_cells}, in {shown!r}. "
            "Fix the row, or on_bad_row='skip'."
        )
    content = b"a,b\n1,\xe2\x80\x93\n4,5,\xfc\n2,K\xc3\xb6ln\n6\xfc,7\n3,\xfc\n"
    options = {"a": "float32", "b": "string", "on_bad_row": "skip"}
    assert read(content, **options) == {"a": [1, 2], "b": ["\u2013", "Köln"]}
    assert read(content, null_values=["\u2013"], **options) == {"a": [1, 2], "b": [None, "Köln"]}


def test_quoted_newlines_and_delimiters_at_every_chunk_size(read):
    content = 'a,b\n1,"x\r\ny"\r\n2,"p,""q"""\n\n3,\n'
    for chunk_bytes in range(1, 30):
        assert read(content, chunk_bytes, a="float32", b="string") == {
            "a": [1, 2, 3],
            "b": ["x\r\ny", 'p,"q"', None],
        }


def test_one_column_with_blank_lines(read):
    assert read('a\n1\n\n""\n\n2', a="string")["a"] == ["1", "", "2"]


def test_ten_thousand_columns(read):
    header = ",".join(f"c{i}" for i in range(10_000))
    content = header + "\n" + "\n".join(",".join(str(i + row) for i in range(10_000)) for row in range(3))
    assert read(content, c0="float32", c9999="float32") == {"c0": [0, 1, 2], "c9999": [9999, 10000, 10001]}


def test_repeated_header_is_named(read):
    assert "row 1 (line 3), column 'a' (#0): cannot read 'a' as float32" in error_of(
        read, "a,b\n1,2\na,b\n", a="float32"
    )


def test_long_cell_is_abbreviated(read):
    message = error_of(read, "a,b\n" + "x" * 1_000_000 + ",1\n", a="float32")
    assert f"cannot read {'x' * 37 + '...'!r} as float32" in message
    assert len(message) < 400


cells = st.text('ab1 ,;"\n\ré\x00', max_size=5)


tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1))


@examples(40)
@given(tables, st.sampled_from(",;"), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 40))
def test_cells_are_read_as_written_at_any_chunk_size(tmp_path_factory, table, delimiter, quote_all, end, chunk_bytes):
    def written(cell):
        special = quote_all or not cell or any(character in cell for character in f'"\r\n{delimiter}')
        return '"' + cell.replace('"', '""') + '"' if special else cell

    header = delimiter.join(f"c{i}" for i in range(len(table[0])))
    lines = [header, *(delimiter.join(map(written, row)) for row in table)]
    path = tmp_path_factory.getbasetemp() / "table.csv"
    path.write_bytes((end.join(lines) + end * quote_all).encode())
    index = index_records(path, Dialect(delimiter=delimiter), chunk_bytes)
    columns = [Column(f"c{i}", i, "string") for i in range(len(table[0]))]
    reader = CSVReader(len(table[0]))
    chunks = [reader.read(index, chunk, columns).columns.values() for chunk in range(index.num_chunks)]

    assert [list(row) for chunk in chunks for row in zip(*(column.to_pylist() for column in chunk))] == table


good_rows = st.sampled_from([("7,q", 7), ('8,"p\nq"', 8), ('"9",', 9), ('6,""', 6)])


bad_rows = st.sampled_from([("5", None), ("1,2,3", None), ("x,4", None), ('"y\n",4', None), ("1,2,", None)])


@examples(40)
@given(
    st.lists(st.one_of(good_rows, bad_rows, st.just(("", None))), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 60),
)
def test_bad_rows_among_blank_lines(tmp_path_factory, rows, end, chunk_bytes):
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    path.write_bytes(end.join(["a,b", *(text for text, _ in rows)]).encode())
    index = index_records(path, Dialect(), chunk_bytes)
    columns = [Column("a", 0, "float32"), Column("b", 1, "string")]
    skipping, strict = CSVReader(2, CellOptions(on_bad_row="skip")), CSVReader(2)
    row, line, first_bad = 0, 2, ""
    for text, value in rows:
        if text and value is None and not first_bad:
            first_bad = f"row {row} (line {line})"
        row, line = row + bool(text), line + 1 + text.count("\n")

    found = [
        value for i in range(index.num_chunks) for value in skipping.read(index, i, columns).columns["a"].to_pylist()
    ]
    assert found == [value for _, value in rows if value is not None]
    try:
        for i in range(index.num_chunks):
            strict.read(index, i, columns)
        message = ""
    except DataError as error:
        message = str(error)
    assert first_bad in message
    assert bool(first_bad) == bool(message)


def test_missing_pyarrow(monkeypatch):
    monkeypatch.setattr(cells_module, "pa", None)
    with pytest.raises(MissingExtraError) as caught:
        CSVReader(1)
    assert str(caught.value) == "CSV files require pyarrow: pip install 'keras_oocore[csv]'"


def test_changed_file_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    index = index_records(path, Dialect())
    path.write_text("a\n1\n2\n")
    with pytest.raises(DataError, match=r"the file changed since its rows were counted .*Open it again"):
        CSVReader(1).read(index, 0, [Column("a", 0, "float32")])
