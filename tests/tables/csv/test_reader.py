"""Cells of a chunk: what is read as what, and what is said of a cell that cannot be read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.tables.csv import reader as csv
from keras_oocore.tables.csv import values as csv_values
from keras_oocore.tables.csv.reader import Column, CSVReader
from keras_oocore.tables.csv.scan import Dialect, index_records
from keras_oocore.tables.csv.values import NULL_VALUES, looks_like


@pytest.fixture
def read(tmp_path):
    """Reads text, or bytes, as columns of these kinds: name → list, chunk after chunk."""

    def read(content, chunk_bytes=2**20, dialect=None, **columns):
        path = tmp_path / "houses.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {name: columns.pop(name) for name in ("null_values", "decimal", "on_bad_row") if name in columns}
        index = index_records(path, dialect or Dialect(), chunk_bytes, on_bad_row=options.get("on_bad_row", "error"))
        named = [
            Column(name, index.header.index(name), *([kind] if isinstance(kind, str) else kind))
            for name, kind in columns.items()
        ]
        reader = CSVReader(len(index.header), named, **options)
        cells = [reader.read(index, chunk) for chunk in range(index.num_chunks)]
        return {name: [cell for part in cells for cell in part.columns[name].to_pylist()] for name in columns}

    return read


def error_of(function, *arguments, **options):
    with pytest.raises(DataError) as caught:
        function(*arguments, **options)
    _, _, rest = str(caught.value).partition("houses.csv")
    return "houses.csv" + rest


# What is read


def test_numbers_as_a_person_writes_them(read):
    texts = ["1", "-2", "+3", " 4 ", "5.", ".5", "6e2", "7E-1", "1e-400", '"8"', "9223372036854775808"]
    assert read("a\n" + "\n".join(texts), a="float32")["a"] == [1, -2, 3, 4, 5, 0.5, 600, 0.7, 0, 8, 2.0**63]


def test_infinity_is_what_says_so_itself_and_nothing_else(read):
    assert read("a\ninf\n-Infinity\nInf\n", a="float32")["a"] == [np.inf, -np.inf, np.inf]


@pytest.mark.parametrize("text", ["1e400", "3.5e38", "0x10", "1_000", "NAN", "1e", ".", "-", "٣", '"1,234"'])
def test_what_is_no_number_is_named_and_never_a_nan_nor_an_infinity(read, text):
    written = text.strip('"')
    expected = (
        f"houses.csv: row 1 (line 3), column 'a' (#0): cannot read {written!r} as float32. "
        f"Fix: dtypes={{'a': 'string'}}, null_values=[..., {written!r}], or on_bad_row='skip'."
    )
    assert error_of(read, f"a,b\n1,x\n{text},y\n", a="float32") == expected
    assert error_of(read, f"a,b\n1,x\n{text},y\n1,z\n", a="float32", b="string") == expected


def test_of_a_truth_value_among_numbers_the_fix_is_bool(read):
    assert error_of(read, "a\n1\nTRUE\n", a="float32") == (
        "houses.csv: row 1 (line 3), column 'a' (#0): cannot read 'TRUE' as float32. "
        "Fix: dtypes={'a': 'bool'}, or on_bad_row='skip'."
    )


def test_the_words_of_the_issue(read):
    rows = [f'"{i}\n{i}",Rome,1,2,3,{i}\n' if i < 6 else f"{i},Rome,1,2,3,{i}\n" for i in range(48213)]
    content = "id,city,a,b,c,sqft\n" + "".join(rows[:-1]) + "1,Rome,1,2,3,4\n1,Rome,1,2,3,N/K\n"
    assert error_of(read, content, 100_000, sqft="float32") == (
        "houses.csv: row 48213 (line 48221), column 'sqft' (#5): cannot read 'N/K' as float32. "
        "Fix: dtypes={'sqft': 'string'}, null_values=[..., 'N/K'], or on_bad_row='skip'."
    )


def test_missing_is_what_stands_in_null_values_in_text_only_without_quotes(read):
    content = 'a,b\nNA,NA\n"NA","NA"\n,\n"",""\n NA , NA \nnan,nan\n'
    found = read(content, a="float32", b="string")
    assert found == {"a": [None] * 6, "b": [None, "NA", None, "", " NA ", None]}
    assert read(content, a="bool")["a"] == read(content, a=("date", "%Y"))["a"] == [None] * 6
    assert read("a,b\nNA,1\n-9,2\n", a="float32", null_values=["NA", "-9"])["a"] == [None, None]
    assert "cannot read 'nan' as float32" in error_of(read, "a\nnan\n", a="float32", null_values=["NA"])
    assert all(read(f"a,b\n{text},1\n", a="float32", b="float32")["a"] == [None] for text in NULL_VALUES)


@pytest.mark.parametrize("other", ["1", "x"])
def test_a_quoted_number_that_stands_for_missing_is_a_number_whatever_else_a_chunk_holds(read, other):
    found = read(f'a,b\n"-9",{other}\n-9,1\n', a="float32", b="string", null_values=["-9"])["a"]
    with_text = read('a,b\n"-9",1\n-9,1\n"x",1\n', a="float32", null_values=["-9"], on_bad_row="skip")["a"]
    assert found == with_text == [-9, None]


def test_the_remedy_that_a_message_names_works(read):
    for cell, text in (("N/K", "N/K"), ('"N/K"', "N/K"), (" N/K", " N/K")):
        assert f"null_values=[..., {text!r}]" in error_of(read, f"a,b\n{cell},1\n", a="float32")
        assert read(f"a,b\n{cell},1\n", a="float32", null_values=[text.strip()])["a"] == [None]
    assert read("a,b\n N/K,1\n", a="float32", null_values=[" N/K"])["a"] == [None]


def test_truth_values(read):
    content = "a,b\nTrue,1\n0,2\nyes,3\nFALSE,4\n,5\n no ,6\n"
    assert read(content, a="bool")["a"] == [1, 0, 1, 0, None, 0]
    assert "cannot read 'maybe' as true or false" in error_of(read, "a,b\nmaybe,1\n", a="bool")


def test_ids_keep_their_zeros_as_text_and_lose_them_as_numbers(read):
    assert read("a\n007\n", a="string")["a"] == ["007"]
    assert read("a\n007\n", a="float32")["a"] == [7]


def test_a_decimal_comma(read):
    semicolons = Dialect(delimiter=";")
    content = 'a;b\n1,5;-2\n"3,25";,5\n'
    found = read(content, dialect=semicolons, a="float32", b="float32", decimal=",")
    assert found == {"a": [1.5, 3.25], "b": [-2, 0.5]}
    for text in ("1.5", "1.234,5", "x"):
        assert f"cannot read {text!r}" in error_of(
            read, f"a;b\n1,5;1\n{text};2\n", dialect=semicolons, a="float32", decimal=","
        )
    with pytest.raises(OptionError, match=r"`decimal` should be '.' or ','. Received: decimal=';'"):
        CSVReader(1, [], decimal=";")


def test_without_decimal_a_comma_makes_another_cell(read):
    assert error_of(read, "a,b\n1,5,2\n", a="float32") == (
        "houses.csv: row 0 (line 2): 3 cells and not 2, in '1,5,2'. Fix: mend the row, or on_bad_row='skip'."
    )


# Dates


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
def test_days_that_do_not_exist_are_named(read, text):
    assert error_of(seconds, read, text, "%Y-%m-%d") == (
        f"houses.csv: row 0 (line 2), column 'a' (#0): cannot read {text!r} as a date like '%Y-%m-%d'. "
        f"Fix: dtypes={{'a': 'string'}}, null_values=[..., {text!r}], or on_bad_row='skip'."
    )


def test_dates_read_by_both_ways_are_the_same(read):
    days = np.datetime64("1999-12-25") + np.arange(1500)
    content = "a,b\n" + "".join(f"{day},1\n" for day in days)
    expected = days.astype("datetime64[s]").astype(float).tolist()
    assert read(content, a=("date", "%Y-%m-%d"))["a"] == expected
    assert [csv_values._python_seconds(str(day), "%Y-%m-%d") for day in days] == expected


# Rows of another length, wrong bytes


def test_short_and_long_rows_and_trailing_delimiters(read):
    for row, num_cells in (("3", "1 cell"), ("3,4,5", "3 cells"), ("3,4,", "3 cells")):
        assert error_of(read, f'a,b\n1,"2\n2"\n\n{row}\n', a="float32") == (
            f"houses.csv: row 1 (line 5): {num_cells} and not 2, in {row!r}. Fix: mend the row, or on_bad_row='skip'."
        )


def test_the_first_row_that_is_wrong_is_named(read):
    assert "row 1 (line 3): 1 cell" in error_of(read, "a,b\n1,2\n3\nx,4\n", a="float32")
    assert "row 1 (line 3), column 'a'" in error_of(read, "a,b\n1,2\nx,4\n3\n", a="float32")
    assert "column 'a' (#0)" in error_of(read, "a,b\n1,2\nx,y\n", b="float32", a="float32")


def test_bad_rows_are_skipped(read):
    content = "a,b\n1,p\n2\nx,q\n\n3,r\n4,5,6\n5,s\n"
    for chunk_bytes in (1, 5, 1000):
        found = read(content, chunk_bytes, a="float32", b="string", on_bad_row="skip")
        assert found == {"a": [1, 3, 5], "b": ["p", "r", "s"]}
    with pytest.raises(OptionError, match='`on_bad_row` should be "error" or "skip"'):
        CSVReader(1, [], on_bad_row="warn")


def test_a_chunk_of_bad_rows_alone(read):
    assert read("a,b\n1\n2\n3,4\n", 2, a="float32", on_bad_row="skip") == {"a": [3]}


def test_a_wrong_byte_in_a_late_row(read):
    content = b"a,b\n" + b"1,Rome\n" * 5000 + "2,München\n".encode("latin-1")
    assert error_of(read, content, 1000, b="string") == (
        "houses.csv: row 5000 (line 5002), column 'b' (#1): cannot read b'M\\xfcnchen' as utf-8. "
        "Fix: the encoding of the file, such as encoding='latin-1', or on_bad_row='skip'."
    )
    assert len(read(content, 1000, b="string", on_bad_row="skip")["b"]) == 5000
    assert read(content, 1000, a="float32")["a"][-1] == 2  # the column is not read
    assert read(content, 1000, Dialect(encoding="latin-1"), b="string")["b"][-1] == "München"


def test_a_wrong_byte_of_another_encoding(read):
    windows = Dialect(encoding="cp1252")
    assert read("a,b\n€,1\n".encode("cp1252"), dialect=windows, a="string")["a"] == ["€"]
    assert "row 1 (line 3), column 'a' (#0): cannot read b'x\\x81' as cp1252. Fix: the encoding" in error_of(
        read, b"a,b\n\x80,1\nx\x81,2\n", dialect=windows, a="string"
    )


def test_a_wrong_byte_among_numbers(read):
    assert "cannot read b'1\\xa0000' as utf-8" in error_of(read, b"a,b\n1\xa0000,1\n", a="float32")


# What a row is


def test_quoted_newlines_and_delimiters_stay_at_every_chunk_size(read):
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


def test_the_header_again_in_the_middle(read):
    assert "row 1 (line 3), column 'a' (#0): cannot read 'a' as float32" in error_of(
        read, "a,b\n1,2\na,b\n", a="float32"
    )


def test_a_cell_that_is_long_is_shown_in_part(read):
    message = error_of(read, "a,b\n" + "x" * 1_000_000 + ",1\n", a="float32")
    assert f"cannot read {'x' * 37 + '...'!r} as float32" in message
    assert len(message) < 400


cells = st.text('ab1 ,;"\n\ré\x00', max_size=5)
tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1))


@settings(max_examples=200, deadline=None)
@given(tables, st.sampled_from(",;"), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 40))
def test_cells_come_back_as_they_were_written_at_any_chunk_size(
    tmp_path_factory, table, delimiter, quote_all, end, chunk_bytes
):
    def written(cell):
        special = quote_all or not cell or any(character in cell for character in f'"\r\n{delimiter}')
        return '"' + cell.replace('"', '""') + '"' if special else cell

    header = delimiter.join(f"c{i}" for i in range(len(table[0])))
    lines = [header, *(delimiter.join(map(written, row)) for row in table)]
    path = tmp_path_factory.getbasetemp() / "table.csv"
    path.write_bytes((end.join(lines) + end * quote_all).encode())
    index = index_records(path, Dialect(delimiter=delimiter), chunk_bytes)
    reader = CSVReader(len(table[0]), [Column(f"c{i}", i, "string") for i in range(len(table[0]))])
    chunks = [reader.read(index, chunk).columns.values() for chunk in range(index.num_chunks)]

    assert [list(row) for chunk in chunks for row in zip(*(column.to_pylist() for column in chunk))] == table


good_rows = st.sampled_from([("7,q", 7), ('8,"p\nq"', 8), ('"9",', 9), ('6,""', 6)])
bad_rows = st.sampled_from([("5", None), ("1,2,3", None), ("x,4", None), ('"y\n",4', None), ("1,2,", None)])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(good_rows, bad_rows, st.just(("", None))), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 60),
)
def test_bad_rows_among_blank_lines_are_skipped_or_the_first_is_named(tmp_path_factory, rows, end, chunk_bytes):
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    path.write_bytes(end.join(["a,b", *(text for text, _ in rows)]).encode())
    index = index_records(path, Dialect(), chunk_bytes)
    columns = [Column("a", 0, "float32"), Column("b", 1, "string")]
    skipping, strict = CSVReader(2, columns, on_bad_row="skip"), CSVReader(2, columns)
    row, line, first_bad = 0, 2, ""
    for text, value in rows:
        if text and value is None and not first_bad:
            first_bad = f"row {row} (line {line})"
        row, line = row + bool(text), line + 1 + text.count("\n")

    found = [value for i in range(index.num_chunks) for value in skipping.read(index, i).columns["a"].to_pylist()]
    assert found == [value for _, value in rows if value is not None]
    try:
        for i in range(index.num_chunks):
            strict.read(index, i)
        message = ""
    except DataError as error:
        message = str(error)
    assert first_bad in message
    assert bool(first_bad) == bool(message)


# What kind a column is


def test_kinds():
    def kind(*texts, decimal="."):
        return looks_like([csv.pa.array(texts, csv.pa.string())], decimal)

    assert kind("1", "2.5", None) == ("float32", [])
    assert kind(None, None) == ("float32", [])
    assert kind(*"123456789x") == ("float32", [])
    many = "taken for text, though many of its cells are numbers, because of 'x'. Fix: null_values=[..., 'x']"
    assert kind(*"12345678", "x") == ("string", [many])
    assert kind("1", *"abcd") == ("string", [])
    assert kind("1", "", " NA ") == ("float32", [])
    assert kind("True", "0", "yes") == ("bool", [])
    assert kind("0", "1") == ("float32", [])
    assert kind("1", "x", "y", "z", "z") == ("string", [])
    dates = "taken for text, though its cells look like dates, such as '20141013T000000'"
    assert kind("20141013T000000") == ("string", [f"{dates}. Fix: in dtypes the format, such as '%Y-%m-%d'"])
    assert kind("1,5", decimal=",") == ("float32", [])
    looks = "taken for text, though its cells look like numbers, such as"
    assert kind("1,5", "2") == ("string", [f"{looks} '1,5'. Fix: decimal=','"])
    assert kind("1.5", "2", decimal=",") == ("string", [f"{looks} '1.5'. Fix: decimal='.'"])
    assert kind("1,500", "2") == ("string", [f"{looks} '1,500'. Fix: write them without the ',' between thousands"])
    assert kind("9223372036854775808")[1] == ["integers beyond 2^24, which float32 rounds, such as 9223372036854775808"]
    assert kind("1e300") == ("string", [])  # no float32
    assert kind("16777216", "1e30")[1] == []
    assert kind("16777217")[1] == ["integers beyond 2^24, which float32 rounds, such as 16777217"]
    assert kind("0.5", "0")[1] == []
    assert kind("98178", "007")[1] == ["numbers with leading zeros, which are lost, such as '007'"]


def test_samples_come_from_the_whole_of_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "SAMPLED_BYTES", 100)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f'{i},"{i}\n""{i}"\n' for i in range(10_000)))
    index = index_records(path, Dialect())
    reader = CSVReader(2, [Column("a", 0, "string"), Column("b", 1, "string")])
    cells = reader.sample(index, 0, num_pieces=5)
    numbers = np.array(cells["a"].to_pylist(), int)
    assert cells["b"].to_pylist() == [f'{i}\n"{i}' for i in numbers]
    assert len(np.unique(numbers // 2000)) == 5
    assert numbers[-1] > 9900
    assert len(numbers) < 100


@pytest.mark.parametrize("num_pieces", [1, 2, 7])
def test_samples_of_rows_longer_than_a_piece(tmp_path, monkeypatch, num_pieces):
    monkeypatch.setattr(csv, "SAMPLED_BYTES", 3)
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "".join(f"{i}{'0' * 20}\n" for i in range(1, 4)))
    cells = CSVReader(1, [Column("a", 0, "string")]).sample(index_records(path, Dialect()), 0, num_pieces)
    assert {text[1:] for text in cells["a"].to_pylist()} <= {"0" * 20}


# The rest


def test_null_values_are_several(read):
    with pytest.raises(OptionError, match=r"`null_values` should be a list of texts. Received: null_values='NA'"):
        CSVReader(1, [], null_values="NA")


def test_without_pyarrow(monkeypatch):
    monkeypatch.setattr(csv, "pa", None)
    with pytest.raises(MissingExtraError) as caught:
        CSVReader(1, [Column("a", 0, "float32")])
    assert str(caught.value) == "CSV files want pyarrow: pip install 'keras_oocore[csv]'"


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    index = index_records(path, Dialect())
    path.write_text("a\n1\n2\n")
    with pytest.raises(DataError, match=r"the file changed since its rows were counted .*Open it again"):
        CSVReader(1, [Column("a", 0, "float32")]).read(index, 0)
