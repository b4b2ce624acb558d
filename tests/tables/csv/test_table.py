"""One table of several files: its columns, their kinds, and files that do not belong together."""

import os
import pickle

import numpy as np
import pytest
from csv_outcomes import (
    ONE_ROW,
    TEXT,
    TWO_ROWS,
    Fails,
    Rows,
    outcomes,
    write,
)

from keras_oocore.core.errors import DataError, DestinationError, MissingExtraError, OptionError
from keras_oocore.tables.csv import reader as csv
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.dialect import Dialect
from keras_oocore.tables.csv.reader import Column
from keras_oocore.tables.csv.table import INDEX_SUFFIX, CSVTable


@outcomes(
    ("a record longer than a chunk", f'x,y\na,1\n"{"b," * 999}\n",2\nc,3\n', TEXT,
     Rows(["a", "b," * 999 + "\n", "c"], [1, 2, 3])),
    ("a cell of more than 128 KiB", f"x,y\n{'a' * 2**18},2\n", TEXT, Rows(["a" * 2**18], [2])),
    ("a cell of more than 128 KiB in a first row without a header", f"{'a' * 2**18},2\n",
          dict(header=False, column_names=["x", "y"], **TEXT), Rows(["a" * 2**18], [2])),
    ("one column", "y\n1\n\n2\n", dict(features=["y"]), Rows([1, 2], [1, 2])),
    ("one column without features", "y\n1\n", {},
     Fails("`features` should name at least one column for each input. Received: none", OptionError)),
    ("features as a string", "xx,x,y\n1,9,2\n", dict(features="xx"), ONE_ROW),
    ("a target among the features", "x,y\n1,b\n2,a\n", dict(features=["y"]), Rows(["b", "a"], ["b", "a"])),
    ("batches of one row", "x,y\n1,2\n3,4\n", dict(batch_size=1), TWO_ROWS),
    ("fewer rows than a batch", "x,y\n1,2\n3,4\n", dict(batch_size=1000), TWO_ROWS),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files, by name, into a folder in which the test then runs; returns their names."""
    monkeypatch.chdir(tmp_path)

    def write(**files):
        names = []
        for name, content in files.items():
            path = tmp_path / f"{name}.csv"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            names.append(path.name)
        return names

    return write


def kinds(table):
    return {name: column.kind for name, column in table.columns.items()}


def error_of(*arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        CSVTable(*arguments, **{"dialect": Dialect(), **options})
    return str(caught.value)


def values(table, name, kind="float32"):
    reader = table.reader([Column(name, table.columns[name].position, kind)])
    return [cell for i in range(table.num_chunks) for cell in table.read(reader, i).columns[name].to_pylist()]


def test_several_files_are_one_table(write, monkeypatch):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 12)
    names = write(**{f"part-{i}": "a,b\n" + "".join(f"{10 * i + j},x\n" for j in range(i)) for i in (3, 0, 12)})
    expected = [*range(120, 132), *range(30, 33)]
    for data in ("part-*.csv", sorted(names), [os.path.abspath(name) for name in sorted(names)]):
        table = CSVTable(data, Dialect())
        assert table.num_rows == 15
        assert table.rows[-1] == 15
        assert table.num_chunks > 3
        assert values(table, "a") == expected
    assert CSVTable("part-*.csv", Dialect()).paths == ["part-0.csv", "part-12.csv", "part-3.csv"]
    assert CSVTable("part-*.csv", Dialect()).where(table.num_chunks - 1, 0).startswith("part-3.csv: row ")
    assert values(pickle.loads(pickle.dumps(table)), "a") == expected


def test_a_path_that_looks_like_a_pattern_is_a_path_where_it_exists(write, tmp_path):
    write(a="a\n1\n")
    (tmp_path / "a[1].csv").write_text("a\n2\n")
    assert values(CSVTable("a[1].csv", Dialect()), "a") == [2]


def test_files_that_do_not_belong_together(write):
    alike = "All files of a table have the same columns in the same order."
    write(p1="a,b\n1,2\n", q2="b,a\n1,2\n", r2="a\n1\n", s2="a,b,c\n1,2,3\n", t2="")
    assert error_of(["p1.csv", "q2.csv"]) == f"q2.csv: the columns are in another order than in p1.csv. {alike}"
    assert error_of(["p1.csv", "r2.csv"]) == f"r2.csv: no column 'b', which is in p1.csv. {alike}"
    assert error_of(["p1.csv", "s2.csv"]) == f"s2.csv: a column 'c', which is not in p1.csv. {alike}"
    assert error_of(["p1.csv", "t2.csv"]) == "t2.csv is empty. Expected a header."
    assert error_of(["p1.csv", "no.csv"]) == "Cannot read 'no.csv': No such file or directory."
    assert error_of("no-*.csv") == "No file matches 'no-*.csv'."
    assert error_of([], error=OptionError) == (
        "`data` should be a path, a pattern or a list of them. Received: an empty list"
    )


def test_names_of_a_header(write):
    write(a=' a ,"b",,\n1,2,3,4\n', b="a,b,a\n1,2,3\n", c='\ufeff"a",b\n1,2\n')
    assert list(CSVTable("a.csv", Dialect()).columns) == ["a", "b", "Unnamed: 2", "Unnamed: 3"]
    assert list(CSVTable("c.csv", Dialect()).columns) == ["a", "b"]
    assert error_of("b.csv") == (
        "b.csv: the header has 'a' 2 times. Pass column_names=[...] with a name of its own for each."
    )
    table = CSVTable("b.csv", Dialect(), column_names=["x", "y", "z"])
    assert values(table, "z") == [3]
    assert error_of("b.csv", column_names=["x", "x", "z"]).startswith("`column_names` has 'x' 2 times.")
    assert error_of("b.csv", column_names=["x"], error=OptionError) == (
        "`column_names` should name 3 columns. Received: 1 names"
    )


def test_without_a_header(write):
    write(a='1,"x\ny",2\n3,z,4\n')
    table = CSVTable("a.csv", Dialect(header=False))
    assert kinds(table) == {"column_0": "float32", "column_1": "string", "column_2": "float32"}
    assert values(table, "column_0") == [1, 3]
    assert kinds(CSVTable("a.csv", Dialect(header=False), column_names=["p", "q", "r"])) == {
        "p": "float32", "q": "string", "r": "float32"
    }  # fmt: skip


def test_other_delimiters_and_encodings(write):
    write(a="größe;ort\n1,5;Köln\n".encode("latin-1"))
    table = CSVTable("a.csv", Dialect(delimiter=";", encoding="latin-1"), decimal=",")
    assert kinds(table) == {"größe": "float32", "ort": "string"}
    assert values(table, "ort", "string") == ["Köln"]
    assert values(table, "größe") == [1.5]


def test_kinds_are_inferred_from_the_whole_of_all_files(write, monkeypatch):
    monkeypatch.setattr(csv, "SAMPLED_BYTES", 50)
    write(a="a,b\n" + "1,\n" * 10_000 + "x,2\n" * 9000, b="a,b\n" + "1,x\n" * 100)
    assert kinds(CSVTable("a.csv", Dialect())) == {"a": "string", "b": "float32"}
    assert kinds(CSVTable(["a.csv", "b.csv"], Dialect()))["b"] == "string"


def test_a_table_without_rows_has_kinds_too(write):
    write(a="a,b")
    table = CSVTable("a.csv", Dialect())
    assert (table.num_rows, table.num_chunks) == (0, 0)
    assert kinds(table) == {"a": "float32", "b": "float32"}


def test_kinds_that_are_given(write):
    write(a="a,b,c,d,e\n1,1,2014-01-01,2,3\n")
    given = {"a": "string", "b": bool, "c": "%Y-%m-%d", "d": np.int64}
    table = CSVTable("a.csv", Dialect(), dtypes=given)
    assert kinds(table) == {"a": "string", "b": "bool", "c": "date", "d": "float32", "e": "float32"}
    assert table.columns["c"].format == "%Y-%m-%d"
    assert error_of("a.csv", dtypes={"A": "string"}, error=OptionError) == (
        "`dtypes` names a column that does not exist: 'A'. Did you mean 'a'?"
    )
    for text in ("string", "str", str, "object", "U3"):
        assert kinds(CSVTable("a.csv", Dialect(), dtypes={"a": text}))["a"] == "string"
    for dtype in ("date", "datetime64[s]", None):
        message = error_of("a.csv", dtypes={"a": dtype}, error=OptionError)
        assert message.endswith(f"Received: dtypes={{'a': {dtype!r}}}")


def test_what_float32_would_lose_is_known(write):
    write(a="id,zip,big\n1,00501,1\n2,10001,16777217\n")
    notes = CSVTable("a.csv", Dialect(), dtypes={"id": "float32"}).notes
    assert notes == {
        "zip": ["numbers with leading zeros, which are lost, such as '00501'"],
        "big": ["integers beyond 2^24, which float32 rounds, such as 16777217"],
    }


def test_a_misspelt_column_gets_the_nearest_name(write):
    write(a="price,sqft_living\n1,2\n", b=",".join(f"c{i}" for i in range(10_000)) + "\n")
    with pytest.raises(OptionError) as caught:
        CSVTable("a.csv", Dialect()).column("sqft_livin", "features")
    assert str(caught.value) == (
        "`features` names a column that does not exist: 'sqft_livin'. Did you mean 'sqft_living'? "
        "Columns: 'price', 'sqft_living'"
    )
    write(c="x;y\n1;2\n")
    with pytest.raises(OptionError, match=r"Columns: 'x;y'. Is it delimiter=';'\?"):
        CSVTable("c.csv", Dialect()).column("y", "target")
    with pytest.raises(OptionError, match="'c9' and 9990 more"):
        CSVTable("b.csv", Dialect()).column("zzz", "target")


def test_a_saved_index_saves_the_scan(write, tmp_path, monkeypatch):
    write(a="a\n1\n2\n", b="a\n3\n")
    scans, index_records = [], csv_table.index_records

    def counted(path, *arguments):
        scans.append(path)
        return index_records(path, *arguments)

    monkeypatch.setattr(csv_table, "index_records", counted)
    folder = tmp_path / "cache"
    table = CSVTable("*.csv", Dialect())
    assert scans == ["a.csv", "b.csv"]
    table.save_indexes(folder)
    assert values(CSVTable("*.csv", Dialect(), kept_in=[tmp_path / "no", folder]), "a") == [1, 2, 3]
    assert len(scans) == 2
    table.save_indexes()
    assert (tmp_path / f"a.csv{INDEX_SUFFIX}").exists()
    assert values(CSVTable("*.csv*", Dialect()), "a") == [1, 2, 3]
    assert len(scans) == 2
    CSVTable("a.csv", Dialect(comment="#"))
    assert len(scans) == 3
    write(a="a\n1\n2\n5\n")
    assert values(CSVTable("a.csv", Dialect(), kept_in=[folder]), "a") == [1, 2, 5]
    assert len(scans) == 4


def test_an_index_with_bad_rows_does_not_hide_them(write):
    write(a='a,b\n1,2\n3,x"\n')
    CSVTable("a.csv", Dialect(), on_bad_row="skip").save_indexes()
    assert "a.csv: row 1 (line 3): a quote where none may stand" in error_of("a.csv")


def test_an_index_that_cannot_be_saved(write, tmp_path):
    write(a="a\n1\n")
    table = CSVTable("a.csv", Dialect())
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="Cannot write"):
        table.save_indexes(tmp_path / "file")


def test_options_are_refused_before_the_files_are_read(write):
    for option in (dict(decimal=";"), dict(on_bad_row="warn"), dict(null_values="NA")):
        assert next(iter(option)) in error_of("no.csv", error=OptionError, **option)


def test_without_pyarrow(write, monkeypatch):
    monkeypatch.setattr(csv, "pa", None)
    assert error_of("no.csv", error=MissingExtraError) == "CSV files want pyarrow: pip install 'keras_oocore[csv]'"


def test_ten_thousand_columns(write):
    write(a=",".join(f"c{i}" for i in range(10_000)) + "\n" + ",".join("1" * 10_000) + "\n")
    table = CSVTable("a.csv", Dialect())
    assert len(table.columns) == 10_000
    assert values(table, "c9999") == [1]
