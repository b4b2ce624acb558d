"""One or several CSV files as one table."""

import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from csv_outcomes import (
    ONE_ROW,
    TEXT,
    TWO_ROWS,
    Fails,
    Rows,
    late,
    make,
    outcome_of,
    outcomes,
    served,
    unreadable,
    write,
)

from keras_oocore.core.errors import DataError, DestinationError, MissingExtraError, OptionError
from keras_oocore.csv import cells, sample
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.names import SAME_COLUMNS
from keras_oocore.tables.csv.table import INDEX_SUFFIX, CSVTable

BOM = b"\xef\xbb\xbf"


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
def write_files(tmp_path, monkeypatch):
    """Function that writes files into the working directory and returns their names."""
    monkeypatch.chdir(tmp_path)

    def write_files(**files):
        names = []
        for name, content in files.items():
            path = tmp_path / f"{name}.csv"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            names.append(path.name)
        return names

    return write_files


def kinds(table):
    return {name: column.kind for name, column in table.columns.items()}


def error_of(*arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        CSVTable(*arguments, **{"dialect": Dialect(), **options})
    return str(caught.value)


def values(table, name, kind="float32"):
    columns = [Column(name, table.columns[name].position, kind)]
    return [cell for i in range(table.num_chunks) for cell in table.read(i, columns).columns[name].to_pylist()]


def test_several_files_are_one_table(write_files, monkeypatch):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 12)
    names = write_files(**{f"part-{i}": "a,b\n" + "".join(f"{10 * i + j},x\n" for j in range(i)) for i in (3, 0, 12)})
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


def test_header_false(write_files):
    write_files(a='1,"x\ny",2\n3,z,4\n')
    table = CSVTable("a.csv", Dialect(header=False))
    assert kinds(table) == {"column_0": "float32", "column_1": "string", "column_2": "float32"}
    assert values(table, "column_0") == [1, 3]
    assert kinds(CSVTable("a.csv", Dialect(header=False), column_names=["p", "q", "r"])) == {
        "p": "float32", "q": "string", "r": "float32"
    }  # fmt: skip


def test_delimiter_and_encoding(write_files):
    write_files(a="größe;ort\n1,5;Köln\n".encode("latin-1"))
    table = CSVTable("a.csv", Dialect(delimiter=";", encoding="latin-1"), CellOptions(decimal=","))
    assert kinds(table) == {"größe": "float32", "ort": "string"}
    assert values(table, "ort", "string") == ["Köln"]
    assert values(table, "größe") == [1.5]


def test_kinds_are_inferred_from_all_files(write_files, monkeypatch):
    monkeypatch.setattr(sample, "SAMPLED_BYTES", 50)
    write_files(a="a,b\n" + "1,\n" * 10_000 + "x,2\n" * 9000, b="a,b\n" + "1,x\n" * 100)
    assert kinds(CSVTable("a.csv", Dialect())) == {"a": "string", "b": "float32"}
    assert kinds(CSVTable(["a.csv", "b.csv"], Dialect()))["b"] == "string"


def test_kinds_of_a_table_without_rows(write_files):
    write_files(a="a,b")
    table = CSVTable("a.csv", Dialect())
    assert (table.num_rows, table.num_chunks) == (0, 0)
    assert kinds(table) == {"a": "float32", "b": "float32"}


def test_dtypes(write_files):
    write_files(a="a,b,c,d,e\n1,1,2014-01-01,2,3\n")
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


def test_notes_about_float32(write_files):
    write_files(a="id,zip,big\n1,00501,1\n2,10001,16777217\n")
    notes = CSVTable("a.csv", Dialect(), dtypes={"id": "float32"}).notes
    assert notes == {
        "zip": ["numbers with leading zeros, which are lost, such as '00501'"],
        "big": ["integers beyond 2^24, which float32 rounds, such as 16777217"],
    }


def test_unknown_column_gets_the_most_similar_name(write_files):
    write_files(a="price,sqft_living\n1,2\n", b=",".join(f"c{i}" for i in range(10_000)) + "\n")
    with pytest.raises(OptionError) as caught:
        CSVTable("a.csv", Dialect()).column("sqft_livin", "features")
    assert str(caught.value) == (
        "`features` names a column that does not exist: 'sqft_livin'. Did you mean 'sqft_living'? "
        "Columns: 'price', 'sqft_living'"
    )
    write_files(c="x;y\n1;2\n")
    with pytest.raises(OptionError, match=r"Columns: 'x;y'. Is it delimiter=';'\?"):
        CSVTable("c.csv", Dialect()).column("y", "target")
    with pytest.raises(OptionError, match="'c9' and 9,990 more"):
        CSVTable("b.csv", Dialect()).column("zzz", "target")


def test_saved_indexes_replace_the_scan(write_files, tmp_path, monkeypatch):
    write_files(a="a\n1\n2\n", b="a\n3\n")
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
    write_files(a="a\n1\n2\n5\n")
    assert values(CSVTable("a.csv", Dialect(), kept_in=[folder]), "a") == [1, 2, 5]
    assert len(scans) == 4


def test_saved_index_with_bad_rows_is_not_used(write_files):
    write_files(a='a,b\n1,2\n3,"x"y\n')
    CSVTable("a.csv", Dialect(), CellOptions(on_bad_row="skip")).save_indexes()
    assert "a.csv: row 1 (line 3): misplaced quote in" in error_of("a.csv")


def test_index_that_cannot_be_saved(write_files, tmp_path):
    write_files(a="a\n1\n")
    table = CSVTable("a.csv", Dialect())
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="Cannot write"):
        table.save_indexes(tmp_path / "file")


def test_invalid_options_are_found_before_reading(write_files):
    for option in (dict(decimal=";"), dict(on_bad_row="warn"), dict(null_values="NA")):
        with pytest.raises(OptionError, match=next(iter(option))):
            CellOptions(**option)


def test_missing_pyarrow(write_files, monkeypatch):
    monkeypatch.setattr(cells, "pa", None)
    assert error_of("no.csv", error=MissingExtraError) == "CSV files require pyarrow: pip install 'keras_oocore[csv]'"


def test_many_columns(write_files):
    write_files(a=",".join(f"c{i}" for i in range(2000)) + "\n" + ",".join("1" * 2000) + "\n")
    table = CSVTable("a.csv", Dialect())
    assert len(table.columns) == 2000
    assert values(table, "c1999") == [1]


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        ("x,y\n3,4", TWO_ROWS),
        ("x,y\n", ONE_ROW),
        (BOM + b'"x","y"\r\n3,4\r\n', TWO_ROWS),
        ("y,x\n4,3\n", TWO_ROWS),
        ("y\n4\n", Fails(f"b.csv: it has no column 'x', which is in a.csv. {SAME_COLUMNS}")),
        ("x,y,z\n3,4,5\n", Fails(f"b.csv: it has a column 'z', which is not in a.csv. {SAME_COLUMNS}")),
        ("X,y\n3,4\n", Fails(f"b.csv: it has no column 'x', but a column 'X', which is not in a.csv. {SAME_COLUMNS}")),
        ("", Fails("b.csv: the file is empty. Expected a header.")),
        (" x ,y\n3,4\n", TWO_ROWS),
    ],
    ids=["sound", "without rows", "quoted", "reordered", "fewer", "more", "other case", "empty", "padded"],
)  # fmt: skip
def test_second_file(folder, second, outcome):
    write("x,y\n1,2\n", "a.csv")
    write(second, "b.csv")
    for data in (["a.csv", "b.csv"], "[ab].csv"):
        assert outcome_of(data) == outcome


def test_second_file_that_does_not_exist(folder):
    write("x,y\n1,2\n", "a.csv")
    message = outcome_of(["a.csv", "b.csv"]).message
    assert message.startswith("Cannot read 'b.csv': No such file or directory. The working directory is '")


def test_error_in_the_second_file_has_its_own_row_numbers(folder):
    write(late("1,2"), "a.csv")
    write(late("N/K,2"), "b.csv")
    assert outcome_of("?.csv") == Fails("b.csv" + unreadable(99, "N/K").message.removeprefix("houses.csv"))


def test_several_files_with_decimal_commas_in_latin_1(folder):
    for k in (1, 2):
        content = "Größe;Ort;y\n" + "".join(f"{k},{i};Köln;{i}\n" for i in range(5))
        write(content.encode("latin-1"), f"part-{k}.csv")
    rows = make("part-*.csv", features=["Größe", "Ort"], delimiter=";", decimal=",", encoding="latin-1")
    x, _ = rows[0]
    np.testing.assert_allclose(x[:, 0], [k + i / 10 for k in (1, 2) for i in range(5)], rtol=1e-6)
    assert rows.vocabulary("Ort") == ["Köln"]


def test_unreadable_paths(folder):
    os.mkdir("folder")
    os.symlink("nowhere", "dangling.csv")
    write("x,y\n1,2\n", "a.csv")
    for path, why in (
        ("no.csv", "No such file or directory"),
        ("folder", "it is a folder. To read the CSV files in it, pass 'folder/*.csv'"),
        ("dangling.csv", "No such file or directory"),
        ("a.csv/b.csv", "Not a directory"),
        ("n" * 300, "File name too long"),
    ):
        assert outcome_of(path) == outcome_of(Path(path)) == outcome_of([path])
        assert outcome_of(path).message.startswith(f"Cannot read {path!r}: {why}.")
    no_match = f"No file matches 'no-*.csv'. The working directory is {os.getcwd()!r}."
    assert outcome_of("no-*.csv") == Fails(no_match)
    assert outcome_of(["?.csv", "no-*.csv"]) == Fails(no_match)
    assert outcome_of(["?.csv", "a.csv"]) == outcome_of(["a.csv", "a.csv"])


def test_file_without_permission(folder):
    write("x,y\n1,2\n")
    os.chmod("houses.csv", 0)
    if os.access("houses.csv", os.R_OK):
        pytest.skip("this user may read everything")
    assert outcome_of() == Fails("Cannot read 'houses.csv': Permission denied.")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_is_refused(folder):
    os.mkfifo("pipe.csv")
    assert outcome_of("pipe.csv") == Fails("Cannot read 'pipe.csv': it is not an ordinary file.")


def test_types_of_paths(folder):
    write("x,y\n1,2\n", "a[1].csv")  # no pattern, since it exists
    write("x,y\n9,9\n", "a1.csv")
    os.symlink("a[1].csv", "link.csv")
    for data in ("a[1].csv", Path("a[1].csv"), "link.csv", os.path.abspath("link.csv"), (p for p in ["a[1].csv"])):
        assert outcome_of(data) == ONE_ROW


def test_working_directory_changes_later(folder):
    write(late("1,2"))
    sequence = make()
    os.mkdir("other")
    os.chdir("other")
    assert served(sequence) == ([1] * 199, [2] * 199)


def test_cache_within_the_pattern(folder):
    os.mkdir("data")
    write("x,y\n1,2\n", "data/a.csv")
    assert outcome_of("data/*", cache="data/cache") == ONE_ROW
    assert outcome_of("data/*", cache="data/cache") == ONE_ROW


@pytest.mark.parametrize(
    "options",
    [
        dict(target=1),
        dict(data=3),
        dict(features=3),
        dict(categorical=3),
        dict(dtypes="float32"),
        dict(null_values=None),
        dict(null_values=[3]),
        dict(column_names=[1, 2, "y"]),
        dict(missing={"x": "a"}),
        dict(missing={"x": None}),
        dict(missing={"x": 1e39}),
        dict(missing={"text": 7}, features=["text"]),
        dict(delimiter="\0"),
    ],
    ids=str,
)
def test_options_of_a_wrong_type(folder, options):
    write("text,x,y\na,,2\n")
    with pytest.raises(OptionError, match=f"`{next(iter(options))}` should "):
        served(make(**{"features": ["x"], "data": "houses.csv", **options}))


def test_many_categories(folder, monkeypatch):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 4 * 2**20)
    write("x,y\n" + "".join(f"id{i},1\n" for i in range(200_000)))
    rows = make(categorical=["x"], batch_size=100_000)
    second = rows[1][0]
    assert len(rows.vocabulary("x")) == 200_000
    assert len(np.unique(second)) == 100_000


def test_fingerprint_is_plain_json_and_says_what_changed(write_files):
    write_files(a="a\n1\n")
    table = CSVTable("a.csv", Dialect(), CellOptions(null_values=[..., "-"]))
    found = table.fingerprint()
    assert list(found) == ["files", "dialect", "null_values", "decimal", "on_bad_row"]
    assert json.loads(json.dumps(found)) == found
    assert re.fullmatch(r"a\.csv, 4 bytes, of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} UTC", found["files"][0])
    assert found["null_values"][-1] == "-"
    changed = CSVTable("a.csv", Dialect(), CellOptions(thousands=",", strip="$€")).fingerprint()
    assert list(changed.items())[5:] == [("thousands", ","), ("strip", ["$", "€"])]
    assert table.portable_fingerprint() == {"files": ["a.csv, 4 bytes"], "on_bad_row": "error"}


def test_empty_data(write_files):
    assert error_of([], error=OptionError) == (
        "`data` should be a path, a pattern or a list of them. Received: an empty list"
    )
